// What a reduction reduces.
#pragma once

#include "core/tape/pending.h"
#include "jacquard/reduce.h"

namespace jacquard::ops {

struct ReducedAxes {
  ReducedAxes() = default;
  // IndexError that names `op`, for an axis out of range or named twice.
  ReducedAxes(const Shape& shape, const Axes& axes, const char* op);

  unsigned mask = 0;       // bit i: axis i
  std::int64_t count = 1;  // elements behind each result
  Shape kept;              // the result's shape with keepdims
  Shape dropped;           // and without
};

// x reduced, computed at once; pending operands are computed inside.
TrackedTensor reduce(const char* name, tape::Reduction reduction,
                     TrackedTensor x, const ReducedAxes& axes, bool keepdims,
                     DType dtype, CallSite site);

}  // namespace jacquard::ops
