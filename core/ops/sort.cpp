#include "jacquard/sort.h"

#include <string>

#include "core/backend/launch.h"
#include "core/ops/as_tensor.h"
#include "core/tape/region.h"
#include "jacquard/index_ops.h"
#include "jacquard/shape_ops.h"

namespace jacquard {
namespace {

// Of a tensor's values; the axis is normalised.
TrackedTensor positions(const char* name, const TrackedTensor& t, int axis,
                        bool descending) {
  const Tensor keys =
      tape::force(transpose(stop_gradient(t), axis, -1), name).contiguous();
  Tensor order = Tensor::empty(keys.shape(), DType::int64, keys.device());
  const std::int64_t extent = keys.shape()[keys.rank() - 1];
  const Stream stream = current_stream(keys.device());
  if (keys.numel() != 0)
    backend::launch_sort(
        {.op = name,
         .dtype = keys.dtype(),
         .rows = keys.numel() / extent,
         .extent = extent,
         .descending = descending,
         .keys = keys.data_on(stream),
         .positions = static_cast<std::int64_t*>(order.data_ptr())},
        stream);
  return transpose(TrackedTensor(std::move(order)), axis, -1);
}

// Rank 0 is sorted as one element.
Sorted sorted(const char* name, const Operand& x, int axis, bool descending,
              const std::int64_t* count) {
  const TrackedTensor t = ops::as_tensor(name, x);
  if (t.rank() == 0) {
    normalize_axis(axis, {1}, name);
    if (count && *count != 1)
      throw ShapeError(std::string(name) + ": " + std::to_string(*count) +
                       " of one element");
    const TrackedTensor first =
        reshape(positions(name, reshape(t, {1}), 0, descending), {});
    return {t, first};
  }
  axis = normalize_axis(axis, t.shape(), name);
  TrackedTensor order = positions(name, t, axis, descending);
  if (count) {
    if (*count < 0 || *count > t.shape()[axis])
      throw ShapeError(std::string(name) + ": " + std::to_string(*count) +
                       " along axis " + std::to_string(axis) + " of " +
                       to_string(t.shape()));
    order = slice(order, axis, {.start = 0, .stop = *count, .step = 1});
  }
  return {gather(Operand(t, x.site()), axis, order), order};
}

}  // namespace

TrackedTensor argsort(Operand x, int axis, bool descending) {
  const TrackedTensor t = ops::as_tensor("argsort", x);
  if (t.rank() == 0)
    return sorted("argsort", t, axis, false, nullptr).positions;
  return positions("argsort", t, normalize_axis(axis, t.shape(), "argsort"),
                   descending);
}

Sorted sort(Operand x, int axis, bool descending) {
  return sorted("sort", x, axis, descending, nullptr);
}

Sorted topk(Operand x, std::int64_t k, int axis, bool largest) {
  return sorted("topk", x, axis, largest, &k);
}

}  // namespace jacquard
