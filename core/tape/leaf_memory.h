// The memory of leaves, for who writes them in place.
#pragma once

#include "core/tape/value.h"

namespace jacquard::tape {

// An array at the leaf's address that nobody else sees; the leaf holds it.
// Whoever else shared the memory keeps its contents.
Tensor make_leaf_writable(Value& cell);

}  // namespace jacquard::tape
