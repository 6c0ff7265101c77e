// Steps that grow pending expressions.
#include <cmath>
#include <limits>

#include "tests/fuzz/program.h"

namespace jacquard::fuzz {
namespace {

using T = TrackedTensor;
constexpr double kAny = std::numeric_limits<double>::infinity();

// A function of one floating operand, whose numbers should lie in a range.
void unary(std::vector<Operation>& out, const char* name,
           std::function<T(const T&)> f, double low, double high) {
  out.push_back({name, 2,
                 [=](Sketch& k, Step& s) {
                   const int i = k.pick_floating();
                   if (i < 0 || !k.within(i, low, high)) return false;
                   s.in = {i};
                   return true;
                 },
                 [f = std::move(f)](Machine& m, const Step& s) {
                   return f(operand(m, s, 0));
                 }});
}

// A function of two operands that broadcast.
void binary(std::vector<Operation>& out, const char* name,
            std::function<T(const T&, const T&)> f,
            std::function<bool(Sketch&, int, int)> fits, int weight = 4) {
  out.push_back({name, weight,
                 [fits = std::move(fits)](Sketch& k, Step& s) {
                   const int a = k.pick_floating();
                   const int b = a < 0 ? a : k.pick_fitting(a, true);
                   if (b < 0) return false;
                   s.in = k.random.chance(0.5) ? std::vector<int>{a, b}
                                               : std::vector<int>{b, a};
                   return fits(k, s.in[0], s.in[1]);
                 },
                 [f = std::move(f)](Machine& m, const Step& s) {
                   return f(operand(m, s, 0), operand(m, s, 1));
                 }});
}

// A function of a floating operand and a host scalar.
void with_scalar(std::vector<Operation>& out, const char* name,
                 std::function<T(const T&, double)> f, double low,
                 double high) {
  out.push_back({name, 4,
                 [=](Sketch& k, Step& s) {
                   const int i = k.pick_floating();
                   if (i < 0 || !k.within(i, low, high)) return false;
                   s.in = {i};
                   s.s[0] = k.random.between(0.25, 2);
                   return true;
                 },
                 [f = std::move(f)](Machine& m, const Step& s) {
                   return f(operand(m, s, 0), s.s[0]);
                 }});
}

void add_functions(std::vector<Operation>& out) {
  unary(
      out, "exp", [](const T& x) { return exp(x); }, -20, 4);
  unary(
      out, "expm1", [](const T& x) { return expm1(x); }, -20, 4);
  unary(
      out, "log", [](const T& x) { return log(x); }, 0.05, kAny);
  unary(
      out, "log1p", [](const T& x) { return log1p(x); }, -0.9, kAny);
  unary(
      out, "log2", [](const T& x) { return log2(x); }, 0.05, kAny);
  unary(
      out, "log10", [](const T& x) { return log10(x); }, 0.05, kAny);
  unary(
      out, "exp2", [](const T& x) { return exp2(x); }, -20, 5);
  unary(
      out, "sqrt", [](const T& x) { return sqrt(x); }, 0.02, kAny);
  unary(
      out, "rsqrt", [](const T& x) { return rsqrt(x); }, 0.05, kAny);
  unary(
      out, "cbrt", [](const T& x) { return cbrt(x); }, 0.05, kAny);
  unary(
      out, "sin", [](const T& x) { return sin(x); }, -kAny, kAny);
  unary(
      out, "cos", [](const T& x) { return cos(x); }, -kAny, kAny);
  unary(
      out, "tan", [](const T& x) { return tan(x); }, -1.2, 1.2);
  unary(
      out, "asin", [](const T& x) { return asin(x); }, -0.9, 0.9);
  unary(
      out, "acos", [](const T& x) { return acos(x); }, -0.9, 0.9);
  unary(
      out, "atan", [](const T& x) { return atan(x); }, -kAny, kAny);
  unary(
      out, "sinh", [](const T& x) { return sinh(x); }, -4, 4);
  unary(
      out, "cosh", [](const T& x) { return cosh(x); }, -4, 4);
  unary(
      out, "tanh", [](const T& x) { return tanh(x); }, -kAny, kAny);
  unary(
      out, "asinh", [](const T& x) { return asinh(x); }, -kAny, kAny);
  unary(
      out, "acosh", [](const T& x) { return acosh(x); }, 1.1, kAny);
  unary(
      out, "atanh", [](const T& x) { return atanh(x); }, -0.9, 0.9);
  unary(
      out, "sigmoid", [](const T& x) { return sigmoid(x); }, -kAny, kAny);
  unary(
      out, "erf", [](const T& x) { return erf(x); }, -kAny, kAny);
  unary(
      out, "erfc", [](const T& x) { return erfc(x); }, -kAny, kAny);
  unary(
      out, "erfinv", [](const T& x) { return erfinv(x); }, -0.9, 0.9);
  unary(
      out, "lgamma", [](const T& x) { return lgamma(x); }, 0.2, kAny);
  unary(
      out, "digamma", [](const T& x) { return digamma(x); }, 0.2, kAny);
  unary(
      out, "trigamma", [](const T& x) { return polygamma(1, x); }, 0.3, kAny);
  unary(
      out, "square", [](const T& x) { return square(x); }, -kAny, kAny);
  unary(
      out, "reciprocal", [](const T& x) { return reciprocal(x); }, 0.1, kAny);
  unary(
      out, "neg", [](const T& x) { return -x; }, -kAny, kAny);
  unary(
      out, "abs", [](const T& x) { return abs(x); }, -kAny, kAny);
  unary(
      out, "sign", [](const T& x) { return sign(x); }, -kAny, kAny);
  unary(
      out, "floor", [](const T& x) { return floor(x); }, -kAny, kAny);
  unary(
      out, "ceil", [](const T& x) { return ceil(x); }, -kAny, kAny);
  unary(
      out, "trunc", [](const T& x) { return trunc(x); }, -kAny, kAny);
  unary(
      out, "round", [](const T& x) { return round(x); }, -kAny, kAny);
  unary(
      out, "times itself stopped",
      [](const T& x) { return x * stop_gradient(x); }, -kAny, kAny);
  unary(
      out, "double", [](const T& x) { return x + x; }, -kAny, kAny);
  unary(
      out, "x minus x", [](const T& x) { return x - x; }, -kAny, kAny);
}

void add_activations(std::vector<Operation>& out) {
  unary(
      out, "relu", [](const T& x) { return relu(x); }, -kAny, kAny);
  unary(
      out, "softplus", [](const T& x) { return softplus(x); }, -kAny, kAny);
  unary(
      out, "logsigmoid", [](const T& x) { return logsigmoid(x); }, -kAny, kAny);
  unary(
      out, "silu", [](const T& x) { return silu(x); }, -kAny, kAny);
  unary(
      out, "softsign", [](const T& x) { return softsign(x); }, -kAny, kAny);
  unary(
      out, "mish", [](const T& x) { return mish(x); }, -kAny, kAny);
  unary(
      out, "tanhshrink", [](const T& x) { return tanhshrink(x); }, -kAny, kAny);
  unary(
      out, "hardsigmoid", [](const T& x) { return hardsigmoid(x); }, -kAny,
      kAny);
  unary(
      out, "hardswish", [](const T& x) { return hardswish(x); }, -kAny, kAny);
  unary(
      out, "relu6", [](const T& x) { return relu6(x); }, -kAny, kAny);
  unary(
      out, "selu", [](const T& x) { return selu(x); }, -kAny, kAny);
  unary(
      out, "leaky_relu", [](const T& x) { return leaky_relu(x); }, -kAny, kAny);
  unary(
      out, "elu", [](const T& x) { return elu(x); }, -kAny, kAny);
  unary(
      out, "celu", [](const T& x) { return celu(x, 0.5); }, -kAny, kAny);
  unary(
      out, "gelu", [](const T& x) { return gelu(x); }, -kAny, kAny);
  unary(
      out, "gelu tanh", [](const T& x) { return gelu(x, Gelu::tanh); }, -kAny,
      kAny);
  unary(
      out, "hardtanh", [](const T& x) { return hardtanh(x); }, -kAny, kAny);
  unary(
      out, "hardshrink", [](const T& x) { return hardshrink(x); }, -kAny, kAny);
  unary(
      out, "softshrink", [](const T& x) { return softshrink(x); }, -kAny, kAny);
  unary(
      out, "fused",
      [](const T& x) {
        return fused([](const T& v) { return v * tanh(v) + 0.5; }, x);
      },
      -kAny, kAny);
}

void add_pairs(std::vector<Operation>& out) {
  const auto always = [](Sketch&, int, int) { return true; };
  const auto positive = [](Sketch& k, int a, int b) {
    return k.within(a, 0.1, 5) && k.within(b, -4, 4);
  };
  const auto divisor = [](Sketch& k, int, int b) {
    return k.within(b, 0.1, kAny);
  };
  binary(
      out, "add", [](const T& a, const T& b) { return a + b; }, always, 12);
  binary(
      out, "sub", [](const T& a, const T& b) { return a - b; }, always, 10);
  binary(
      out, "mul", [](const T& a, const T& b) { return a * b; }, always, 14);
  binary(
      out, "div", [](const T& a, const T& b) { return a / b; }, divisor);
  binary(
      out, "minimum", [](const T& a, const T& b) { return minimum(a, b); },
      always);
  binary(
      out, "maximum", [](const T& a, const T& b) { return maximum(a, b); },
      always);
  binary(
      out, "mulz", [](const T& a, const T& b) { return mulz(a, b); }, always);
  binary(
      out, "pow", [](const T& a, const T& b) { return pow(a, b); }, positive);
  binary(
      out, "atan2", [](const T& a, const T& b) { return atan2(a, b); },
      divisor);
  binary(
      out, "hypot", [](const T& a, const T& b) { return hypot(a, b); },
      divisor);
  binary(
      out, "logaddexp", [](const T& a, const T& b) { return logaddexp(a, b); },
      always);
  binary(
      out, "xlogy", [](const T& a, const T& b) { return xlogy(a, b); },
      divisor);
  binary(
      out, "fmod", [](const T& a, const T& b) { return fmod(a, b); }, divisor);
  binary(
      out, "remainder", [](const T& a, const T& b) { return a % b; }, divisor);
  binary(
      out, "lt", [](const T& a, const T& b) { return a < b; }, always);
  binary(
      out, "ge", [](const T& a, const T& b) { return a >= b; }, always);
  binary(
      out, "eq", [](const T& a, const T& b) { return eq(a, b); }, always);
}

void add_scalars(std::vector<Operation>& out) {
  with_scalar(
      out, "plus scalar", [](const T& x, double s) { return x + s; }, -kAny,
      kAny);
  with_scalar(
      out, "scalar minus", [](const T& x, double s) { return s - x; }, -kAny,
      kAny);
  with_scalar(
      out, "times scalar", [](const T& x, double s) { return x * s; }, -kAny,
      kAny);
  with_scalar(
      out, "by scalar", [](const T& x, double s) { return x / s; }, -kAny,
      kAny);
  with_scalar(
      out, "scalar over", [](const T& x, double s) { return s / x; }, 0.1,
      kAny);
  with_scalar(
      out, "max with scalar",
      [](const T& x, double s) { return maximum(x, s); }, -kAny, kAny);
  with_scalar(
      out, "clamp", [](const T& x, double s) { return clamp(x, -s, s + 0.5); },
      -kAny, kAny);
  with_scalar(
      out, "pow scalar", [](const T& x, double s) { return pow(x, s); }, 0.1,
      5);
  with_scalar(
      out, "cubed", [](const T& x, double) { return pow(x, 3); }, -5, 5);
  with_scalar(
      out, "root", [](const T& x, double) { return pow(x, 0.5); }, 0.05, kAny);
  with_scalar(
      out, "inverse square", [](const T& x, double) { return pow(x, -2); }, 0.3,
      kAny);
  with_scalar(
      out, "above scalar", [](const T& x, double s) { return x > s; }, -kAny,
      kAny);
}

bool is_bool(const T& t) { return t.dtype() == DType::bool_; }
bool is_int(const T& t) { return is_integer(t.dtype()); }

// Choices, casts, and arithmetic of integers and bools.
void add_other_dtypes(std::vector<Operation>& out) {
  out.push_back({"where", 6,
                 [](Sketch& k, Step& s) {
                   const int c = k.pick(is_bool);
                   const int a = c < 0 ? c : k.pick_fitting(c, true);
                   if (a < 0) return false;
                   const int b = k.pick_fitting(
                       broadcast(k[c].shape(), k[a].shape(), "where"), true);
                   s.in = {c, a, b};
                   return b >= 0;
                 },
                 [](Machine& m, const Step& s) {
                   return where(operand(m, s, 0), operand(m, s, 1),
                                operand(m, s, 2));
                 }});
  out.push_back({"cast", 6,
                 [](Sketch& k, Step& s) {
                   const int i = k.pick([](const T&) { return true; });
                   if (i < 0) return false;
                   constexpr DType types[] = {DType::int32,   DType::int64,
                                              DType::float16, DType::bfloat16,
                                              DType::float32, DType::float64};
                   s.in = {i};
                   s.dtype =
                       is_floating(k[i].dtype()) && k.random.chance(0.7)
                           ? k.dtypes[static_cast<std::size_t>(k.random.below(
                                 static_cast<std::int64_t>(k.dtypes.size())))]
                           : types[k.random.below(6)];
                   return k.within(i, -1000, 1000) || is_floating(s.dtype);
                 },
                 [](Machine& m, const Step& s) {
                   return cast(operand(m, s, 0), s.dtype);
                 }});
  out.push_back({"integers", 4,
                 [](Sketch& k, Step& s) {
                   const int a = k.pick(is_int);
                   const int b = a < 0 ? a : k.pick_fitting(a, false);
                   s.in = {a, b};
                   s.n[0] = k.random.below(5);
                   return b >= 0 && !is_bool(k[b]);
                 },
                 [](Machine& m, const Step& s) {
                   const T &a = operand(m, s, 0), &b = operand(m, s, 1);
                   switch (s.n[0]) {
                     case 0:
                       return a + b;
                     case 1:
                       return a - b;
                     case 2:
                       return a * b;
                     case 3:
                       return maximum(a, b);
                     default:
                       return abs(a) + 1;
                   }
                 }});
  out.push_back({"logic", 3,
                 [](Sketch& k, Step& s) {
                   const int a = k.pick(is_bool);
                   if (a < 0) return false;
                   s.in = {a, a};
                   for (int tries = 0; tries < 4 && s.in[1] == a; ++tries) {
                     const int b = k.pick_fitting(a, false);
                     if (b >= 0 && is_bool(k[b])) s.in[1] = b;
                   }
                   s.n[0] = k.random.below(3);
                   return true;
                 },
                 [](Machine& m, const Step& s) {
                   const T &a = operand(m, s, 0), &b = operand(m, s, 1);
                   return s.n[0] == 0   ? logical_and(a, b)
                          : s.n[0] == 1 ? logical_or(a, logical_not(b))
                                        : logical_xor(a, b);
                 }});
}

}  // namespace

void add_elementwise(std::vector<Operation>& out) {
  add_functions(out);
  add_activations(out);
  add_pairs(out);
  add_scalars(out);
  add_other_dtypes(out);
}

}  // namespace jacquard::fuzz
