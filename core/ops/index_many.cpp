// Indices of several kinds at once. Integers and slices make a region; index
// tensors are brought to one index of the axes that they read, taken together.
#include <algorithm>
#include <string>
#include <utility>

#include "core/ops/as_tensor.h"
#include "core/ops/index_rows.h"
#include "core/ops/operand_checks.h"
#include "core/ops/selection.h"
#include "core/tape/call.h"
#include "core/tape/pending.h"
#include "jacquard/create.h"
#include "jacquard/index_ops.h"
#include "jacquard/pointwise.h"

namespace jacquard {
namespace {

using ops::Selection;

// The places where a mask is true: an index tensor for each of its axes.
std::vector<TrackedTensor> places_in(const TrackedTensor& mask) {
  tape::report_user_code("the places of a mask", {});
  const Shape& shape = mask.shape();
  std::vector<std::vector<std::int64_t>> places(
      static_cast<std::size_t>(shape.rank()));
  std::int64_t at = 0;
  for (const bool chosen : mask.to_host<bool>()) {
    std::int64_t rest = at++;
    if (!chosen) continue;
    for (int k = shape.rank() - 1; k >= 0; rest /= shape[k--])
      places[static_cast<std::size_t>(k)].push_back(rest % shape[k]);
  }
  std::vector<TrackedTensor> result;
  for (const auto& p : places)
    result.push_back(
        tensor(p, {static_cast<std::int64_t>(p.size())}, mask.device()));
  return result;
}

// How the part of a selection is read by one index along one axis.
struct Arrangement {
  std::vector<int> order;  // the part's axes; empty: as they are
  Shape ordered;           // its shape then
  Shape joined;            // with the axes that are read as one
  int axis = 0;
  TrackedTensor index;

  TrackedTensor arrange(const TrackedTensor& part) const {
    return reshape(order.empty() ? part : permute(part, order), joined);
  }
  TrackedTensor undo(const TrackedTensor& arranged) const {
    const TrackedTensor part = reshape(arranged, ordered);
    if (order.empty()) return part;
    std::vector<int> back(order.size());
    for (std::size_t i = 0; i < order.size(); ++i)
      back[static_cast<std::size_t>(order[i])] = static_cast<int>(i);
    return permute(part, back);
  }
};

// Negative places made what they mean, those out of range found; broadcast is
// left to the sum.
TrackedTensor combined(const char* op, const std::vector<int>& axes,
                       const std::vector<TrackedTensor>& tensors,
                       const Shape& part) {
  TrackedTensor flat;
  std::int64_t stride = 1;
  for (std::size_t i = axes.size(); i-- > 0;) {
    const std::int64_t n = part[axes[i]];
    const TrackedTensor range =
        tape::apply_index(op, {n}, DType::int64, tensors[i].device());
    const TrackedTensor places =
        ops::read_rows(op, {}, range, 0, tensors[i]) * stride;
    flat = flat.defined() ? flat + places : places;
    stride *= n;
  }
  return flat;
}

Arrangement arrange(const char* op, const Selection& s, const Shape& part) {
  std::vector<int> axes;
  std::vector<TrackedTensor> tensors;
  for (const Selection::Lookup& l : s.lookups) {
    if (l.index.dtype() != DType::bool_) {
      axes.push_back(l.axis);
      tensors.push_back(l.index);
      continue;
    }
    int axis = l.axis;
    for (TrackedTensor& t : places_in(l.index)) {
      axes.push_back(axis++);
      tensors.push_back(std::move(t));
    }
  }
  Arrangement a;
  a.ordered = a.joined = part;
  a.axis = axes.front();
  if (axes.size() == 1) {
    a.index = tensors.front();
    return a;
  }
  Shape common = tensors.front().shape();
  for (const TrackedTensor& t : tensors)
    common = broadcast(common, t.shape(), op);
  a.index = combined(op, axes, tensors, part);
  const int read = static_cast<int>(axes.size());
  if (axes.back() - axes.front() != read - 1) {
    a.axis = 0;
    a.order = axes;
    for (int i = 0; i < part.rank(); ++i)
      if (std::ranges::find(axes, i) == axes.end()) a.order.push_back(i);
    for (int i = 0; i < part.rank(); ++i)
      a.ordered[i] = part[a.order[static_cast<std::size_t>(i)]];
  }
  a.joined = a.ordered;
  for (int i = 1; i < read; ++i) {
    a.joined[a.axis] *= a.joined[a.axis + 1];
    a.joined.erase(a.axis + 1);
  }
  return a;
}

// The mask over the part, if it alone decides where v, which has no extent for
// what it selects, is written.
TrackedTensor sole_mask(const char* op, const Selection& s, const Shape& part,
                        const TrackedTensor& v) {
  if (s.lookups.size() != 1) return {};
  const auto& [axis, mask] = s.lookups.front();
  const int after = part.rank() - axis - mask.rank();
  if (mask.dtype() != DType::bool_ || v.rank() > after) return {};
  Shape shape = mask.shape();
  for (int i = 0; i < after; ++i) shape.push_back(1);
  broadcast_strides(v.shape(), contiguous_strides(v.shape()), part, op);
  return reshape(mask, shape);
}

TrackedTensor write(const char* op, Operand&& x,
                    const std::vector<Index>& indices, Operand&& v, bool add) {
  const CallSite site = x.site();
  const TrackedTensor t = ops::as_tensor(op, x);
  const Selection s = ops::select(op, t.shape(), t.device(), indices);
  const TrackedTensor values =
      tape::apply_cast(op, ops::values_for(op, t, v), t.dtype());
  if (add && t.dtype() == DType::bool_)
    throw DTypeError(std::string(op) + ": bools are not added");
  if (s.lookups.empty())
    broadcast_strides(values.shape(), contiguous_strides(values.shape()),
                      s.region.shape(), op);
  if (s.lookups.empty() && !add) return ops::put(op, site, t, s.region, values);
  const bool whole = s.is_whole(t.shape());
  const TrackedTensor part = whole ? t : ops::take(op, site, t, s.region);
  TrackedTensor written;
  if (s.lookups.empty()) {
    written = tape::apply(op, tape::Op::add, Operand(part, site), values);
  } else if (const TrackedTensor mask = sole_mask(op, s, part.shape(), values);
             mask.defined()) {
    const TrackedTensor there =
        add ? tape::apply(op, tape::Op::add, Operand(part, site), values)
            : values;
    written =
        tape::apply(op, tape::Op::where, Operand(mask, site), there, part);
  } else {
    const Arrangement a = arrange(op, s, part.shape());
    written = a.undo(ops::write_rows(op, site, a.arrange(part), a.axis, a.index,
                                     values, add));
  }
  return whole ? written : ops::put(op, site, t, s.region, written);
}

}  // namespace

static TrackedTensor run_index(Operand&& x, const std::vector<Index>& indices) {
  const CallSite site = x.site();
  const TrackedTensor t = ops::as_tensor("index", x);
  const Selection s = ops::select("index", t.shape(), t.device(), indices);
  if (s.lookups.empty()) return ops::take("index", site, t, s.region);
  const TrackedTensor part =
      s.is_whole(t.shape()) ? t : ops::take("index", site, t, s.region);
  const Arrangement a = arrange("index", s, part.shape());
  return ops::read_rows("index", site, a.arrange(part), a.axis, a.index);
}

TrackedTensor index(Operand x, const std::vector<Index>& indices) {
  return tape::call("index", x.site(), run_index, std::move(x), indices);
}

TrackedTensor index_put(Operand x, const std::vector<Index>& indices,
                        Operand v) {
  return tape::call("index_put", x.site(), write, "index_put", std::move(x),
                    indices, std::move(v), false);
}

TrackedTensor index_add(Operand x, const std::vector<Index>& indices,
                        Operand v) {
  return tape::call("index_add", x.site(), write, "index_add", std::move(x),
                    indices, std::move(v), true);
}

}  // namespace jacquard
