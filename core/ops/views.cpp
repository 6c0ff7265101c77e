#include <string>
#include <utility>

#include "core/ops/as_tensor.h"
#include "core/ops/sum_to.h"
#include "core/tape/call.h"
#include "core/tape/record.h"
#include "core/tape/region.h"
#include "core/tensor/layout.h"
#include "jacquard/shape_ops.h"

namespace jacquard {
namespace {

using tape::PullbackContext;
using tape::PushContext;

TrackedTensor reshaped(const char* name, CallSite site, const TrackedTensor& t,
                       const Shape& shape) {
  Tensor result = tape::force(t, name).reshape(shape);
  return tape::record(
      name, site, std::move(result), {&t},
      [](PullbackContext& c) {
        c.add(0, reshape(c.cotangent(), c.shape_of(0)));
      },
      [](PushContext& c) { c.set(reshape(c.tangent(0), c.shape())); });
}

// The axes of a permutation behind `lead` that stay where they are.
std::vector<int> led(const std::vector<int>& axes, int lead) {
  std::vector<int> all;
  for (int i = 0; i < lead; ++i) all.push_back(i);
  for (const int axis : axes) all.push_back(axis + lead);
  return all;
}

TrackedTensor permuted(const char* name, CallSite site, const TrackedTensor& t,
                       const std::vector<int>& axes) {
  const Tensor array = tape::force(t, name);
  Shape shape;
  Strides strides;
  std::vector<int> inverse(axes.size());
  for (std::size_t i = 0; i < axes.size(); ++i) {
    shape.push_back(array.shape()[axes[i]]);
    strides.push_back(array.strides()[axes[i]]);
    inverse[static_cast<std::size_t>(axes[i])] = static_cast<int>(i);
  }
  return tape::record(
      name, site, array.view(shape, strides, 0), {&t},
      [inverse = std::move(inverse)](PullbackContext& c) {
        c.add(0, permute(c.cotangent(), inverse));
      },
      [axes](PushContext& c) {
        c.set(permute(c.tangent(0), led(axes, c.lead())));
      });
}

std::string list_of(const std::vector<int>& axes) {
  std::string text = "(";
  for (std::size_t i = 0; i < axes.size(); ++i)
    text += (i == 0 ? "" : ", ") + std::to_string(axes[i]);
  return text + ")";
}

}  // namespace

static TrackedTensor run_reshape(Operand&& x, const Shape& shape) {
  const CallSite site = x.site();
  const TrackedTensor t = ops::as_tensor("reshape", x);
  return reshaped("reshape", site, t,
                  resolve_reshape(t.shape(), shape, "reshape"));
}

TrackedTensor reshape(Operand x, const Shape& shape) {
  return tape::call("reshape", x.site(), run_reshape, std::move(x), shape);
}

static TrackedTensor run_flatten(Operand&& x, int first, int last) {
  const CallSite site = x.site();
  const TrackedTensor t = ops::as_tensor("flatten", x);
  if (t.rank() == 0) return reshaped("flatten", site, t, {1});
  first = normalize_axis(first, t.shape(), "flatten");
  last = normalize_axis(last, t.shape(), "flatten");
  if (first > last)
    throw ShapeError("flatten: " + to_string(t.shape()) + ": first axis " +
                     std::to_string(first) + " comes after last axis " +
                     std::to_string(last));
  Shape shape;
  std::int64_t flat = 1;
  for (int i = 0; i < t.rank(); ++i) {
    if (i < first || i > last) {
      shape.push_back(t.shape()[i]);
      continue;
    }
    flat *= t.shape()[i];
    if (i == last) shape.push_back(flat);
  }
  return reshaped("flatten", site, t, shape);
}

TrackedTensor flatten(Operand x, int first, int last) {
  return tape::call("flatten", x.site(), run_flatten, std::move(x), first,
                    last);
}

static TrackedTensor run_permute(Operand&& x, std::vector<int>&& axes) {
  const CallSite site = x.site();
  const TrackedTensor t = ops::as_tensor("permute", x);
  unsigned seen = 0;
  std::vector<int> order;
  for (const int axis : axes) {
    order.push_back(normalize_axis(axis, t.shape(), "permute"));
    seen |= 1u << order.back();
  }
  if (static_cast<int>(axes.size()) != t.rank() || seen != (1u << t.rank()) - 1)
    throw ShapeError("permute: " + list_of(axes) +
                     " does not name each axis of " + to_string(t.shape()) +
                     " once");
  return permuted("permute", site, t, order);
}

TrackedTensor permute(Operand x, std::vector<int> axes) {
  return tape::call("permute", x.site(), run_permute, std::move(x),
                    std::move(axes));
}

static TrackedTensor run_transpose(Operand&& x, int a, int b) {
  const CallSite site = x.site();
  const TrackedTensor t = ops::as_tensor("transpose", x);
  a = normalize_axis(a, t.shape(), "transpose");
  b = normalize_axis(b, t.shape(), "transpose");
  const Tensor array = tape::force(t, "transpose");
  Shape shape = array.shape();
  Strides strides = array.strides();
  std::swap(shape[a], shape[b]);
  std::swap(strides[a], strides[b]);
  return tape::record(
      "transpose", site, array.view(shape, strides, 0), {&t},
      [a, b](PullbackContext& c) { c.add(0, transpose(c.cotangent(), a, b)); },
      [a, b](PushContext& c) {
        c.set(transpose(c.tangent(0), a + c.lead(), b + c.lead()));
      });
}

TrackedTensor transpose(Operand x, int a, int b) {
  return tape::call("transpose", x.site(), run_transpose, std::move(x), a, b);
}

static TrackedTensor run_expand(Operand&& x, const Shape& shape) {
  const CallSite site = x.site();
  const TrackedTensor t = ops::as_tensor("expand", x);
  Shape to = shape;
  const int added = to.rank() - t.rank();
  for (int i = 0; i < to.rank(); ++i) {
    if (to[i] == -1 && i >= added) to[i] = t.shape()[i - added];
    if (to[i] < 0)
      throw ShapeError("expand: " + to_string(t.shape()) + " to " +
                       to_string(shape) +
                       ": extents must not be negative, and -1 only keeps one "
                       "that is there");
  }
  const Tensor array = tape::force(t, "expand");
  const Strides strides =
      broadcast_strides(array.shape(), array.strides(), to, "expand");
  return tape::record(
      "expand", site, array.view(to, strides, 0), {&t},
      [](PullbackContext& c) {
        c.add(0, ops::sum_to(c.cotangent(), c.shape_of(0)));
      },
      [rank = to.rank()](PushContext& c) {
        c.set(expand(c.aligned(0, rank), c.shape()));
      });
}

TrackedTensor expand(Operand x, const Shape& shape) {
  return tape::call("expand", x.site(), run_expand, std::move(x), shape);
}

static TrackedTensor run_squeeze(Operand&& x) {
  const CallSite site = x.site();
  const TrackedTensor t = ops::as_tensor("squeeze", x);
  Shape shape;
  for (const std::int64_t extent : t.shape())
    if (extent != 1) shape.push_back(extent);
  return reshaped("squeeze", site, t, shape);
}

TrackedTensor squeeze(Operand x) {
  return tape::call("squeeze", x.site(), run_squeeze, std::move(x));
}

static TrackedTensor run_squeeze_axis(Operand&& x, int axis) {
  const CallSite site = x.site();
  const TrackedTensor t = ops::as_tensor("squeeze", x);
  Shape shape = t.shape();
  axis = normalize_axis(axis, shape, "squeeze");
  if (shape[axis] != 1)
    throw ShapeError("squeeze: axis " + std::to_string(axis) + " of " +
                     to_string(shape) + " has extent " +
                     std::to_string(shape[axis]) + ", not 1");
  shape.erase(axis);
  return reshaped("squeeze", site, t, shape);
}

TrackedTensor squeeze(Operand x, int axis) {
  return tape::call("squeeze", x.site(), run_squeeze_axis, std::move(x), axis);
}

static TrackedTensor run_unsqueeze(Operand&& x, int axis) {
  const CallSite site = x.site();
  const TrackedTensor t = ops::as_tensor("unsqueeze", x);
  Shape shape = t.shape();
  // The axis counts in the result.
  const int rank = shape.rank() + 1;
  if (axis < -rank || axis >= rank)
    throw IndexError("unsqueeze: axis " + std::to_string(axis) +
                     " is out of range for " + to_string(shape) +
                     " with one axis more");
  shape.insert(axis < 0 ? axis + rank : axis, 1);
  return reshaped("unsqueeze", site, t, shape);
}

TrackedTensor unsqueeze(Operand x, int axis) {
  return tape::call("unsqueeze", x.site(), run_unsqueeze, std::move(x), axis);
}

}  // namespace jacquard
