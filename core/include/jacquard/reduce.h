// Reductions. A pending operand is computed inside the reduction's own kernel.
//
// `axes` lists the axes to reduce (negative from the end); none: all of them.
// `keepdims` keeps them with extent 1. Results are the same bits from run to
// run and for any number of threads. Errors: IndexError for an axis out of
// range or named twice; ShapeError where an empty reduction has no value.
#pragma once

#include <vector>

#include "jacquard/tracked_tensor.h"

namespace jacquard {

class Axes {
 public:
  Axes() = default;                             // all
  Axes(int axis) : axes_{axis}, all_(false) {}  // NOLINT
  Axes(std::initializer_list<int> axes) : axes_(axes), all_(axes.size() == 0) {}
  bool all() const { return all_; }
  const std::vector<int>& list() const { return axes_; }

 private:
  std::vector<int> axes_;
  bool all_ = true;
};

// Integers and bools sum and multiply to int64.
JACQUARD_API TrackedTensor sum(Operand x, Axes axes = {},
                               bool keepdims = false);
// Of bool and integers: in the default dtype. Empty: NaN.
JACQUARD_API TrackedTensor mean(Operand x, Axes axes = {},
                                bool keepdims = false);
// Gradients are exact with zeros among the factors, in any order.
JACQUARD_API TrackedTensor prod(Operand x, Axes axes = {},
                                bool keepdims = false);
// NaN if there is one. The gradient is shared evenly among ties.
JACQUARD_API TrackedTensor max(Operand x, Axes axes = {},
                               bool keepdims = false);
JACQUARD_API TrackedTensor min(Operand x, Axes axes = {},
                               bool keepdims = false);
// int64, the first of equals; NaN wins. No axis: of the flattened array.
JACQUARD_API TrackedTensor argmax(Operand x);
JACQUARD_API TrackedTensor argmax(Operand x, int axis, bool keepdims = false);
JACQUARD_API TrackedTensor argmin(Operand x);
JACQUARD_API TrackedTensor argmin(Operand x, int axis, bool keepdims = false);
// bool; operands are compared with 0.
JACQUARD_API TrackedTensor any(Operand x, Axes axes = {},
                               bool keepdims = false);
JACQUARD_API TrackedTensor all(Operand x, Axes axes = {},
                               bool keepdims = false);
// Whether the shapes are equal and all elements are (NaN is equal to nothing):
// what a == b would be if it were no tensor. Waits, as does the next.
JACQUARD_API bool equal(Operand a, Operand b);
// Whether |a − b| ≤ absolute + relative·|b| everywhere, a and b broadcast.
// Infinities are close to themselves; NaN to NaN if asked for.
JACQUARD_API bool allclose(Operand a, Operand b, double relative = 1e-5,
                           double absolute = 1e-8, bool equal_nan = false);
// Σ(x − mean)² / (n − correction).
JACQUARD_API TrackedTensor var(Operand x, Axes axes = {}, bool keepdims = false,
                               double correction = 1);
JACQUARD_API TrackedTensor std_dev(Operand x, Axes axes = {},
                                   bool keepdims = false,
                                   double correction = 1);
// The p-norm, p ≥ 0 or ∞; the 2-norm unless said. 0 at 0, with gradient 0.
JACQUARD_API TrackedTensor norm(Operand x, Axes axes = {},
                                bool keepdims = false, double p = 2);
// log Σ eˣ without overflow; −∞ for an empty or all −∞ operand.
JACQUARD_API TrackedTensor logsumexp(Operand x, Axes axes = {},
                                     bool keepdims = false);

}  // namespace jacquard
