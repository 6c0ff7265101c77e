// Shapes and strides: up to 8 extents, stored in place.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "jacquard/export.h"

namespace jacquard {

inline constexpr int kMaxRank = 8;

// A list of at most kMaxRank integers. As a shape: extents, row-major, the
// last one fastest. As strides: in elements, not bytes.
class JACQUARD_API Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims)
      : Shape(std::span<const std::int64_t>(dims.begin(), dims.size())) {}
  // ShapeError if there are more than kMaxRank.
  explicit Shape(std::span<const std::int64_t> dims);
  // `rank` times `value`.
  static Shape filled(int rank, std::int64_t value);

  int rank() const { return rank_; }
  // No check; 0 ≤ i < rank().
  std::int64_t operator[](int i) const { return dims_[i]; }
  std::int64_t& operator[](int i) { return dims_[i]; }
  // Negative counts from the end; IndexError outside.
  std::int64_t at(int i) const;

  const std::int64_t* begin() const { return dims_.data(); }
  const std::int64_t* end() const { return dims_.data() + rank_; }
  std::int64_t* begin() { return dims_.data(); }
  std::int64_t* end() { return dims_.data() + rank_; }

  void push_back(std::int64_t d);  // ShapeError at kMaxRank
  void insert(int at, std::int64_t d);
  void erase(int at);

  // The product of the extents; 1 for rank 0.
  std::int64_t numel() const {
    std::int64_t n = 1;
    for (int i = 0; i < rank_; ++i) n *= dims_[i];
    return n;
  }

  friend bool operator==(const Shape& a, const Shape& b) {
    if (a.rank_ != b.rank_) return false;
    for (int i = 0; i < a.rank_; ++i)
      if (a.dims_[i] != b.dims_[i]) return false;
    return true;
  }

 private:
  std::array<std::int64_t, kMaxRank> dims_{};
  std::int32_t rank_ = 0;
};

using Strides = Shape;

// "[2, 3]"; "[]" for rank 0.
JACQUARD_API std::string to_string(const Shape& shape);

// Row-major strides of a contiguous array.
JACQUARD_API Strides contiguous_strides(const Shape& shape);

// NumPy's broadcast of two shapes. ShapeError that names `op` and both shapes.
JACQUARD_API Shape broadcast(const Shape& a, const Shape& b, const char* op);

// Strides that read an array of `from` with `strides` as one of `to`, with 0
// where it is broadcast. `from` must broadcast to `to` (ShapeError names op).
JACQUARD_API Strides broadcast_strides(const Shape& from,
                                       const Strides& strides, const Shape& to,
                                       const char* op);

// An axis in [-rank, rank) made non-negative. IndexError names `op` and the
// shape.
JACQUARD_API int normalize_axis(int axis, const Shape& shape, const char* op);

}  // namespace jacquard
