// Elementwise operations: pending until a value is needed, then one kernel.
//
// Operands broadcast as in NumPy and promote as in PyTorch, host scalars being
// weak. Functions with a float result take integers and bools and compute them
// in the default dtype. Errors: ShapeError (no broadcast), DeviceError
// (different devices), DTypeError. Cost: none at the call; a fused region reads
// each input once and writes each asked-for output once, forward and backward.
#pragma once

#include "jacquard/tracked_tensor.h"

namespace jacquard {

// Arithmetic. `/` of integers is a floating division. `%` has the sign of the
// divisor, as in Python.
JACQUARD_API TrackedTensor operator+(Operand a, Operand b);
JACQUARD_API TrackedTensor operator-(Operand a, Operand b);
JACQUARD_API TrackedTensor operator*(Operand a, Operand b);
JACQUARD_API TrackedTensor operator/(Operand a, Operand b);
JACQUARD_API TrackedTensor operator%(Operand a, Operand b);
JACQUARD_API TrackedTensor operator-(Operand x);

// Functions of one operand.
// |x|; derivative 0 at 0.
JACQUARD_API TrackedTensor abs(Operand x);
// −1, 0 or 1; NaN stays NaN. Derivative 0.
JACQUARD_API TrackedTensor sign(Operand x);
// The four roundings leave integers as they are.
JACQUARD_API TrackedTensor floor(Operand x);
JACQUARD_API TrackedTensor ceil(Operand x);
JACQUARD_API TrackedTensor trunc(Operand x);
// To nearest, ties to even.
JACQUARD_API TrackedTensor round(Operand x);
JACQUARD_API TrackedTensor exp(Operand x);
JACQUARD_API TrackedTensor expm1(Operand x);
JACQUARD_API TrackedTensor log(Operand x);
JACQUARD_API TrackedTensor log1p(Operand x);
JACQUARD_API TrackedTensor sqrt(Operand x);
// 1/√x.
JACQUARD_API TrackedTensor rsqrt(Operand x);
JACQUARD_API TrackedTensor cbrt(Operand x);
JACQUARD_API TrackedTensor sin(Operand x);
JACQUARD_API TrackedTensor cos(Operand x);
JACQUARD_API TrackedTensor tan(Operand x);
JACQUARD_API TrackedTensor asin(Operand x);
JACQUARD_API TrackedTensor acos(Operand x);
JACQUARD_API TrackedTensor atan(Operand x);
JACQUARD_API TrackedTensor sinh(Operand x);
JACQUARD_API TrackedTensor cosh(Operand x);
JACQUARD_API TrackedTensor tanh(Operand x);
JACQUARD_API TrackedTensor asinh(Operand x);
JACQUARD_API TrackedTensor acosh(Operand x);
JACQUARD_API TrackedTensor atanh(Operand x);
// 1/(1+e⁻ˣ).
JACQUARD_API TrackedTensor sigmoid(Operand x);
JACQUARD_API TrackedTensor erf(Operand x);
JACQUARD_API TrackedTensor erfc(Operand x);
JACQUARD_API TrackedTensor erfinv(Operand x);
// log|Γ(x)|.
JACQUARD_API TrackedTensor lgamma(Operand x);
JACQUARD_API TrackedTensor digamma(Operand x);
// x·x.
JACQUARD_API TrackedTensor square(Operand x);
// 1/x.
JACQUARD_API TrackedTensor reciprocal(Operand x);
// max(x, 0); derivative 0 at 0; NaN stays NaN.
JACQUARD_API TrackedTensor relu(Operand x);
// log(1 + eˣ), without overflow.
JACQUARD_API TrackedTensor softplus(Operand x);
// log(sigmoid(x)), without overflow.
JACQUARD_API TrackedTensor logsigmoid(Operand x);
// x·sigmoid(x).
JACQUARD_API TrackedTensor silu(Operand x);
// x/(1+|x|).
JACQUARD_API TrackedTensor softsign(Operand x);
// x·tanh(softplus(x)).
JACQUARD_API TrackedTensor mish(Operand x);
// x − tanh(x).
JACQUARD_API TrackedTensor tanhshrink(Operand x);
// clamp(x/6 + 1/2, 0, 1).
JACQUARD_API TrackedTensor hardsigmoid(Operand x);
// x·hardsigmoid(x).
JACQUARD_API TrackedTensor hardswish(Operand x);
// clamp(x, 0, 6).
JACQUARD_API TrackedTensor relu6(Operand x);
// Klambauer et al. 2017.
JACQUARD_API TrackedTensor selu(Operand x);
JACQUARD_API TrackedTensor log2(Operand x);
JACQUARD_API TrackedTensor log10(Operand x);
JACQUARD_API TrackedTensor exp2(Operand x);

// Activations with a parameter (a host scalar or a tensor).
JACQUARD_API TrackedTensor leaky_relu(Operand x, Operand slope = 0.01);
JACQUARD_API TrackedTensor elu(Operand x, Operand alpha = 1.0);
JACQUARD_API TrackedTensor celu(Operand x, Operand alpha = 1.0);
// x·Φ(x) by erf, or its tanh approximation.
enum class Gelu { erf, tanh };
JACQUARD_API TrackedTensor gelu(Operand x, Gelu form = Gelu::erf);
JACQUARD_API TrackedTensor hardtanh(Operand x, Operand lo = -1.0,
                                    Operand hi = 1.0);
JACQUARD_API TrackedTensor hardshrink(Operand x, Operand lambda = 0.5);
JACQUARD_API TrackedTensor softshrink(Operand x, Operand lambda = 0.5);

// Functions of two operands.
// x^p. ∂x at x = 0: 0 for p > 1 or p = 0, 1 for p = 1, else ∞; ∂p is 0 at
// x = 0, p > 0, and NaN for x < 0. A host scalar that is a small integer or
// ±0.5 becomes multiplications, sqrt or rsqrt.
JACQUARD_API TrackedTensor pow(Operand x, Operand p);
JACQUARD_API TrackedTensor atan2(Operand y, Operand x);
// Remainder with the sign of the dividend, as in C.
JACQUARD_API TrackedTensor fmod(Operand a, Operand b);
JACQUARD_API TrackedTensor remainder(Operand a, Operand b);
// NaN if either is; the gradient is shared evenly among ties.
JACQUARD_API TrackedTensor minimum(Operand a, Operand b);
JACQUARD_API TrackedTensor maximum(Operand a, Operand b);
// min(max(x, lo), hi); passes the gradient on its bounds; NaN stays NaN.
JACQUARD_API TrackedTensor clamp(Operand x, Operand lo, Operand hi);
// The strong zero: c·d, and 0 where c = 0 whatever d is.
JACQUARD_API TrackedTensor mulz(Operand c, Operand d);
// The polygamma function of order n ≥ 1.
JACQUARD_API TrackedTensor polygamma(int n, Operand x);
// √(a² + b²); gradient 0 at the origin.
JACQUARD_API TrackedTensor hypot(Operand a, Operand b);
JACQUARD_API TrackedTensor logaddexp(Operand a, Operand b);
// a·log(b), and 0 where a = 0.
JACQUARD_API TrackedTensor xlogy(Operand a, Operand b);

// condition ? a : b. condition is bool (DTypeError).
JACQUARD_API TrackedTensor where(Operand condition, Operand a, Operand b);

// Comparisons and predicates: bool tensors, constant.
JACQUARD_API TrackedTensor eq(Operand a, Operand b);
JACQUARD_API TrackedTensor ne(Operand a, Operand b);
JACQUARD_API TrackedTensor operator<(Operand a, Operand b);
JACQUARD_API TrackedTensor operator<=(Operand a, Operand b);
JACQUARD_API TrackedTensor operator>(Operand a, Operand b);
JACQUARD_API TrackedTensor operator>=(Operand a, Operand b);
JACQUARD_API TrackedTensor is_nan(Operand x);
JACQUARD_API TrackedTensor is_inf(Operand x);
JACQUARD_API TrackedTensor is_finite(Operand x);
// Logic on bools (DTypeError otherwise).
JACQUARD_API TrackedTensor logical_and(Operand a, Operand b);
JACQUARD_API TrackedTensor logical_or(Operand a, Operand b);
JACQUARD_API TrackedTensor logical_xor(Operand a, Operand b);
JACQUARD_API TrackedTensor logical_not(Operand x);

// Converted: floating to integer truncates; to bool is ≠ 0. Differentiable
// between floating types.
JACQUARD_API TrackedTensor cast(Operand x, DType dtype);

// f of the tensors, computed at once as one program: what f returns is
// materialised. f is any callable that works on tensors.
template <class F, class... T>
TrackedTensor fused(F&& f, const T&... x) {
  return materialize(std::forward<F>(f)(TrackedTensor(x)...));
}

// Compound assignment rebinds the handle: it is not a mutation.
inline TrackedTensor& operator+=(TrackedTensor& a, Operand b) {
  return a = std::move(a) + std::move(b);
}
inline TrackedTensor& operator-=(TrackedTensor& a, Operand b) {
  return a = std::move(a) - std::move(b);
}
inline TrackedTensor& operator*=(TrackedTensor& a, Operand b) {
  return a = std::move(a) * std::move(b);
}
inline TrackedTensor& operator/=(TrackedTensor& a, Operand b) {
  return a = std::move(a) / std::move(b);
}

}  // namespace jacquard
