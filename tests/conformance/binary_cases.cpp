// Functions of two and three operands.
#include <algorithm>
#include <cmath>

#include "tests/conformance/op_case.h"

namespace jacquard::conformance {
namespace {

using Function = TrackedTensor (*)(Operand, Operand);
using Scalar = double (*)(double, double);

OpCase binary(const char* name, Function f, Scalar at, Input a, Input b) {
  OpCase c;
  c.name = name;
  c.inputs = {std::move(a), std::move(b)};
  c.call = [f](const Values& v) { return f(v[0], v[1]); };
  c.at = [at](const double* v) { return at(v[0], v[1]); };
  c.repeatable = true;
  return c;
}

OpCase kept(OpCase c) {
  c.integers = OnIntegers::kept;
  return c;
}
OpCase signed_zeros(OpCase c) {
  c.signed_zeros = true;
  return c;
}
OpCase not_repeatable(OpCase c) {
  c.repeatable = false;
  return c;
}
OpCase with_slack(OpCase c, double slack) {
  c.slack = slack;
  return c;
}

double python_remainder(double a, double b) {
  double r = std::fmod(a, b);
  if (r != 0 && (r < 0) != (b < 0)) r += b;
  return r;
}
double minimum_of(double a, double b) {
  return std::isnan(a) || a < b ? a : std::isnan(b) ? b : b;
}
double maximum_of(double a, double b) { return std::isnan(a) || a > b ? a : b; }
double logaddexp_of(double a, double b) {
  if (std::isinf(a) && a == b) return a;
  const double larger = std::fmax(a, b);
  return std::isnan(a) || std::isnan(b)
             ? NAN
             : larger + std::log1p(std::exp(-std::abs(a - b)));
}

const Input kAny{.low = -2, .high = 2};
const Input kPositive{.low = 0.3, .high = 2};

void add_arithmetic(std::vector<OpCase>& out) {
  out.push_back(kept(signed_zeros(binary(
      "add", operator+, [](double a, double b) { return a + b; }, kAny,
      kAny))));
  out.push_back(kept(signed_zeros(binary(
      "sub", operator-, [](double a, double b) { return a - b; }, kAny,
      kAny))));
  out.push_back(kept(signed_zeros(binary(
      "mul", operator*, [](double a, double b) { return a * b; }, kAny,
      kAny))));
  out.push_back(signed_zeros(binary(
      "div", operator/, [](double a, double b) { return a / b; }, kAny,
      kPositive)));
  // Quotients between 1 and 2, and operands apart: no jump nearby.
  const Input dividend{.low = 2.3, .high = 3.7}, divisor{.low = 2, .high = 2.2};
  out.push_back(
      kept(not_repeatable(binary("fmod", fmod, ::fmod, dividend, divisor))));
  out.push_back(kept(not_repeatable(
      binary("remainder", remainder, python_remainder, dividend, divisor))));
  out.push_back(
      kept(not_repeatable(binary("percent", operator%, python_remainder,
                                 {.low = -3.7, .high = -2.3}, divisor))));
  out.push_back(kept(binary(
      "mulz", mulz, [](double c, double d) { return c == 0 ? 0 : c * d; }, kAny,
      kAny)));
}

void add_functions(std::vector<OpCase>& out) {
  out.push_back(binary("pow", pow, ::pow, kPositive, kAny));
  // A negative power of an integer is an integer.
  out.back().integers = OnIntegers::skipped;
  out.push_back(signed_zeros(binary("atan2", atan2, ::atan2, kPositive, kAny)));
  out.push_back(kept(binary("minimum", minimum, minimum_of, kAny, kAny)));
  out.push_back(kept(binary("maximum", maximum, maximum_of, kAny, kAny)));
  out.push_back(binary("hypot", hypot, ::hypot, kPositive, kAny));
  out.push_back(with_slack(
      binary("logaddexp", logaddexp, logaddexp_of, kAny, kAny), 1e-15));
  out.push_back(with_slack(
      binary(
          "xlogy", xlogy,
          [](double a, double b) { return a == 0 ? 0 : a * std::log(b); }, kAny,
          kPositive),
      1e-15));
}

void add_comparisons(std::vector<OpCase>& out) {
  const auto comparison = [&](const char* name, Function f, Scalar at) {
    OpCase c = binary(name, f, at, kAny, kAny);
    c.differentiable = false;
    c.integers = OnIntegers::unspecified;
    out.push_back(std::move(c));
  };
  comparison("eq", eq, [](double a, double b) { return a == b ? 1. : 0.; });
  comparison("ne", ne, [](double a, double b) { return a != b ? 1. : 0.; });
  comparison("lt", operator<,
             [](double a, double b) { return a < b ? 1. : 0.; });
  comparison("le", operator<=,
             [](double a, double b) { return a <= b ? 1. : 0.; });
  comparison("gt", operator>,
             [](double a, double b) { return a > b ? 1. : 0.; });
  comparison("ge", operator>=,
             [](double a, double b) { return a >= b ? 1. : 0.; });
}

void add_logic(std::vector<OpCase>& out) {
  const auto logic = [&](const char* name, Function f, Scalar at) {
    const Input flag{.kind = Kind::boolean};
    OpCase c = binary(name, f, at, flag, flag);
    c.differentiable = false;
    c.specials = false;
    c.integers = OnIntegers::unspecified;
    out.push_back(std::move(c));
  };
  logic("logical_and", logical_and, [](double a, double b) { return a * b; });
  logic("logical_or", logical_or,
        [](double a, double b) { return std::fmax(a, b); });
  logic("logical_xor", logical_xor,
        [](double a, double b) { return a != b ? 1. : 0.; });
  logic(
      "logical_not of and",
      [](Operand a, Operand b) {
        return logical_not(logical_and(std::move(a), std::move(b)));
      },
      [](double a, double b) { return 1 - a * b; });
}

void add_ternary(std::vector<OpCase>& out) {
  OpCase c;
  c.name = "where";
  c.inputs = {{.kind = Kind::boolean}, kAny, kAny};
  c.call = [](const Values& v) { return where(v[0], v[1], v[2]); };
  c.at = [](const double* v) { return v[0] != 0 ? v[1] : v[2]; };
  c.integers = OnIntegers::unspecified;
  c.specials = false;
  out.push_back(c);

  c.name = "where of scalar";
  c.inputs = {{.kind = Kind::boolean}, kAny};
  c.call = [](const Values& v) { return where(v[0], v[1], 0.5); };
  c.at = [](const double* v) { return v[0] != 0 ? v[1] : 0.5; };
  out.push_back(c);

  // Bounds of tensors: x below, between and above them.
  c.name = "clamp by tensors";
  c.inputs = {
      {.low = -3,
       .high = 3,
       .avoid = {-1.4, -1.45, -1.5, -1.55, -1.6, 1.4, 1.45, 1.5, 1.55, 1.6}},
      {.low = -1.6, .high = -1.4},
      {.low = 1.4, .high = 1.6}};
  c.call = [](const Values& v) { return clamp(v[0], v[1], v[2]); };
  c.at = [](const double* v) { return std::clamp(v[0], v[1], v[2]); };
  out.push_back(c);

  c.name = "hardtanh by tensors";
  c.call = [](const Values& v) { return hardtanh(v[0], v[1], v[2]); };
  out.push_back(c);

  c.name = "multiply add";
  c.inputs = {kAny, kAny, kAny};
  c.call = [](const Values& v) { return v[0] * v[1] + v[2]; };
  c.at = [](const double* v) { return v[0] * v[1] + v[2]; };
  c.integers = OnIntegers::kept;
  c.repeatable = true;
  c.slack = 1e-15;
  out.push_back(c);

  c.name = "compound assignment";
  c.call = [](const Values& v) {
    TrackedTensor y = v[0];
    y += v[1];
    y *= v[2];
    y -= v[0];
    y /= 2.0;
    return y;
  };
  c.at = [](const double* v) { return ((v[0] + v[1]) * v[2] - v[0]) / 2; };
  c.integers = OnIntegers::unspecified;
  out.push_back(c);
}

}  // namespace

std::vector<OpCase> binary_cases() {
  std::vector<OpCase> out;
  add_arithmetic(out);
  add_functions(out);
  add_comparisons(out);
  add_logic(out);
  add_ternary(out);
  return out;
}

}  // namespace jacquard::conformance
