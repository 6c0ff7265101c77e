#include <string>
#include <utility>

#include "core/backend/launch.h"
#include "core/ops/as_tensor.h"
#include "core/ops/index_rows.h"
#include "core/ops/operand_checks.h"
#include "core/ops/slice_region.h"
#include "core/tape/call.h"
#include "core/tape/pending.h"
#include "core/tape/record.h"
#include "core/tape/region.h"
#include "core/tensor/writable.h"
#include "jacquard/create.h"
#include "jacquard/index_ops.h"
#include "jacquard/pointwise.h"

namespace jacquard {
namespace {

using backend::IndexLaunch;
using tape::PullbackContext;
using tape::PushContext;

// Which elements of an array an index reads along one axis.
struct Lookup {
  int axis = 0;
  // index_select: whole rows, the axis being replaced by index's shape.
  // gather: element by element, index being shaped like the result, whose
  // extents are those of the array but for the axis.
  bool by_element = false;
  Tensor index;  // int64, contiguous

  Shape result_shape(const Shape& array) const {
    if (by_element) return index.shape();
    Shape shape = array;
    shape.erase(axis);
    for (int i = 0; i < index.rank(); ++i)
      shape.insert(axis + i, index.shape()[i]);
    return shape;
  }

  // Over an array of that shape; without pointers.
  IndexLaunch launch(const char* name, const Shape& array, DType dtype) const {
    IndexLaunch work{.op = name, .dtype = dtype, .extent = array[axis]};
    for (int i = 0; i < axis; ++i) work.outer *= array[i];
    for (int i = axis + 1; i < array.rank(); ++i) work.inner *= array[i];
    work.count = by_element ? index.shape()[axis] : index.numel();
    work.index = static_cast<const std::int64_t*>(
        index.data_on(current_stream(index.device())));
    if (by_element) {
      work.index_strides[0] = work.count * work.inner;
      work.index_strides[1] = work.inner;
      work.index_strides[2] = 1;
    }
    return work;
  }
};

// The lookup behind an axis that both arrays have in front, or none.
Lookup led(Lookup lookup, const PushContext& c) {
  if (c.lead() == 0) return lookup;
  ++lookup.axis;
  if (lookup.by_element) {
    const Shape shape = c.led(lookup.index.shape());
    lookup.index =
        tape::force(expand(lookup.index, shape), "gather").contiguous();
  }
  return lookup;
}

TrackedTensor zeros_like_shape(const Shape& shape, const TrackedTensor& g) {
  return zeros(shape, {g.dtype(), g.device()});
}

// A contiguous array of x's values as `dtype`, which nobody else holds.
Tensor fresh_copy(const char* name, const TrackedTensor& x) {
  Tensor copy = Tensor::empty(x.shape(), x.dtype(), x.device());
  if (copy.numel() != 0) tape::compute_into(copy, x, false, name);
  return copy;
}

// target[index] += or = values; the arrays are contiguous and of one dtype.
void scatter_into(const char* name, const Tensor& target, const Lookup& lookup,
                  const Tensor& values, bool add) {
  IndexLaunch work = lookup.launch(name, target.shape(), target.dtype());
  const Stream stream = current_stream(target.device());
  work.source = values.data_on(stream);
  work.target = write_on(target, stream);
  if (add)
    backend::launch_scatter_add(work, stream);
  else
    backend::launch_scatter(work, stream);
}

TrackedTensor add_at(const char* name, CallSite site, const TrackedTensor& x,
                     const Lookup& lookup, const TrackedTensor& values);

TrackedTensor read_at(const char* name, CallSite site, const TrackedTensor& x,
                      const Lookup& lookup) {
  const Tensor array = tape::force(x, name).contiguous();
  Tensor result = Tensor::empty(lookup.result_shape(array.shape()),
                                array.dtype(), array.device());
  IndexLaunch work = lookup.launch(name, array.shape(), array.dtype());
  const Stream stream = current_stream(array.device());
  work.source = array.data_on(stream);
  work.target = result.data_ptr();
  backend::launch_gather(work, stream);
  return tape::record(
      name, site, std::move(result), {&x},
      [name, lookup](PullbackContext& c) {
        const TrackedTensor& g = c.cotangent();
        if (c.recording()) {
          c.add(0, add_at(name, {}, zeros_like_shape(c.shape_of(0), g), lookup,
                          g));
          return;
        }
        const auto [target, accumulate] = c.target(0);
        const Tensor values =
            tape::force(tape::apply_cast(name, g, target.dtype()), name)
                .contiguous();
        if (!accumulate && target.numel() != 0)
          tape::compute_into(target,
                             ops::fill(name, target.shape(), target.dtype(),
                                       target.device(), {}),
                             false, name);
        scatter_into(name, target, lookup, values, true);
      },
      [name, lookup](PushContext& c) {
        c.set(read_at(name, {}, c.tangent(0), led(lookup, c)));
      },
      tape::bytes_of(lookup.index));
}

// `values` has the lookup's result shape and x's dtype, here and below.
TrackedTensor add_at(const char* name, CallSite site, const TrackedTensor& x,
                     const Lookup& lookup, const TrackedTensor& values) {
  const Tensor source = tape::force(values, name).contiguous();
  if (x.is_tracked()) tape::force(x, name);
  const Tensor result = fresh_copy(name, x);
  scatter_into(name, result, lookup, source, true);
  return tape::record(
      name, site, result, {&x, &values},
      [name, lookup](PullbackContext& c) {
        const TrackedTensor& g = c.cotangent();
        if (c.needs(0)) c.add(0, g);
        if (c.needs(1)) c.add(1, read_at(name, {}, g, lookup));
      },
      [name, lookup, array = x.shape(), dtype = x.dtype()](PushContext& c) {
        c.set(c.has(1) ? add_at(name, {}, c.tangent_or_zeros(0, array, dtype),
                                led(lookup, c), c.tangent(1))
                       : c.tangent(0));
      },
      tape::bytes_of(lookup.index));
}

// Whether each place of the index is the last one that names its row, shaped
// to broadcast to rows read by the lookup.
TrackedTensor is_last_writer(const char* name, const Lookup& lookup,
                             const Shape& array) {
  const std::int64_t count = lookup.index.numel();
  const Lookup flat{
      .axis = 0, .by_element = false, .index = lookup.index.reshape({count})};
  const Device device = lookup.index.device();
  const auto leaf = [&](std::int64_t n) {
    return tape::apply_index(name, {n}, DType::int64, device);
  };
  const Tensor places = tape::force(leaf(count), name);
  const Tensor writers =
      Tensor::empty({array[lookup.axis]}, DType::int64, device);
  scatter_into(name, writers, flat, places, false);
  const TrackedTensor last =
      eq(read_at(name, {}, writers, flat), TrackedTensor(places));
  Shape shape = lookup.index.shape();
  for (int i = lookup.axis + 1; i < array.rank(); ++i) shape.push_back(1);
  return reshape(last, shape);
}

TrackedTensor put_at(const char* name, CallSite site, const TrackedTensor& x,
                     const Lookup& lookup, const TrackedTensor& values) {
  const Tensor source = tape::force(values, name).contiguous();
  if (x.is_tracked()) tape::force(x, name);
  const Tensor result = fresh_copy(name, x);
  scatter_into(name, result, lookup, source, false);
  return tape::record(
      name, site, result, {&x, &values},
      [name, lookup, array = x.shape(),
       part = values.shape()](PullbackContext& c) {
        const TrackedTensor& g = c.cotangent();
        if (c.needs(0))
          c.add(0, put_at(name, {}, g, lookup, zeros_like_shape(part, g)));
        if (c.needs(1))
          c.add(1, where(is_last_writer(name, lookup, array),
                         read_at(name, {}, g, lookup), 0.0));
      },
      [name, lookup, array = x.shape(), part = values.shape(),
       dtype = x.dtype()](PushContext& c) {
        c.set(put_at(name, {}, c.tangent_or_zeros(0, array, dtype),
                     led(lookup, c), c.tangent_or_zeros(1, part, dtype)));
      },
      tape::bytes_of(lookup.index));
}

Tensor index_array(const char* name, const TrackedTensor& x,
                   const Operand& index) {
  const TrackedTensor t = ops::as_tensor(name, index, x.device());
  if (!is_integer(t.dtype()))
    throw DTypeError(std::string(name) + ": an index is int64 or int32, not " +
                     std::string(name_of(t.dtype())));
  ops::check_same_device(name, x, t);
  return tape::force(tape::apply_cast(name, t, DType::int64), name)
      .contiguous();
}

Lookup rows(const char* name, const TrackedTensor& x, int axis,
            const Operand& index) {
  Lookup lookup{.axis = normalize_axis(axis, x.shape(), name),
                .by_element = false,
                .index = index_array(name, x, index)};
  if (x.rank() - 1 + lookup.index.rank() > kMaxRank)
    throw ShapeError(std::string(name) + ": " + to_string(x.shape()) +
                     " by an index of " + to_string(lookup.index.shape()) +
                     " has more than " + std::to_string(kMaxRank) + " axes");
  return lookup;
}

Lookup elements(const char* name, const TrackedTensor& x, int axis,
                const Operand& index) {
  Lookup lookup{.axis = normalize_axis(axis, x.shape(), name),
                .by_element = true,
                .index = index_array(name, x, index)};
  const Shape& shape = lookup.index.shape();
  bool fits = shape.rank() == x.rank();
  for (int i = 0; fits && i < x.rank(); ++i)
    fits = i == lookup.axis || shape[i] <= x.shape()[i];
  if (!fits)
    throw ShapeError(std::string(name) + ": index of " + to_string(shape) +
                     " for " + to_string(x.shape()) +
                     ": ranks must be equal, and extents at most those of the "
                     "array except on axis " +
                     std::to_string(lookup.axis));
  return lookup;
}

// The part of x that an index of smaller extents reaches.
ops::SliceRegion reach(const Shape& x, const Lookup& lookup) {
  ops::SliceRegion region = ops::SliceRegion::whole(x);
  for (int i = 0; i < x.rank(); ++i)
    if (i != lookup.axis) region.narrow(i, 0, lookup.index.shape()[i]);
  return region;
}

// As x's dtype and of the shape that the lookup reads.
TrackedTensor fitted_values(const char* name, const TrackedTensor& x,
                            const Lookup& lookup, const Operand& v) {
  TrackedTensor values =
      tape::apply_cast(name, ops::values_for(name, x, v), x.dtype());
  const Shape shape = lookup.result_shape(x.shape());
  if (values.shape() == shape) return values;
  broadcast_strides(values.shape(), contiguous_strides(values.shape()), shape,
                    name);
  return expand(values, shape);
}

void check_adds(const char* name, const TrackedTensor& x) {
  if (x.dtype() == DType::bool_)
    throw DTypeError(std::string(name) + ": bools are not added");
}

}  // namespace

namespace ops {

TrackedTensor read_rows(const char* name, CallSite site, const TrackedTensor& x,
                        int axis, const TrackedTensor& index) {
  return read_at(name, site, x, rows(name, x, axis, index));
}

TrackedTensor write_rows(const char* name, CallSite site,
                         const TrackedTensor& x, int axis,
                         const TrackedTensor& index, const TrackedTensor& v,
                         bool add) {
  if (add) check_adds(name, x);
  const Lookup lookup = rows(name, x, axis, index);
  const TrackedTensor values = fitted_values(name, x, lookup, v);
  return add ? add_at(name, site, x, lookup, values)
             : put_at(name, site, x, lookup, values);
}

}  // namespace ops

static TrackedTensor run_index_select(Operand&& x, int axis, Operand&& index) {
  const CallSite site = x.site();
  const TrackedTensor t = ops::as_tensor("index_select", x);
  return read_at("index_select", site, t, rows("index_select", t, axis, index));
}

TrackedTensor index_select(Operand x, int axis, Operand index) {
  return tape::call("index_select", x.site(), run_index_select, std::move(x),
                    axis, std::move(index));
}

static TrackedTensor run_gather(Operand&& x, int axis, Operand&& index) {
  const CallSite site = x.site();
  const TrackedTensor t = ops::as_tensor("gather", x);
  const Lookup lookup = elements("gather", t, axis, index);
  const ops::SliceRegion region = reach(t.shape(), lookup);
  if (region.covers(t.shape())) return read_at("gather", site, t, lookup);
  return read_at("gather", site, ops::take("gather", site, t, region), lookup);
}

TrackedTensor gather(Operand x, int axis, Operand index) {
  return tape::call("gather", x.site(), run_gather, std::move(x), axis,
                    std::move(index));
}

static TrackedTensor run_scatter_add(Operand&& x, int axis, Operand&& index,
                                     Operand&& values) {
  const CallSite site = x.site();
  const TrackedTensor t = ops::as_tensor("scatter_add", x);
  check_adds("scatter_add", t);
  const Lookup lookup = elements("scatter_add", t, axis, index);
  const TrackedTensor v = fitted_values("scatter_add", t, lookup, values);
  const ops::SliceRegion region = reach(t.shape(), lookup);
  if (region.covers(t.shape()))
    return add_at("scatter_add", site, t, lookup, v);
  const TrackedTensor part =
      add_at("scatter_add", site, ops::take("scatter_add", site, t, region),
             lookup, v);
  return ops::put("scatter_add", site, t, region, part);
}

TrackedTensor scatter_add(Operand x, int axis, Operand index, Operand values) {
  return tape::call("scatter_add", x.site(), run_scatter_add, std::move(x),
                    axis, std::move(index), std::move(values));
}

static TrackedTensor run_index_put(Operand&& x, int axis, Operand&& index,
                                   Operand&& v) {
  const CallSite site = x.site();
  const TrackedTensor t = ops::as_tensor("index_put", x);
  const Lookup lookup = rows("index_put", t, axis, index);
  return put_at("index_put", site, t, lookup,
                fitted_values("index_put", t, lookup, v));
}

TrackedTensor index_put(Operand x, int axis, Operand index, Operand v) {
  return tape::call("index_put", x.site(), run_index_put, std::move(x), axis,
                    std::move(index), std::move(v));
}

static TrackedTensor run_index_add(Operand&& x, int axis, Operand&& index,
                                   Operand&& v) {
  const CallSite site = x.site();
  const TrackedTensor t = ops::as_tensor("index_add", x);
  check_adds("index_add", t);
  const Lookup lookup = rows("index_add", t, axis, index);
  return add_at("index_add", site, t, lookup,
                fitted_values("index_add", t, lookup, v));
}

TrackedTensor index_add(Operand x, int axis, Operand index, Operand v) {
  return tape::call("index_add", x.site(), run_index_add, std::move(x), axis,
                    std::move(index), std::move(v));
}

static TrackedTensor run_one_hot(Operand&& index, std::int64_t classes,
                                 DType dtype) {
  if (classes < 0)
    throw ShapeError("one_hot: " + std::to_string(classes) + " classes");
  const CallSite site = index.site();
  const TrackedTensor t = ops::as_tensor("one_hot", index);
  const TrackedTensor range =
      tape::apply_index("one_hot", {classes}, DType::int64, t.device());
  // Read from the range, negative indices become what they mean, and those
  // out of range are found.
  const TrackedTensor places =
      read_at("one_hot", site, range, rows("one_hot", range, 0, t));
  return tape::apply_cast("one_hot", eq(unsqueeze(places, -1), range), dtype);
}

TrackedTensor one_hot(Operand index, std::int64_t classes, DType dtype) {
  return tape::call("one_hot", index.site(), run_one_hot, std::move(index),
                    classes, dtype);
}

}  // namespace jacquard
