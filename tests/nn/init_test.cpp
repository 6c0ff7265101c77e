#include "jacquard/nn/init.h"

#include <gtest/gtest.h>

#include <cmath>

namespace jacquard::nn {
namespace {

struct Moments {
  double mean = 0, deviation = 0, largest = 0;
};

Moments moments_of(const TrackedTensor& t) {
  Moments m;
  const auto values = t.to_host<double>();
  for (double v : values) {
    m.mean += v;
    m.deviation += v * v;
    m.largest = std::max(m.largest, std::abs(v));
  }
  const auto n = static_cast<double>(values.size());
  m.mean /= n;
  m.deviation = std::sqrt(m.deviation / n - m.mean * m.mean);
  return m;
}

// 40,000 elements: 2 % is four standard errors of a normal's deviation.
const Shape kShape{100, 50, 2, 4};  // fan-in 400, fan-out 800

TEST(Init, KaimingHasTheDeviationOfItsFanIn) {
  manual_seed(1);
  const double expected = kReluGain / std::sqrt(400.0);
  const Moments normal = moments_of(kaiming_normal(kShape));
  EXPECT_NEAR(normal.deviation / expected, 1, 0.02);
  EXPECT_NEAR(normal.mean, 0, 0.02 * expected);
  const Moments uniform = moments_of(kaiming_uniform(kShape));
  EXPECT_NEAR(uniform.deviation / expected, 1, 0.02);
  EXPECT_LE(uniform.largest, expected * std::sqrt(3.0) * (1 + 1e-6));
}

TEST(Init, XavierHasTheDeviationOfBothFans) {
  manual_seed(2);
  const double expected = kTanhGain * std::sqrt(2.0 / 1200);
  EXPECT_NEAR(moments_of(xavier_normal(kShape, kTanhGain)).deviation / expected,
              1, 0.02);
  const Moments uniform = moments_of(xavier_uniform(kShape, kTanhGain));
  EXPECT_NEAR(uniform.deviation / expected, 1, 0.02);
  EXPECT_LE(uniform.largest, expected * std::sqrt(3.0) * (1 + 1e-6));
}

TEST(Init, GivesLeavesOfTheDtypeAskedFor) {
  const auto w = kaiming_normal({4, 3}, 1, {DType::bfloat16, cpu()});
  EXPECT_TRUE(w.is_leaf());
  EXPECT_EQ(w.dtype(), DType::bfloat16);
  EXPECT_EQ(kaiming_uniform({0, 0}).numel(), 0);
}

TEST(Init, RefusesShapesWithoutAFanIn) {
  EXPECT_THROW(kaiming_normal({5}), ShapeError);
  EXPECT_THROW(kaiming_uniform({}), ShapeError);
  EXPECT_THROW(xavier_normal({5}), ShapeError);
  EXPECT_THROW(xavier_uniform({5}), ShapeError);
}

}  // namespace
}  // namespace jacquard::nn
