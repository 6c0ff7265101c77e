// Arrays on the host in float64: the reference that operations are compared
// with, and the checks that the tests of operations share.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "jacquard/create.h"
#include "jacquard/gradcheck.h"
#include "jacquard/pointwise.h"
#include "jacquard/tracked_tensor.h"

namespace jacquard::testing {

// The places of a shape in row-major order.
inline void for_each_place(const Shape& shape,
                           const std::function<void(const Shape& place)>& f) {
  if (shape.numel() == 0) return;
  Shape place = Shape::filled(shape.rank(), 0);
  for (;;) {
    f(place);
    int axis = shape.rank() - 1;
    while (axis >= 0 && ++place[axis] == shape[axis]) place[axis--] = 0;
    if (axis < 0) return;
  }
}

struct Array {
  Shape shape;
  std::vector<double> values;

  Array() = default;
  explicit Array(const Shape& s, double value = 0)
      : shape(s), values(static_cast<std::size_t>(s.numel()), value) {}
  explicit Array(const TrackedTensor& t)
      : shape(t.shape()), values(t.to_host<double>()) {}

  double& operator[](const Shape& place) {
    std::int64_t at = 0;
    for (int i = 0; i < shape.rank(); ++i) at = at * shape[i] + place[i];
    return values[static_cast<std::size_t>(at)];
  }
  double operator[](const Shape& place) const {
    return const_cast<Array&>(*this)[place];
  }
  // As if broadcast to a larger shape.
  double broadcast_at(const Shape& place) const {
    Shape own = shape;
    const int added = place.rank() - shape.rank();
    for (int i = 0; i < shape.rank(); ++i)
      own[i] = shape[i] == 1 ? 0 : place[i + added];
    return (*this)[own];
  }
};

// An array of `shape` computed place by place.
inline Array array_of(const Shape& shape,
                      const std::function<double(const Shape& place)>& f) {
  Array result(shape);
  for_each_place(shape, [&](const Shape& p) { result[p] = f(p); });
  return result;
}

inline ::testing::AssertionResult is_near(const TrackedTensor& got,
                                          const Array& expected,
                                          double tolerance = 1e-12) {
  if (got.shape() != expected.shape)
    return ::testing::AssertionFailure()
           << "shape " << to_string(got.shape()) << ", expected "
           << to_string(expected.shape);
  const Array actual(got);
  for (std::size_t i = 0; i < actual.values.size(); ++i) {
    const double a = actual.values[i], e = expected.values[i];
    const bool same = a == e || (std::isnan(a) && std::isnan(e)) ||
                      std::abs(a - e) <= tolerance * (1 + std::abs(e));
    if (!same)
      return ::testing::AssertionFailure()
             << "element " << i << " of " << to_string(got.shape()) << " is "
             << a << ", expected " << e;
  }
  return ::testing::AssertionSuccess();
}

inline ::testing::AssertionResult is_exactly(const TrackedTensor& got,
                                             const Shape& shape,
                                             std::vector<double> values) {
  Array expected;
  expected.shape = shape;
  expected.values = std::move(values);
  return is_near(got, expected, 0);
}

// Values in [−1, 1), float64; the same for the same seed.
inline TrackedTensor random_tensor(const Shape& shape, unsigned seed = 1) {
  std::mt19937_64 engine(seed);
  std::uniform_real_distribution<double> uniform(-1, 1);
  std::vector<double> values(static_cast<std::size_t>(shape.numel()));
  for (double& v : values) v = uniform(engine);
  return tensor(values, shape);
}

inline TrackedTensor indices(const std::vector<std::int64_t>& values,
                             const Shape& shape) {
  return tensor(values, shape);
}

// First and second derivatives against finite differences.
inline void expect_gradients(const TensorFunctionN& f,
                             const std::vector<TrackedTensor>& inputs,
                             bool second = true) {
  const GradcheckResult once = gradcheck(f, inputs);
  EXPECT_TRUE(once.ok) << once.message;
  if (!second) return;
  // Gradients that are linear in the inputs have no second derivative; a
  // square makes one that depends on all of them.
  const TensorFunctionN curved = [&](const std::vector<TrackedTensor>& x) {
    const TrackedTensor y = f(x);
    return y * y;
  };
  const GradcheckResult twice = gradgradcheck(curved, inputs);
  EXPECT_TRUE(twice.ok) << twice.message;
}

// That `f` throws an `E` whose message is `message`.
template <class E, class F>
void expect_error(F&& f, const std::string& message) {
  try {
    f();
    ADD_FAILURE() << "nothing was thrown; expected: " << message;
  } catch (const E& e) {
    EXPECT_EQ(std::string(e.what()), message);
  } catch (const std::exception& e) {
    ADD_FAILURE() << "another exception: " << e.what();
  }
}

}  // namespace jacquard::testing
