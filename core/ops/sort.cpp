#include "jacquard/sort.h"

#include <string>
#include <utility>

#include "core/backend/launch.h"
#include "core/ops/as_tensor.h"
#include "core/tape/call.h"
#include "core/tape/region.h"
#include "jacquard/index_ops.h"
#include "jacquard/shape_ops.h"

namespace jacquard {
static TrackedTensor run_argsort(Operand&& x, int axis, bool descending) {
  TrackedTensor t = stop_gradient(ops::as_tensor("argsort", x));
  const bool scalar = t.rank() == 0;
  if (scalar) t = reshape(t, {1});
  axis = normalize_axis(axis, t.shape(), "argsort");
  const Tensor keys =
      tape::force(transpose(t, axis, -1), "argsort").contiguous();
  Tensor order = Tensor::empty(keys.shape(), DType::int64, keys.device());
  const std::int64_t extent = keys.shape()[keys.rank() - 1];
  const Stream stream = current_stream(keys.device());
  if (keys.numel() != 0)
    backend::launch_sort(
        {.op = "argsort",
         .dtype = keys.dtype(),
         .rows = keys.numel() / extent,
         .extent = extent,
         .descending = descending,
         .keys = keys.data_on(stream),
         .positions = static_cast<std::int64_t*>(order.data_ptr())},
        stream);
  const TrackedTensor result = transpose(TrackedTensor(order), axis, -1);
  return scalar ? reshape(result, {}) : result;
}

TrackedTensor argsort(Operand x, int axis, bool descending) {
  return tape::call("argsort", x.site(), run_argsort, std::move(x), axis,
                    descending);
}

namespace {

// The first `count` in order, all of them if it is nullptr.
Sorted sorted(const char* name, const Operand& x, int axis, bool descending,
              const std::int64_t* count) {
  const TrackedTensor t = ops::as_tensor(name, x);
  const Shape shape = t.rank() == 0 ? Shape{1} : t.shape();
  axis = normalize_axis(axis, shape, name);
  const std::int64_t least = t.rank() == 0 ? 1 : 0;
  if (count && (*count < least || *count > shape[axis]))
    throw ShapeError(std::string(name) + ": " + std::to_string(*count) +
                     " along axis " + std::to_string(axis) + " of " +
                     to_string(t.shape()));
  TrackedTensor order = argsort(Operand(t, x.site()), axis, descending);
  if (t.rank() == 0) return {t, order};
  if (count)
    order = slice(order, axis, {.start = 0, .stop = *count, .step = 1});
  return {gather(Operand(t, x.site()), axis, order), order};
}

}  // namespace

Sorted sort(Operand x, int axis, bool descending) {
  return sorted("sort", x, axis, descending, nullptr);
}

Sorted topk(Operand x, std::int64_t k, int axis, bool largest) {
  return sorted("topk", x, axis, largest, &k);
}

}  // namespace jacquard
