// What fusion promises, counted with the launch log.
#include <gtest/gtest.h>

#include "jacquard/jacquard.h"

namespace jacquard {
namespace {

constexpr std::int64_t kRows = 256, kCols = 512, kN = kRows * kCols;

TrackedTensor leaf(const Shape& shape) {
  return param(materialize(rand(shape, {DType::float32, default_device()})));
}

// Words of float32 for each element of [kRows, kCols].
double words(const LaunchLog& log) {
  return static_cast<double>(log.bytes()) / 4 / static_cast<double>(kN);
}

TEST(Fusion, AnElementwiseChainIsOneLaunchEachWay) {
  const Shape s{kRows, kCols};
  TrackedTensor a = leaf(s), x = leaf(s), b = leaf(s), c = leaf(s);
  TrackedTensor seed = materialize(rand(s));
  LaunchLog log;
  TrackedTensor y = materialize(tanh(a * x + b) * sigmoid(c));
  EXPECT_EQ(log.launches(), 1u) << log.to_string();
  EXPECT_EQ(words(log), 5);
  backward(y, seed);
  EXPECT_EQ(log.launches(), 2u) << log.to_string();
  EXPECT_EQ(words(log), 14);
}

TEST(Fusion, ASumOfSquaresIsOneLaunchEachWay) {
  const Shape s{kRows, kCols};
  TrackedTensor a = leaf(s), b = leaf(s);
  LaunchLog log;
  TrackedTensor y = sum(square(a - b));
  EXPECT_EQ(log.launches(), 1u) << log.to_string();
  EXPECT_LE(words(log), 2.01);
  log.clear();
  backward(y);
  EXPECT_EQ(log.launches(), 1u) << log.to_string();
  EXPECT_LE(words(log), 4.01);
}

TEST(Fusion, ReluOfABiasedMatrixReadsOnlyItsOutput) {
  TrackedTensor h = leaf({kRows, kCols}), b = leaf({kCols});
  TrackedTensor seed = materialize(rand({kRows, kCols}));
  TrackedTensor y = materialize(relu(h + b));
  LaunchLog log;
  backward(y, seed);
  EXPECT_EQ(log.launches(), 1u) << log.to_string();
  EXPECT_LE(words(log), 3.05);
}

TEST(Fusion, CrossEntropyTakesAPendingOperand) {
  TrackedTensor h = leaf({kRows, kCols}), b = leaf({kCols});
  TrackedTensor y = materialize(randint(0, kCols, {kRows}));
  LaunchLog log;
  TrackedTensor loss = cross_entropy(h + b, y);
  EXPECT_EQ(log.launches(), 1u) << log.to_string();
  log.clear();
  backward(loss);
  EXPECT_EQ(log.launches(), 1u) << log.to_string();
  EXPECT_LE(words(log), 2.05);
}

TEST(Fusion, ASmallExpensiveValueIsComputedOnceNotPerElement) {
  TrackedTensor x = leaf({kRows, kCols}), s = leaf({kCols});
  LaunchLog log;
  materialize(x * exp(s));
  EXPECT_EQ(log.launches(), 2u) << log.to_string();
}

TEST(Fusion, AValueUsedAgainIsWrittenTheSecondTime) {
  TrackedTensor a = leaf({kRows, kCols}), b = leaf({kRows, kCols});
  TrackedTensor d = a - b;
  sum(square(d)).item<float>();
  EXPECT_TRUE(d.is_pending());
  sum(abs(d)).item<float>();
  EXPECT_FALSE(d.is_pending());
  LaunchLog log;
  sum(exp(d)).item<float>();
  EXPECT_LE(words(log), 1.01);
}

TEST(Fusion, OfAValueUsedAgainOnlyWhatIsHeldIsWritten) {
  TrackedTensor a = leaf({kRows, kCols}), b = leaf({kRows, kCols});
  TrackedTensor e = exp(a - b);
  sum(square(e)).item<float>();
  LaunchLog log;
  sum(abs(e)).item<float>();
  EXPECT_FALSE(e.is_pending());
  EXPECT_LE(words(log), 3.01);
}

TEST(Fusion, ValuesWantedTogetherAreOneLaunch) {
  TrackedTensor a = leaf({kRows, kCols});
  std::vector<TrackedTensor> all{a * 2.0, exp(a), a + 1.0};
  LaunchLog log;
  materialize(all);
  EXPECT_EQ(log.launches(), 1u) << log.to_string();
  EXPECT_LE(words(log), 4.01);
}

TEST(Fusion, BackwardOfAChainOfAddsLaunchesNothing) {
  TrackedTensor x = leaf({8});
  TrackedTensor seed = materialize(rand({8}));
  TrackedTensor y = x;
  for (int i = 0; i < 40; ++i) y = materialize(y + 1.0);
  LaunchLog log;
  backward(y, seed);
  EXPECT_EQ(log.launches(), 0u) << log.to_string();
}

}  // namespace
}  // namespace jacquard
