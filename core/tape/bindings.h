// From tensors to what a launch on the current stream binds.
#pragma once

#include "core/backend/backend.h"
#include "core/tensor/writable.h"
#include "jacquard/tensor.h"

namespace jacquard::tape {

inline Strides strides_over(const Shape& from, const Strides& strides,
                            const Shape& space) {
  return from == space ? strides
                       : broadcast_strides(from, strides, space, "launch");
}

// A leaf in memory.
inline backend::Binding bind(const Tensor& t, const Shape& space) {
  return {t.data_on(current_stream(t.device())), t.dtype(),
          strides_over(t.shape(), t.strides(), space)};
}

// A leaf that is computed from its own position.
inline backend::Binding bind_virtual(const Shape& shape, DType dtype,
                                     const Shape& space) {
  return {nullptr, dtype,
          strides_over(shape, contiguous_strides(shape), space)};
}

// A contiguous output; `over_space` is its shape with reduced axes as 1.
inline backend::OutputBinding bind_output(const Tensor& t,
                                          const Shape& over_space,
                                          const Shape& space, bool accumulate) {
  return {write_on(t, current_stream(t.device())), t.dtype(),
          strides_over(over_space, contiguous_strides(over_space), space),
          accumulate};
}

}  // namespace jacquard::tape
