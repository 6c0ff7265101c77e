#include "jacquard/pointwise.h"

#include <numbers>

#include "tests/core/ops/elementwise_testing.h"

namespace jacquard::testing {
namespace {

struct Unary {
  const char* name;
  TrackedTensor (*f)(Operand);
  double (*reference)(double);
  Doubles x;
  bool smooth = true;
};

double ref_rsqrt(double x) { return 1 / std::sqrt(x); }
double ref_sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double ref_square(double x) { return x * x; }
double ref_reciprocal(double x) { return 1 / x; }
double ref_sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
double ref_relu(double x) { return x > 0 ? x : 0; }
double negated(double x) { return -x; }

const std::vector<Unary>& unary_functions() {
  const Doubles any = {-3.7, -1.2, -0.4, 0.3, 0.9, 2.6};
  const Doubles positive = {0.02, 0.3, 0.9, 1.4, 7.5, 120.0};
  const Doubles inside = {-0.95, -0.6, -0.1, 0.2, 0.5, 0.9};
  static const std::vector<Unary> all = {
      {"neg", operator-, negated, any},
      {"abs", abs, std::abs, any},
      {"sign", sign, ref_sign, any, false},
      {"floor", floor, std::floor, any, false},
      {"ceil", ceil, std::ceil, any, false},
      {"trunc", trunc, std::trunc, any, false},
      {"round",
       round,
       std::nearbyint,
       {-2.5, -1.5, -0.4, 0.5, 1.5, 2.5},
       false},
      {"exp", exp, std::exp, any},
      {"expm1", expm1, std::expm1, any},
      {"log", log, std::log, positive},
      {"log1p", log1p, std::log1p, positive},
      {"sqrt", sqrt, std::sqrt, positive},
      {"rsqrt", rsqrt, ref_rsqrt, positive},
      {"cbrt", cbrt, std::cbrt, any},
      {"sin", sin, std::sin, any},
      {"cos", cos, std::cos, any},
      {"tan", tan, std::tan, inside},
      {"asin", asin, std::asin, inside},
      {"acos", acos, std::acos, inside},
      {"atan", atan, std::atan, any},
      {"sinh", sinh, std::sinh, any},
      {"cosh", cosh, std::cosh, any},
      {"tanh", tanh, std::tanh, any},
      {"asinh", asinh, std::asinh, any},
      {"acosh", acosh, std::acosh, {1.1, 1.5, 2.0, 9.0}},
      {"atanh", atanh, std::atanh, inside},
      {"sigmoid", sigmoid, ref_sigmoid, any},
      {"erf", erf, std::erf, any},
      {"erfc", erfc, std::erfc, any},
      {"lgamma", lgamma, std::lgamma, {-1.5, -0.3, 0.4, 1.7, 6.0}},
      {"square", square, ref_square, any},
      {"reciprocal", reciprocal, ref_reciprocal, any},
      {"relu", relu, ref_relu, any},
      {"log2", log2, std::log2, positive},
      {"log10", log10, std::log10, positive},
      {"exp2", exp2, std::exp2, any},
  };
  return all;
}

Doubles mapped(const Doubles& x, double (*f)(double)) {
  Doubles y;
  for (const double v : x) y.push_back(f(v));
  return y;
}

TEST(Pointwise, FunctionsOfOneOperandAgreeWithTheMathLibrary) {
  for (const Unary& u : unary_functions()) {
    expect_near(u.f(f64(u.x)).to_host<double>(), mapped(u.x, u.reference),
                2e-15, u.name);
    std::vector<float> x32(u.x.begin(), u.x.end());
    const Doubles rounded(x32.begin(), x32.end());
    const TrackedTensor y32 = u.f(f32(x32));
    EXPECT_EQ(y32.dtype(), DType::float32) << u.name;
    expect_near(y32.to_host<double>(), mapped(rounded, u.reference), 6e-7,
                u.name);
  }
}

TEST(Pointwise, FunctionsOfOneOperandHaveTheirDerivatives) {
  for (const Unary& u : unary_functions())
    if (u.smooth)
      expect_differentiable(u.name, [&](const auto& in) { return u.f(in[0]); },
                            {f64(u.x)});
}

TEST(Pointwise, RoundingAndSignHaveDerivativeZero) {
  for (const Unary& u : unary_functions()) {
    if (u.smooth) continue;
    EXPECT_EQ(slope([&](TrackedTensor x) { return u.f(x) + x; }, u.x),
              Doubles(u.x.size(), 1.0))
        << u.name;
  }
}

TEST(Pointwise, InverseErrorFunctionAndGammaFamilyHaveKnownValues) {
  const Doubles p = {-0.9, -0.5, 0.0, 0.1, 0.7, 0.999};
  expect_near(erf(erfinv(f64(p))).to_host<double>(), p, 1e-14);
  expect_near(erfinv(f64({-1, 1})).to_host<double>(), {-kInf, kInf}, 0);
  const double gamma = std::numbers::egamma, pi = std::numbers::pi;
  expect_near(digamma(f64({1, 0.5, 2})).to_host<double>(),
              {-gamma, -gamma - 2 * std::log(2), 1 - gamma}, 1e-14);
  expect_near(polygamma(1, f64({1, 0.5})).to_host<double>(),
              {pi * pi / 6, pi * pi / 2}, 1e-14);
  expect_near(polygamma(2, f64({1})).to_host<double>(), {-2.404113806319188570},
              1e-14);
  expect_differentiable("erfinv", [](const auto& in) { return erfinv(in[0]); },
                        {f64({-.6, .3})});
  expect_differentiable("digamma",
                        [](const auto& in) { return digamma(in[0]); },
                        {f64({-0.4, 0.7, 3})});
  expect_differentiable("polygamma",
                        [](const auto& in) { return polygamma(1, in[0]); },
                        {f64({0.7, 3})});
}

struct Binary {
  const char* name;
  TrackedTensor (*f)(Operand, Operand);
  double (*reference)(double, double);
  Doubles a, b;
};

const std::vector<Binary>& binary_functions() {
  const Doubles a = {-3.7, -1.2, 0.4, 2.3}, b = {1.3, -2.1, 0.9, -0.7};
  static const std::vector<Binary> all = {
      {"add", operator+, [](double x, double y) { return x + y; }, a, b},
      {"sub", operator-, [](double x, double y) { return x - y; }, a, b},
      {"mul", operator*, [](double x, double y) { return x * y; }, a, b},
      {"div", operator/, [](double x, double y) { return x / y; }, a, b},
      {"pow", pow, std::pow, {0.3, 1.2, 2.5}, {1.7, -2.2, 0.4}},
      {"atan2", atan2, std::atan2, a, b},
      {"fmod", fmod, std::fmod, a, b},
      {"remainder", remainder,
       [](double x, double y) { return x - std::floor(x / y) * y; }, a, b},
      {"minimum", minimum, std::fmin, a, b},
      {"maximum", maximum, std::fmax, a, b},
      {"mulz", mulz, [](double x, double y) { return x * y; }, a, b},
      {"hypot", hypot, std::hypot, a, b},
      {"logaddexp", logaddexp,
       [](double x, double y) { return std::log(std::exp(x) + std::exp(y)); },
       a, b},
      {"xlogy",
       xlogy,
       [](double x, double y) { return x * std::log(y); },
       a,
       {0.2, 1.7, 3.1, 0.8}},
  };
  return all;
}

TEST(Pointwise, FunctionsOfTwoOperandsHaveTheirValuesAndDerivatives) {
  for (const Binary& u : binary_functions()) {
    Doubles expected;
    for (std::size_t i = 0; i < u.a.size(); ++i)
      expected.push_back(u.reference(u.a[i], u.b[i]));
    expect_near(u.f(f64(u.a), f64(u.b)).to_host<double>(), expected, 2e-15,
                u.name);
    expect_differentiable(u.name,
                          [&](const auto& in) { return u.f(in[0], in[1]); },
                          {f64(u.a), f64(u.b)});
  }
}

TEST(Pointwise, AScalarOnEitherSideCountsAsATensorOfTheOtherDType) {
  for (const Binary& u : binary_functions()) {
    const std::vector<float> a(u.a.begin(), u.a.end());
    const double s = u.b[0] < 0 ? 1.3 : u.b[0];
    const float s32 = static_cast<float>(s);
    const TrackedTensor whole = f32(std::vector<float>(a.size(), s32));
    const TrackedTensor right = u.f(f32(a), s), left = u.f(s, abs(f32(a)));
    EXPECT_EQ(right.dtype(), DType::float32) << u.name;
    EXPECT_EQ(left.dtype(), DType::float32) << u.name;
    expect_near(right.to_host<double>(), u.f(f32(a), whole).to_host<double>(),
                2e-7, u.name);
    expect_near(left.to_host<double>(),
                u.f(whole, abs(f32(a))).to_host<double>(), 2e-7, u.name);
  }
  // 0.1 must not pass through float32 on its way.
  expect_near(hypot(f64({0.0}), 0.1).to_host<double>(), {0.1}, 0);
  expect_near(xlogy(0.1, f64({2.0})).to_host<double>(), {0.1 * std::log(2.0)},
              1e-16);
}

TEST(Pointwise, OperandsBroadcastAndGradientsAreSummedBack) {
  const TrackedTensor column = param(f64({1, 2}, {2, 1}));
  const TrackedTensor row = param(f64({10, 20, 30}));
  const TrackedTensor y = column * row;
  EXPECT_EQ(y.shape(), (Shape{2, 3}));
  EXPECT_EQ(y.to_host<double>(), (Doubles{10, 20, 30, 20, 40, 60}));
  backward(y, ones_like(y));
  EXPECT_EQ(column.grad().to_host<double>(), (Doubles{60, 60}));
  EXPECT_EQ(row.grad().to_host<double>(), (Doubles{3, 3, 3}));
  EXPECT_EQ((zeros({2, 0}) + zeros({1, 1})).shape(), (Shape{2, 0}));
}

TEST(Pointwise, PromotesAsPyTorchDoes) {
  const TrackedTensor b = tensor({true, false}),
                      i = tensor<std::int64_t>({1, 2});
  const TrackedTensor j = tensor<std::int32_t>({1, 2}), f = f32({1, 2});
  const TrackedTensor d = f64({1, 2}), h = cast(f, DType::float16);
  const TrackedTensor bf = cast(f, DType::bfloat16);
  EXPECT_EQ((i + f).dtype(), DType::float32);
  EXPECT_EQ((f + d).dtype(), DType::float64);
  EXPECT_EQ((h + bf).dtype(), DType::float32);
  EXPECT_EQ((j + i).dtype(), DType::int64);
  EXPECT_EQ((b + j).dtype(), DType::int32);
  EXPECT_EQ((f * 2.0).dtype(), DType::float32);
  EXPECT_EQ((h * 2.0).dtype(), DType::float16);
  EXPECT_EQ((j * 2).dtype(), DType::int32);
  EXPECT_EQ((j * 2.0).dtype(), DType::float32);
  EXPECT_EQ((i / i).dtype(), DType::float32);
  EXPECT_EQ(exp(i).dtype(), DType::float32);
  EXPECT_EQ(exp2(i).to_host<double>(), (Doubles{2, 4}));
  EXPECT_EQ(hypot(i, i).dtype(), DType::float32);
  EXPECT_EQ(logaddexp(h, 1.0).dtype(), DType::float16);
  EXPECT_EQ(square(j).dtype(), DType::int32);
  EXPECT_EQ(clamp(i, 0, 1).dtype(), DType::int64);
  EXPECT_EQ(clamp(i, 0.5, 1).dtype(), DType::float32);
  EXPECT_EQ(where(b, h, 1.0).dtype(), DType::float16);
  EXPECT_EQ(where(b, i, f).dtype(), DType::float32);
}

TEST(Pointwise, IntegersStayIntegersUnderRounding) {
  const std::int64_t large = (std::int64_t{1} << 62) + 1;
  for (auto* f : {floor, ceil, trunc, round}) {
    const TrackedTensor y = f(tensor<std::int64_t>({large, -3}));
    EXPECT_EQ(y.dtype(), DType::int64);
    EXPECT_EQ(y.to_host<std::int64_t>(),
              (std::vector<std::int64_t>{large, -3}));
  }
}

TEST(Pointwise, IntegerRemainderHasTheSignOfTheDivisor) {
  const TrackedTensor a = tensor<std::int64_t>({7, -7, 7, -7});
  const TrackedTensor b = tensor<std::int64_t>({3, 3, -3, -3});
  EXPECT_EQ((a % b).to_host<std::int64_t>(),
            (std::vector<std::int64_t>{1, 2, -2, -1}));
  EXPECT_EQ(fmod(a, b).to_host<std::int64_t>(),
            (std::vector<std::int64_t>{1, -1, 1, -1}));
}

TEST(Pointwise, ComparisonsGiveBools) {
  const TrackedTensor a = f64({1, 2, kNaN, 3}), b = f64({2, 2, kNaN, 1});
  using Bools = std::vector<bool>;
  EXPECT_EQ(eq(a, b).dtype(), DType::bool_);
  EXPECT_EQ(eq(a, b).to_host<bool>(), (Bools{false, true, false, false}));
  EXPECT_EQ(ne(a, b).to_host<bool>(), (Bools{true, false, true, true}));
  EXPECT_EQ((a < b).to_host<bool>(), (Bools{true, false, false, false}));
  EXPECT_EQ((a <= b).to_host<bool>(), (Bools{true, true, false, false}));
  EXPECT_EQ((a > b).to_host<bool>(), (Bools{false, false, false, true}));
  EXPECT_EQ((a >= b).to_host<bool>(), (Bools{false, true, false, true}));
  const TrackedTensor x = f64({0, kNaN, kInf, -kInf});
  EXPECT_EQ(is_nan(x).to_host<bool>(), (Bools{false, true, false, false}));
  EXPECT_EQ(is_inf(x).to_host<bool>(), (Bools{false, false, true, true}));
  EXPECT_EQ(is_finite(x).to_host<bool>(), (Bools{true, false, false, false}));
  EXPECT_FALSE((param(a) < b).is_tracked());
}

TEST(Pointwise, LogicTakesBoolsOnly) {
  const TrackedTensor a = tensor({true, true, false, false});
  const TrackedTensor b = tensor({true, false, true, false});
  using Bools = std::vector<bool>;
  EXPECT_EQ(logical_and(a, b).to_host<bool>(),
            (Bools{true, false, false, false}));
  EXPECT_EQ(logical_or(a, b).to_host<bool>(), (Bools{true, true, true, false}));
  EXPECT_EQ(logical_xor(a, b).to_host<bool>(),
            (Bools{false, true, true, false}));
  EXPECT_EQ(logical_not(a).to_host<bool>(), (Bools{false, false, true, true}));
  const std::string message = message_of<DTypeError>([&] {
    logical_and(a, f64({1, 2, 3, 4}));
  });
  EXPECT_NE(message.find("logical_and"), std::string::npos);
  EXPECT_NE(message.find("float64"), std::string::npos);
}

TEST(Pointwise, WhereChoosesAndRoutesGradients) {
  const TrackedTensor a = param(f64({1, kNaN, 3})),
                      b = param(f64({10, 20, 30}));
  const TrackedTensor y = where(tensor({true, false, true}), a, b);
  EXPECT_EQ(y.to_host<double>(), (Doubles{1, 20, 3}));
  backward(y, f64({5, 6, 7}));
  EXPECT_EQ(a.grad().to_host<double>(), (Doubles{5, 0, 7}));
  EXPECT_EQ(b.grad().to_host<double>(), (Doubles{0, 6, 0}));
  const std::string message = message_of<DTypeError>([&] { where(a, a, b); });
  EXPECT_NE(message.find("where"), std::string::npos);
}

TEST(Pointwise, CastTruncatesAndFlowsBackBetweenFloatingTypes) {
  EXPECT_EQ(cast(f64({-1.9, 0.5, 2.9}), DType::int64).to_host<std::int64_t>(),
            (std::vector<std::int64_t>{-1, 0, 2}));
  EXPECT_EQ(cast(f64({-1.9, 0, kNaN}), DType::bool_).to_host<bool>(),
            (std::vector<bool>{true, false, true}));
  const TrackedTensor x = param(f64({0.1, 0.2}));
  const TrackedTensor y = cast(x, DType::float32) * 3.0;
  EXPECT_EQ(y.dtype(), DType::float32);
  backward(y, ones_like(y));
  EXPECT_EQ(x.grad().dtype(), DType::float64);
  EXPECT_EQ(x.grad().to_host<double>(), (Doubles{3, 3}));
  EXPECT_FALSE(cast(x, DType::int64).is_tracked());
}

TEST(Pointwise, PowersKeepTheLeafsValueOfTheCall) {
  const TrackedTensor x = param(f64({2.0}));
  const TrackedTensor y = pow(x, 1), z = cast(x, DType::float64);
  x.assign(f64({5.0}).data());
  EXPECT_EQ(y.item<double>(), 2.0);
  EXPECT_EQ(z.item<double>(), 2.0);
}

const Doubles kPowBases = {-kInf,  -1e200, -2.5, -1, -1e-200, -0.0, 0.0,
                           1e-310, 0.3,    1,    7,  1e160,   kInf, kNaN};
const Doubles kExponents = {0,  1,  2,   3,    4,   5,    -1, -2,
                            -3, -4, 0.5, -0.5, 2.5, -1.5, 0.3};

TEST(Pointwise, PowOfAHostScalarIsWhatPowGives) {
  for (const double p : kExponents) {
    Doubles expected;
    for (const double x : kPowBases) expected.push_back(std::pow(x, p));
    expect_close(pow(f64(kPowBases), p).to_host<double>(), expected, 1e-15,
                 "exponent " + std::to_string(p));
    const TrackedTensor ps = f64(Doubles(kPowBases.size(), p));
    expect_close(pow(f64(kPowBases), ps).to_host<double>(), expected, 1e-15,
                 "tensor exponent " + std::to_string(p));
  }
  Doubles expected;
  for (const double x : kPowBases) expected.push_back(std::pow(2.0, x));
  expect_close(pow(2.0, f64(kPowBases)).to_host<double>(), expected, 1e-15);
}

TEST(Pointwise, PowHasItsDerivativesAtZero) {
  const struct {
    double p, slope;
  } cases[] = {{0, 0},   {1, 1},      {2, 0},      {3, 0},
               {4, 0},   {1.5, 0},    {0.5, kInf}, {0.3, kInf},
               {2.5, 0}, {-1, -kInf}, {-2, -kInf}, {-0.5, -kInf}};
  for (const auto& c : cases) {
    EXPECT_EQ(slope([&](TrackedTensor x) { return pow(x, c.p); }, {0.0}),
              Doubles{c.slope})
        << "exponent " << c.p;
    EXPECT_EQ(slope([&](TrackedTensor x) { return pow(x, f64({c.p})); }, {0.0}),
              Doubles{c.slope})
        << "tensor exponent " << c.p;
  }
}

TEST(Pointwise, PowDifferentiatesByItsExponent) {
  const auto by_exponent = [](double x) {
    return slope([&](TrackedTensor p) { return pow(x, p); }, {2.0})[0];
  };
  EXPECT_EQ(by_exponent(0), 0);
  EXPECT_TRUE(std::isnan(by_exponent(-2)));
  EXPECT_NEAR(by_exponent(3), 9 * std::log(3), 1e-14);
}

TEST(Pointwise, PowersByMultiplicationHaveTheirDerivatives) {
  for (const double p : kExponents)
    expect_differentiable("exponent " + std::to_string(p),
                          [&](const auto& in) { return pow(in[0], p) + in[0]; },
                          {f64({0.4, 0.9, 1.7})});
  expect_differentiable("negative bases",
                        [](const auto& in) { return pow(in[0], 3); },
                        {f64({-1.4, -0.3})});
}

TEST(Pointwise, IntegerPowersAreExact) {
  const TrackedTensor x = tensor<std::int64_t>({-3, -1, 0, 1, 5});
  using Ints = std::vector<std::int64_t>;
  EXPECT_EQ(pow(x, 0).to_host<std::int64_t>(), (Ints{1, 1, 1, 1, 1}));
  EXPECT_EQ(pow(x, 2).to_host<std::int64_t>(), (Ints{9, 1, 0, 1, 25}));
  EXPECT_EQ(pow(x, 5).to_host<std::int64_t>(), (Ints{-243, -1, 0, 1, 3125}));
  EXPECT_EQ(pow(x, -1).to_host<std::int64_t>(), (Ints{0, -1, 0, 1, 0}));
  EXPECT_EQ(pow(x, 2).dtype(), DType::int64);
  EXPECT_EQ(pow(x, 2.0).dtype(), DType::float32);
  EXPECT_EQ(pow(tensor({true, false}), 2).dtype(), DType::int64);
}

TEST(Pointwise, ClampPassesTheGradientOnItsBounds) {
  const Doubles x = {-2, -1, 0, 1, 2, kNaN};
  expect_near(clamp(f64(x), -1, 1).to_host<double>(), {-1, -1, 0, 1, 1, kNaN},
              0);
  expect_near(slope([](TrackedTensor t) { return clamp(t, -1, 1); }, x),
              {0, 1, 1, 1, 0, 1}, 0);
  // min(max(x, lo), hi): the upper bound decides when they cross.
  EXPECT_EQ(clamp(f64({-5, 5}), 3, 1).to_host<double>(), (Doubles{1, 1}));
  expect_differentiable(
      "clamp", [](const auto& in) { return clamp(in[0], in[1], in[2]); },
      {f64({-2, 0.1, 2}), f64({-1}), f64({1})});
}

TEST(Pointwise, TiesShareTheGradient) {
  const TrackedTensor a = param(f64({1, 2})), b = param(f64({1, 3}));
  const TrackedTensor y = maximum(a, b);
  backward(y, ones_like(y));
  EXPECT_EQ(a.grad().to_host<double>(), (Doubles{0.5, 0}));
  EXPECT_EQ(b.grad().to_host<double>(), (Doubles{0.5, 1}));
  expect_near(maximum(f64({kNaN, 1}), f64({1, kNaN})).to_host<double>(),
              {kNaN, kNaN}, 0);
}

TEST(Pointwise, KinksHaveDerivativeZero) {
  EXPECT_EQ(slope([](TrackedTensor x) { return abs(x); }, {0.0}), Doubles{0});
  EXPECT_EQ(slope([](TrackedTensor x) { return relu(x); }, {0.0}), Doubles{0});
  expect_near(relu(f64({kNaN, -kInf, kInf})).to_host<double>(), {kNaN, 0, kInf},
              0);
}

TEST(Pointwise, HypotNeitherOverflowsNorFailsAtTheOrigin) {
  const Doubles a = {0, 3e300, 1e-300, kInf, kNaN, -kInf, kNaN, 5};
  const Doubles b = {0, 4e300, 1e-300, 1, kInf, kInf, 1, 0};
  Doubles expected;
  for (std::size_t i = 0; i < a.size(); ++i)
    expected.push_back(std::hypot(a[i], b[i]));
  expect_close(hypot(f64(a), f64(b)).to_host<double>(), expected, 4e-16);
  const TrackedTensor x = param(f64({0, 3e300, kInf, 2, 0}));
  const TrackedTensor y = param(f64({0, 4e300, 1, 2, -2}));
  const TrackedTensor h = hypot(x, y);
  backward(h, ones_like(h));
  const double half = std::sqrt(0.5);
  expect_near(x.grad().to_host<double>(), {0, 0.6, 1, half, 0}, 1e-15);
  expect_near(y.grad().to_host<double>(), {0, 0.8, 0, half, -1}, 1e-15);
  expect_differentiable("hypot with ties and zeros",
                        [](const auto& in) { return hypot(in[0], in[1]); },
                        {f64({1, 0, 2}), f64({1, 2, 0})});
}

TEST(Pointwise, LogaddexpIsRightAtTiesAndInfinities) {
  const Doubles a = {-kInf, kInf, -kInf, 1000, 0, kInf, kNaN};
  const Doubles b = {-kInf, kInf, 3, 1000, -800, -kInf, 0};
  expect_near(logaddexp(f64(a), f64(b)).to_host<double>(),
              {-kInf, kInf, 3, 1000 + std::log(2), 0, kInf, kNaN}, 1e-15);
  const Doubles slopes = slope(
      [&](TrackedTensor x) {
        return logaddexp(x, f64({-kInf, 1, 0, 5}));
      },
      {-kInf, 1, kInf, -kInf});
  EXPECT_FALSE(std::isnan(slopes[0]));
  expect_near({slopes.begin() + 1, slopes.end()}, {0.5, 1, 0}, 1e-15);
  expect_differentiable("logaddexp at a tie",
                        [](const auto& in) { return logaddexp(in[0], in[1]); },
                        {f64({1, 2}), f64({1, 2})});
}

TEST(Pointwise, StrongZerosWinAgainstInfinities) {
  expect_near(mulz(f64({0, 2, 0}), f64({kInf, kInf, kNaN})).to_host<double>(),
              {0, kInf, 0}, 0);
  expect_near(xlogy(f64({0, 0, 2}), f64({0, kNaN, 0})).to_host<double>(),
              {0, 0, -kInf}, 0);
  EXPECT_EQ(slope([](TrackedTensor x) { return xlogy(0.0, x); }, {0.0}),
            Doubles{0});
  EXPECT_EQ(slope([](TrackedTensor x) { return 0.0 * x + sqrt(x); }, {0.0}),
            Doubles{kInf});
  EXPECT_EQ(slope([](TrackedTensor x) { return mulz(zeros_like(x), sqrt(x)); },
                  {0.0}),
            Doubles{0});
}

TEST(Pointwise, ErrorsNameTheOperationAndTheShapes) {
  const std::string shapes = message_of<ShapeError>([] {
    zeros({2, 3}) * zeros({4});
  });
  EXPECT_NE(shapes.find("mul"), std::string::npos) << shapes;
  EXPECT_NE(shapes.find("[2, 3]"), std::string::npos) << shapes;
  EXPECT_NE(shapes.find("[4]"), std::string::npos) << shapes;
  // A composition speaks of itself, not of its parts.
  const std::string hypot_message =
      message_of<ShapeError>([] { hypot(zeros({2}), zeros({3})); });
  EXPECT_NE(hypot_message.find("hypot"), std::string::npos) << hypot_message;
  const std::string order = message_of<Error>([] { polygamma(0, f64({1.0})); });
  EXPECT_NE(order.find("polygamma"), std::string::npos) << order;
}

TEST(Pointwise, AFusedFunctionIsComputedAtOnce) {
  const TrackedTensor y =
      fused([](auto a, auto b) { return a * tanh(b); }, f64({2.0}), f64({0.5}));
  EXPECT_FALSE(y.is_pending());
  EXPECT_DOUBLE_EQ(y.item<double>(), 2 * std::tanh(0.5));
}

TEST(Pointwise, CompoundAssignmentRebinds) {
  TrackedTensor x = f64({3.0});
  const TrackedTensor before = x;
  x += 1.0;
  x *= 2.0;
  x -= 2.0;
  x /= 4.0;
  EXPECT_EQ(x.item<double>(), 1.5);
  EXPECT_EQ(before.item<double>(), 3.0);
}

TEST(Pointwise, EmptyRankZeroAndStridedOperandsWork) {
  EXPECT_EQ(exp(zeros({0, 3})).to_host<float>().size(), 0u);
  EXPECT_EQ(exp(scalar(0.0)).shape(), Shape{});
  EXPECT_EQ(exp(scalar(0.0)).item<float>(), 1.0f);
  const TrackedTensor m = f64({1, 2, 3, 4, 5, 6}, {2, 3});
  EXPECT_EQ((transpose(m) * 2.0).to_host<double>(),
            (Doubles{2, 8, 4, 10, 6, 12}));
  expect_differentiable(
      "a transposed operand",
      [](const auto& in) { return sin(transpose(in[0])) * in[0]; },
      {f64({1, 2, 3, 4}, {2, 2})});
}

}  // namespace
}  // namespace jacquard::testing
