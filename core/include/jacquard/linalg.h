// Matrix products.
#pragma once

#include "jacquard/tracked_tensor.h"

namespace jacquard {

// As NumPy's matmul: vectors, matrices, and batches that broadcast. Transposed
// operands are read in place. float16 and bfloat16 accumulate in float32 and
// round once. ShapeError names both shapes and the extents that differ.
JACQUARD_API TrackedTensor matmul(Operand a, Operand b);
// Σᵢ aᵢbᵢ of two vectors.
JACQUARD_API TrackedTensor dot(Operand a, Operand b);
// a bᵀ of two vectors.
JACQUARD_API TrackedTensor outer(Operand a, Operand b);

}  // namespace jacquard
