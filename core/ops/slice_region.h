// Regular parts of arrays: what slice, select, flip, pad and cat read and
// write.
#pragma once

#include "jacquard/call_site.h"
#include "jacquard/shape_ops.h"
#include "jacquard/tracked_tensor.h"

namespace jacquard::ops {

// On each axis of an array: `count` places from `start` by `step` (which may be
// negative). Axes in `dropped` (bit i: axis i) have count 1 and are left out of
// the part's shape.
struct SliceRegion {
  Shape start, step, count;
  unsigned dropped = 0;

  static SliceRegion whole(const Shape& shape);

  // Places start, …, start + count − 1 of an axis.
  void narrow(int axis, std::int64_t from, std::int64_t extent);
  // One place of an axis, which is dropped.
  void pick(int axis, std::int64_t place);
  // What a Python slice of the axis leaves. IndexError for step 0.
  void restrict_to(int axis, const Slice& s, const char* op);

  // The same behind an axis that stays whole, or none (lead 0).
  SliceRegion led(int lead, const Shape& led_shape) const;

  // The part's shape.
  Shape shape() const;
  // Whether it covers an array of that shape.
  bool covers(const Shape& array) const { return count == array; }
  // The part of an array whose shape the region was made for.
  Tensor view(const Tensor& array) const;
};

// The part of x as a view of x, recorded.
TrackedTensor take(const char* name, CallSite site, const TrackedTensor& x,
                   const SliceRegion& region);
// A new array: x with the part replaced by v, which has the part's shape or
// broadcasts to it and is converted to x's dtype; recorded.
TrackedTensor put(const char* name, CallSite site, const TrackedTensor& x,
                  const SliceRegion& region, const TrackedTensor& v);

}  // namespace jacquard::ops
