// A small expression language over a builder, for rules that are written as
// formulas.
#pragma once

#include "core/pointwise/program.h"

namespace jacquard::pointwise {

// An instruction of the builder. Literals take the dtype of the other operand.
struct Expr {
  Builder* builder = nullptr;
  Ref ref = kNoRef;

  // False: a structural zero.
  explicit operator bool() const { return ref != kNoRef; }
  DType dtype() const { return builder->dtype(ref); }
  Expr like(double value) const {
    return {builder, builder->constant(value, dtype())};
  }
  Expr cast(DType to) const { return {builder, builder->cast(ref, to)}; }
};

inline Expr apply(Op op, Expr a) {
  return {a.builder, a.builder->apply(op, a.ref)};
}
inline Expr apply(Op op, Expr a, Expr b) {
  return {a.builder, a.builder->apply(op, a.ref, b.ref)};
}
inline Expr apply(Op op, Expr a, Expr b, Expr c) {
  return {a.builder, a.builder->apply(op, a.ref, b.ref, c.ref)};
}

#define JACQUARD_OPERATOR(symbol, op)                                         \
  inline Expr operator symbol(Expr a, Expr b) { return apply(Op::op, a, b); } \
  inline Expr operator symbol(Expr a, double b) {                             \
    return apply(Op::op, a, a.like(b));                                       \
  }                                                                           \
  inline Expr operator symbol(double a, Expr b) {                             \
    return apply(Op::op, b.like(a), b);                                       \
  }
JACQUARD_OPERATOR(+, add)
JACQUARD_OPERATOR(-, sub)
JACQUARD_OPERATOR(*, mul)
JACQUARD_OPERATOR(/, div)
JACQUARD_OPERATOR(==, eq)
JACQUARD_OPERATOR(<, lt)
JACQUARD_OPERATOR(<=, le)
JACQUARD_OPERATOR(>, gt)
#undef JACQUARD_OPERATOR

inline Expr operator-(Expr a) { return apply(Op::neg, a); }
inline Expr logical_and(Expr a, Expr b) { return apply(Op::logical_and, a, b); }
inline Expr mulz(Expr a, Expr b) { return apply(Op::mulz, a, b); }
inline Expr where(Expr c, Expr a, Expr b) { return apply(Op::where, c, a, b); }
inline Expr where(Expr c, Expr a, double b) { return where(c, a, a.like(b)); }
inline Expr where(Expr c, double a, Expr b) { return where(c, b.like(a), b); }

#define JACQUARD_FUNCTION(op) \
  inline Expr op(Expr a) { return apply(Op::op, a); }
JACQUARD_FUNCTION(exp)
JACQUARD_FUNCTION(log)
JACQUARD_FUNCTION(rsqrt)
JACQUARD_FUNCTION(sin)
JACQUARD_FUNCTION(cos)
JACQUARD_FUNCTION(sinh)
JACQUARD_FUNCTION(cosh)
JACQUARD_FUNCTION(sign)
JACQUARD_FUNCTION(floor)
JACQUARD_FUNCTION(trunc)
JACQUARD_FUNCTION(digamma)
JACQUARD_FUNCTION(row_sum)
JACQUARD_FUNCTION(row_mean)
JACQUARD_FUNCTION(row_softmax)
#undef JACQUARD_FUNCTION

inline Expr row_length(Expr like) {
  return {like.builder, like.builder->row_length(like.dtype())};
}

}  // namespace jacquard::pointwise
