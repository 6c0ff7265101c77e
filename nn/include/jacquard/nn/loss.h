// Losses. Elementwise ones are fused with their reduction, so that they read
// their operands once and store nothing between. Operands broadcast and promote
// as in pointwise.h; `none` gives the elements, in the broadcast shape.
//
// cross_entropy is in jacquard/row_ops.h.
#pragma once

#include "jacquard/row_ops.h"
#include "jacquard/tracked_tensor.h"

namespace jacquard::nn {

using jacquard::cross_entropy;
using jacquard::LossReduction;

// (a − b)².
JACQUARD_API TrackedTensor
mse_loss(Operand a, Operand b, LossReduction reduction = LossReduction::mean);

// |a − b|; derivative 0 where they are equal.
JACQUARD_API TrackedTensor
l1_loss(Operand a, Operand b, LossReduction reduction = LossReduction::mean);

// (a − b)²/2 where |a − b| ≤ delta, else delta·(|a − b| − delta/2).
JACQUARD_API TrackedTensor
huber_loss(Operand a, Operand b, double delta = 1,
           LossReduction reduction = LossReduction::mean);

// −t·log σ(x) − (1−t)·log(1 − σ(x)), without overflow; t in [0, 1].
JACQUARD_API TrackedTensor
binary_cross_entropy_with_logits(Operand logits, Operand target,
                                 LossReduction reduction = LossReduction::mean);

// The fraction of rows whose largest logit is at the target: a constant of rank
// 0 in the default dtype. logits [n, classes], target [n] int32 or int64.
JACQUARD_API TrackedTensor accuracy(Operand logits, Operand target);

}  // namespace jacquard::nn
