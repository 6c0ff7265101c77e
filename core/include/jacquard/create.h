// Creation. Pending where that saves memory traffic: zeros, ones, full, arange
// and random values are computed inside the kernels that read them.
#pragma once

#include <span>
#include <vector>

#include "jacquard/tracked_tensor.h"

namespace jacquard {

struct TensorOptions {
  DType dtype = default_dtype();
  Device device = default_device();
};

JACQUARD_API TrackedTensor zeros(const Shape& shape, TensorOptions o = {});
JACQUARD_API TrackedTensor ones(const Shape& shape, TensorOptions o = {});
JACQUARD_API TrackedTensor full(const Shape& shape, double value,
                                TensorOptions o = {});
JACQUARD_API TrackedTensor zeros_like(const TrackedTensor& x);
JACQUARD_API TrackedTensor ones_like(const TrackedTensor& x);
// start, start + step, … before stop. int64 unless a dtype is given.
JACQUARD_API TrackedTensor arange(std::int64_t stop);
JACQUARD_API TrackedTensor arange(double start, double stop, double step,
                                  TensorOptions o = {});
// n values from start to stop, both included.
JACQUARD_API TrackedTensor linspace(double start, double stop, std::int64_t n,
                                    TensorOptions o = {});
JACQUARD_API TrackedTensor eye(std::int64_t n, TensorOptions o = {});
// Lower and upper triangle of the last two axes, the rest 0; k: diagonal.
JACQUARD_API TrackedTensor tril(Operand x, int k = 0);
JACQUARD_API TrackedTensor triu(Operand x, int k = 0);

// From the host: nested lists or a flat list with a shape.
template <class T>
TrackedTensor tensor(const std::vector<T>& values, const Shape& shape,
                     Device device = default_device()) {
  return Tensor::from_host(std::span<const T>(values), shape, device);
}
template <class T>
  requires std::is_arithmetic_v<T>
TrackedTensor tensor(std::initializer_list<T> values,
                     Device device = default_device()) {
  std::vector<std::conditional_t<std::is_same_v<T, bool>, char, T>> v(
      values.begin(), values.end());
  return Tensor::from_host_bytes(v.data(), v.size(), dtype_of<T>,
                                 {static_cast<std::int64_t>(v.size())}, device);
}
template <class T>
  requires std::is_arithmetic_v<T>
TrackedTensor tensor(std::initializer_list<std::initializer_list<T>> rows,
                     Device device = default_device()) {
  std::vector<std::conditional_t<std::is_same_v<T, bool>, char, T>> v;
  for (auto r : rows) {
    if (r.size() != rows.begin()->size())
      throw ShapeError("tensor: rows of different lengths");
    v.insert(v.end(), r.begin(), r.end());
  }
  const auto n = static_cast<std::int64_t>(rows.size());
  return Tensor::from_host_bytes(
      v.data(), v.size(), dtype_of<T>,
      {n, n == 0 ? 0 : static_cast<std::int64_t>(v.size()) / n}, device);
}
// A rank-0 tensor.
JACQUARD_API TrackedTensor scalar(double value, TensorOptions o = {});

// Leaves of host values: of a scalar as of scalar(value), of lists as of
// tensor(values), integers and bools in the default dtype.
template <class T>
  requires std::is_arithmetic_v<T>
TrackedTensor param(T value, TensorOptions o = {}) {
  return param(scalar(static_cast<double>(value), o));
}
namespace detail {
// Integers and bools become the default dtype.
JACQUARD_API TrackedTensor float_param(const TrackedTensor& values);
}  // namespace detail
template <class T>
  requires std::is_arithmetic_v<T>
TrackedTensor param(const std::vector<T>& values,
                    Device device = default_device()) {
  return detail::float_param(
      tensor(values, {static_cast<std::int64_t>(values.size())}, device));
}
template <class T>
  requires std::is_arithmetic_v<T>
TrackedTensor param(std::initializer_list<T> values,
                    Device device = default_device()) {
  return detail::float_param(tensor(values, device));
}
template <class T>
  requires std::is_arithmetic_v<T>
TrackedTensor param(std::initializer_list<std::initializer_list<T>> rows,
                    Device device = default_device()) {
  return detail::float_param(tensor(rows, device));
}

// Random numbers: Philox4×32-10 by (seed, offset); each call takes the next
// offset of the thread's generator. The same numbers on every device.
JACQUARD_API void manual_seed(std::uint64_t seed);
struct GeneratorState {
  std::uint64_t seed = 0, offset = 0;
};
JACQUARD_API GeneratorState generator_state();
JACQUARD_API void set_generator_state(GeneratorState state);
// Uniform in [0, 1).
JACQUARD_API TrackedTensor rand(const Shape& shape, TensorOptions o = {});
// Standard normal.
JACQUARD_API TrackedTensor randn(const Shape& shape, TensorOptions o = {});
// int64 in [low, high).
JACQUARD_API TrackedTensor randint(std::int64_t low, std::int64_t high,
                                   const Shape& shape,
                                   Device device = default_device());
// x with elements set to 0 with probability p, the others scaled by 1/(1−p);
// keeps no mask: the reverse draws the same numbers.
JACQUARD_API TrackedTensor dropout(Operand x, double p, bool training = true);

// To another device; differentiable. To another dtype: cast (pointwise.h).
JACQUARD_API TrackedTensor to_device(const TrackedTensor& x, Device device);

}  // namespace jacquard
