// Sorting along one axis.
//
// Stable: equal elements keep their order, falling ones too. NaN is greater
// than all numbers, as in PyTorch. Positions are int64 constants; the gradient
// of sorted values goes back to where they came from. IndexError for an axis
// out of range. Cost: a sort (on a GPU a radix sort of all rows at once) and a
// gather.
#pragma once

#include <cstdint>

#include "jacquard/tracked_tensor.h"

namespace jacquard {

struct Sorted {
  TrackedTensor values;
  TrackedTensor positions;  // of the values in x, along the axis
};

// The positions of x's elements in rising (falling) order.
JACQUARD_API TrackedTensor argsort(Operand x, int axis = -1,
                                   bool descending = false);
JACQUARD_API Sorted sort(Operand x, int axis = -1, bool descending = false);
// The k largest, in falling order (the k smallest, in rising order). ShapeError
// unless 0 ≤ k ≤ the extent (1 for rank 0).
JACQUARD_API Sorted topk(Operand x, std::int64_t k, int axis = -1,
                         bool largest = true);

}  // namespace jacquard
