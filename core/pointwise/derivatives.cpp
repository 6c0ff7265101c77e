#include "core/pointwise/derivatives.h"

#include <cmath>
#include <numbers>
#include <optional>
#include <string>

#include "jacquard/error.h"

namespace jacquard::pointwise {
namespace {

std::optional<double> literal(Expr e) {
  const Code& code = e.builder->code();
  const Instr& instr = code.instrs[e.ref];
  if (instr.op != Op::constant) return std::nullopt;
  return code.constants[instr.imm].f;
}

// g / b; a product with 1/b where b might be 0.
Expr strong_div(Expr g, Expr b) {
  const auto c = literal(b);
  return c && *c != 0 ? g / b : mulz(g, 1.0 / b);
}

// a², whose own derivative 2a·h is 0 for a zero h even where a is infinite.
Expr square(Expr a) { return mulz(a, a); }

Expr power(Expr a, Expr exponent) {
  const auto p = literal(exponent);
  if (p == 0.0) return a.like(1);
  if (p == 1.0) return a;
  return apply(Op::pow, a, exponent);
}

// ∂/∂a: b·a^(b−1), and 0 for b = 0. ∂/∂b: y·log a, and 0 for a = 0, b > 0.
Expr pow_vjp(const Differential& d, int k) {
  const auto [a, b, unused] = d.args;
  if (k == 0) return mulz(d.cotangent, mulz(b, power(a, b - 1.0)));
  const Expr slope =
      where(logical_and(a == 0.0, b > 0.0), 0.0, mulz(d.y, log(a)));
  return mulz(d.cotangent, slope);
}

Expr atan2_vjp(const Differential& d, int k) {
  const auto [a, b, unused] = d.args;
  const Expr norm = square(a) + square(b);
  return mulz(d.cotangent, k == 0 ? b / norm : -(a / norm));
}

// Half to each of two that are equal.
Expr extremum_vjp(const Differential& d, int k) {
  const Expr mine = d.args[k];
  const Expr other = d.args[1 - k];
  const Expr g = d.cotangent;
  const Expr wins = d.op == Op::minimum ? mine < other : mine > other;
  return where(wins, g, where(mine == other, g * 0.5, 0.0));
}

Expr arithmetic_vjp(const Differential& d, int k) {
  const auto [a, b, c] = d.args;
  const Expr g = d.cotangent;
  switch (d.op) {
    case Op::stop_gradient:
      break;
    case Op::cast:
      return g.cast(a.dtype());
    case Op::attach:
      return k == 0 ? g : mulz(g, c);
    case Op::where:
      return k == 1 ? where(a, g, 0.0) : where(a, 0.0, g);
    case Op::add:
      return g;
    case Op::sub:
      return k == 0 ? g : -g;
    case Op::mul:
      return k == 0 ? g * b : g * a;
    case Op::mulz:
      return k == 0 ? mulz(g, b) : mulz(g, a);
    case Op::div:
      return k == 0 ? strong_div(g, b) : mulz(g, -mulz(1.0 / b, d.y));
    case Op::fmod:
      return k == 0 ? g : mulz(g, -trunc(a / b));
    case Op::remainder:
      return k == 0 ? g : mulz(g, -floor(a / b));
    case Op::minimum:
    case Op::maximum:
      return extremum_vjp(d, k);
    case Op::pow:
      return pow_vjp(d, k);
    case Op::atan2:
      return atan2_vjp(d, k);
    case Op::polygamma:
      if (k == 1) return mulz(g, apply(Op::polygamma, a + 1.0, b));
      break;
    case Op::neg:
      return -g;
    case Op::abs:
      return g * sign(a);
    // From the output: y ≤ 0 exactly where a ≤ 0. NaN passes it on.
    case Op::relu:
      return where(d.y <= 0.0, 0.0, g);
    default:
      break;
  }
  return {};
}

Expr exponential_vjp(const Differential& d) {
  using std::numbers::inv_sqrtpi;
  const Expr a = d.args[0];
  const Expr y = d.y;
  const Expr g = d.cotangent;
  switch (d.op) {
    case Op::exp:
      return mulz(g, y);
    // y + 1 would lose what exp has below the last place of 1.
    case Op::expm1:
      return mulz(g, exp(a));
    case Op::log:
      return mulz(g, 1.0 / a);
    case Op::log1p:
      return mulz(g, 1.0 / (1.0 + a));
    case Op::sqrt:
      return mulz(g, 0.5 / y);
    case Op::rsqrt:
      return mulz(g, -0.5 * mulz(y, square(y)));
    case Op::cbrt:
      return mulz(g, 1.0 / (3.0 * square(y)));
    case Op::sigmoid:
      return g * (y * (1.0 - y));
    case Op::erf:
      return g * (2 * inv_sqrtpi * exp(-square(a)));
    case Op::erfc:
      return g * (-2 * inv_sqrtpi * exp(-square(a)));
    case Op::erfinv:
      return mulz(g, 0.5 / inv_sqrtpi * exp(square(y)));
    case Op::lgamma:
      return mulz(g, digamma(a));
    case Op::digamma:
      return mulz(g, apply(Op::polygamma, a.like(1), a));
    default:
      return {};
  }
}

Expr trigonometric_vjp(const Differential& d) {
  const Expr a = d.args[0];
  const Expr y = d.y;
  const Expr g = d.cotangent;
  switch (d.op) {
    case Op::sin:
      return mulz(g, cos(a));
    case Op::cos:
      return mulz(g, -sin(a));
    case Op::tan:
      return mulz(g, 1.0 + square(y));
    case Op::asin:
      return mulz(g, rsqrt((1.0 - a) * (1.0 + a)));
    case Op::acos:
      return mulz(g, -rsqrt((1.0 - a) * (1.0 + a)));
    case Op::atan:
      return g / (1.0 + square(a));
    case Op::sinh:
      return mulz(g, cosh(a));
    case Op::cosh:
      return mulz(g, sinh(a));
    case Op::tanh:
      return g * (1.0 - y * y);
    case Op::asinh:
      return g * rsqrt(1.0 + square(a));
    case Op::acosh:
      return mulz(g, mulz(rsqrt(a - 1.0), rsqrt(a + 1.0)));
    case Op::atanh:
      return mulz(g, 1.0 / ((1.0 - a) * (1.0 + a)));
    default:
      return {};
  }
}

Expr row_vjp(const Differential& d, int k) {
  const auto [a, b, c] = d.args;
  const Expr y = d.y;
  const Expr g = d.cotangent;
  switch (d.op) {
    case Op::row_sum:
      return g;
    case Op::row_mean:
      return g / row_length(g);
    case Op::row_max: {
      const Expr ties = row_sum((a == y).cast(g.dtype()));
      return where(a == y, mulz(g, 1.0 / ties), 0.0);
    }
    case Op::row_logsumexp:
      return mulz(g, row_softmax(a));
    case Op::row_pick: {
      const Expr position{g.builder, g.builder->row_index()};
      return where(position == b, g, 0.0);
    }
    case Op::row_softmax:
      return mulz(g - row_sum(mulz(g, y)), y);
    case Op::row_log_softmax:
      return g - mulz(row_sum(g), exp(y));
    case Op::row_normalize: {
      if (k == 0) return apply(Op::row_normalize_vjp, a, g, b);
      const Expr offset = a - row_mean(a);
      const Expr scale = rsqrt(row_mean(offset * offset) + b);
      return mulz(row_sum(g * y), -0.5 * scale * scale);
    }
    default:
      return {};
  }
}

Expr row_jvp(const Differential& d, int k) {
  const auto [a, b, c] = d.args;
  const Expr y = d.y;
  const Expr t = d.cotangent;
  switch (d.op) {
    case Op::row_sum:
      return row_sum(t);
    case Op::row_mean:
      return row_mean(t);
    case Op::row_max: {
      const Expr ties = row_sum((a == y).cast(t.dtype()));
      return row_sum(where(a == y, t, 0.0)) / ties;
    }
    case Op::row_logsumexp:
      return row_sum(mulz(t, row_softmax(a)));
    case Op::row_pick:
      return apply(Op::row_pick, t, b);
    case Op::row_log_softmax:
      return t - row_sum(mulz(t, exp(y)));
    case Op::row_normalize: {
      if (k == 0) break;
      const Expr offset = a - row_mean(a);
      const Expr scale = rsqrt(row_mean(offset * offset) + b);
      return mulz(t, -0.5 * scale * scale) * y;
    }
    default:
      break;
  }
  // The others are symmetric.
  return vjp(d, k);
}

}  // namespace

bool has_derivative(Op op, int k) {
  if (stops_gradient(op, k)) return false;
  switch (op) {
    case Op::sign:
    case Op::floor:
    case Op::ceil:
    case Op::trunc:
    case Op::round:
    case Op::row_argmax:
    case Op::row_argmin:
      return false;
    case Op::where:
      return k > 0;
    case Op::row_pick:
      return k == 0;
    default:
      return info(op).cls != OpClass::b && info(op).cls != OpClass::l;
  }
}

bool is_row_operand(Op op, int k) {
  return k > 0 && (op == Op::row_pick || op == Op::row_normalize);
}

Expr vjp(const Differential& d, int k) {
  Expr out = is_row(d.op) ? row_vjp(d, k) : arithmetic_vjp(d, k);
  if (!out) out = exponential_vjp(d);
  if (!out) out = trigonometric_vjp(d);
  if (!out)
    throw GraphError(std::string(info(d.op).name) +
                     ": no derivative by operand " + std::to_string(k));
  return out;
}

Expr jvp(const Differential& d, int k) {
  if (is_row(d.op)) return row_jvp(d, k);
  // A cast's tangent goes the way of its value.
  if (d.op == Op::cast) return d.cotangent.cast(d.y.dtype());
  return vjp(d, k);
}

Expr expanded_row_normalize_vjp(Expr x, Expr g, Expr e) {
  const Expr offset = x - row_mean(x);
  const Expr scale = rsqrt(row_mean(offset * offset) + e);
  const Expr y = offset * scale;
  return scale * (g - row_mean(g) - y * row_mean(g * y));
}

}  // namespace jacquard::pointwise
