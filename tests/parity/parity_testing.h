// What the parity tests share.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "jacquard/jacquard.h"

namespace jacquard::parity {

using T = TrackedTensor;
using Vector = std::vector<double>;

inline T f64(const Vector& values, const Shape& shape) {
  return Tensor::from_host(std::span<const double>(values), shape,
                           default_device());
}

inline T integers(const std::vector<std::int64_t>& values) {
  return Tensor::from_host(std::span<const std::int64_t>(values),
                           {static_cast<std::int64_t>(values.size())},
                           default_device());
}

// Uniform in [0, 1), as the originals draw their inputs.
inline T uniform(const Shape& shape, std::uint64_t seed) {
  Vector values;
  for (std::int64_t i = 0; i < shape.numel(); ++i) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    values.push_back(static_cast<double>(seed >> 11) * 0x1p-53);
  }
  return f64(values, shape);
}

inline Vector host(const T& t) { return t.to_host<double>(); }

// The gradient of Σ sin(f) against finite differences, to the tolerances of the
// originals; its gradient as well.
template <class F>
void gradtest(F f, const std::vector<Shape>& shapes) {
  std::vector<T> inputs;
  for (std::size_t i = 0; i < shapes.size(); ++i)
    inputs.push_back(uniform(shapes[i], i + 1));
  const auto loss = [&](const std::vector<T>& x) { return sum(sin(f(x))); };
  const GradcheckResult first = gradcheck(loss, inputs);
  EXPECT_TRUE(first.ok) << first.message;
  const GradcheckResult second = gradgradcheck(loss, inputs);
  EXPECT_TRUE(second.ok) << second.message;
}

}  // namespace jacquard::parity
