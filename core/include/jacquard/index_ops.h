// Gather, scatter and their like. Indices are int64 or int32 tensors; negative
// ones count from the end; IndexError when one is out of range (on a GPU at the
// next synchronisation). Repeated indices accumulate, deterministically.
#pragma once

#include <concepts>
#include <utility>
#include <vector>

#include "jacquard/shape_ops.h"
#include "jacquard/tracked_tensor.h"

namespace jacquard {

// What picks places of one axis, as in NumPy's x[…]: an integer (the axis goes
// away), a slice, or a tensor: of indices, or a bool mask, which stands for as
// many axes as it has and must have their extents.
class Index {
 public:
  template <std::integral T>
    requires(!std::same_as<T, bool>)
  Index(T place)  // NOLINT: implicit by intent
      : kind_(Kind::place), place_(static_cast<std::int64_t>(place)) {}
  Index(Slice s = {}) : kind_(Kind::slice), slice_(s) {}  // NOLINT
  Index(TrackedTensor t)                                  // NOLINT
      : kind_(Kind::tensor), tensor_(std::move(t)) {}
  Index(Tensor t) : Index(TrackedTensor(std::move(t))) {}  // NOLINT

  enum class Kind { place, slice, tensor };
  Kind kind() const { return kind_; }
  std::int64_t place() const { return place_; }
  const Slice& slice() const { return slice_; }
  const TrackedTensor& tensor() const { return tensor_; }

 private:
  Kind kind_;
  std::int64_t place_ = 0;
  Slice slice_;
  TrackedTensor tensor_;
};

// x[indices…]: one index for each of the first axes, the others whole. Index
// tensors are broadcast together and read element by element; the axes of their
// common shape stand where they stood, or first if another axis lies between
// them. An integer takes its axis away before that is looked at (as in PyTorch;
// NumPy counts it among the tensors). A mask reads where it is true, in
// row-major order: how many that are is read on the host, so the call waits.
// Integers and slices alone give a view.
JACQUARD_API TrackedTensor index(Operand x, const std::vector<Index>& indices);
// x with v (broadcast) in place of what index() reads: a new array. Of repeated
// places the last one wins, and only it gets a gradient. A mask waits only if v
// has an extent for what the mask selects.
JACQUARD_API TrackedTensor index_put(Operand x,
                                     const std::vector<Index>& indices,
                                     Operand v);
// x with v added to what index() reads; repeated places accumulate.
JACQUARD_API TrackedTensor index_add(Operand x,
                                     const std::vector<Index>& indices,
                                     Operand v);

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
