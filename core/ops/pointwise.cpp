#include "jacquard/pointwise.h"

#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "core/ops/as_tensor.h"
#include "core/ops/term.h"
#include "core/tape/call.h"
#include "core/tape/pending.h"
#include "jacquard/error.h"

namespace jacquard {

using ops::Term;
using tape::Op;

#define JACQUARD_UNARY(function, op)                     \
  TrackedTensor function(Operand x) {                    \
    return tape::apply(#function, Op::op, std::move(x)); \
  }
#define JACQUARD_BINARY(function, name, op)                       \
  TrackedTensor function(Operand a, Operand b) {                  \
    return tape::apply(name, Op::op, std::move(a), std::move(b)); \
  }

JACQUARD_BINARY(operator+, "add", add)
JACQUARD_BINARY(operator-, "sub", sub)
JACQUARD_BINARY(operator*, "mul", mul)
JACQUARD_BINARY(operator/, "div", div)
JACQUARD_BINARY(operator%, "remainder", remainder)
TrackedTensor operator-(Operand x) {
  return tape::apply("neg", Op::neg, std::move(x));
}

JACQUARD_UNARY(abs, abs)
JACQUARD_UNARY(sign, sign)
JACQUARD_UNARY(exp, exp)
JACQUARD_UNARY(expm1, expm1)
JACQUARD_UNARY(log, log)
JACQUARD_UNARY(log1p, log1p)
JACQUARD_UNARY(sqrt, sqrt)
JACQUARD_UNARY(rsqrt, rsqrt)
JACQUARD_UNARY(cbrt, cbrt)
JACQUARD_UNARY(sin, sin)
JACQUARD_UNARY(cos, cos)
JACQUARD_UNARY(tan, tan)
JACQUARD_UNARY(asin, asin)
JACQUARD_UNARY(acos, acos)
JACQUARD_UNARY(atan, atan)
JACQUARD_UNARY(sinh, sinh)
JACQUARD_UNARY(cosh, cosh)
JACQUARD_UNARY(tanh, tanh)
JACQUARD_UNARY(asinh, asinh)
JACQUARD_UNARY(acosh, acosh)
JACQUARD_UNARY(atanh, atanh)
JACQUARD_UNARY(sigmoid, sigmoid)
JACQUARD_UNARY(erf, erf)
JACQUARD_UNARY(erfc, erfc)
JACQUARD_UNARY(erfinv, erfinv)
JACQUARD_UNARY(lgamma, lgamma)
JACQUARD_UNARY(digamma, digamma)
JACQUARD_UNARY(relu, relu)
JACQUARD_UNARY(is_nan, is_nan)
JACQUARD_UNARY(is_inf, is_inf)
JACQUARD_UNARY(is_finite, is_finite)
JACQUARD_UNARY(logical_not, logical_not)

JACQUARD_BINARY(atan2, "atan2", atan2)
JACQUARD_BINARY(fmod, "fmod", fmod)
JACQUARD_BINARY(remainder, "remainder", remainder)
JACQUARD_BINARY(minimum, "minimum", minimum)
JACQUARD_BINARY(maximum, "maximum", maximum)
JACQUARD_BINARY(mulz, "mulz", mulz)
JACQUARD_BINARY(eq, "eq", eq)
JACQUARD_BINARY(ne, "ne", ne)
JACQUARD_BINARY(operator<, "lt", lt)
JACQUARD_BINARY(operator<=, "le", le)
JACQUARD_BINARY(operator>, "gt", gt)
JACQUARD_BINARY(operator>=, "ge", ge)
JACQUARD_BINARY(logical_and, "logical_and", logical_and)
JACQUARD_BINARY(logical_or, "logical_or", logical_or)
JACQUARD_BINARY(logical_xor, "logical_xor", logical_xor)

// Integers are whole already.
#define JACQUARD_ROUNDING(function)                            \
  TrackedTensor function(Operand x) {                          \
    if (!x.is_scalar() && is_integer(x.tensor().dtype()))      \
      return ops::as_tensor(#function, x);                     \
    return tape::apply(#function, Op::function, std::move(x)); \
  }
JACQUARD_ROUNDING(floor)
JACQUARD_ROUNDING(ceil)
JACQUARD_ROUNDING(trunc)
JACQUARD_ROUNDING(round)

#undef JACQUARD_UNARY
#undef JACQUARD_BINARY
#undef JACQUARD_ROUNDING

TrackedTensor where(Operand condition, Operand a, Operand b) {
  return tape::apply("where", Op::where, std::move(condition), std::move(a),
                     std::move(b));
}

static TrackedTensor run_cast(Operand&& x, DType dtype) {
  return tape::apply_cast("cast", ops::current("cast", std::move(x)), dtype);
}

TrackedTensor cast(Operand x, DType dtype) {
  return tape::call("cast", x.site(), run_cast, std::move(x), dtype);
}

static TrackedTensor run_polygamma(int n, Operand&& x) {
  if (n < 1)
    throw Error("polygamma: the order is " + std::to_string(n) +
                ", but must be at least 1 (order 0 is digamma)");
  const CallSite site = x.site();
  return tape::apply("polygamma", Op::polygamma,
                     Operand(static_cast<double>(n), site), std::move(x));
}

TrackedTensor polygamma(int n, Operand x) {
  return tape::call("polygamma", x.site(), run_polygamma, n, std::move(x));
}

namespace {

// Integers and bools in the floating type that the function computes in.
Term floating(const char* name, Operand x) {
  const CallSite site = x.site();
  if (x.is_scalar() || is_floating(x.tensor().dtype()))
    return {name, std::move(x)};
  return {name,
          Operand(tape::apply_cast(name, std::move(x), default_dtype()), site)};
}

// Two operands of a function with a float result, in their common floating
// type and on one device: host scalars too, so that each can be reckoned with
// alone.
std::pair<Term, Term> floating(const char* name, Operand a, Operand b) {
  const CallSite site = a.site();
  DType dtype = default_dtype();
  Device device = default_device();
  if (!a.is_scalar() && !b.is_scalar())
    dtype = promote(a.tensor().dtype(), b.tensor().dtype());
  for (const Operand* x : {&a, &b}) {
    if (x->is_scalar()) continue;
    device = x->tensor().device();
    const Operand& other = x == &a ? b : a;
    if (other.is_scalar())
      dtype = promote(x->tensor().dtype(), other.scalar_kind());
  }
  if (!is_floating(dtype)) dtype = default_dtype();
  auto settle = [&](const Operand& x) {
    return Term(name, Operand(x.is_scalar() ? ops::fill(name, {}, dtype, device,
                                                        ops::host_scalar(x))
                                            : tape::apply_cast(name, x, dtype),
                              site));
  };
  return {settle(a), settle(b)};
}

constexpr double kInf = std::numeric_limits<double>::infinity();

}  // namespace

static TrackedTensor run_square(Operand&& operand) {
  const Term x("square", std::move(operand));
  return x * x;
}

TrackedTensor square(Operand operand) {
  return tape::call("square", operand.site(), run_square, std::move(operand));
}

static TrackedTensor run_reciprocal(Operand&& operand) {
  return 1.0 / Term("reciprocal", std::move(operand));
}

TrackedTensor reciprocal(Operand operand) {
  return tape::call("reciprocal", operand.site(), run_reciprocal,
                    std::move(operand));
}

static TrackedTensor run_log2(Operand&& operand) {
  return log(Term("log2", std::move(operand))) * 1.4426950408889634;
}

TrackedTensor log2(Operand operand) {
  return tape::call("log2", operand.site(), run_log2, std::move(operand));
}

static TrackedTensor run_log10(Operand&& operand) {
  return log(Term("log10", std::move(operand))) * 0.4342944819032518;
}

TrackedTensor log10(Operand operand) {
  return tape::call("log10", operand.site(), run_log10, std::move(operand));
}

// exp(x·ln 2) would multiply the rounding of the product by x.
static TrackedTensor run_exp2(Operand&& operand) {
  return pow(2.0, floating("exp2", std::move(operand)));
}

TrackedTensor exp2(Operand operand) {
  return tape::call("exp2", operand.site(), run_exp2, std::move(operand));
}

static TrackedTensor run_clamp(Operand&& operand, Operand&& lo, Operand&& hi) {
  const Term x("clamp", std::move(operand));
  return clamp(x, Term("clamp", std::move(lo)), Term("clamp", std::move(hi)));
}

TrackedTensor clamp(Operand operand, Operand lo, Operand hi) {
  return tape::call("clamp", operand.site(), run_clamp, std::move(operand),
                    std::move(lo), std::move(hi));
}

namespace {

// x^p for a positive whole p ≤ 4.
Term whole_power(const Term& x, int p) {
  const Term xx = x * x;
  return p == 2 ? xx : p == 3 ? xx * x : xx * xx;
}

// Exponents for which the power may be something simpler.
bool is_simple(double p) {
  const double size = std::abs(p);
  return size == 0.5 || size == 1 || size == 2 || size == 3 || size == 4;
}

// x^p by multiplications and roots where that gives what pow gives; false for
// other exponents. The square of the reciprocal, not the reciprocal of the
// square, which underflows first. pow maps −0 and −∞ to 0 and ∞ where sqrt
// gives −0 and NaN.
bool simple_power(const Term& x, double p, TrackedTensor& result) {
  const Operand& operand = x.operand();
  const bool integral = !is_floating(operand.tensor().dtype());
  if (p == 1) {
    result = Term(x);
  } else if (p == 2 || p == 3 || p == 4) {
    result = whole_power(x, static_cast<int>(p));
  } else if (integral) {
    return false;
  } else if (p == -1) {
    result = 1.0 / x;
  } else if (p == -2 || p == -3 || p == -4) {
    result = whole_power(1.0 / x, static_cast<int>(-p));
  } else if (p == 0.5 || p == -0.5) {
    Term base = where(eq(x, -kInf), kInf, x + 0.0);
    result = p > 0 ? sqrt(std::move(base)) : rsqrt(std::move(base));
  } else {
    return false;
  }
  return true;
}

}  // namespace

// Its exponent decides what is computed.
static TrackedTensor run_pow(Operand&& x, double p, ScalarKind kind) {
  // What promotion makes of the two; a power of bools is an integer.
  const CallSite site = x.site();
  DType dtype = promote(x.tensor().dtype(), kind);
  if (dtype == DType::bool_) dtype = DType::int64;
  const Term base("pow", Operand(tape::apply_cast("pow", x, dtype), site));
  TrackedTensor result;
  if (simple_power(base, p, result)) return result;
  const auto whole = static_cast<std::int64_t>(p);
  return tape::apply(
      "pow", Op::pow, std::move(x),
      kind == ScalarKind::floating ? Operand(p) : Operand(whole));
}

TrackedTensor pow(Operand x, Operand p) {
  if (!x.is_scalar() && p.is_scalar() && is_simple(p.floating()))
    return tape::call("pow", x.site(), run_pow, std::move(x), p.floating(),
                      p.scalar_kind());
  return tape::apply("pow", Op::pow, std::move(x), std::move(p));
}

// |m|·√(1 + (n/m)²), |m| ≥ |n|, with neither overflow nor an absolute value
// around n, so that derivatives of every order are right off the origin. There
// the quotient's denominator is replaced. An infinite operand decides alone.
static TrackedTensor run_hypot(Operand&& first, Operand&& second) {
  const auto [a, b] = floating("hypot", std::move(first), std::move(second));
  const Term a_inf = is_inf(a), unbounded = a_inf || is_inf(b);
  const Term x = where(unbounded, 0.0, a), y = where(unbounded, 0.0, b);
  const Term swap = abs(x) < abs(y);
  const Term m = where(swap, y, x), n = where(swap, x, y);
  const Term r = n / where(eq(m, 0.0), 1.0, m);
  return where(unbounded, where(a_inf, abs(a), abs(b)),
               abs(m) * sqrt(1.0 + r * r));
}

TrackedTensor hypot(Operand first, Operand second) {
  return tape::call("hypot", first.site(), run_hypot, std::move(first),
                    std::move(second));
}

// The larger operand and softplus of minus the distance, which is 0 where both
// are the same infinity.
static TrackedTensor run_logaddexp(Operand&& first, Operand&& second) {
  const auto [a, b] =
      floating("logaddexp", std::move(first), std::move(second));
  const Term larger = a > b;
  const Term distance =
      where(eq(a, b) && is_inf(a), 0.0, where(larger, b - a, a - b));
  return where(larger, a, b) + log1p(exp(distance));
}

TrackedTensor logaddexp(Operand first, Operand second) {
  return tape::call("logaddexp", first.site(), run_logaddexp, std::move(first),
                    std::move(second));
}

static TrackedTensor run_xlogy(Operand&& first, Operand&& second) {
  const auto [a, b] = floating("xlogy", std::move(first), std::move(second));
  return mulz(a, log(b));
}

TrackedTensor xlogy(Operand first, Operand second) {
  return tape::call("xlogy", first.site(), run_xlogy, std::move(first),
                    std::move(second));
}

}  // namespace jacquard
