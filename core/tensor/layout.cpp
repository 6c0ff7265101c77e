#include "core/tensor/layout.h"

#include <algorithm>
#include <string>

#include "jacquard/error.h"

namespace jacquard {

bool is_contiguous(const Shape& shape, const Strides& strides) {
  std::int64_t expected = 1;
  bool dense = true;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    if (shape[i] == 0) return true;
    if (shape[i] == 1) continue;
    dense = dense && strides[i] == expected;
    expected *= shape[i];
  }
  return dense;
}

Reach reach_of(const Shape& shape, const Strides& strides) {
  Reach reach{0, 0};
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == 0) return {};
    const std::int64_t last = (shape[i] - 1) * strides[i];
    (last < 0 ? reach.lowest : reach.highest) += last;
  }
  return reach;
}

std::optional<Strides> reshape_strides(const Shape& from,
                                       const Strides& strides,
                                       const Shape& to) {
  if (from == to) return strides;
  if (is_contiguous(from, strides)) return contiguous_strides(to);

  Shape old_dims;
  Strides old_strides;
  for (int i = 0; i < from.rank(); ++i) {
    if (from[i] == 1) continue;
    old_dims.push_back(from[i]);
    old_strides.push_back(strides[i]);
  }

  // The smallest groups of old and of new axes with equal products: the old
  // ones must be contiguous among themselves.
  Strides result = Strides::filled(to.rank(), 1);
  int old_begin = 0;
  int new_begin = 0;
  while (old_begin < old_dims.rank()) {
    int old_end = old_begin + 1;
    int new_end = new_begin + 1;
    std::int64_t old_count = old_dims[old_begin];
    std::int64_t new_count = to[new_begin];
    while (old_count != new_count) {
      if (new_count < old_count)
        new_count *= to[new_end++];
      else
        old_count *= old_dims[old_end++];
    }
    for (int i = old_begin; i + 1 < old_end; ++i)
      if (old_strides[i] != old_dims[i + 1] * old_strides[i + 1])
        return std::nullopt;
    std::int64_t step = old_strides[old_end - 1];
    for (int i = new_end - 1; i >= new_begin; --i) {
      result[i] = step;
      step *= to[i];
    }
    old_begin = old_end;
    new_begin = new_end;
  }
  return result;
}

Shape resolve_reshape(const Shape& from, const Shape& to, const char* op) {
  const auto fail = [&](const std::string& why) {
    throw ShapeError(std::string(op) + ": " + to_string(from) + " to " +
                     to_string(to) + ": " + why);
  };
  const std::int64_t count = from.numel();
  std::int64_t known = 1;
  int open = -1;
  for (int i = 0; i < to.rank(); ++i) {
    if (to[i] == -1 && open < 0) {
      open = i;
    } else if (to[i] < 0) {
      fail("one extent may be -1, the others must not be negative");
    } else if (__builtin_mul_overflow(known, to[i], &known)) {
      fail("the extents' product is too large");
    }
  }
  if (open < 0) {
    if (known != count)
      fail(std::to_string(count) + " elements do not make " +
           std::to_string(known));
    return to;
  }
  if (known == 0 || count % known != 0)
    fail(std::to_string(count) + " elements leave no extent for -1");
  Shape result = to;
  result[open] = count / known;
  return result;
}

std::size_t bytes_of(const Shape& shape, DType dtype, const char* op) {
  auto bytes = static_cast<std::int64_t>(size_of(dtype));
  bool empty = false;
  for (const std::int64_t d : shape) {
    if (d < 0)
      throw ShapeError(std::string(op) + ": " + to_string(shape) +
                       ": extents must not be negative");
    empty = empty || d == 0;
    // Strides of an empty array must be representable, too.
    if (__builtin_mul_overflow(bytes, std::max<std::int64_t>(d, 1), &bytes))
      throw ShapeError(std::string(op) + ": " + to_string(shape) +
                       ": too large to be addressed");
  }
  return empty ? 0 : static_cast<std::size_t>(bytes);
}

}  // namespace jacquard
