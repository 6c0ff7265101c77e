// One array made of several.
#pragma once

#include <vector>

#include "core/ops/slice_region.h"

namespace jacquard::ops {

struct Part {
  TrackedTensor value;    // of the region's shape
  SliceRegion region;     // of the whole
  bool shadowed = false;  // some of it is overwritten by a later part
};

// An array of `shape` in which the parts, which cover it, were written in their
// order; recorded as one node.
TrackedTensor join(const char* name, CallSite site, const Shape& shape,
                   DType dtype, std::vector<Part> parts);

}  // namespace jacquard::ops
