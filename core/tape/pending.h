// Makes pending values: what elementwise operations call.
#pragma once

#include "core/tape/call_arguments.h"
#include "core/tape/value.h"
#include "jacquard/tracked_tensor.h"

namespace jacquard::tape {

// The pending value op(a, b, c). Promotes by the primitive's class: f: to a
// floating type; n: to a common numeric type (bool becomes int64); b: operands
// to a common type, result bool; l: bools (DTypeError). `where`: a is bool, b
// and c promote. Broadcasts; checks devices. `name` is for messages and the
// tape, a literal that lives for ever.
TrackedTensor apply(const char* name, Op op, Operand a);
TrackedTensor apply(const char* name, Op op, Operand a, Operand b);
TrackedTensor apply(const char* name, Op op, Operand a, Operand b, Operand c);

// `value`, an untracked value, with the derivative by x given: what flows back
// to x is the cotangent times `derivative`, which broadcasts to the value.
TrackedTensor attach(const char* name, CallSite site, TrackedTensor value,
                     TrackedTensor x, Operand derivative);

// Cast (nothing to do: x itself).
TrackedTensor apply_cast(const char* name, Operand x, DType dtype);

// A row operation over the last axis; the result has the last extent 1 where
// the primitive gives a row constant. `b` and `c` as the primitive asks
// (undefined if absent). Pending: the caller forces what it makes of them (with
// force) before handing it out.
TrackedTensor apply_row(const char* name, Op op, TrackedTensor a,
                        const Operand* b = nullptr, const Operand* c = nullptr,
                        CallSite site = {});

// A pending reduction over `axes` (bit i: axis i); result dtype as given, which
// the operand is cast to first. The caller forces it.
TrackedTensor apply_reduction(const char* name, Reduction reduction,
                              TrackedTensor x, unsigned axes, bool keepdims,
                              DType dtype, CallSite site);

// Leaves without memory, pending constants: the row-major positions, and
// random numbers (op is uniform or normal) from a place of the sequence.
TrackedTensor apply_index(const char* name, const Shape& shape, DType dtype,
                          Device device);
TrackedTensor apply_leaf(const char* name, Op op, const Shape& shape,
                         DType dtype, Device device, Draw draw);
// The gradient where no path leads: reads as zeros.
TrackedTensor structural_zero(const Shape& shape, DType dtype, Device device);
// A pending constant filled with a scalar.
TrackedTensor apply_fill(const char* name, const Shape& shape, DType dtype,
                         Device device, Literal value);

// Low level: an instruction with dtypes already settled; args are values,
// slots, literals. Used by instantiate() and by the calls above.
TrackedTensor make_pending(const char* name, CallSite site, Op op, DType dtype,
                           DType operand_dtype, Device device, Arg a, Arg b,
                           Arg c);

// An operand as an argument; scalars become slots of the instruction's dtype.
Arg to_arg(Operand&& operand, DType dtype, const char* op);

}  // namespace jacquard::tape
