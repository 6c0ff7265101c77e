// In-place updates of leaves, for optimizers: one launch over a list of them.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "jacquard/tracked_tensor.h"

namespace jacquard {

// One program over many tensors. `groups[i]` are the tensors of entry i: the
// first `outputs` of them are leaves (param) that are written in place, the
// others are read. `f` is called once, with stand-ins for the tensors of an
// entry, and returns the new values of the first `outputs`, of the same shape
// and dtype; it may use elementwise operations and host scalars only
// (GraphError). No leaf is written twice (GraphError); what is read is read as
// it was before. All entries have the same dtypes; a group of which some tensor
// has a dtype unlike the first group's is a DTypeError, other shapes in a
// group a ShapeError.
//
// Nothing is recorded. The memory keeps its address; whoever else shares it
// keeps the old contents. If it throws, nothing was written.
using UpdateRule = std::function<std::vector<TrackedTensor>(
    const std::vector<TrackedTensor>& tensors)>;
JACQUARD_API void update_in_place(
    const std::vector<std::vector<TrackedTensor>>& groups, int outputs,
    const UpdateRule& f, CallSite site = CallSite::current());

// x += delta (broadcast to x, converted to its dtype) without recording it, in
// place as above, and clears x's gradient: a step of gradient descent is
// update(x, -rate * x.grad()). GraphError unless x is a leaf.
JACQUARD_API void update(const TrackedTensor& x, Operand delta);

}  // namespace jacquard
