#include "jacquard/nn/loss.h"

#include <gtest/gtest.h>

#include <cmath>

#include "jacquard/create.h"
#include "jacquard/gradcheck.h"
#include "jacquard/gradient.h"
#include "jacquard/launch_log.h"
#include "jacquard/pointwise.h"

namespace jacquard::nn {
namespace {

constexpr TensorOptions kDouble{DType::float64, Device{}};

void expect_gradients(const TensorFunctionN& f,
                      const std::vector<TrackedTensor>& inputs) {
  const auto first = gradcheck(f, inputs);
  EXPECT_TRUE(first.ok) << first.message;
  const auto second = gradgradcheck(f, inputs);
  EXPECT_TRUE(second.ok) << second.message;
}

TEST(MseLoss, IsTheMeanSquareOfTheDifference) {
  const auto a = tensor<float>({1, 2, 5}), b = tensor<float>({1, 4, 1});
  EXPECT_FLOAT_EQ(mse_loss(a, b).item<float>(), 20.0f / 3);
  EXPECT_FLOAT_EQ(mse_loss(a, b, LossReduction::sum).item<float>(), 20);
  EXPECT_EQ(mse_loss(a, b, LossReduction::none).to_host<float>(),
            (std::vector<float>{0, 4, 16}));
}

TEST(MseLoss, ReadsItsOperandsOnceInOneLaunch) {
  const auto a = materialize(randn({1000})), b = materialize(randn({1000}));
  LaunchLog log;
  mse_loss(a, b).data();
  EXPECT_EQ(log.launches(), 1u) << log.to_string();
  EXPECT_EQ(log.bytes_read(), 8000u) << log.to_string();
}

TEST(L1Loss, IsTheMeanDistanceWithDerivativeZeroAtEquality) {
  const auto a = tensor<float>({1, 2, 5}), b = tensor<float>({1, 4, 1});
  EXPECT_FLOAT_EQ(l1_loss(a, b).item<float>(), 2);
  const auto g = gradient(
      [&](const TrackedTensor& x) { return l1_loss(x, b, LossReduction::sum); },
      a);
  EXPECT_EQ(g.to_host<float>(), (std::vector<float>{0, -1, 1}));
}

TEST(HuberLoss, IsQuadraticNearAndLinearFar) {
  const auto a = tensor<float>({0.5, -3, 2});
  EXPECT_EQ(huber_loss(a, 0.0, 2, LossReduction::none).to_host<float>(),
            (std::vector<float>{0.125, 4, 2}));
  EXPECT_THROW(huber_loss(a, 0.0, 0), Error);
}

TEST(BinaryCrossEntropy, AgreesWithItsDefinitionAndDoesNotOverflow) {
  const double x = 0.3, t = 0.25, s = 1 / (1 + std::exp(-x));
  const double expected = -t * std::log(s) - (1 - t) * std::log(1 - s);
  EXPECT_NEAR(
      binary_cross_entropy_with_logits(scalar(x, kDouble), scalar(t, kDouble))
          .item<double>(),
      expected, 1e-15);
  EXPECT_EQ(binary_cross_entropy_with_logits(tensor<float>({1000, -1000}),
                                             tensor<float>({1, 0}),
                                             LossReduction::none)
                .to_host<float>(),
            (std::vector<float>{0, 0}));
  EXPECT_EQ(binary_cross_entropy_with_logits(tensor<float>({1000, -1000}),
                                             tensor<float>({0, 1}))
                .item<float>(),
            1000);
}

TEST(Losses, HaveRightGradients) {
  manual_seed(5);
  const std::vector<TrackedTensor> inputs{randn({3, 4}, kDouble),
                                          randn({4}, kDouble)};
  using List = std::vector<TrackedTensor>;
  expect_gradients([](const List& x) { return mse_loss(x[0], x[1]); }, inputs);
  expect_gradients([](const List& x) { return l1_loss(x[0], x[1]); }, inputs);
  expect_gradients([](const List& x) { return huber_loss(x[0], x[1], 0.7); },
                   inputs);
  expect_gradients(
      [](const List& x) {
        return binary_cross_entropy_with_logits(x[0], sigmoid(x[1]));
      },
      inputs);
}

TEST(Accuracy, CountsRowsWhoseLargestLogitIsAtTheTarget) {
  const auto logits = tensor<float>({{1, 2}, {3, 0}, {0, 1}, {5, 6}});
  const auto target = tensor<std::int64_t>({1, 0, 0, 1});
  EXPECT_EQ(accuracy(logits, target).item<float>(), 0.75f);
  EXPECT_FALSE(accuracy(param(logits), target).is_tracked());
}

}  // namespace
}  // namespace jacquard::nn
