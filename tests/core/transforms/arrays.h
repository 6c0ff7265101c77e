// What the tests of transforms share: arrays in double, and what errors say.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "jacquard/jacquard.h"

namespace jacquard {

using Values = std::vector<TrackedTensor>;
using Doubles = std::vector<double>;
inline const TensorOptions kDouble{DType::float64};

inline TrackedTensor f64(const Doubles& v) {
  return tensor(v, {static_cast<std::int64_t>(v.size())});
}
inline Doubles read(const TrackedTensor& t) { return t.to_host<double>(); }

// Normal numbers, the same ones each time.
inline TrackedTensor sample(const Shape& shape, std::uint64_t seed = 3) {
  manual_seed(seed);
  return materialize(randn(shape, kDouble));
}

inline void expect_near(const TrackedTensor& a, const TrackedTensor& b,
                        double tolerance = 1e-10) {
  ASSERT_EQ(a.shape(), b.shape());
  const Doubles x = read(a), y = read(b);
  for (std::size_t i = 0; i < x.size(); ++i)
    EXPECT_NEAR(x[i], y[i], tolerance * (1 + std::abs(y[i]))) << "at " << i;
}

// The message of the error that f throws.
template <class E, class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  }
  return "(nothing was thrown)";
}

inline bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// x², whose gradient is made wrong by `factor` on the way back.
inline TrackedTensor square_with(const TrackedTensor& x, double factor) {
  TrackedTensor y = x * x;
  y.hook([factor](const TrackedTensor& g) { return g * factor; });
  return y;
}

}  // namespace jacquard
