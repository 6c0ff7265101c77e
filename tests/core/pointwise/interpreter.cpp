#include "tests/core/pointwise/interpreter.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <stdexcept>

namespace jacquard::pointwise {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

// ψ(x), x > 0: recurrence up to 20, then the asymptotic series.
double digamma(double x) {
  double out = 0;
  for (; x < 20; x += 1) out -= 1 / x;
  const double r = 1 / (x * x);
  return out + std::log(x) - 0.5 / x -
         r * (1.0 / 12 - r * (1.0 / 120 - r * (1.0 / 252 - r / 240)));
}

// ψ⁽ⁿ⁾(x) = (−1)ⁿ⁺¹ n! ζ(n + 1, x), ζ by Euler and Maclaurin.
double polygamma(int n, double x) {
  const double s = n + 1;
  double zeta = 0;
  for (; x < 30; x += 1) zeta += std::pow(x, -s);
  zeta += std::pow(x, 1 - s) / (s - 1) + 0.5 * std::pow(x, -s);
  zeta += s / 12 * std::pow(x, -s - 1);
  zeta -= s * (s + 1) * (s + 2) / 720 * std::pow(x, -s - 3);
  zeta +=
      s * (s + 1) * (s + 2) * (s + 3) * (s + 4) / 30240 * std::pow(x, -s - 5);
  return (n % 2 ? 1 : -1) * std::tgamma(s) * zeta;
}

double erfinv(double y) {
  if (std::fabs(y) >= 1) return std::fabs(y) > 1 ? kNaN : y * kInf;
  double x = 0;
  for (int i = 0; i < 100; ++i)
    x -= (std::erf(x) - y) * std::sqrt(std::numbers::pi) / 2 * std::exp(x * x);
  return x;
}

double unary(Op op, double a) {
  switch (op) {
    case Op::neg:
      return -a;
    case Op::abs:
      return std::fabs(a);
    case Op::sign:
      return a > 0 ? 1 : a < 0 ? -1 : a == 0 ? 0 : kNaN;
    case Op::relu:
      return a <= 0 ? 0 : a;
    case Op::floor:
      return std::floor(a);
    case Op::ceil:
      return std::ceil(a);
    case Op::trunc:
      return std::trunc(a);
    case Op::round:
      return std::nearbyint(a);
    case Op::exp:
      return std::exp(a);
    case Op::expm1:
      return std::expm1(a);
    case Op::log:
      return std::log(a);
    case Op::log1p:
      return std::log1p(a);
    case Op::sqrt:
      return std::sqrt(a);
    case Op::rsqrt:
      return 1 / std::sqrt(a);
    case Op::cbrt:
      return std::cbrt(a);
    case Op::sin:
      return std::sin(a);
    case Op::cos:
      return std::cos(a);
    case Op::tan:
      return std::tan(a);
    case Op::asin:
      return std::asin(a);
    case Op::acos:
      return std::acos(a);
    case Op::atan:
      return std::atan(a);
    case Op::sinh:
      return std::sinh(a);
    case Op::cosh:
      return std::cosh(a);
    case Op::tanh:
      return std::tanh(a);
    case Op::asinh:
      return std::asinh(a);
    case Op::acosh:
      return std::acosh(a);
    case Op::atanh:
      return std::atanh(a);
    case Op::sigmoid:
      return 1 / (1 + std::exp(-a));
    case Op::erf:
      return std::erf(a);
    case Op::erfc:
      return std::erfc(a);
    case Op::erfinv:
      return erfinv(a);
    case Op::lgamma:
      return std::lgamma(a);
    case Op::digamma:
      return digamma(a);
    case Op::is_nan:
      return std::isnan(a);
    case Op::is_inf:
      return std::isinf(a);
    case Op::is_finite:
      return std::isfinite(a);
    case Op::logical_not:
      return a == 0;
    case Op::stop_gradient:
      return a;
    default:
      throw std::logic_error(info(op).name);
  }
}

double binary(Op op, double a, double b) {
  switch (op) {
    case Op::add:
      return a + b;
    case Op::sub:
      return a - b;
    case Op::mul:
      return a * b;
    case Op::div:
      return a / b;
    case Op::mulz:
      return a == 0 ? 0 : a * b;
    case Op::fmod:
      return std::fmod(a, b);
    case Op::remainder:
      return a - b * std::floor(a / b);
    case Op::minimum:
      return a < b || std::isnan(a) ? a : b;
    case Op::maximum:
      return a > b || std::isnan(a) ? a : b;
    case Op::pow:
      return std::pow(a, b);
    case Op::atan2:
      return std::atan2(a, b);
    case Op::polygamma:
      return polygamma(static_cast<int>(a), b);
    case Op::eq:
      return a == b;
    case Op::ne:
      return a != b;
    case Op::lt:
      return a < b;
    case Op::le:
      return a <= b;
    case Op::gt:
      return a > b;
    case Op::ge:
      return a >= b;
    case Op::logical_and:
      return a != 0 && b != 0;
    case Op::logical_or:
      return a != 0 || b != 0;
    case Op::logical_xor:
      return (a != 0) != (b != 0);
    default:
      throw std::logic_error(info(op).name);
  }
}

double rounded(double v, DType t) {
  const float f = static_cast<float>(v);
  switch (t) {
    case DType::float32:
      return f;
    case DType::float16:
      return half_to_float(float_to_half(f));
    case DType::bfloat16:
      return bfloat16_to_float(float_to_bfloat16(f));
    case DType::int32:
      return static_cast<std::int32_t>(
          static_cast<std::uint32_t>(static_cast<std::int64_t>(v)));
    default:
      return v;
  }
}

double cast(double v, DType from, DType to) {
  if (to == DType::bool_) return v != 0;
  if (!is_integer(to) || !is_floating(from)) return rounded(v, to);
  const double limit = to == DType::int32 ? 0x1p31 : 0x1p63;
  return std::fabs(v) < limit ? std::trunc(v) : -limit;
}

using Row = std::vector<double>;

double sum(const Row& r) {
  double s = 0;
  for (double v : r) s += v;
  return s;
}

double mean(const Row& r) { return sum(r) / static_cast<double>(r.size()); }

double logsumexp(const Row& r) {
  const double m = *std::max_element(r.begin(), r.end());
  double s = 0;
  for (double v : r) s += std::exp(v - m);
  return m + std::log(s);
}

Row normalize(const Row& a, double eps, double* scale) {
  const double m = mean(a);
  Row out = a;
  double var = 0;
  for (double& v : out) var += (v - m) * (v - m);
  *scale = 1 / std::sqrt(var / static_cast<double>(a.size()) + eps);
  for (double& v : out) v = (v - m) * *scale;
  return out;
}

Row normalize_vjp(const Row& a, const Row& g, double eps) {
  double scale;
  const Row y = normalize(a, eps, &scale);
  Row gy = g;
  for (std::size_t i = 0; i < gy.size(); ++i) gy[i] *= y[i];
  Row out = g;
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = scale * (g[i] - mean(g) - y[i] * mean(gy));
  return out;
}

Row row_op(Op op, std::size_t cols, const Row& a, const Row& b, const Row& c) {
  const auto all = [cols](double v) { return Row(cols, v); };
  Row out = a;
  double scale;
  switch (op) {
    case Op::row_sum:
      return all(sum(a));
    case Op::row_length:
      return all(static_cast<double>(cols));
    case Op::row_mean:
      return all(mean(a));
    case Op::row_max:
      return all(*std::max_element(a.begin(), a.end()));
    case Op::row_logsumexp:
      return all(logsumexp(a));
    case Op::row_argmax:
      return all(static_cast<double>(std::max_element(a.begin(), a.end()) -
                                     a.begin()));
    case Op::row_argmin:
      return all(static_cast<double>(std::min_element(a.begin(), a.end()) -
                                     a.begin()));
    case Op::row_pick:
      return all(a[static_cast<std::size_t>(b[0])]);
    case Op::row_index:
      for (std::size_t i = 0; i < cols; ++i)
        out.push_back(static_cast<double>(i));
      return out;
    case Op::row_softmax:
      for (double& v : out) v = std::exp(v - logsumexp(a));
      return out;
    case Op::row_log_softmax:
      for (double& v : out) v -= logsumexp(a);
      return out;
    case Op::row_normalize:
      return normalize(a, b[0], &scale);
    case Op::row_normalize_vjp:
      return normalize_vjp(a, b, c[0]);
    default:
      throw std::logic_error(info(op).name);
  }
}

}  // namespace

std::vector<Row> evaluate(const Code& code, const Inputs& in) {
  const auto rows = static_cast<std::size_t>(in.rows);
  const auto cols = static_cast<std::size_t>(in.cols);
  const std::size_t n = rows * cols;
  std::vector<Row> values;
  for (const Instr& i : code.instrs) {
    Row out(n);
    const auto arg = [&](int k) -> const Row& { return values[i.args[k]]; };
    const auto row = [&](int k, std::size_t r) {
      if (k >= info(i.op).arity) return Row();
      const auto begin = arg(k).begin() + static_cast<std::ptrdiff_t>(r * cols);
      return Row(begin, begin + static_cast<std::ptrdiff_t>(cols));
    };
    if (is_row(i.op)) {
      for (std::size_t r = 0; r < rows; ++r) {
        const Row v = row_op(i.op, cols, row(0, r), row(1, r), row(2, r));
        std::copy(v.begin(), v.end(),
                  out.begin() + static_cast<std::ptrdiff_t>(r * cols));
      }
    }
    for (std::size_t e = 0; e < n; ++e) {
      if (i.op == Op::load)
        out[e] = in.leaves[i.imm][e];
      else if (i.op == Op::slot)
        out[e] = in.slots[i.imm];
      else if (i.op == Op::constant)
        out[e] = is_floating(i.dtype)
                     ? code.constants[i.imm].f
                     : static_cast<double>(code.constants[i.imm].i);
      else if (i.op == Op::cast)
        out[e] = cast(arg(0)[e], code.instrs[i.args[0]].dtype, i.dtype);
      else if (i.op == Op::attach)
        out[e] = arg(0)[e];
      else if (i.op == Op::where)
        out[e] = arg(0)[e] != 0 ? arg(1)[e] : arg(2)[e];
      else if (!is_row(i.op))
        out[e] = info(i.op).arity == 1 ? unary(i.op, arg(0)[e])
                                       : binary(i.op, arg(0)[e], arg(1)[e]);
      out[e] = rounded(out[e], i.dtype);
    }
    values.push_back(std::move(out));
  }
  std::vector<Row> outputs;
  for (const Output& o : code.outputs) outputs.push_back(values[o.value]);
  return outputs;
}

}  // namespace jacquard::pointwise
