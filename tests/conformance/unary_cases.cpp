// Functions of one operand.
#include <cmath>

#include "tests/conformance/op_case.h"
#include "tests/conformance/reference_math.h"

namespace jacquard::conformance {
namespace {

using Function = TrackedTensor (*)(Operand);
using Scalar = double (*)(double);

// Signed zeros and all special values as the C function has them.
OpCase smooth(const char* name, Function f, Scalar at, double low,
              double high) {
  OpCase c;
  c.name = name;
  c.inputs = {{.low = low, .high = high}};
  c.call = [f](const Values& v) { return f(v[0]); };
  c.at = [at](const double* x) { return at(x[0]); };
  c.signed_zeros = true;
  c.tolerance = 1.2e-15;
  return c;
}

OpCase kinked(const char* name, Function f, Scalar at,
              std::vector<double> avoid) {
  OpCase c = smooth(name, f, at, -2, 2);
  c.inputs[0].avoid = std::move(avoid);
  c.integers = OnIntegers::kept;
  return c;
}

// Constant between the integers.
OpCase rounding(const char* name, Function f, Scalar at) {
  OpCase c = smooth(name, f, at, -3, 3);
  c.inputs[0].avoid = {-2.5, -1.5, -0.5, 0.5, 1.5, 2.5};
  c.inputs[0].avoid_integers = true;
  c.integers = OnIntegers::kept;
  return c;
}

// An expression with host scalars in it.
OpCase formula(const char* name, std::function<TrackedTensor(TrackedTensor)> f,
               Scalar at, double low, double high) {
  OpCase c = smooth(name, nullptr, at, low, high);
  c.call = [f = std::move(f)](const Values& v) { return f(v[0]); };
  c.signed_zeros = false;
  c.integers = OnIntegers::unspecified;
  return c;
}

OpCase with(OpCase c, double slack, double tolerance = 1e-14) {
  c.slack = slack;
  c.tolerance = tolerance;
  return c;
}
OpCase without_specials(OpCase c) {
  c.specials = false;
  return c;
}
OpCase on_integers(OpCase c, OnIntegers what) {
  c.integers = what;
  return c;
}
OpCase unsigned_zeros(OpCase c) {
  c.signed_zeros = false;
  return c;
}

double sign_of(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
double trigamma(double x) { return polygamma_reference(1, x); }
double pentagamma(double x) { return polygamma_reference(3, x); }
double integral_power(double x, int p) {
  double y = 1;
  for (int i = 0; i < p; ++i) y *= x;
  return y;
}

void add_functions(std::vector<OpCase>& out) {
  const std::vector<OpCase> functions{
      smooth("exp", exp, ::exp, -3, 3),
      smooth("expm1", expm1, ::expm1, -3, 3),
      smooth("log", log, ::log, 0.1, 4),
      smooth("log1p", log1p, ::log1p, -0.9, 4),
      with(smooth("log2", log2, ::log2, 0.1, 4), 4e-16),
      with(smooth("log10", log10, ::log10, 0.1, 4), 4e-16),
      smooth("exp2", exp2, ::exp2, -3, 3),
      smooth("sqrt", sqrt, ::sqrt, 0.1, 4),
      smooth(
          "rsqrt", rsqrt, [](double x) { return 1 / std::sqrt(x); }, 0.1, 4),
      smooth("cbrt", cbrt, ::cbrt, 0.2, 4),
      smooth("sin", sin, ::sin, -3, 3),
      smooth("cos", cos, ::cos, -3, 3),
      smooth("tan", tan, ::tan, -1.3, 1.3),
      smooth("asin", asin, ::asin, -0.9, 0.9),
      smooth("acos", acos, ::acos, -0.9, 0.9),
      smooth("atan", atan, ::atan, -3, 3),
      smooth("sinh", sinh, ::sinh, -3, 3),
      smooth("cosh", cosh, ::cosh, -3, 3),
      smooth("tanh", tanh, ::tanh, -3, 3),
      smooth("asinh", asinh, ::asinh, -3, 3),
      smooth("acosh", acosh, ::acosh, 1.1, 4),
      smooth("atanh", atanh, ::atanh, -0.9, 0.9),
      smooth(
          "sigmoid", sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); },
          -4, 4),
      smooth("erf", erf, ::erf, -2, 2),
      smooth("erfc", erfc, ::erfc, -2, 2),
      with(smooth("erfinv", erfinv, erfinv_reference, -0.9, 0.9), 0, 4e-14),
      with(unsigned_zeros(smooth("lgamma", lgamma, ::lgamma, 0.3, 5)), 1e-15),
      with(smooth("digamma", digamma, digamma_reference, 0.3, 5), 1e-14),
      smooth(
          "reciprocal", reciprocal, [](double x) { return 1 / x; }, 0.3, 3),
  };
  out.insert(out.end(), functions.begin(), functions.end());
}

void add_kinked(std::vector<OpCase>& out) {
  const std::vector<OpCase> functions{
      kinked("abs", abs, ::fabs, {0}),
      unsigned_zeros(kinked("sign", sign, sign_of, {0})),
      kinked(
          "neg", [](Operand x) { return -std::move(x); },
          [](double x) { return -x; }, {}),
      unsigned_zeros(kinked(
          "relu", relu,
          [](double x) { return std::isnan(x) ? x : std::fmax(x, 0.0); }, {0})),
      rounding("floor", floor, ::floor),
      rounding("ceil", ceil, ::ceil),
      rounding("trunc", trunc, ::trunc),
      rounding("round", round, ::nearbyint),
      on_integers(smooth(
                      "square", square, [](double x) { return x * x; }, -2, 2),
                  OnIntegers::kept),
  };
  out.insert(out.end(), functions.begin(), functions.end());
}

void add_with_scalars(std::vector<OpCase>& out) {
  using T = TrackedTensor;
  const std::vector<OpCase> formulas{
      formula(
          "add scalar", [](T x) { return x + 1.5; },
          [](double x) { return x + 1.5; }, -2, 2),
      formula(
          "sub from scalar", [](T x) { return 1.5 - x; },
          [](double x) { return 1.5 - x; }, -2, 2),
      formula(
          "mul scalar", [](T x) { return 0.25 * x; },
          [](double x) { return 0.25 * x; }, -2, 2),
      formula(
          "div scalar", [](T x) { return x / 4.0; },
          [](double x) { return x / 4; }, -2, 2),
      formula(
          "div of scalar", [](T x) { return 3.0 / x; },
          [](double x) { return 3 / x; }, 0.3, 2),
      formula(
          "x times 0", [](T x) { return x * 0.0; },
          [](double x) { return x * 0.0; }, -2, 2),
      formula(
          "x minus x", [](T x) { return x - x; },
          [](double x) { return x - x; }, -2, 2),
      formula(
          "x plus 0", [](T x) { return x + 0.0; },
          [](double x) { return x + 0.0; }, -2, 2),
      formula(
          "pow 0", [](T x) { return pow(x, 0); }, [](double) { return 1.0; },
          -2, 2),
      formula(
          "pow 1", [](T x) { return pow(x, 1); }, [](double x) { return x; },
          -2, 2),
      formula(
          "pow 2", [](T x) { return pow(x, 2); },
          [](double x) { return x * x; }, -2, 2),
      formula(
          "pow 3", [](T x) { return pow(x, 3.0); },
          [](double x) { return integral_power(x, 3); }, -2, 2),
      formula(
          "pow 5", [](T x) { return pow(x, 5); },
          [](double x) { return std::pow(x, 5); }, 0.3, 2),
      formula(
          "pow minus 1", [](T x) { return pow(x, -1.0); },
          [](double x) { return 1 / x; }, 0.3, 2),
      formula(
          "pow minus 2", [](T x) { return pow(x, -2.0); },
          [](double x) { return std::pow(x, -2); }, 0.4, 2),
      formula(
          "pow half", [](T x) { return pow(x, 0.5); },
          [](double x) { return std::pow(x, 0.5); }, 0.2, 3),
      formula(
          "pow minus half", [](T x) { return pow(x, -0.5); },
          [](double x) { return std::pow(x, -0.5); }, 0.2, 3),
      formula(
          "pow 2.5", [](T x) { return pow(x, 2.5); },
          [](double x) { return std::pow(x, 2.5); }, 0.2, 3),
      formula(
          "pow of 2", [](T x) { return pow(2.0, x); },
          [](double x) { return std::pow(2.0, x); }, -2, 2),
      formula(
          "clamp", [](T x) { return clamp(x, -0.5, 1.25); },
          [](double x) { return x < -0.5   ? -0.5
                                : x > 1.25 ? 1.25
                                           : x; }, -2,
          2),
      formula(
          "maximum with scalar", [](T x) { return maximum(x, 0.5); },
          [](double x) { return x < 0.5 ? 0.5 : x; }, -2, 2),
      formula(
          "minimum with scalar", [](T x) { return minimum(-0.5, x); },
          [](double x) { return x > -0.5 ? -0.5 : x; }, -2, 2),
      formula(
          "atan2 of scalar", [](T x) { return atan2(1.0, x); },
          [](double x) { return std::atan2(1.0, x); }, -2, 2),
      formula(
          "hypot with scalar", [](T x) { return hypot(x, 2.0); },
          [](double x) { return std::hypot(x, 2.0); }, -1.9, 1.9),
      without_specials(formula(
          "remainder by scalar", [](T x) { return x % 0.75; },
          [](double x) { return x - std::floor(x / 0.75) * 0.75; }, 0.1, 0.7)),
      with(without_specials(formula(
               "polygamma 1", [](T x) { return polygamma(1, x); }, trigamma,
               0.4, 5)),
           1e-15, 4e-14),
      with(without_specials(formula(
               "polygamma 3", [](T x) { return polygamma(3, x); }, pentagamma,
               0.5, 5)),
           1e-15, 4e-14),
      formula(
          "materialize", [](T x) { return materialize(x * x); },
          [](double x) { return x * x; }, -2, 2),
      formula(
          "fused", [](T x) { return fused([](T v) { return v * cos(v); }, x); },
          [](double x) { return x * std::cos(x); }, -2, 2),
      formula(
          "cast through float64",
          [](T x) { return cast(cast(x, DType::float64) * 2.0, x.dtype()); },
          [](double x) { return x * 2; }, -2, 2),
  };
  for (OpCase c : formulas) {
    if (c.name == "clamp") c.inputs[0].avoid = {-0.5, 1.25};
    if (c.name == "maximum with scalar") c.inputs[0].avoid = {0.5};
    if (c.name == "minimum with scalar") c.inputs[0].avoid = {-0.5};
    if (c.name == "cast through float64") c.integers = OnIntegers::skipped;
    out.push_back(std::move(c));
  }
}

// Constants: bools.
void add_predicates(std::vector<OpCase>& out) {
  const auto predicate = [&](const char* name, Function f, Scalar at) {
    OpCase c = smooth(name, f, at, -2, 2);
    c.differentiable = false;
    c.integers = OnIntegers::unspecified;
    out.push_back(std::move(c));
  };
  predicate("is_nan", is_nan, [](double x) { return std::isnan(x) ? 1. : 0.; });
  predicate("is_inf", is_inf, [](double x) { return std::isinf(x) ? 1. : 0.; });
  predicate("is_finite", is_finite,
            [](double x) { return std::isfinite(x) ? 1. : 0.; });
}

}  // namespace

std::vector<OpCase> unary_cases() {
  std::vector<OpCase> out;
  add_functions(out);
  add_kinked(out);
  add_with_scalars(out);
  add_predicates(out);
  return out;
}

}  // namespace jacquard::conformance
