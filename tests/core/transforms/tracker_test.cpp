// What leaves and tracked values do in Tracker.jl, under our names.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "jacquard/jacquard.h"

namespace jacquard {
namespace {

using Vector = std::vector<double>;

const TensorOptions kDouble{DType::float64};

Vector host(const TrackedTensor& t) { return t.to_host<double>(); }

TEST(Tracked, EqualityAndOrderAreAboutValues) {
  EXPECT_TRUE(equal(pow(param(2), 2), param(4)));
  EXPECT_TRUE(allclose(pow(param(2), 2), 4));
  const TrackedTensor tracked = param({1.0, 2.0, 3.0});
  const TrackedTensor plain = tensor({1.0, 2.0, 3.0});
  for (const TrackedTensor& a : {tracked, plain})
    for (const TrackedTensor& b : {tracked, plain}) {
      EXPECT_TRUE(equal(a * a, square(b)));
      EXPECT_TRUE(allclose(a * a, square(b)));
      EXPECT_EQ(host(a < b + 1), (Vector{1, 1, 1}));
    }
  EXPECT_EQ(host(2 > tracked), (Vector{1, 0, 0}));
  EXPECT_EQ(host(tracked <= 2), (Vector{1, 1, 0}));
}

TEST(Tracked, ReshapesStayTracked) {
  const TrackedTensor x = param(randn({2, 2, 2}));
  for (const auto& [to, shape] :
       std::vector<std::pair<Shape, Shape>>{{{4, 2}, {4, 2}},
                                            {{1, -1}, {1, 8}},
                                            {{2, -1}, {2, 4}},
                                            {{1, -1, 2}, {1, 4, 2}}}) {
    const TrackedTensor y = reshape(x, to);
    EXPECT_EQ(y.shape(), shape);
    EXPECT_TRUE(y.is_tracked());
  }
}

TEST(Tracked, IntermediatesStartAnewInEachBackward) {
  const TrackedTensor x = param({1.0});
  const TrackedTensor l = sum(square(x + x));
  backward(l, {}, {.retain_graph = true});
  EXPECT_EQ(host(x.grad()), (Vector{8}));
  x.clear_grad();
  backward(l);
  EXPECT_EQ(host(x.grad()), (Vector{8}));
}

TEST(Tracked, ZerosLikeItAreConstant) {
  const TrackedTensor x = param({{1.0, 2.0}, {3.0, 4.0}});
  EXPECT_FALSE(zeros_like(x).is_tracked());
  EXPECT_FALSE(ones_like(x).is_tracked());
  EXPECT_EQ(zeros_like(x).dtype(), DType::float64);
  EXPECT_FALSE(stop_gradient(x).is_tracked());
}

TEST(Tracked, ScalarsPrintAndFormat) {
  char text[16];
  std::snprintf(text, sizeof text, "%.2f",
                sum(param({1.0, 2.0, 3.0})).item<double>());
  EXPECT_STREQ(text, "6.00");
  const std::string printed = to_string(sum(param({1.0, 2.0, 3.0})));
  EXPECT_EQ(printed.rfind("6", 0), 0U) << printed;
  EXPECT_NE(printed.find("float64[]"), std::string::npos) << printed;
  EXPECT_NE(printed.find("tracked"), std::string::npos) << printed;
}

TEST(Tracked, ScalarsAreCollectedIntoTensors) {
  const TrackedTensor x = param(2.0, kDouble), y = param(3.0, kDouble);
  const TrackedTensor xy = stack({x, y});
  backward(select(xy, 0, 0) * select(xy, 0, 1));
  EXPECT_EQ(x.grad().item<double>(), 3);
  EXPECT_EQ(y.grad().item<double>(), 2);
  const auto [gx, gy] = gradient(
      [](const TrackedTensor& a, const TrackedTensor& b) {
        const TrackedTensor ab = stack({a, b});
        return index(ab, {0}) * index(ab, {1});
      },
      2.0, 3.0);
  EXPECT_EQ(gx.item<double>(), 3);
  EXPECT_EQ(gy.item<double>(), 2);
  const auto all = gradient(
      [](const std::vector<TrackedTensor>& v) { return sum(stack(v)); },
      std::vector{x, y, x});
  EXPECT_EQ(all[1].item<double>(), 1);
}

TEST(Tracked, ComparisonsWithZerosSelect) {
  const TrackedTensor x = param(randn({5, 3}, kDouble));
  EXPECT_EQ((x < zeros_like(x)).dtype(), DType::bool_);
  const TrackedTensor g = gradient(
      [](const TrackedTensor& v) { return sum((v < zeros_like(v)) * v); }, x);
  EXPECT_TRUE(equal(g, x < 0));
}

TEST(Tracked, RandomNumbersHaveTheirMoments) {
  manual_seed(1);
  const TrackedTensor u = rand({1 << 16}, kDouble);
  const TrackedTensor n = randn({1 << 16}, kDouble);
  EXPECT_NEAR(mean(u).item<double>(), 0.5, 0.01);
  EXPECT_NEAR(var(u).item<double>(), 1.0 / 12, 0.01);
  EXPECT_NEAR(mean(n).item<double>(), 0, 0.02);
  EXPECT_NEAR(var(n).item<double>(), 1, 0.03);
  // The exponential distribution, by inversion.
  EXPECT_NEAR(mean(-log1p(-u)).item<double>(), 1, 0.02);
}

TEST(ToDevice, IsDifferentiableBothWays) {
  const TrackedTensor x = param(Tensor::from_host(
      std::span<const double>(std::vector<double>{1, 2, 3}), {3}, cpu()));
  const TrackedTensor there = to_device(x, default_device());
  EXPECT_EQ(there.device(), default_device());
  EXPECT_TRUE(there.is_tracked());
  const TrackedTensor y = to_device(there * there * there, cpu());
  EXPECT_EQ(y.device(), cpu());
  backward(sum(y * y));  // x⁶
  EXPECT_EQ(x.grad().device(), cpu());
  EXPECT_EQ(host(x.grad()), (Vector{6, 192, 6 * 243}));
  const TrackedTensor second = gradient(
      [](const TrackedTensor& v) {
        const TrackedTensor g = gradient(
            [](const TrackedTensor& w) {
              const TrackedTensor t = to_device(w, default_device());
              return sum(t * t * t);
            },
            v);
        EXPECT_EQ(g.device(), cpu());
        return sum(g);
      },
      x);
  EXPECT_EQ(host(second), (Vector{6, 12, 18}));
}

}  // namespace
}  // namespace jacquard
