// Gather, scatter and their like. Indices are int64 or int32 tensors; negative
// ones count from the end; IndexError when one is out of range (on a GPU at the
// next synchronisation). Repeated indices accumulate, deterministically.
#pragma once

#include "jacquard/tracked_tensor.h"

namespace jacquard {

// Rows of x along `axis`: x[…, index, …]; the axis is replaced by index's
// shape.
JACQUARD_API TrackedTensor index_select(Operand x, int axis, Operand index);
// out[i][j] = x[index[i][j]][j] for axis 0: as PyTorch's gather, index of x's
// rank, extents ≤ x's except along `axis`.
JACQUARD_API TrackedTensor gather(Operand x, int axis, Operand index);
// x with values added at the places that gather() would read.
JACQUARD_API TrackedTensor scatter_add(Operand x, int axis, Operand index,
                                       Operand values);
// x with rows x[…, index, …] replaced by v (of index_select's result shape, or
// broadcast to it); of repeated indices the last wins, and only it gets a
// gradient.
JACQUARD_API TrackedTensor index_put(Operand x, int axis, Operand index,
                                     Operand v);
// x with v added to rows x[…, index, …]; repeated indices accumulate.
JACQUARD_API TrackedTensor index_add(Operand x, int axis, Operand index,
                                     Operand v);
// 1 at index along a new last axis of extent `classes`, else 0.
JACQUARD_API TrackedTensor one_hot(Operand index, std::int64_t classes,
                                   DType dtype = default_dtype());

}  // namespace jacquard
