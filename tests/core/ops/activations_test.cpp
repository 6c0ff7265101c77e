#include "jacquard/pointwise.h"
#include "tests/core/ops/elementwise_testing.h"

namespace jacquard::testing {
namespace {

double ref_sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double ref_softplus(double x) {
  return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
}

struct Activation {
  const char* name;
  TrackedTensor (*f)(TrackedTensor);
  double (*reference)(double);
  // At −∞ and ∞: value and slope.
  double low, high, low_slope, high_slope;
};

#define PLAIN(name) #name, [](TrackedTensor x) { return name(x); }

const std::vector<Activation>& activations() {
  static const std::vector<Activation> all = {
      {PLAIN(softplus), ref_softplus, 0, kInf, 0, 1},
      {PLAIN(logsigmoid), [](double x) { return -ref_softplus(-x); }, -kInf, 0,
       1, 0},
      {PLAIN(silu), [](double x) { return x * ref_sigmoid(x); }, 0, kInf, 0, 1},
      {PLAIN(softsign), [](double x) { return x / (1 + std::abs(x)); }, -1, 1,
       0, 0},
      {PLAIN(mish), [](double x) { return x * std::tanh(ref_softplus(x)); }, 0,
       kInf, 0, 1},
      {PLAIN(tanhshrink), [](double x) { return x - std::tanh(x); }, -kInf,
       kInf, 1, 1},
      {PLAIN(hardsigmoid),
       [](double x) { return std::clamp(x / 6 + 0.5, 0.0, 1.0); }, 0, 1, 0, 0},
      {PLAIN(hardswish),
       [](double x) { return x * std::clamp(x / 6 + 0.5, 0.0, 1.0); }, 0, kInf,
       0, 1},
      {PLAIN(relu6), [](double x) { return std::clamp(x, 0.0, 6.0); }, 0, 6, 0,
       0},
      {PLAIN(hardtanh), [](double x) { return std::clamp(x, -1.0, 1.0); }, -1,
       1, 0, 0},
      {PLAIN(selu),
       [](double x) {
         return 1.0507009873554804934 *
                (x > 0 ? x : 1.6732632423543772848 * std::expm1(x));
       },
       -1.0507009873554804934 * 1.6732632423543772848, kInf, 0,
       1.0507009873554804934},
      {PLAIN(leaky_relu), [](double x) { return x > 0 ? x : 0.01 * x; }, -kInf,
       kInf, 0.01, 1},
      {PLAIN(elu), [](double x) { return x > 0 ? x : std::expm1(x); }, -1, kInf,
       0, 1},
      {"elu(2)", [](TrackedTensor x) { return elu(x, 2.0); },
       [](double x) { return x > 0 ? x : 2 * std::expm1(x); }, -2, kInf, 0, 1},
      {"celu(2)", [](TrackedTensor x) { return celu(x, 2.0); },
       [](double x) { return x > 0 ? x : 2 * std::expm1(x / 2); }, -2, kInf, 0,
       1},
      {PLAIN(gelu),
       [](double x) { return 0.5 * x * std::erfc(-x * std::sqrt(0.5)); }, 0,
       kInf, 0, 1},
      {"gelu(tanh)", [](TrackedTensor x) { return gelu(x, Gelu::tanh); },
       [](double x) {
         const double u = std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
         return x * ref_sigmoid(2 * u);
       },
       0, kInf, 0, 1},
      {PLAIN(hardshrink), [](double x) { return std::abs(x) > 0.5 ? x : 0; },
       -kInf, kInf, 1, 1},
      {PLAIN(softshrink),
       [](double x) { return x > 0.5    ? x - 0.5
                             : x < -0.5 ? x + 0.5
                                        : 0; },
       -kInf, kInf, 1, 1},
  };
  return all;
}

const Doubles kPoints = {-30, -5.5, -2.2, -0.7, -0.3, 0.2, 0.6, 1.7, 4.1, 50};

TEST(Activations, HaveTheirValues) {
  for (const Activation& a : activations()) {
    Doubles expected;
    for (const double x : kPoints) expected.push_back(a.reference(x));
    expect_near(a.f(f64(kPoints)).to_host<double>(), expected, 1e-13, a.name);
    EXPECT_EQ(a.f(f32({1, 2})).dtype(), DType::float32) << a.name;
    EXPECT_EQ(a.f(cast(f32({1, 2}), DType::bfloat16)).dtype(), DType::bfloat16)
        << a.name;
  }
}

TEST(Activations, HaveTheirDerivatives) {
  for (const Activation& a : activations())
    expect_differentiable(a.name, [&](const auto& in) { return a.f(in[0]); },
                          {f64({-5.5, -2.2, -0.7, -0.3, 0.2, 0.6, 1.7, 4.1})});
}

TEST(Activations, HaveTheirLimitsAndSlopesAtTheInfinities) {
  for (const Activation& a : activations()) {
    expect_near(a.f(f64({-kInf, kInf, kNaN})).to_host<double>(),
                {a.low, a.high, kNaN}, 1e-15, a.name);
    expect_near(slope(a.f, {-kInf, kInf}), {a.low_slope, a.high_slope}, 1e-15,
                std::string("slope of ") + a.name);
  }
}

TEST(Activations, NeverMakeNaNOutOfLargeNumbers) {
  for (const Activation& a : activations()) {
    for (const double x : slope(a.f, {-1e300, -1e10, -900, 900, 1e10, 1e300}))
      EXPECT_TRUE(std::isfinite(x)) << a.name;
    const TrackedTensor leaf =
        param(cast(f32({-6e4f, -300, 300, 6e4f}), DType::float16));
    const TrackedTensor y = a.f(leaf);
    backward(y, ones_like(y));
    for (const double x : leaf.grad().to_host<double>())
      EXPECT_TRUE(std::isfinite(x)) << a.name << " in float16";
  }
}

TEST(Activations, SmoothOnesAreSmoothAtZero) {
  const struct {
    const char* name;
    TrackedTensor (*f)(TrackedTensor);
  } smooth[] = {{PLAIN(softplus)}, {PLAIN(logsigmoid)}, {PLAIN(silu)},
                {PLAIN(mish)},     {PLAIN(gelu)},       {PLAIN(tanhshrink)}};
  for (const auto& s : smooth)
    expect_differentiable(s.name, [&](const auto& in) { return s.f(in[0]); },
                          {f64({0.0})});
}

TEST(Activations, TakeTheSlopeFromTheLeftAtZero) {
  expect_near(slope([](TrackedTensor x) { return elu(x, 2.0); }, {0.0}), {2},
              0);
  expect_near(slope([](TrackedTensor x) { return leaky_relu(x, 0.1); }, {0.0}),
              {0.1}, 0);
  EXPECT_EQ(slope([](TrackedTensor x) { return hardtanh(x); }, {-1, 1}),
            (Doubles{1, 1}));
}

TEST(Activations, TakeTensorsAsParameters) {
  expect_differentiable("leaky_relu",
                        [](const auto& in) { return leaky_relu(in[0], in[1]); },
                        {f64({-1, 2}), f64({0.25})});
  expect_differentiable("elu", [](const auto& in) { return elu(in[0], in[1]); },
                        {f64({-1, 2}), f64({0.7})});
  expect_differentiable("celu",
                        [](const auto& in) { return celu(in[0], in[1]); },
                        {f64({-1, 2}), f64({0.7})});
  expect_differentiable("softshrink",
                        [](const auto& in) { return softshrink(in[0], in[1]); },
                        {f64({-1, 0.1, 2}), f64({0.5})});
  expect_differentiable(
      "hardtanh", [](const auto& in) { return hardtanh(in[0], in[1], in[2]); },
      {f64({-3, 0.1, 2}), f64({-1}), f64({1.5})});
  // The branch that is not taken leaves no trace in the parameter.
  const TrackedTensor slope_parameter = param(f64({0.1}));
  const TrackedTensor y = leaky_relu(f64({kInf, -2}), slope_parameter);
  backward(y, ones_like(y));
  EXPECT_EQ(slope_parameter.grad().item<double>(), -2);
  for (auto* f : {elu, celu}) {
    const TrackedTensor alpha = param(f64({0.5}));
    const TrackedTensor z = f(f64({1e4, kInf}), alpha);
    backward(z, ones_like(z));
    EXPECT_EQ(alpha.grad().item<double>(), 0);
  }
}

TEST(Activations, RejectADivisorOfZero) {
  EXPECT_NE(message_of<Error>([] { celu(f64({1.0}), 0); }).find("celu"),
            std::string::npos);
}

}  // namespace
}  // namespace jacquard::testing
