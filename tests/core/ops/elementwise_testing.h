// Helpers of the tests of elementwise operations.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "jacquard/jacquard.h"

namespace jacquard::testing {

inline constexpr double kInf = std::numeric_limits<double>::infinity();
inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

using Doubles = std::vector<double>;

inline TrackedTensor f64(const Doubles& values) {
  return tensor(values, {static_cast<std::int64_t>(values.size())},
                default_device());
}
inline TrackedTensor f64(const Doubles& values, const Shape& shape) {
  return tensor(values, shape, default_device());
}
inline TrackedTensor f32(const std::vector<float>& values) {
  return tensor(values, {static_cast<std::int64_t>(values.size())},
                default_device());
}

// The gradient of ⟨1, f(x)⟩.
inline Doubles slope(const std::function<TrackedTensor(TrackedTensor)>& f,
                     const Doubles& x) {
  const TrackedTensor leaf = param(f64(x));
  const TrackedTensor y = f(leaf);
  backward(y, ones_like(y));
  return leaf.grad().to_host<double>();
}

// The same class of value: NaN, the infinity, the zero with its sign, or equal
// within `tolerance`, relative to the larger of 1e-300 and |expected|.
inline ::testing::AssertionResult close(double value, double expected,
                                        double tolerance) {
  const bool ok =
      std::isnan(expected)   ? std::isnan(value)
      : std::isinf(expected) ? value == expected
      : expected == 0
          ? value == 0 && std::signbit(value) == std::signbit(expected)
          : std::abs(value - expected) <=
                tolerance * std::max(std::abs(expected), 1e-300);
  if (ok) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure()
         << ::testing::PrintToString(value) << " where "
         << ::testing::PrintToString(expected) << " was due";
}

inline void expect_close(const Doubles& values, const Doubles& expected,
                         double tolerance, const std::string& what = "") {
  ASSERT_EQ(values.size(), expected.size()) << what;
  for (std::size_t i = 0; i < values.size(); ++i)
    EXPECT_TRUE(close(values[i], expected[i], tolerance))
        << what << ", element " << i;
}

// As above but zeros of both signs are alike.
inline void expect_near(const Doubles& values, const Doubles& expected,
                        double tolerance, const std::string& what = "") {
  ASSERT_EQ(values.size(), expected.size()) << what;
  for (std::size_t i = 0; i < values.size(); ++i)
    EXPECT_TRUE(expected[i] == 0 ? ::testing::AssertionResult(
                                       std::abs(values[i]) <= tolerance)
                                 : close(values[i], expected[i], tolerance))
        << what << ", element " << i << ": " << values[i];
}

// First and second order against finite differences.
inline void expect_differentiable(const std::string& what,
                                  const TensorFunctionN& f,
                                  const std::vector<TrackedTensor>& inputs) {
  const GradcheckResult first = gradcheck(f, inputs);
  EXPECT_TRUE(first.ok) << what << ": " << first.message;
  const GradcheckResult second = gradgradcheck(f, inputs);
  EXPECT_TRUE(second.ok) << what << ", second order: " << second.message;
}

// Runs f, which must throw E, and returns the message.
template <class E, class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  } catch (const std::exception& e) {
    ADD_FAILURE() << "another type of error: " << e.what();
    return {};
  }
  ADD_FAILURE() << "no error";
  return {};
}

}  // namespace jacquard::testing
