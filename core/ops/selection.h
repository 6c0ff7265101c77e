// What lists of indices select.
#pragma once

#include <vector>

#include "core/ops/slice_region.h"
#include "jacquard/index_ops.h"

namespace jacquard::ops {

// What a list of indices selects of an array: integers and slices make a region
// of it, index tensors and masks are looked up in the region's part.
struct Selection {
  SliceRegion region;
  // With the (first) axis of the part.
  struct Lookup {
    int axis;
    TrackedTensor index;
  };
  std::vector<Lookup> lookups;

  // Whether the part is all of x, in its order.
  bool is_whole(const Shape& x) const {
    bool as_it_is = region.dropped == 0 && region.covers(x);
    for (const std::int64_t step : region.step) as_it_is &= step == 1;
    return as_it_is;
  }
};
// Of an array of that shape. IndexError, ShapeError, DTypeError or DeviceError
// that names op; index tensors are not looked into.
Selection select(const char* op, const Shape& x, Device device,
                 const std::vector<Index>& indices);

}  // namespace jacquard::ops
