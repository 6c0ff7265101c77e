// Operations along rows: one kernel a direction, which computes a pending
// operand as it loads it.
#pragma once

#include "jacquard/tracked_tensor.h"

namespace jacquard {

JACQUARD_API TrackedTensor softmax(Operand x, int axis = -1);
JACQUARD_API TrackedTensor log_softmax(Operand x, int axis = -1);

enum class LossReduction { none, mean, sum };

// −log softmax(logits)[target] of each row. logits: floating [N, C] (or [C]);
// target: int64 or int32 [N] (or []), in [0, C) (IndexError). Neither
// probabilities nor log-probabilities are ever stored.
JACQUARD_API TrackedTensor
cross_entropy(Operand logits, Operand target,
              LossReduction reduction = LossReduction::mean);

// (x − mean) / √(var + eps) over the last axis, times weight plus bias where
// they are defined (shape: the last extent). var is biased.
JACQUARD_API TrackedTensor layer_norm(Operand x, const TrackedTensor& weight,
                                      const TrackedTensor& bias,
                                      double eps = 1e-5);

}  // namespace jacquard
