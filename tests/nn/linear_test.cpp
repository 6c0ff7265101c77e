#include "jacquard/nn/linear.h"

#include <gtest/gtest.h>

#include <cmath>

#include "jacquard/gradcheck.h"
#include "jacquard/gradient.h"
#include "jacquard/pointwise.h"
#include "jacquard/reduce.h"

namespace jacquard::nn {
namespace {

constexpr TensorOptions kDouble{DType::float64, Device{}};

Linear small() {
  return {param(tensor<float>({{1, 2, 3}, {4, 5, 6}})),
          param(tensor<float>({10, 20}))};
}

TEST(Linear, MultipliesByTheTransposedWeightAndAddsTheBias) {
  const auto y = small()(tensor<float>({{1, 0, 0}, {1, 1, 1}}));
  EXPECT_EQ(y.shape(), (Shape{2, 2}));
  EXPECT_EQ(y.to_host<float>(), (std::vector<float>{11, 24, 16, 35}));
}

TEST(Linear, WithoutBiasIsTheProductAlone) {
  Linear layer = small();
  layer.bias = {};
  EXPECT_EQ(layer(tensor<float>({{1, 1, 1}})).to_host<float>(),
            (std::vector<float>{6, 15}));
  EXPECT_FALSE(Linear::make(3, 2, /*with_bias=*/false).bias.defined());
}

TEST(Linear, TakesVectorsAndBatches) {
  EXPECT_EQ(small()(tensor<float>({1, 0, 0})).shape(), (Shape{2}));
  EXPECT_EQ(small()(ones({5, 4, 3})).shape(), (Shape{5, 4, 2}));
  EXPECT_EQ(small()(ones({0, 3})).shape(), (Shape{0, 2}));
}

TEST(Linear, IsInitialisedWithinOneOverTheRootOfItsInputs) {
  manual_seed(3);
  const Linear layer = Linear::make(100, 200);
  EXPECT_EQ(layer.weight.shape(), (Shape{200, 100}));
  EXPECT_EQ(layer.bias.shape(), (Shape{200}));
  EXPECT_TRUE(layer.weight.is_leaf());
  double largest = 0, total = 0;
  for (float w : layer.weight.to_host<float>()) {
    largest = std::max(largest, std::abs(static_cast<double>(w)));
    total += w;
  }
  EXPECT_LE(largest, 0.1);
  EXPECT_GT(largest, 0.099);
  EXPECT_LT(std::abs(total / 20000), 0.002);
}

TEST(Linear, HasRightGradientsOfFirstAndSecondOrder) {
  manual_seed(4);
  const auto f = [](const std::vector<TrackedTensor>& in) {
    const auto y = Linear{in[1], in[2]}(in[0]);
    return sum(tanh(y) * y);
  };
  const std::vector<TrackedTensor> inputs{
      randn({4, 3}, kDouble), randn({2, 3}, kDouble), randn({2}, kDouble)};
  const auto first = gradcheck(f, inputs);
  EXPECT_TRUE(first.ok) << first.message;
  const auto second = gradgradcheck(f, inputs);
  EXPECT_TRUE(second.ok) << second.message;
}

TEST(Linear, HasAGradientOfItsOwnType) {
  const Linear g = gradient(
      [](const Linear& layer) { return sum(layer(ones({3}))); }, small());
  EXPECT_EQ(g.weight.to_host<float>(), (std::vector<float>{1, 1, 1, 1, 1, 1}));
  EXPECT_EQ(g.bias.to_host<float>(), (std::vector<float>{1, 1}));
}

TEST(Linear, NamesBothShapesWhenTheyDoNotFit) {
  try {
    small()(ones({2, 4}));
    FAIL() << "no error";
  } catch (const ShapeError& e) {
    EXPECT_NE(std::string(e.what()).find("[2, 4]"), std::string::npos)
        << e.what();
    EXPECT_NE(std::string(e.what()).find("[3, 2]"), std::string::npos)
        << e.what();
  }
  EXPECT_THROW(Linear::make(-1, 2), ShapeError);
}

}  // namespace
}  // namespace jacquard::nn
