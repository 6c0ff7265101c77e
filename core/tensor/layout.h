// Arithmetic of layouts: what a shape and its strides say about memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "jacquard/dtype.h"
#include "jacquard/shape.h"

namespace jacquard {

// Whether the elements lie row-major without gaps. Strides of axes of extent 1
// don't matter; an empty array is contiguous.
JACQUARD_API bool is_contiguous(const Shape& shape, const Strides& strides);

// Offsets of the lowest and the highest element, counted from the first; an
// empty array reaches nothing: {0, −1}.
struct Reach {
  std::int64_t lowest = 0;
  std::int64_t highest = -1;
};
JACQUARD_API Reach reach_of(const Shape& shape, const Strides& strides);

// Strides that read an array of `from` and `strides` as one of `to`, which has
// as many elements, or nothing if that needs a copy. As NumPy.
JACQUARD_API std::optional<Strides> reshape_strides(const Shape& from,
                                                    const Strides& strides,
                                                    const Shape& to);

// `to` with its −1 replaced by what fits the elements of `from`. ShapeError
// that names `op`, if the counts differ.
JACQUARD_API Shape resolve_reshape(const Shape& from, const Shape& to,
                                   const char* op);

// Bytes of a contiguous array. ShapeError that names `op`, if an extent is
// negative or the array would not be addressable.
JACQUARD_API std::size_t bytes_of(const Shape& shape, DType dtype,
                                  const char* op);

}  // namespace jacquard
