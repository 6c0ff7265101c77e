// Formulas of compositions, written with operators.
//
// Every instruction that a formula makes carries the name and the line of the
// call that it belongs to, so that messages and the tape speak of "mish" at the
// user's line and not of a product inside of it.
#pragma once

#include <type_traits>
#include <utility>

#include "core/tape/pending.h"
#include "jacquard/tracked_tensor.h"

namespace jacquard::ops {

// A tensor operand as it is now: a leaf's current value. Scalars pass.
inline Operand current(const char* name, Operand x) {
  if (x.is_scalar()) return x;
  const CallSite site = x.site();
  return Operand(tape::handle(tape::snapshot(x.tensor(), name)), site);
}

// The scalar or tensor with another line.
inline Operand at_site(Operand x, CallSite site) {
  return std::move(x).at(site);
}

class Term {
 public:
  Term(const char* name, Operand x)
      : name_(name), x_(current(name, std::move(x))) {}
  // A literal: takes name and line of what it is combined with.
  template <class T>
    requires std::is_arithmetic_v<T>
  Term(T literal) : x_(literal, CallSite{}) {}  // NOLINT: implicit by intent

  const char* name() const { return name_; }
  CallSite site() const { return x_.site(); }
  const Operand& operand() const { return x_; }
  operator TrackedTensor() && {  // NOLINT: the end of a formula
    return std::move(x_).tensor();
  }

  static Term apply(tape::Op op, Term a) {
    const CallSite site = a.site();
    return {a.name_, tape::apply(a.name_, op, std::move(a.x_)), site};
  }
  static Term apply(tape::Op op, Term a, Term b) {
    const Term& lead = a.name_ ? a : b;
    const char* name = lead.name_;
    const CallSite site = lead.site();
    return {
        name,
        tape::apply(name, op, at_site(std::move(a.x_), site), std::move(b.x_)),
        site};
  }
  // `condition` is never a literal.
  static Term apply(tape::Op op, Term condition, Term b, Term c) {
    const char* name = condition.name_;
    const CallSite site = condition.site();
    return {name,
            tape::apply(name, op, std::move(condition.x_), std::move(b.x_),
                        std::move(c.x_)),
            site};
  }

 private:
  Term(const char* name, TrackedTensor x, CallSite site)
      : name_(name), x_(std::move(x), site) {}

  const char* name_ = nullptr;
  Operand x_;
};

#define JACQUARD_TERM_UNARY(function, op)           \
  inline Term function(Term x) {                    \
    return Term::apply(tape::Op::op, std::move(x)); \
  }
#define JACQUARD_TERM_BINARY(function, op)                        \
  inline Term function(Term a, Term b) {                          \
    return Term::apply(tape::Op::op, std::move(a), std::move(b)); \
  }
JACQUARD_TERM_UNARY(abs, abs)
JACQUARD_TERM_UNARY(sign, sign)
JACQUARD_TERM_UNARY(relu, relu)
JACQUARD_TERM_UNARY(exp, exp)
JACQUARD_TERM_UNARY(expm1, expm1)
JACQUARD_TERM_UNARY(log, log)
JACQUARD_TERM_UNARY(log1p, log1p)
JACQUARD_TERM_UNARY(sqrt, sqrt)
JACQUARD_TERM_UNARY(rsqrt, rsqrt)
JACQUARD_TERM_UNARY(tanh, tanh)
JACQUARD_TERM_UNARY(sigmoid, sigmoid)
JACQUARD_TERM_UNARY(erfc, erfc)
JACQUARD_TERM_UNARY(is_inf, is_inf)
JACQUARD_TERM_BINARY(operator+, add)
JACQUARD_TERM_BINARY(operator-, sub)
JACQUARD_TERM_BINARY(operator*, mul)
JACQUARD_TERM_BINARY(operator/, div)
JACQUARD_TERM_BINARY(mulz, mulz)
JACQUARD_TERM_BINARY(pow, pow)
JACQUARD_TERM_BINARY(eq, eq)
JACQUARD_TERM_BINARY(operator<, lt)
JACQUARD_TERM_BINARY(operator<=, le)
JACQUARD_TERM_BINARY(operator>, gt)
JACQUARD_TERM_BINARY(operator>=, ge)
JACQUARD_TERM_BINARY(operator&&, logical_and)
JACQUARD_TERM_BINARY(operator||, logical_or)
#undef JACQUARD_TERM_UNARY
#undef JACQUARD_TERM_BINARY

// Of a host scalar it stays a host scalar, weak in promotion.
inline Term operator-(Term x) {
  const Operand& operand = x.operand();
  if (!operand.is_scalar()) return Term::apply(tape::Op::neg, std::move(x));
  return Term(x.name(), Operand(-operand.floating(), x.site()));
}

inline Term where(Term condition, Term a, Term b) {
  return Term::apply(tape::Op::where, std::move(condition), std::move(a),
                     std::move(b));
}

// min(max(x, lo), hi), the gradient passing on the bounds; NaN stays NaN.
inline Term clamp(const Term& x, const Term& lo, const Term& hi) {
  const Term raised = where(x < lo, lo, x);
  return where(raised > hi, hi, raised);
}

// Log(1 + eˣ). The branches meet at 0 with all their derivatives, which
// max(x, 0) + log1p(exp(−|x|)) would not.
inline Term softplus(const Term& x) {
  return relu(x) + log1p(exp(where(x > 0.0, -x, x)));
}

}  // namespace jacquard::ops
