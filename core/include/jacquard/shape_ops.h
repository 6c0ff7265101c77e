// Shape operations: views where the layout allows, recorded on the tape.
//
// Fused kernels read views through their strides, so views cost nothing.
#pragma once

#include <optional>
#include <vector>

#include "jacquard/reduce.h"
#include "jacquard/tracked_tensor.h"

namespace jacquard {

// One extent may be −1. ShapeError unless the counts agree. A view where the
// strides allow, else a copy.
JACQUARD_API TrackedTensor reshape(Operand x, const Shape& shape);
JACQUARD_API TrackedTensor flatten(Operand x, int first = 0, int last = -1);
JACQUARD_API TrackedTensor permute(Operand x, std::vector<int> axes);
// Two axes swapped; the last two unless said.
JACQUARD_API TrackedTensor transpose(Operand x, int a = -2, int b = -1);
// Broadcast to `shape`; −1 keeps an extent.
JACQUARD_API TrackedTensor expand(Operand x, const Shape& shape);
JACQUARD_API TrackedTensor squeeze(Operand x);            // all extents of 1
JACQUARD_API TrackedTensor squeeze(Operand x, int axis);  // ShapeError if not 1
JACQUARD_API TrackedTensor unsqueeze(Operand x, int axis);

// A Python slice: [start:stop:step], negative from the end, clipped; step < 0
// walks backwards. Missing ends are as in Python.
struct Slice {
  std::optional<std::int64_t> start, stop;
  std::int64_t step = 1;
};
JACQUARD_API TrackedTensor slice(Operand x, int axis, Slice s);
// One slice for each of the first axes.
JACQUARD_API TrackedTensor slice(Operand x, const std::vector<Slice>& slices);
// x[…, i, …] at an axis, which goes away.
JACQUARD_API TrackedTensor select(Operand x, int axis, std::int64_t i);
JACQUARD_API TrackedTensor flip(Operand x, Axes axes);
// A copy; ShapeError that names the pieces that don't fit. dtypes promote.
JACQUARD_API TrackedTensor cat(const std::vector<TrackedTensor>& pieces,
                               int axis = 0,
                               CallSite site = CallSite::current());
JACQUARD_API TrackedTensor stack(const std::vector<TrackedTensor>& pieces,
                                 int axis = 0,
                                 CallSite site = CallSite::current());
JACQUARD_API std::vector<TrackedTensor> split(
    const TrackedTensor& x, std::int64_t size, int axis = 0,
    CallSite site = CallSite::current());
// `value` before and after each axis; {before, after} for the last axes.
JACQUARD_API TrackedTensor
pad(Operand x, const std::vector<std::pair<std::int64_t, std::int64_t>>& widths,
    double value = 0);
// x with the part under the slices replaced by v (broadcast to it): a new
// value.
JACQUARD_API TrackedTensor slice_put(Operand x,
                                     const std::vector<Slice>& slices,
                                     Operand v);

}  // namespace jacquard
