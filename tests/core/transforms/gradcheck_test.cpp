// gradcheck itself: it passes what is right and says where it is wrong.
#include "jacquard/gradcheck.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/core/transforms/arrays.h"

namespace jacquard {
namespace {

TEST(Gradcheck, PassesARightGradientOfSeveralInputs) {
  auto f = [](const Values& v) { return matmul(v[0], tanh(v[1])); };
  const Values inputs{randn({2, 3}, {DType::float64}),
                      randn({3, 2}, {DType::float64})};
  auto first = gradcheck(f, inputs);
  EXPECT_TRUE(first) << first.message;
  auto second = gradgradcheck(f, inputs);
  EXPECT_TRUE(second) << second.message;
}

TEST(Gradcheck, NamesTheWorstElementOfAWrongGradient) {
  const Values inputs{tensor({1.0, -30.0, 2.0})};
  auto result = gradcheck(
      [](const Values& v) { return square_with(v[0], 1.01); }, inputs);
  EXPECT_FALSE(result);
  EXPECT_NE(result.message.find("input 0, element"), std::string::npos)
      << result.message;
  EXPECT_NE(result.message.find("analytic"), std::string::npos);
}

TEST(Gradcheck, SeesAMissingTerm) {
  auto f = [](const Values& v) { return v[0] * stop_gradient(v[0]); };
  EXPECT_FALSE(gradcheck(f, {tensor({1.0, 2.0})}));
}

TEST(Gradcheck, TheSecondOrderCheckSeesWhatTheFirstCannot) {
  // The gradient, 2x, is right; its own derivative is cut off.
  auto f = [](const Values& v) {
    TrackedTensor y = v[0] * 1.0;
    TrackedTensor x = stop_gradient(v[0]);
    y.hook([x](const TrackedTensor& g) { return g * 2.0 * x; });
    return y + stop_gradient(v[0] * v[0] - v[0]);
  };
  const Values inputs{tensor({1.5, -2.0})};
  EXPECT_TRUE(gradcheck(f, inputs));
  EXPECT_FALSE(gradgradcheck(f, inputs));
}

TEST(Gradcheck, SkipsIntegersAndRefusesFloat32) {
  auto f = [](const Values& v) { return v[0] * cast(v[1], DType::float64); };
  EXPECT_TRUE(gradcheck(f, {tensor({1.0, 2.0}), tensor({3, 4})}));
  EXPECT_THROW(gradcheck(f, {tensor({1.f, 2.f}), tensor({3, 4})}), DTypeError);
}

TEST(Gradcheck, TakesStridedAndBroadcastInputs) {
  auto f = [](const Values& v) { return sum(exp(v[0]) * v[1], 0); };
  const TrackedTensor base = randn({3, 4}, {DType::float64});
  auto result = gradcheck(
      f, {transpose(base), expand(randn({1, 3}, {DType::float64}), {4, 3})});
  EXPECT_TRUE(result) << result.message;
}

TEST(Ngradient, IsTheCentralDifference) {
  auto f = [](const Values& v) { return v[0] * v[0]; };
  const auto g = ngradient(f, {tensor({3.0, -1.0})}, tensor({1.0, 2.0}));
  EXPECT_NEAR(g[0].to_host<double>()[0], 6, 1e-6);
  EXPECT_NEAR(g[0].to_host<double>()[1], -4, 1e-6);
}

}  // namespace
}  // namespace jacquard
