// Meanings at singular points: zero cotangents times infinite derivatives,
// ties, norms at 0, products with zeros, powers of 0.
#include <cmath>
#include <limits>

#include "tests/conformance/op_case.h"

namespace jacquard::conformance {
namespace {

using Doubles = std::vector<double>;
using Function = TensorFunctionN;
constexpr double kInf = std::numeric_limits<double>::infinity();

TrackedTensor f64(const Doubles& v) {
  return tensor(v, {static_cast<std::int64_t>(v.size())}, default_device());
}

// The gradient of Σ f at the points, one array for each operand.
std::vector<Doubles> slopes(const Function& f, const std::vector<Doubles>& at) {
  Values inputs;
  for (const Doubles& x : at) inputs.push_back(f64(x));
  std::vector<Doubles> out;
  for (const TrackedTensor& g :
       gradient([&](const Values& v) { return sum(f(v)); }, inputs))
    out.push_back(g.to_host<double>());
  return out;
}

// The elementwise mixed derivative ∂²f/∂v₀∂v₁.
Doubles mixed(const Function& f, const Doubles& first, const Doubles& second) {
  const TrackedTensor w = f64(first);
  const auto slope = [&](const TrackedTensor& x) {
    return sum(gradient(
        [&](const TrackedTensor& v) {
          return sum(f({v, x}));
        },
        w));
  };
  return gradient(slope, f64(second)).to_host<double>();
}

// The elementwise second derivative of f(v₀).
Doubles curvature(const std::function<TrackedTensor(TrackedTensor)>& f,
                  const Doubles& at) {
  const auto slope = [&](const TrackedTensor& x) {
    return sum(gradient([&](const TrackedTensor& v) { return sum(f(v)); }, x));
  };
  return gradient(slope, f64(at)).to_host<double>();
}

void expect_equal(const Doubles& got, const Doubles& want,
                  const std::string& what = "") {
  ASSERT_EQ(got.size(), want.size()) << what;
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(want[i]))
      EXPECT_TRUE(std::isnan(got[i])) << what << ", element " << i;
    else if (std::isinf(want[i]))
      EXPECT_EQ(got[i], want[i]) << what << ", element " << i;
    else
      EXPECT_NEAR(got[i], want[i], 1e-12 * (1 + std::abs(want[i])))
          << what << ", element " << i;
  }
}

// w·f(x): where f' is infinite at a point, where it is finite, and there.
struct Guarded {
  const char* name;
  std::function<TrackedTensor(TrackedTensor)> f;
  double singular;
  double regular;
  double slope;  // f'(regular)
};

const std::vector<Guarded>& guarded() {
  using T = TrackedTensor;
  static const std::vector<Guarded> all{
      {"sqrt", [](T x) { return sqrt(x); }, 0, 4, 0.25},
      {"rsqrt", [](T x) { return rsqrt(x); }, 0, 4, -0.0625},
      {"cbrt", [](T x) { return cbrt(x); }, 0, 8, 1.0 / 12},
      {"log", [](T x) { return log(x); }, 0, 4, 0.25},
      {"log2", [](T x) { return log2(x); }, 0, 4, 0.25 / std::log(2)},
      {"log10", [](T x) { return log10(x); }, 0, 4, 0.25 / std::log(10)},
      {"log1p", [](T x) { return log1p(x); }, -1, 3, 0.25},
      {"reciprocal", [](T x) { return reciprocal(x); }, 0, 2, -0.25},
      {"division", [](T x) { return 3.0 / x; }, 0, 2, -0.75},
      {"pow half", [](T x) { return pow(x, 0.5); }, 0, 4, 0.25},
      {"pow minus 1", [](T x) { return pow(x, -1); }, 0, 2, -0.25},
      {"pow 0.3", [](T x) { return pow(x, 0.3); }, 0, 1, 0.3},
      {"pow by tensor",
       [](T x) {
         return pow(x, full(x.shape(), 0.5, {x.dtype(), x.device()}));
       },
       0, 4, 0.25},
      {"asin", [](T x) { return asin(x); }, 1, 0, 1},
      {"acos", [](T x) { return acos(x); }, -1, 0, -1},
      {"acosh", [](T x) { return acosh(x); }, 1, std::sqrt(2.0), 1},
      {"atanh", [](T x) { return atanh(x); }, 1, 0, 1},
      {"erfinv", [](T x) { return erfinv(x); }, 1, 0,
       std::sqrt(3.14159265358979323846) / 2},
  };
  return all;
}

TEST(StrongZeros, AZeroWeightHidesAnInfiniteDerivative) {
  for (const Guarded& c : guarded()) {
    const Function f = [&](const Values& v) { return v[0] * c.f(v[1]); };
    const auto g = slopes(f, {{0, 0, 2}, {c.singular, c.regular, c.regular}});
    expect_equal(g[1], {0, 0, 2 * c.slope}, c.name);
  }
}

TEST(StrongZeros, SecondDerivativesSurviveAZeroCotangent) {
  for (const Guarded& c : guarded()) {
    const Function f = [&](const Values& v) { return v[0] * c.f(v[1]); };
    const Function swapped = [&](const Values& v) { return v[1] * c.f(v[0]); };
    expect_equal(mixed(f, {0, 2}, {c.regular, c.regular}), {c.slope, c.slope},
                 c.name);
    expect_equal(mixed(swapped, {c.regular, c.regular}, {0, 2}),
                 {c.slope, c.slope}, c.name);
  }
}

TEST(StrongZeros, SecondDerivativesSurviveAZeroCotangentWithoutFusion) {
  const Fusion off(false);
  for (const Guarded& c : guarded()) {
    const Function f = [&](const Values& v) { return v[0] * c.f(v[1]); };
    expect_equal(mixed(f, {0, 2}, {c.regular, c.regular}), {c.slope, c.slope},
                 c.name);
    const auto g = slopes(f, {{0, 0}, {c.singular, c.regular}});
    expect_equal(g[1], {0, 0}, c.name);
  }
}

TEST(StrongZeros, AGivenCotangentOfZeroGivesZero) {
  for (const Guarded& c : guarded()) {
    const TrackedTensor x = param(f64({c.singular, c.regular, c.singular}));
    backward(c.f(x), f64({0, 1, 0}));
    expect_equal(x.grad().to_host<double>(), {0, c.slope, 0}, c.name);
  }
}

TEST(StrongZeros, OfWhereHideTheBranchThatIsNotTaken) {
  for (const Guarded& c : guarded()) {
    const auto f = [&](TrackedTensor x) {
      return where(eq(x, c.singular), 0.0, c.f(x));
    };
    const auto g = slopes([&](const Values& v) { return f(v[0]); },
                          {{c.singular, c.regular}});
    expect_equal(g[0], {0, c.slope}, c.name);
  }
}

TEST(StrongZeros, TheSlopeItselfIsInfiniteWhereItIs) {
  const auto f = [](const Values& v) { return sqrt(v[0]); };
  EXPECT_EQ(slopes(f, {{0}})[0][0], kInf);
  EXPECT_EQ(slopes([](const Values& v) { return log(v[0]); }, {{0}})[0][0],
            kInf);
}

TEST(StrongZeros, MulzIsBilinear) {
  const Function f = [](const Values& v) { return mulz(v[0], v[1]); };
  expect_equal(
      f({f64({0, 0, 2}), f64({kInf, std::nan(""), 3})}).to_host<double>(),
      {0, 0, 6});
  const auto g = slopes(f, {{0, 0, 2}, {5, 7, 3}});
  expect_equal(g[0], {5, 7, 3});
  expect_equal(g[1], {0, 0, 2});
  expect_equal(mixed(f, {0, 2}, {5, 0}), {1, 1});
}

TEST(StrongZeros, XlogyAtZero) {
  const Function f = [](const Values& v) { return xlogy(v[0], v[1]); };
  const auto g = slopes(f, {{0, 2, 0}, {3, 3, 0}});
  expect_equal(g[1], {0, 2.0 / 3, 0});
  EXPECT_NEAR(g[0][0], std::log(3), 1e-12);
  expect_equal(mixed(f, {0, 2}, {4, 4}), {0.25, 0.25});
}

TEST(Powers, FollowTheTableAtZero) {
  struct Row {
    double p, slope;
  };
  for (const Row r : {Row{2.5, 0}, Row{2, 0}, Row{1, 1}, Row{0, 0},
                      Row{0.5, kInf}, Row{1.0 / 3, kInf}}) {
    const auto by_scalar = [&](const Values& v) { return pow(v[0], r.p); };
    const auto by_tensor = [](const Values& v) { return pow(v[0], v[1]); };
    EXPECT_EQ(slopes(by_scalar, {{0}})[0][0], r.slope) << r.p;
    EXPECT_EQ(slopes(by_tensor, {{0}, {r.p}})[0][0], r.slope) << r.p;
  }
  // −1/x² and its like.
  EXPECT_TRUE(std::isinf(
      slopes([](const Values& v) { return pow(v[0], -1.0); }, {{0}})[0][0]));
  EXPECT_TRUE(std::isinf(slopes([](const Values& v) { return pow(v[0], v[1]); },
                                {{0}, {-1.5}})[0][0]));
}

TEST(Powers, ByTheExponentFollowTheTable) {
  const auto g = slopes([](const Values& v) { return pow(v[0], v[1]); },
                        {{0, 0, 2, -2, -2}, {2, 0.5, 3, 2, 3}});
  expect_equal(g[1], {0, 0, 8 * std::log(2), std::nan(""), std::nan("")});
  expect_equal(g[0], {0, kInf, 12, -4, 12});
}

TEST(Powers, OfZeroHaveSecondDerivatives) {
  const auto square = [](TrackedTensor x) { return pow(x, 2); };
  const auto cube = [](TrackedTensor x) { return pow(x, 3); };
  expect_equal(curvature(square, {0, 3}), {2, 2});
  expect_equal(curvature(cube, {0, 3}), {0, 18});
  const auto by_tensor = [](TrackedTensor x) {
    return pow(x, full(x.shape(), 2, {x.dtype(), x.device()}));
  };
  expect_equal(curvature(by_tensor, {0, 3}), {2, 2}, "by tensor");
}

TEST(Ties, ShareTheGradient) {
  const auto g = slopes([](const Values& v) { return maximum(v[0], v[1]); },
                        {{1, 2, 3}, {1, 5, -1}});
  expect_equal(g[0], {0.5, 0, 1});
  expect_equal(g[1], {0.5, 1, 0});
  const auto h = slopes([](const Values& v) { return minimum(v[0], v[1]); },
                        {{1, 2, 3}, {1, 5, -1}});
  expect_equal(h[0], {0.5, 1, 0});
  expect_equal(h[1], {0.5, 0, 1});
  expect_equal(
      slopes([](const Values& v) { return max(v[0]); }, {{2, 7, 7, 1, 7}})[0],
      {0, 1.0 / 3, 1.0 / 3, 0, 1.0 / 3});
  expect_equal(
      slopes([](const Values& v) { return min(v[0]); }, {{2, 2, 7}})[0],
      {0.5, 0.5, 0});
  expect_equal(
      slopes([](const Values& v) { return maximum(v[0], 1.0); }, {{1, 2}})[0],
      {0.5, 1});
}

TEST(Ties, KinksHaveDerivativeZero) {
  const auto at_zero =
      [](const std::function<TrackedTensor(TrackedTensor)>& f) {
        return slopes([&](const Values& v) { return f(v[0]); }, {{0, -0.0}})[0];
      };
  expect_equal(at_zero([](TrackedTensor x) { return abs(x); }), {0, 0}, "abs");
  expect_equal(at_zero([](TrackedTensor x) { return relu(x); }), {0, 0},
               "relu");
  expect_equal(at_zero([](TrackedTensor x) { return sign(x) + 0.0 * x; }),
               {0, 0}, "sign");
  expect_equal(slopes([](const Values& v) { return clamp(v[0], -1.0, 1.0); },
                      {{-1, 1, -2, 2, 0}})[0],
               {1, 1, 0, 0, 1}, "clamp");
}

TEST(Norms, AreFlatAtZero) {
  for (const double p : {1.0, 2.0, 3.0, 0.5, kInf}) {
    const auto f = [p](const Values& v) { return norm(v[0], {}, false, p); };
    const auto g = slopes(f, {{0, 0, 0}});
    expect_equal(g[0], {0, 0, 0}, "norm " + std::to_string(p));
    EXPECT_EQ(f({f64({0, 0, 0})}).item<double>(), 0);
  }
  expect_equal(
      slopes([](const Values& v) { return norm(v[0]); }, {{3, 0, 4}})[0],
      {0.6, 0, 0.8});
  expect_equal(slopes([](const Values& v) { return hypot(v[0], v[1]); },
                      {{0, 3}, {0, 4}})[0],
               {0, 0.6});
  expect_equal(
      slopes([](const Values& v) { return std_dev(v[0]); }, {{2, 2, 2}})[0],
      {0, 0, 0});
}

TEST(Norms, HaveAMixedDerivativeAtAZeroWeight) {
  // ∂²(w·‖x‖)/∂w∂x = x/‖x‖.
  const TrackedTensor x = f64({3, 4});
  const auto slope = [&](const TrackedTensor& v) {
    return gradient([&](const TrackedTensor& w) { return sum(w) * norm(v); },
                    f64({0}));
  };
  expect_equal(
      gradient([&](const TrackedTensor& v) { return sum(slope(v)); }, x)
          .to_host<double>(),
      {0.6, 0.8});
}

TEST(Products, WithZerosAreExactInBothOrders) {
  const Function f = [](const Values& v) { return prod(v[0]); };
  expect_equal(slopes(f, {{2, 0, 3}})[0], {0, 6, 0});
  expect_equal(slopes(f, {{2, 0, 0}})[0], {0, 0, 0});
  expect_equal(slopes(f, {{2, 5, 3}})[0], {15, 6, 10});
  // The Hessian's row sums: Σⱼ ∂²/∂xᵢ∂xⱼ.
  const auto p = [](TrackedTensor x) { return prod(x); };
  expect_equal(curvature(p, {2, 0, 3}), {3, 5, 2});
  expect_equal(curvature(p, {2, 0, 0}), {0, 2, 2});
  expect_equal(curvature(p, {0, 0, 0}), {0, 0, 0});
  expect_equal(curvature(p, {0, 0, 0, 5}), {0, 0, 0, 0});
}

TEST(Infinities, OfLogsumexpAndSoftmaxStayOut) {
  const auto g =
      slopes([](const Values& v) { return logsumexp(v[0]); }, {{-kInf, 0, 0}});
  expect_equal(g[0], {0, 0.5, 0.5});
  const auto h =
      slopes([](const Values& v) { return select(softmax(v[0]), 0, 1); },
             {{-kInf, 0, 0}});
  expect_equal(h[0], {0, 0.25, -0.25});
}

TEST(Infinities, ReluOfNaNIsNaN) {
  EXPECT_TRUE(std::isnan(relu(f64({std::nan("")})).item<double>()));
  const TrackedTensor x = f64({std::nan(""), 1, -1});
  const Doubles y = materialize(relu(x + 1.0)).to_host<double>();
  EXPECT_TRUE(std::isnan(y[0]));
}

TEST(Constants, StopGradientIsOpaque) {
  const auto f = [](TrackedTensor x) { return x * stop_gradient(x * x) + x; };
  const auto g = slopes([&](const Values& v) { return f(v[0]); }, {{2, 3}});
  expect_equal(g[0], {5, 10});
  expect_equal(
      curvature([](TrackedTensor x) { return x * x * stop_gradient(x); },
                {2, 3}),
      {4, 6});
}

}  // namespace
}  // namespace jacquard::conformance
