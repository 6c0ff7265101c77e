// Running sums, products and linear recurrences along one axis.
//
// The result has x's shape; axis: negative from the end (IndexError out of
// range). Integers and bools accumulate in int64; half types in float32,
// rounded once an element. Long axes are cut at places that follow from their
// extent alone: the same bits from run to run. Gradients are exact in any
// order, zeros among the factors included: that of a scan is a scan from the
// other end (Blelloch 1990, Prefix sums and their applications, §1.4 for the
// recurrence). Cost: one launch forward, one for the gradient of a sum and two
// for a product or a recurrence, beside what is elementwise.
#pragma once

#include "jacquard/tracked_tensor.h"

namespace jacquard {

enum class ScanFrom { first, last };

// y[j] = Σ x[i] over i ≤ j (i ≥ j from the last).
JACQUARD_API TrackedTensor cumsum(Operand x, int axis,
                                  ScanFrom from = ScanFrom::first);
// y[j] = Π x[i] over i ≤ j (i ≥ j from the last).
JACQUARD_API TrackedTensor cumprod(Operand x, int axis,
                                   ScanFrom from = ScanFrom::first);
// h[j] = a[j]·h[j − 1] + b[j] with h before the first place 0 (h[j + 1] from
// the last), so that the first coefficient is not read and has gradient 0. a
// and b floating, of one shape (ShapeError) after broadcasting.
JACQUARD_API TrackedTensor linear_recurrence(Operand a, Operand b, int axis,
                                             ScanFrom from = ScanFrom::first);

}  // namespace jacquard
