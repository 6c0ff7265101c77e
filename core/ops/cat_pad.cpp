#include <cmath>
#include <string>
#include <utility>

#include "core/ops/as_tensor.h"
#include "core/ops/operand_checks.h"
#include "core/ops/parts.h"
#include "core/tape/call.h"
#include "core/tape/record.h"
#include "core/tape/region.h"
#include "jacquard/create.h"
#include "jacquard/shape_ops.h"

namespace jacquard {
namespace {

using ops::SliceRegion;
using tape::PullbackContext;
using tape::PushContext;

// Checks that there are pieces, on one device; returns their common dtype.
DType common_dtype(const char* op, const std::vector<TrackedTensor>& pieces) {
  if (pieces.empty())
    throw ShapeError(std::string(op) + ": there are no pieces");
  DType dtype = pieces[0].dtype();
  for (const TrackedTensor& piece : pieces) {
    ops::check_same_device(op, pieces[0], piece);
    dtype = promote(dtype, piece.dtype());
  }
  return dtype;
}

[[noreturn]] void throw_misfit(const char* op,
                               const std::vector<TrackedTensor>& pieces,
                               std::size_t i, const std::string& rule) {
  throw ShapeError(std::string(op) + ": piece " + std::to_string(i) + ", " +
                   to_string(pieces[i].shape()) + ", does not fit piece 0, " +
                   to_string(pieces[0].shape()) + ": " + rule);
}

}  // namespace

static TrackedTensor run_cat(const std::vector<TrackedTensor>& pieces, int axis,
                             CallSite site) {
  const DType dtype = common_dtype("cat", pieces);
  Shape shape = pieces[0].shape();
  if (shape.rank() == 0)
    throw ShapeError("cat: pieces of rank 0 have no axis; use stack");
  axis = normalize_axis(axis, shape, "cat");
  shape[axis] = 0;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    Shape rest = pieces[i].shape();
    if (rest.rank() == shape.rank()) rest[axis] = shape[axis];
    if (rest != shape)
      throw_misfit("cat", pieces, i,
                   "extents must agree but on axis " + std::to_string(axis));
    shape[axis] += pieces[i].shape()[axis];
  }
  std::vector<ops::Part> parts;
  std::int64_t from = 0;
  for (const TrackedTensor& piece : pieces) {
    const std::int64_t extent = piece.shape()[axis];
    parts.push_back({piece, SliceRegion::whole(shape)});
    parts.back().region.narrow(axis, from, extent);
    from += extent;
  }
  return ops::join("cat", site, shape, dtype, std::move(parts));
}

TrackedTensor cat(const std::vector<TrackedTensor>& pieces, int axis,
                  CallSite site) {
  return tape::call("cat", site, run_cat, pieces, axis, site);
}

static TrackedTensor run_stack(const std::vector<TrackedTensor>& pieces,
                               int axis, CallSite site) {
  const DType dtype = common_dtype("stack", pieces);
  Shape shape = pieces[0].shape();
  for (std::size_t i = 0; i < pieces.size(); ++i)
    if (pieces[i].shape() != shape)
      throw_misfit("stack", pieces, i, "shapes must be equal");
  // The axis counts in the result.
  const int rank = shape.rank() + 1;
  if (axis < -rank || axis >= rank)
    throw IndexError("stack: axis " + std::to_string(axis) +
                     " is out of range for pieces of " + to_string(shape));
  if (axis < 0) axis += rank;
  shape.insert(axis, static_cast<std::int64_t>(pieces.size()));
  std::vector<ops::Part> parts;
  for (const TrackedTensor& piece : pieces) {
    parts.push_back({piece, SliceRegion::whole(shape)});
    parts.back().region.pick(axis, static_cast<std::int64_t>(parts.size()) - 1);
  }
  return ops::join("stack", site, shape, dtype, std::move(parts));
}

TrackedTensor stack(const std::vector<TrackedTensor>& pieces, int axis,
                    CallSite site) {
  return tape::call("stack", site, run_stack, pieces, axis, site);
}

static TrackedTensor run_pad(
    Operand&& x,
    const std::vector<std::pair<std::int64_t, std::int64_t>>& widths,
    double value) {
  const CallSite site = x.site();
  const TrackedTensor t = ops::as_tensor("pad", x);
  const int first = t.rank() - static_cast<int>(widths.size());
  if (first < 0)
    throw ShapeError("pad: " + std::to_string(widths.size()) + " widths for " +
                     to_string(t.shape()));
  Shape shape = t.shape();
  SliceRegion region = SliceRegion::whole(shape);
  for (int i = first; i < t.rank(); ++i) {
    const auto [before, after] = widths[static_cast<std::size_t>(i - first)];
    if (before < 0 || after < 0)
      throw ShapeError("pad: widths must not be negative; use slice");
    shape[i] += before + after;
    region.start[i] = before;
  }
  const bool integer = std::trunc(value) == value && std::abs(value) < 0x1p63;
  if (!is_floating(t.dtype()) && !integer)
    throw DTypeError("pad: " + std::to_string(value) +
                     " does not fit an array of " +
                     std::string(name_of(t.dtype())));

  if (t.is_tracked()) tape::force(t, "pad");
  Tensor result = Tensor::empty(shape, t.dtype(), t.device());
  if (!region.covers(shape) && result.numel() != 0)
    tape::compute_into(result,
                       ops::fill("pad", shape, t.dtype(), t.device(),
                                 {.integral = false, .f = value}),
                       false, "pad");
  if (t.numel() != 0) tape::compute_into(region.view(result), t, false, "pad");
  return tape::record(
      "pad", site, std::move(result), {&t},
      [region](PullbackContext& c) {
        c.add(0, ops::take("pad", {}, c.cotangent(), region));
      },
      [region](PushContext& c) {
        const TrackedTensor& part = c.tangent(0);
        const Shape all = c.shape();
        c.set(ops::put("pad", {}, zeros(all, {part.dtype(), part.device()}),
                       region.led(c.lead(), all), part));
      });
}

TrackedTensor pad(
    Operand x, const std::vector<std::pair<std::int64_t, std::int64_t>>& widths,
    double value) {
  return tape::call("pad", x.site(), run_pad, std::move(x), widths, value);
}

}  // namespace jacquard
