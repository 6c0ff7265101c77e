#include "jacquard/tensor_builder.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <numeric>
#include <string>
#include <utility>

#include "core/ops/as_tensor.h"
#include "core/ops/operand_checks.h"
#include "core/ops/parts.h"
#include "core/ops/selection.h"
#include "core/tape/call.h"
#include "core/tape/modes.h"
#include "core/tape/pending.h"
#include "jacquard/error.h"

namespace jacquard {

using ops::SliceRegion;

namespace {

constexpr const char* kName = "TensorBuilder";

// The places of a region on one axis, rising.
struct Run {
  std::int64_t first = 0, step = 1, count = 1;
  std::int64_t last() const { return first + (count - 1) * step; }
  bool has(std::int64_t place) const {
    return place >= first && place <= last() && (place - first) % step == 0;
  }
};

Run run_of(const SliceRegion& r, int axis) {
  if (axis >= r.count.rank()) return {};
  Run run{r.start[axis], r.step[axis], r.count[axis]};
  if (run.step < 0) {
    run.first = run.last();
    run.step = -run.step;
  }
  return run;
}

bool apart(const Run& a, const Run& b) {
  return a.last() < b.first || b.last() < a.first ||
         (b.first - a.first) % std::gcd(a.step, b.step) != 0;
}

bool within(const Run& inner, const Run& outer) {
  return outer.has(inner.first) && outer.has(inner.last()) &&
         (inner.count == 1 || inner.step % outer.step == 0);
}

// False may be said of regions that are apart, if they interlace.
bool apart(const SliceRegion& a, const SliceRegion& b) {
  for (int i = 0; i < a.count.rank(); ++i)
    if (apart(run_of(a, i), run_of(b, i))) return true;
  return false;
}

bool within(const SliceRegion& inner, const SliceRegion& outer) {
  for (int i = 0; i < inner.count.rank(); ++i)
    if (!within(run_of(inner, i), run_of(outer, i))) return false;
  return true;
}

// `inner`, which lies within `outer`, counted in outer's places.
SliceRegion relative(const SliceRegion& inner, const SliceRegion& outer) {
  SliceRegion r = inner;
  for (int i = 0; i < inner.count.rank(); ++i) {
    r.start[i] = (inner.start[i] - outer.start[i]) / outer.step[i];
    r.step[i] = inner.count[i] == 1 ? 1 : inner.step[i] / outer.step[i];
  }
  return r;
}

// As it is recorded now.
TrackedTensor as_called(TrackedTensor x) {
  return is_grad_enabled() || !x.is_tracked() ? x : stop_gradient(x);
}

TrackedTensor run_start(Operand&& x) {
  return as_called(ops::as_tensor(kName, x));
}

// v as it goes into an array like x, checked against the part's shape.
TrackedTensor run_value(Operand&& v, const TrackedTensor& x,
                        const Shape& part) {
  TrackedTensor value = as_called(
      tape::apply_cast(kName, ops::values_for(kName, x, v), x.dtype()));
  broadcast_strides(value.shape(), contiguous_strides(value.shape()), part,
                    kName);
  return value;
}

TrackedTensor run_read(const TrackedTensor& x, const SliceRegion& r,
                       CallSite site) {
  return ops::take(kName, site, x, r);
}

TrackedTensor run_freeze(const std::vector<TrackedTensor>& values,
                         const std::vector<SliceRegion>& regions,
                         const std::vector<int>& shadowed, const Shape& shape,
                         DType dtype, CallSite site) {
  // What is recorded was decided when it was written.
  const EnableGrad on;
  std::vector<ops::Part> parts;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Shape part = regions[i].shape();
    parts.push_back(
        {values[i].shape() == part ? values[i] : expand(values[i], part),
         regions[i], shadowed[i] != 0});
  }
  return ops::join(kName, site, shape, dtype, std::move(parts));
}

}  // namespace

struct TensorBuilder::State {
  // The first rows as they were before the writes.
  TrackedTensor base;
  Shape shape;
  struct Write {
    SliceRegion region;
    TrackedTensor value;    // undefined: overwritten
    bool shadowed = false;  // in part
  };
  std::vector<Write> writes;
  // Writes that are still there by their first place on the first axis, and the
  // largest extent that one has there.
  std::multimap<std::int64_t, std::size_t> by_place;
  std::int64_t extent = 1;
  bool frozen = false;

  explicit State(TrackedTensor x) : base(std::move(x)), shape(base.shape()) {}

  void check_open(const char* what) const {
    if (frozen)
      throw GraphError(std::string(kName) + ": " + what +
                       " after freeze(): the tensor that it gave, " +
                       to_string(shape) +
                       ", can't change; make a new builder of it");
  }

  template <class F>
  void for_each_touching(const SliceRegion& r, F&& f) {
    const Run rows = run_of(r, 0);
    auto i = by_place.lower_bound(rows.first - extent + 1);
    while (i != by_place.end() && i->first <= rows.last()) {
      const auto here = i++;
      if (!apart(writes[here->second].region, r)) f(here);
    }
  }

  void note(const SliceRegion& r, TrackedTensor value) {
    if (r.count.numel() == 0) return;
    for_each_touching(r, [&](auto place) {
      if (within(writes[place->second].region, r)) {
        writes[place->second].value = {};
        by_place.erase(place);
      } else {
        writes[place->second].shadowed = true;
      }
    });
    const Run rows = run_of(r, 0);
    extent = std::max(extent, rows.last() - rows.first + 1);
    by_place.emplace(rows.first, writes.size());
    writes.push_back({r, std::move(value)});
  }

  // All that was written goes into a new base.
  void settle(CallSite site) {
    if (writes.empty()) return;
    std::vector<TrackedTensor> values;
    std::vector<SliceRegion> regions;
    std::vector<int> shadowed;
    std::int64_t covered = 0;
    for (const Write& w : writes)
      if (w.value.defined() && !w.shadowed) covered += w.region.count.numel();
    if (covered < shape.numel()) {
      values.push_back(base);
      regions.push_back(SliceRegion::whole(base.shape()));
      shadowed.push_back(1);
    }
    for (const Write& w : writes) {
      if (!w.value.defined()) continue;
      values.push_back(w.value);
      regions.push_back(w.region);
      shadowed.push_back(w.shadowed);
    }
    base = tape::call("freeze", site, run_freeze, values, regions, shadowed,
                      shape, base.dtype(), site);
    writes.clear();
    by_place.clear();
    extent = 1;
  }

  // The value of a region that nothing, or one write alone, decides; else
  // undefined.
  TrackedTensor known(const SliceRegion& r, CallSite site) {
    if (r.count.numel() == 0 || writes.empty()) return {};
    std::size_t touching = 0, at = 0;
    for_each_touching(r, [&](auto place) {
      ++touching;
      at = place->second;
    });
    if (touching == 0) return tape::call("read", site, run_read, base, r, site);
    const SliceRegion& written = writes[at].region;
    if (touching > 1 || !within(r, written)) return {};
    const TrackedTensor& value = writes[at].value;
    const Shape part = written.shape();
    const TrackedTensor all =
        value.shape() == part ? value : expand(value, part);
    const SliceRegion inside = relative(r, written);
    const TrackedTensor full = reshape(all, written.count);
    if (inside.start == Shape::filled(inside.start.rank(), 0) &&
        inside.step == Shape::filled(inside.step.rank(), 1) &&
        inside.count == written.count)
      return reshape(full, r.shape());
    return tape::call("read", site, run_read, full, inside, site);
  }
};

TensorBuilder::TensorBuilder(const Shape& shape, TensorOptions options)
    : state_(std::make_unique<State>(zeros(shape, options))) {}

TensorBuilder::TensorBuilder(const TrackedTensor& x)
    : state_(std::make_unique<State>(
          tape::call("TensorBuilder", {}, run_start, Operand(x)))) {}

TensorBuilder::TensorBuilder(TensorBuilder&&) noexcept = default;
TensorBuilder& TensorBuilder::operator=(TensorBuilder&&) noexcept = default;
TensorBuilder::~TensorBuilder() = default;

const Shape& TensorBuilder::shape() const { return state_->shape; }
DType TensorBuilder::dtype() const { return state_->base.dtype(); }
Device TensorBuilder::device() const { return state_->base.device(); }
bool TensorBuilder::is_frozen() const { return state_->frozen; }

void TensorBuilder::write(const std::vector<Index>& indices, Operand v) {
  State& s = *state_;
  s.check_open("write");
  const ops::Selection selected =
      ops::select(kName, s.shape, device(), indices);
  if (!selected.lookups.empty()) {
    s.settle(v.site());
    s.base = index_put(Operand(s.base, v.site()), indices, std::move(v));
    return;
  }
  s.note(selected.region, tape::call("write", v.site(), run_value, std::move(v),
                                     s.base, selected.region.shape()));
}

void TensorBuilder::push(Operand v) {
  State& s = *state_;
  s.check_open("push");
  if (s.shape.rank() == 0)
    throw ShapeError(std::string(kName) +
                     ": a tensor of rank 0 has no rows to push to");
  Shape grown = s.shape;
  ++grown[0];
  SliceRegion row = SliceRegion::whole(grown);
  row.pick(0, s.shape[0]);
  TrackedTensor value = tape::call("push", v.site(), run_value, std::move(v),
                                   s.base, row.shape());
  s.note(row, std::move(value));
  s.shape = grown;
}

void TensorBuilder::erase(std::int64_t i, CallSite site) {
  State& s = *state_;
  s.check_open("erase");
  if (s.shape.rank() == 0)
    throw ShapeError(std::string(kName) + ": a tensor of rank 0 has no rows");
  const std::int64_t n = s.shape[0];
  if (i < -n || i >= n)
    throw IndexError(std::string(kName) + ": there is no row " +
                     std::to_string(i) + " of " + to_string(s.shape));
  if (i < 0) i += n;
  s.settle(site);
  const EnableGrad on;
  s.base = cat({slice(s.base, 0, {.start = 0, .stop = i}),
                slice(s.base, 0, {.start = i + 1, .stop = n})},
               0, site);
  --s.shape[0];
}

TrackedTensor TensorBuilder::read(const std::vector<Index>& indices,
                                  CallSite site) {
  State& s = *state_;
  const ops::Selection selected =
      ops::select(kName, s.shape, device(), indices);
  if (selected.lookups.empty()) {
    TrackedTensor value = s.known(selected.region, site);
    if (value.defined()) return value;
  }
  s.settle(site);
  return index(Operand(s.base, site), indices);
}

TrackedTensor TensorBuilder::freeze(CallSite site) {
  state_->settle(site);
  state_->frozen = true;
  return state_->base;
}

}  // namespace jacquard
