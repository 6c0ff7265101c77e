// The reverse of a broadcast.
#pragma once

#include "jacquard/tracked_tensor.h"

namespace jacquard::ops {

// x summed over the axes on which `shape` was broadcast to x's shape; x itself
// if there is none.
TrackedTensor sum_to(const TrackedTensor& x, const Shape& shape);

}  // namespace jacquard::ops
