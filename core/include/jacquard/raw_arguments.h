// What kernels of the user's are given: see raw_kernel.h.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include "jacquard/dtype.h"
#include "jacquard/export.h"
#include "jacquard/shape.h"

namespace jacquard {

// An array as a kernel gets it, contiguous.
struct JACQUARD_API RawArray {
  Shape shape;
  DType dtype = DType::float32;
  // On the device that the kernel runs on; nullptr where only shapes matter.
  void* data = nullptr;

  // The elements. DTypeError unless T is the dtype's type (half types and bool
  // as std::uint16_t and bool).
  template <class T>
  T* as() const {
    check(type_of<std::remove_const_t<T>>());
    return static_cast<T*>(data);
  }

 private:
  template <class T>
  static constexpr DType type_of() {
    if constexpr (std::is_same_v<T, std::uint16_t>)
      return DType::float16;  // or bfloat16: see check
    else
      return dtype_of<T>;
  }
  void check(DType asked) const;
};

// A host scalar of a call: an integer (bools, too) or a double.
class RawScalar {
 public:
  explicit RawScalar(std::int64_t value) : is_integer_(true), i_(value) {}
  explicit RawScalar(double value) : f_(value) {}

  bool is_integer() const { return is_integer_; }
  std::int64_t integer() const {
    return is_integer_ ? i_ : static_cast<std::int64_t>(f_);
  }
  double floating() const { return is_integer_ ? static_cast<double>(i_) : f_; }
  // What a kernel's parameter is made of: a long long or a double.
  const void* parameter() const { return &i_; }

 private:
  bool is_integer_ = false;
  union {
    std::int64_t i_;
    double f_;
  };
};

struct RawArguments {
  std::span<const RawArray> inputs;
  std::span<const RawArray> outputs;
  std::span<const RawScalar> scalars;
};

// How a kernel is launched on the GPU.
struct RawGrid {
  std::array<std::uint32_t, 3> blocks = {1, 1, 1};
  std::array<std::uint32_t, 3> threads = {256, 1, 1};
  std::uint32_t shared_bytes = 0;  // dynamic shared memory
  // Parameters (long long) behind the arrays and before the scalars.
  std::vector<std::int64_t> sizes = {};
};
// A thread for each of n elements, and n as a parameter.
JACQUARD_API RawGrid grid_over(std::int64_t n, std::uint32_t threads = 256);

}  // namespace jacquard
