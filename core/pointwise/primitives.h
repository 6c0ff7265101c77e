// The primitives of fused programs: one line each.
//
// The set is closed under differentiation: the derivative of every primitive
// (core/pointwise/derivatives.cpp) is made of primitives. What each computes
// for NaN, ±Inf and −0 is what the C standard says of the function of the same
// name; where there is none, the comment tells.
#pragma once

#include <cstdint>

namespace jacquard::pointwise {

// P(name, arity, class)
//   class f  floating result, computed in the instruction's compute type
//         n  any numeric dtype (floating or integer)
//         b  bool result; the operands share one dtype
//         l  bool operands and result (logical)
//         r  row operation: reads whole rows of its first operand
//         x  special, see the comment
// clang-format off
#define JACQUARD_PRIMITIVES(P)                                                 \
  /* leaves (arity 0); their immediate numbers a leaf, slot or constant */     \
  P(load, 0, x)     /* element of leaf `imm` */                                \
  P(slot, 0, x)     /* host scalar `imm`, passed with the launch */            \
  P(constant, 0, x) /* literal `imm` of the program */                         \
  P(index, 0, x)    /* leaf `imm`: position in the leaf's own shape, int64 */  \
  P(uniform, 0, x)  /* leaf `imm`: Philox uniform in [0, 1) */                 \
  P(normal, 0, x)   /* leaf `imm`: Philox standard normal */                   \
  /* structure */                                                              \
  P(cast, 1, x)          /* to the instruction's dtype; float → int truncates*/ \
  P(stop_gradient, 1, x) /* its operand; opaque to every rewrite */            \
  P(where, 3, x)         /* bool a ? b : c */                                  \
  /* a, whose derivative by b is c, a value given beside it: for the reverse */\
  /* only, launches do without (Program::launched) */                          \
  P(attach, 3, x)                                                              \
  /* arithmetic */                                                             \
  P(add, 2, n) P(sub, 2, n) P(mul, 2, n)                                       \
  P(div, 2, f)                                                                 \
  P(mulz, 2, n)      /* a·b, and 0 where a = 0: the strong zero */             \
  P(fmod, 2, n)      /* sign of the dividend */                                \
  P(remainder, 2, n) /* Python's %: sign of the divisor */                     \
  P(minimum, 2, n) P(maximum, 2, n) /* NaN if either is NaN */                 \
  P(pow, 2, n) /* integers: by squaring, exponent < 0 gives 0, ±1 exact */     \
  P(atan2, 2, f)                                                               \
  P(polygamma, 2, f) /* a = order (constant ≥ 1), b = x */                     \
  P(neg, 1, n) P(abs, 1, n)                                                    \
  P(sign, 1, n) /* −1, 0, 1; NaN stays NaN */                                  \
  P(relu, 1, n) /* x ≤ 0 ? 0 : x; NaN stays NaN */                             \
  P(floor, 1, f) P(ceil, 1, f) P(trunc, 1, f)                                  \
  P(round, 1, f) /* to nearest even */                                         \
  /* functions */                                                              \
  P(exp, 1, f) P(expm1, 1, f) P(log, 1, f) P(log1p, 1, f)                      \
  P(sqrt, 1, f) P(rsqrt, 1, f) P(cbrt, 1, f)                                   \
  P(sin, 1, f) P(cos, 1, f) P(tan, 1, f)                                       \
  P(asin, 1, f) P(acos, 1, f) P(atan, 1, f)                                    \
  P(sinh, 1, f) P(cosh, 1, f) P(tanh, 1, f)                                    \
  P(asinh, 1, f) P(acosh, 1, f) P(atanh, 1, f)                                 \
  P(sigmoid, 1, f) /* 1 / (1 + exp(−x)) without overflow */                    \
  P(erf, 1, f) P(erfc, 1, f) P(erfinv, 1, f)                                   \
  P(lgamma, 1, f) P(digamma, 1, f)                                             \
  /* comparisons and logic */                                                  \
  P(eq, 2, b) P(ne, 2, b) P(lt, 2, b) P(le, 2, b) P(gt, 2, b) P(ge, 2, b)      \
  P(is_nan, 1, b) P(is_inf, 1, b) P(is_finite, 1, b)                           \
  P(logical_and, 2, l) P(logical_or, 2, l) P(logical_xor, 2, l)                \
  P(logical_not, 1, l)                                                         \
  /* row operations, along the last axis of the iteration space. A result */   \
  /* marked (row) is one value a row, the same at each place of the row. */    \
  P(row_sum, 1, r)         /* (row) */                                         \
  P(row_length, 0, r)      /* (row) elements in a row, in any numeric dtype */ \
  P(row_mean, 1, r)        /* (row) */                                         \
  P(row_max, 1, r)         /* (row) NaN wins */                                \
  P(row_logsumexp, 1, r)   /* (row) −inf for a row of −inf */                  \
  P(row_argmax, 1, r)      /* (row) int64, the first maximum; NaN wins */      \
  P(row_argmin, 1, r)      /* (row) int64, the first minimum; NaN wins */      \
  P(row_pick, 2, r)        /* (row) a[b], b an int64 row value; index checked*/ \
  P(row_index, 0, r)       /* position in the row, int64 */                    \
  P(row_softmax, 1, r)                                                         \
  P(row_log_softmax, 1, r)                                                     \
  P(row_normalize, 2, r) /* (a − mean) / sqrt(var + b), biased var, b (row) */ \
  /* cotangent of x in row_normalize(x, e): a = x, b = result's cotangent, */  \
  /* c = e (row) */                                                            \
  P(row_normalize_vjp, 3, r)
// clang-format on

enum class Op : std::uint8_t {
#define JACQUARD_ENUM(name, arity, cls) name,
  JACQUARD_PRIMITIVES(JACQUARD_ENUM)
#undef JACQUARD_ENUM
};

inline constexpr int kOpCount = 0
#define JACQUARD_COUNT(name, arity, cls) +1
    JACQUARD_PRIMITIVES(JACQUARD_COUNT)
#undef JACQUARD_COUNT
    ;

enum class OpClass : std::uint8_t { f, n, b, l, r, x };

struct OpInfo {
  const char* name;
  std::uint8_t arity;
  OpClass cls;
};

inline constexpr OpInfo kOpInfo[] = {
#define JACQUARD_INFO(name, arity, cls) {#name, arity, OpClass::cls},
    JACQUARD_PRIMITIVES(JACQUARD_INFO)
#undef JACQUARD_INFO
};

constexpr const OpInfo& info(Op op) { return kOpInfo[static_cast<int>(op)]; }
// Whether no gradient flows to operand k, or to some, as the primitive says.
constexpr bool stops_gradient(Op op, int k) {
  return op == Op::stop_gradient || (op == Op::attach && k == 2);
}
constexpr bool stops_gradient(Op op) {
  return op == Op::stop_gradient || op == Op::attach;
}
constexpr bool is_leaf(Op op) { return op <= Op::normal; }
constexpr bool is_row(Op op) { return info(op).cls == OpClass::r; }
// Whether the result of a row operation is one value a row.
constexpr bool is_row_constant(Op op) {
  return op >= Op::row_sum && op <= Op::row_pick;
}

}  // namespace jacquard::pointwise
