// Activations.
#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/conformance/op_case.h"

namespace jacquard::conformance {
namespace {

using T = TrackedTensor;
using Scalar = double (*)(double);

OpCase activation(const char* name, std::function<T(T)> f, Scalar at,
                  std::vector<double> avoid = {}) {
  OpCase c;
  c.name = name;
  c.inputs = {{.low = -4, .high = 4, .avoid = std::move(avoid)}};
  c.call = [f = std::move(f)](const Values& v) { return f(v[0]); };
  c.at = [at](const double* x) { return at(x[0]); };
  c.integers = OnIntegers::unspecified;
  c.tolerance = 4e-14;
  c.slack = 2e-15;
  return c;
}

double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }
double softplus_of(double x) {
  return std::isnan(x) ? x
                       : std::fmax(x, 0.) + std::log1p(std::exp(-std::abs(x)));
}
double clamp_of(double x, double lo, double hi) {
  return x < lo ? lo : x > hi ? hi : x;
}
// x·gate, and 0 where the gate is closed.
double gated(double x, double gate) { return gate == 0 ? 0 : x * gate; }

double gelu_tanh_of(double x) {
  if (std::isinf(x)) return x > 0 ? x : 0;
  const double u =
      std::sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x);
  return gated(x, sigmoid_of(2 * u));
}

constexpr double kAlpha = 1.6732632423543772848170429916717;
constexpr double kScale = 1.0507009873554804934193349852946;

void add_smooth(std::vector<OpCase>& out) {
  out.push_back(activation(
      "softplus", [](T x) { return softplus(x); }, softplus_of));
  out.push_back(activation(
      "logsigmoid", [](T x) { return logsigmoid(x); },
      [](double x) { return -softplus_of(-x); }));
  out.push_back(activation(
      "silu", [](T x) { return silu(x); },
      [](double x) { return gated(x, sigmoid_of(x)); }));
  out.push_back(activation(
      "mish", [](T x) { return mish(x); },
      [](double x) { return gated(x, std::tanh(softplus_of(x))); }));
  out.push_back(activation(
      "gelu", [](T x) { return gelu(x); },
      [](double x) { return gated(x, 0.5 * std::erfc(-x * std::sqrt(0.5))); }));
  out.push_back(activation(
      "gelu tanh", [](T x) { return gelu(x, Gelu::tanh); }, gelu_tanh_of));
  out.push_back(activation(
      "tanhshrink", [](T x) { return tanhshrink(x); },
      [](double x) { return x - std::tanh(x); }));
  out.push_back(activation(
      "softsign", [](T x) { return softsign(x); },
      [](double x) {
        return std::isinf(x) ? std::copysign(1., x) : x / (1 + std::abs(x));
      },
      {0}));
}

void add_piecewise(std::vector<OpCase>& out) {
  out.push_back(activation(
      "hardsigmoid", [](T x) { return hardsigmoid(x); },
      [](double x) { return clamp_of(x / 6 + 0.5, 0, 1); }, {-3, 3}));
  out.push_back(activation(
      "hardswish", [](T x) { return hardswish(x); },
      [](double x) { return gated(x, clamp_of(x / 6 + 0.5, 0, 1)); }, {-3, 3}));
  out.push_back(activation(
      "relu6", [](T x) { return relu6(x); },
      [](double x) { return clamp_of(x, 0, 6); }, {0}));
  out.push_back(activation(
      "selu", [](T x) { return selu(x); },
      [](double x) {
        return x > 0 ? kScale * x : kScale * kAlpha * std::expm1(x);
      },
      {0}));
  out.push_back(activation(
      "leaky_relu", [](T x) { return leaky_relu(x); },
      [](double x) { return x > 0 ? x : 0.01 * x; }, {0}));
  out.push_back(activation(
      "elu", [](T x) { return elu(x, 0.7); },
      [](double x) { return x > 0 ? x : 0.7 * std::expm1(x); }, {0}));
  out.push_back(activation(
      "celu", [](T x) { return celu(x, 0.7); },
      [](double x) { return x > 0 ? x : 0.7 * std::expm1(x / 0.7); }, {0}));
  out.push_back(activation(
      "hardtanh", [](T x) { return hardtanh(x); },
      [](double x) { return clamp_of(x, -1, 1); }, {-1, 1}));
  out.push_back(activation(
      "hardshrink", [](T x) { return hardshrink(x); },
      [](double x) { return std::abs(x) <= 0.5 ? 0 : x; }, {-0.5, 0.5}));
  out.push_back(activation(
      "softshrink", [](T x) { return softshrink(x); },
      [](double x) { return x - clamp_of(x, -0.5, 0.5); }, {-0.5, 0.5}));
}

// Parameters that are tensors, differentiated, too.
OpCase with_parameter(const char* name, T (*f)(Operand, Operand),
                      double (*at)(double, double), double low, double high) {
  OpCase c;
  c.name = name;
  c.inputs = {{.low = -3, .high = 3, .avoid = {0}}, {.low = low, .high = high}};
  c.call = [f](const Values& v) { return f(v[0], v[1]); };
  c.at = [at](const double* v) { return at(v[0], v[1]); };
  c.integers = OnIntegers::unspecified;
  c.specials = false;
  c.tolerance = 4e-14;
  c.slack = 2e-15;
  return c;
}

}  // namespace

std::vector<OpCase> activation_cases() {
  std::vector<OpCase> out;
  add_smooth(out);
  add_piecewise(out);
  out.push_back(with_parameter(
      "leaky_relu by tensor", leaky_relu,
      [](double x, double a) { return x > 0 ? x : a * x; }, 0.1, 0.5));
  out.push_back(with_parameter(
      "elu by tensor", elu,
      [](double x, double a) { return x > 0 ? x : a * std::expm1(x); }, 0.5,
      1.5));
  out.push_back(with_parameter(
      "celu by tensor", celu,
      [](double x, double a) { return x > 0 ? x : a * std::expm1(x / a); }, 0.5,
      1.5));
  // Operands above every bound: none is near the kink.
  OpCase shrink = with_parameter(
      "softshrink by tensor", softshrink,
      [](double x, double a) { return x - clamp_of(x, -a, a); }, 0.4, 0.6);
  shrink.inputs[0] = {.low = 0.7, .high = 3};
  out.push_back(shrink);
  OpCase hard = shrink;
  hard.name = "hardshrink by tensor";
  hard.call = [](const Values& v) { return hardshrink(v[0], v[1]); };
  hard.at = [](const double* v) { return std::abs(v[0]) <= v[1] ? 0 : v[0]; };
  hard.first_decides = true;
  out.push_back(hard);
  return out;
}

}  // namespace jacquard::conformance
