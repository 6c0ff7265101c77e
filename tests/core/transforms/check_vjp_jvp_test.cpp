// Checks of derivatives of structures, and of forward against reverse.
#include <gtest/gtest.h>

#include <string>

#include "tests/core/transforms/arrays.h"

namespace jacquard {
namespace {

TEST(CheckVjpJvp, PassesWhatIsTransposed) {
  auto f = [](const Values& v) { return matmul(v[0], tanh(v[1])) * sum(v[0]); };
  const auto result = check_vjp_jvp(
      f, {randn({2, 3}, {DType::float64}), randn({3, 2}, {DType::float64})});
  EXPECT_TRUE(result) << result.message;
}

TEST(CheckVjpJvp, NamesTheWorstElementAndBothValues) {
  const auto result = check_vjp_jvp(
      [](const Values& v) { return sum(v[0]) + sum(square_with(v[1], 1.5)); },
      {tensor({1.0}), tensor({1.0, -30.0, 2.0})});
  EXPECT_FALSE(result);
  EXPECT_NE(result.message.find("input 1, element 1"), std::string::npos)
      << result.message;
  EXPECT_NE(result.message.find("jvp"), std::string::npos);
  EXPECT_NE(result.message.find("gradient"), std::string::npos);
}

struct Model {
  TrackedTensor weight, bias;
  int width = 2;
};

Model model() {
  return {tensor({{1.0, 2.0}, {3.0, 4.0}}), tensor({0.5, -0.5})};
}

TEST(CheckVjpJvp, TakesStructures) {
  auto f = [](const Model& m, const TrackedTensor& x) {
    return std::pair(matmul(m.weight, x), sigmoid(m.bias) * x);
  };
  const TrackedTensor x = tensor({1.0, -1.0});
  const auto right = check_vjp_jvp(f, model(), x);
  EXPECT_TRUE(right) << right.message;
  const auto wrong = check_vjp_jvp(
      [](const Model& m, const TrackedTensor& a) {
        return matmul(m.weight, a) + square_with(m.bias, 2.0);
      },
      model(), x);
  EXPECT_FALSE(wrong);
  EXPECT_NE(wrong.message.find("\"0.bias\""), std::string::npos)
      << wrong.message;
}

TEST(Gradcheck, TakesStructuresAndScalars) {
  auto f = [](const Model& m, const TrackedTensor& p) {
    return sum(exp(m.weight * p)) * m.bias;
  };
  const auto first = gradcheck(f, model(), 0.3);
  EXPECT_TRUE(first) << first.message;
  const auto second = gradgradcheck(f, model(), 0.3);
  EXPECT_TRUE(second) << second.message;
  const auto wrong = gradcheck(
      [](const Model& m) { return sum(square_with(m.bias, 1.1)); }, model());
  EXPECT_FALSE(wrong);
  EXPECT_NE(wrong.message.find("\"bias\""), std::string::npos) << wrong.message;
}

TEST(Ngradient, OfAStructure) {
  const Model g = ngradient(
      [](const Model& m) { return sum(m.weight) * sum(square(m.bias)); },
      model());
  EXPECT_NEAR(g.weight.to_host<double>()[3], 0.5, 1e-6);
  EXPECT_NEAR(g.bias.to_host<double>()[0], 10, 1e-6);
  EXPECT_EQ(g.width, 2);
}

}  // namespace
}  // namespace jacquard
