#include <utility>

#include "core/ops/term.h"
#include "core/tape/call.h"
#include "jacquard/error.h"
#include "jacquard/pointwise.h"

// Both branches of a `where` are computed and both are reversed, so a branch
// that is not taken must stay finite: it is given an operand that is bounded on
// the other side. Gates multiply with mulz and see a bounded operand, so that
// x·gate(x) and its gradient have their limits at ±∞.
namespace jacquard {

using ops::Term;

namespace {

// x where x ≤ 0, else 0, with the derivative from the left at 0; NaN stays NaN.
Term nonpositive(const Term& x) { return where(x > 0.0, 0.0, x); }

// Beyond ±limit a gate is constant; its slope there is 0.
Term bounded(const Term& x, double limit) { return clamp(x, -limit, limit); }

// sigmoid and tanh are 0 or ±1 in float64 beyond it.
constexpr double kExpLimit = 800;
// erfc(±x/√2) is 0 or 2 in float64 beyond it, and its cube is finite in
// float16.
constexpr double kNormalLimit = 40;

constexpr double kSeluAlpha = 1.6732632423543772848170429916717;
constexpr double kSeluScale = 1.0507009873554804934193349852946;

}  // namespace

static TrackedTensor run_softplus(Operand&& x) {
  return softplus(Term("softplus", std::move(x)));
}

TrackedTensor softplus(Operand x) {
  return tape::call("softplus", x.site(), run_softplus, std::move(x));
}

static TrackedTensor run_logsigmoid(Operand&& x) {
  return -softplus(-Term("logsigmoid", std::move(x)));
}

TrackedTensor logsigmoid(Operand x) {
  return tape::call("logsigmoid", x.site(), run_logsigmoid, std::move(x));
}

static TrackedTensor run_silu(Operand&& operand) {
  const Term x("silu", std::move(operand));
  return mulz(sigmoid(bounded(x, kExpLimit)), x);
}

TrackedTensor silu(Operand operand) {
  return tape::call("silu", operand.site(), run_silu, std::move(operand));
}

static TrackedTensor run_mish(Operand&& operand) {
  const Term x("mish", std::move(operand));
  return mulz(tanh(softplus(bounded(x, kExpLimit))), x);
}

TrackedTensor mish(Operand operand) {
  return tape::call("mish", operand.site(), run_mish, std::move(operand));
}

static TrackedTensor run_gelu(Operand&& operand, Gelu form) {
  const Term x("gelu", std::move(operand));
  const Term z = bounded(x, kNormalLimit);
  if (form == Gelu::erf)
    return mulz(0.5 * erfc(z * -0.70710678118654752440), x);
  // (1 + tanh u)/2 = sigmoid(2u), without the cancellation.
  const Term u = (z + 0.044715 * (z * z * z)) * 1.5957691216057307117;
  return mulz(sigmoid(u), x);
}

TrackedTensor gelu(Operand operand, Gelu form) {
  return tape::call("gelu", operand.site(), run_gelu, std::move(operand), form);
}

static TrackedTensor run_softsign(Operand&& operand) {
  const Term x("softsign", std::move(operand));
  const Term unbounded = is_inf(x);
  const Term z = where(unbounded, 0.0, x);
  return where(unbounded, sign(x), z / (1.0 + abs(z)));
}

TrackedTensor softsign(Operand operand) {
  return tape::call("softsign", operand.site(), run_softsign,
                    std::move(operand));
}

static TrackedTensor run_tanhshrink(Operand&& operand) {
  const Term x("tanhshrink", std::move(operand));
  return x - tanh(x);
}

TrackedTensor tanhshrink(Operand operand) {
  return tape::call("tanhshrink", operand.site(), run_tanhshrink,
                    std::move(operand));
}

static TrackedTensor run_hardsigmoid(Operand&& operand) {
  const Term x("hardsigmoid", std::move(operand));
  return clamp(x / 6.0 + 0.5, 0.0, 1.0);
}

TrackedTensor hardsigmoid(Operand operand) {
  return tape::call("hardsigmoid", operand.site(), run_hardsigmoid,
                    std::move(operand));
}

static TrackedTensor run_hardswish(Operand&& operand) {
  const Term x("hardswish", std::move(operand));
  return mulz(clamp(x / 6.0 + 0.5, 0.0, 1.0), x);
}

TrackedTensor hardswish(Operand operand) {
  return tape::call("hardswish", operand.site(), run_hardswish,
                    std::move(operand));
}

static TrackedTensor run_relu6(Operand&& operand) {
  return clamp(Term("relu6", std::move(operand)), 0, 6);
}

TrackedTensor relu6(Operand operand) {
  return tape::call("relu6", operand.site(), run_relu6, std::move(operand));
}

static TrackedTensor run_hardtanh(Operand&& operand, Operand&& lo,
                                  Operand&& hi) {
  return clamp(Term("hardtanh", std::move(operand)),
               Term("hardtanh", std::move(lo)),
               Term("hardtanh", std::move(hi)));
}

TrackedTensor hardtanh(Operand operand, Operand lo, Operand hi) {
  return tape::call("hardtanh", operand.site(), run_hardtanh,
                    std::move(operand), std::move(lo), std::move(hi));
}

static TrackedTensor run_leaky_relu(Operand&& operand, Operand&& slope) {
  const Term x("leaky_relu", std::move(operand));
  return where(x > 0.0, x,
               nonpositive(x) * Term("leaky_relu", std::move(slope)));
}

TrackedTensor leaky_relu(Operand operand, Operand slope) {
  return tape::call("leaky_relu", operand.site(), run_leaky_relu,
                    std::move(operand), std::move(slope));
}

static TrackedTensor run_elu(Operand&& operand, Operand&& alpha) {
  const Term x("elu", std::move(operand));
  return where(x > 0.0, x,
               Term("elu", std::move(alpha)) * expm1(nonpositive(x)));
}

TrackedTensor elu(Operand operand, Operand alpha) {
  return tape::call("elu", operand.site(), run_elu, std::move(operand),
                    std::move(alpha));
}

static TrackedTensor run_selu(Operand&& operand) {
  const Term x("selu", std::move(operand));
  return where(x > 0.0, kSeluScale * x,
               kSeluScale * kSeluAlpha * expm1(nonpositive(x)));
}

TrackedTensor selu(Operand operand) {
  return tape::call("selu", operand.site(), run_selu, std::move(operand));
}

static TrackedTensor run_celu(Operand&& operand, Operand&& alpha) {
  if (alpha.is_scalar() && alpha.floating() == 0)
    throw Error("celu: alpha is 0, but divides");
  const Term x("celu", std::move(operand));
  const Term a("celu", std::move(alpha));
  return where(x > 0.0, x, a * expm1(nonpositive(x) / a));
}

TrackedTensor celu(Operand operand, Operand alpha) {
  return tape::call("celu", operand.site(), run_celu, std::move(operand),
                    std::move(alpha));
}

static TrackedTensor run_hardshrink(Operand&& operand, Operand&& lambda) {
  const Term x("hardshrink", std::move(operand));
  return where(abs(x) <= Term("hardshrink", std::move(lambda)), 0, x);
}

TrackedTensor hardshrink(Operand operand, Operand lambda) {
  return tape::call("hardshrink", operand.site(), run_hardshrink,
                    std::move(operand), std::move(lambda));
}

static TrackedTensor run_softshrink(Operand&& operand, Operand&& lambda) {
  const Term x("softshrink", std::move(operand));
  const Term bound("softshrink", std::move(lambda));
  return x - clamp(x, -bound, bound);
}

TrackedTensor softshrink(Operand operand, Operand lambda) {
  return tape::call("softshrink", operand.site(), run_softshrink,
                    std::move(operand), std::move(lambda));
}

}  // namespace jacquard
