// The derivative of each primitive.
#pragma once

#include "core/pointwise/expr.h"

namespace jacquard::pointwise {

// What a rule may use: y = op(args…) and its cotangent. All floating values are
// of the compute type of their instruction.
struct Differential {
  Op op;
  Expr args[3];
  Expr y;
  Expr cotangent;
};

// Whether the result of the primitive depends on floating operand k in a way
// that has a derivative which is not zero everywhere.
bool has_derivative(Op op, int k);

// Whether the cotangent that `vjp` gives operand k of a row operation is one
// value a row.
bool is_row_operand(Op op, int k);

// The cotangent of operand k, where has_derivative(op, k). GraphError that
// names the primitive if none is known.
//
// Wherever a derivative may be infinite or NaN it is multiplied by the
// cotangent as mulz(g, derivative), the strong zero, whose own rule is that of
// a product: so higher derivatives at a zero cotangent are right as well.
Expr vjp(const Differential& d, int k);

// The tangent of y where only operand k has one, given in place of the
// cotangent. Elementwise operations have diagonal Jacobians: vjp itself.
Expr jvp(const Differential& d, int k);

// row_normalize_vjp(x, g, e) written with row_mean and pointwise primitives;
// its derivative is the derivative of this.
Expr expanded_row_normalize_vjp(Expr x, Expr g, Expr e);

}  // namespace jacquard::pointwise
