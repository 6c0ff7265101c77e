#include <algorithm>
#include <string>
#include <utility>

#include "core/ops/as_tensor.h"
#include "core/ops/operand_checks.h"
#include "core/ops/slice_region.h"
#include "core/tape/call.h"
#include "core/tape/record.h"
#include "core/tape/region.h"
#include "jacquard/create.h"

namespace jacquard {
namespace ops {

using tape::PullbackContext;
using tape::PushContext;

SliceRegion SliceRegion::whole(const Shape& shape) {
  return {.start = Shape::filled(shape.rank(), 0),
          .step = Shape::filled(shape.rank(), 1),
          .count = shape};
}

void SliceRegion::narrow(int axis, std::int64_t from, std::int64_t extent) {
  start[axis] = from;
  count[axis] = extent;
}

void SliceRegion::pick(int axis, std::int64_t place) {
  narrow(axis, place, 1);
  dropped |= 1u << axis;
}

void SliceRegion::restrict_to(int axis, const Slice& s, const char* op) {
  const std::int64_t n = count[axis];
  if (s.step == 0)
    throw IndexError(std::string(op) + ": the step of a slice must not be 0");
  // Ends lie in [0, n] for a rising and in [−1, n − 1] for a falling slice.
  const std::int64_t low = s.step > 0 ? 0 : -1;
  const std::int64_t high = s.step > 0 ? n : n - 1;
  const auto end = [&](const std::optional<std::int64_t>& given,
                       std::int64_t missing) {
    if (!given) return missing;
    return std::clamp(*given < 0 ? *given + n : *given, low, high);
  };
  const std::int64_t from = end(s.start, s.step > 0 ? low : high);
  const std::int64_t to = end(s.stop, s.step > 0 ? high : low);
  const std::int64_t span = s.step > 0 ? to - from : from - to;
  // Of a huge step (−2⁶³ included) only the first place is left.
  const std::int64_t stride = std::clamp(s.step, -n - 1, n + 1);
  const std::int64_t size = stride > 0 ? stride : -stride;
  start[axis] = from;
  step[axis] = stride;
  count[axis] = span <= 0 ? 0 : (span - 1) / size + 1;
}

SliceRegion SliceRegion::led(int lead, const Shape& led_shape) const {
  SliceRegion region = *this;
  for (int i = 0; i < lead; ++i) {
    region.start.insert(i, 0);
    region.step.insert(i, 1);
    region.count.insert(i, led_shape[i]);
  }
  region.dropped <<= lead;
  return region;
}

Shape SliceRegion::shape() const {
  Shape result;
  for (int i = 0; i < count.rank(); ++i)
    if ((dropped >> i & 1u) == 0) result.push_back(count[i]);
  return result;
}

Tensor SliceRegion::view(const Tensor& array) const {
  Strides strides;
  std::int64_t offset = 0;
  for (int i = 0; i < count.rank(); ++i) {
    offset += start[i] * array.strides()[i];
    if ((dropped >> i & 1u) == 0)
      strides.push_back(step[i] * array.strides()[i]);
  }
  return array.view(shape(), strides, count.numel() == 0 ? 0 : offset);
}

TrackedTensor take(const char* name, CallSite site, const TrackedTensor& x,
                   const SliceRegion& region) {
  Tensor result = region.view(tape::force(x, name));
  return tape::record(
      name, site, std::move(result), {&x},
      [name, region](PullbackContext& c) {
        const Shape& shape = c.shape_of(0);
        const TrackedTensor& g = c.cotangent();
        if (region.covers(shape)) {
          // Whole axes, some of them reversed: its own inverse.
          SliceRegion same = region;
          same.dropped = 0;
          c.add(0, take(name, {}, reshape(g, shape), same));
        } else if (c.recording()) {
          c.add(0, put(name, {}, zeros(shape, {g.dtype(), g.device()}), region,
                       g));
        } else {
          c.add_part(0, g, [&](const Tensor& all) { return region.view(all); });
        }
      },
      [name, region](PushContext& c) {
        const TrackedTensor& t = c.tangent(0);
        c.set(take(name, {}, t, region.led(c.lead(), t.shape())));
      });
}

TrackedTensor put(const char* name, CallSite site, const TrackedTensor& x,
                  const SliceRegion& region, const TrackedTensor& v) {
  const Shape part = region.shape();
  // Recorded on its own, so that the gradient of v is summed there.
  const TrackedTensor values = v.shape() == part ? v : expand(v, part);
  const TrackedTensor* const inputs[] = {&x, &values};
  if (tape::would_record(inputs)) {
    // The node's edges lead to written values.
    for (const TrackedTensor* input : inputs)
      if (input->is_tracked()) tape::force(*input, name);
  }
  Tensor result = Tensor::empty(x.shape(), x.dtype(), x.device());
  if (!region.covers(x.shape()) && result.numel() != 0)
    tape::compute_into(result, x, false, name);
  if (part.numel() != 0)
    tape::compute_into(region.view(result), values, false, name);
  return tape::record(
      name, site, std::move(result), {&x, &values},
      [name, region, part](PullbackContext& c) {
        const TrackedTensor& g = c.cotangent();
        if (c.needs(0))
          c.add(0,
                put(name, {}, g, region, zeros(part, {g.dtype(), g.device()})));
        if (c.needs(1)) c.add(1, take(name, {}, g, region));
      },
      [name, region, dtype = x.dtype(), whole = x.shape()](PushContext& c) {
        const SliceRegion led = region.led(c.lead(), c.led(whole));
        c.set(put(name, {}, c.tangent_or_zeros(0, whole, dtype), led,
                  c.tangent_or_zeros(1, region.shape(), dtype)));
      });
}

}  // namespace ops

namespace {

ops::SliceRegion region_of(const Shape& shape, const std::vector<Slice>& slices,
                           const char* op) {
  if (static_cast<int>(slices.size()) > shape.rank())
    throw ShapeError(std::string(op) + ": " + std::to_string(slices.size()) +
                     " slices for " + to_string(shape));
  ops::SliceRegion region = ops::SliceRegion::whole(shape);
  for (std::size_t i = 0; i < slices.size(); ++i)
    region.restrict_to(static_cast<int>(i), slices[i], op);
  return region;
}

}  // namespace

static TrackedTensor run_slice(Operand&& x, int axis, Slice s) {
  const CallSite site = x.site();
  const TrackedTensor t = ops::as_tensor("slice", x);
  ops::SliceRegion region = ops::SliceRegion::whole(t.shape());
  region.restrict_to(normalize_axis(axis, t.shape(), "slice"), s, "slice");
  return ops::take("slice", site, t, region);
}

TrackedTensor slice(Operand x, int axis, Slice s) {
  return tape::call("slice", x.site(), run_slice, std::move(x), axis, s);
}

static TrackedTensor run_slices(Operand&& x, const std::vector<Slice>& slices) {
  const CallSite site = x.site();
  const TrackedTensor t = ops::as_tensor("slice", x);
  return ops::take("slice", site, t, region_of(t.shape(), slices, "slice"));
}

TrackedTensor slice(Operand x, const std::vector<Slice>& slices) {
  return tape::call("slice", x.site(), run_slices, std::move(x), slices);
}

static TrackedTensor run_select(Operand&& x, int axis, std::int64_t i) {
  const CallSite site = x.site();
  const TrackedTensor t = ops::as_tensor("select", x);
  axis = normalize_axis(axis, t.shape(), "select");
  const std::int64_t n = t.shape()[axis];
  if (i < -n || i >= n)
    throw IndexError("select: index " + std::to_string(i) +
                     " is out of range for axis " + std::to_string(axis) +
                     " of " + to_string(t.shape()));
  ops::SliceRegion region = ops::SliceRegion::whole(t.shape());
  region.pick(axis, i < 0 ? i + n : i);
  return ops::take("select", site, t, region);
}

TrackedTensor select(Operand x, int axis, std::int64_t i) {
  return tape::call("select", x.site(), run_select, std::move(x), axis, i);
}

static TrackedTensor run_flip(Operand&& x, Axes&& axes) {
  const CallSite site = x.site();
  const TrackedTensor t = ops::as_tensor("flip", x);
  ops::SliceRegion region = ops::SliceRegion::whole(t.shape());
  const auto reverse = [&](int axis) {
    region.restrict_to(axis, {.start = {}, .stop = {}, .step = -1}, "flip");
  };
  unsigned seen = 0;
  for (int i = 0; axes.all() && i < t.rank(); ++i) reverse(i);
  for (const int named : axes.list()) {
    const int axis = normalize_axis(named, t.shape(), "flip");
    if ((seen >> axis & 1u) != 0)
      throw IndexError("flip: axis " + std::to_string(axis) + " of " +
                       to_string(t.shape()) + " is named twice");
    seen |= 1u << axis;
    reverse(axis);
  }
  return ops::take("flip", site, t, region);
}

TrackedTensor flip(Operand x, Axes axes) {
  return tape::call("flip", x.site(), run_flip, std::move(x), std::move(axes));
}

static std::vector<TrackedTensor> run_split(const TrackedTensor& x,
                                            std::int64_t size, int axis,
                                            CallSite site) {
  axis = normalize_axis(axis, x.shape(), "split");
  if (size <= 0)
    throw ShapeError("split: pieces of " + std::to_string(size) +
                     "; the size must be positive");
  const std::int64_t n = x.shape()[axis];
  std::vector<TrackedTensor> pieces;
  std::int64_t from = 0;
  do {
    const std::int64_t extent = std::min(size, n - from);
    ops::SliceRegion region = ops::SliceRegion::whole(x.shape());
    region.narrow(axis, from, extent);
    pieces.push_back(ops::take("split", site, x, region));
    from += extent;
  } while (from < n);
  return pieces;
}

std::vector<TrackedTensor> split(const TrackedTensor& x, std::int64_t size,
                                 int axis, CallSite site) {
  return tape::call("split", site, run_split, x, size, axis, site);
}

static TrackedTensor run_slice_put(Operand&& x,
                                   const std::vector<Slice>& slices,
                                   Operand&& v) {
  const CallSite site = x.site();
  const TrackedTensor t = ops::as_tensor("slice_put", x);
  return ops::put("slice_put", site, t,
                  region_of(t.shape(), slices, "slice_put"),
                  ops::values_for("slice_put", t, v));
}

TrackedTensor slice_put(Operand x, const std::vector<Slice>& slices,
                        Operand v) {
  return tape::call("slice_put", x.site(), run_slice_put, std::move(x), slices,
                    std::move(v));
}

}  // namespace jacquard
