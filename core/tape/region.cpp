#include "core/tape/region.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "core/backend/compilation_watch.h"
#include "core/backend/launch.h"
#include "core/plan/mark.h"
#include "core/tape/anomaly.h"
#include "core/tape/bindings.h"
#include "core/tape/call.h"
#include "core/tape/product.h"
#include "core/tape/recut.h"
#include "core/tape/region_builder.h"
#include "core/tape/region_pullback.h"
#include "jacquard/error.h"

namespace jacquard::tape {
namespace {

using backend::Binding;
using backend::OutputBinding;

// The index space that a pending value is computed over, before row
// operations widen it, and the result's shape in it: reduced axes kept as 1.
Shape space_of(Value& v) {
  if (v.reduction == Reduction::store) return v.shape;
  const Expression* e = v.pin();
  if (!e) return v.shape;
  const Shape space = e->args[0].value->shape;
  v.unpin();
  return space;
}

Shape result_over_space(Value& v) {
  if (v.reduction == Reduction::store) return v.shape;
  const Expression* e = v.pin();
  if (!e) return v.shape;
  Shape result = e->args[0].value->shape;
  for (int i = 0; i < result.rank(); ++i)
    if (e->axes >> i & 1) result[i] = 1;
  v.unpin();
  return result;
}

struct Buffers {
  std::vector<Binding> leaves;
  std::vector<OutputBinding> outputs;
  std::vector<Tensor> tensors;
  std::vector<Shape> over_space;
};

void bind_leaves(const RegionBuilder& region, std::vector<Binding>& out) {
  out.clear();
  for (const Value* v : region.leaves)
    out.push_back(v->written()
                      ? bind(v->tensor(), region.space)
                      : bind_virtual(v->shape, v->dtype, region.space));
}

// `inside`: what others hold of the region.
NodePtr make_node(Value& v, const Region& region, const Known& code,
                  const Shape& over_space, const Tensor& result,
                  std::vector<Inside> inside) {
  auto node =
      make_intrusive<Node>(v.id, v.name, v.site, v.shape, v.dtype, v.stream);
  node->set_pullback(PullbackPtr::adopt(
      new RegionPullback(code.program, region, over_space, result)));
  if (inside.empty()) return node;
  auto recut = make_intrusive<Recut>(*node, region, code.code, over_space,
                                     result, inside);
  node->set_recut(*recut);
  for (const Inside& i : inside)
    if (!i.value->add_recut(*recut)) recut->cut_at(*i.value);
  return node;
}

void mark_inside(const RegionBuilder& region, const Value& root) {
  for (Value* v : region.inside)
    if (v != &root) v->inlined.store(true, std::memory_order_relaxed);
}

void publish_all(std::span<Value* const> wanted, const RegionBuilder& region,
                 const Known& code, const Buffers& buffers,
                 std::vector<Inside> held) {
  report_computes(region.inside, wanted);
  if (wanted.size() == 1) {
    Value& v = *wanted[0];
    NodePtr node;
    if (v.tracked)
      node = make_node(v, region, code, buffers.over_space[0],
                       buffers.tensors[0], std::move(held));
    mark_inside(region, v);
    v.publish(buffers.tensors[0], std::move(node));
    report_written(v);
    return;
  }
  std::vector<std::size_t> order(wanted.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::sort(order, {}, [&](std::size_t i) { return wanted[i]->id; });
  RegionBuilder part;
  for (std::size_t i : order) {
    Value& v = *wanted[i];
    NodePtr node;
    if (v.tracked) {
      part.begin(space_of(v), wanted);
      if (!part.add_output(v)) continue;
      part.finish();
      node = make_node(v, part, known(part.code), buffers.over_space[i],
                       buffers.tensors[i], part.held_inside(wanted, region));
      mark_inside(part, v);
    }
    v.publish(buffers.tensors[i], std::move(node));
    report_written(v);
  }
}

// Values of earlier regions' insides that this one computes as well are
// written along.
void add_repeated(RegionBuilder& region, std::vector<Value*>& wanted) {
  const std::size_t n = region.repeated.size();
  for (std::size_t i = 0; i < n; ++i) {
    Value* v = region.repeated[i];
    if (std::ranges::find(wanted, v) != wanted.end()) continue;
    region.output(region.add_value(*v), Reduction::store, v->shape);
    wanted.push_back(v);
  }
}

void bind_outputs(std::span<Value* const> wanted, const RegionBuilder& region,
                  Buffers& buffers) {
  buffers.outputs.clear();
  buffers.tensors.clear();
  buffers.over_space.clear();
  for (Value* v : wanted) {
    buffers.tensors.push_back(Tensor::empty(v->shape, v->dtype, v->device));
    buffers.over_space.push_back(result_over_space(*v));
    buffers.outputs.push_back(bind_output(buffers.tensors.back(),
                                          buffers.over_space.back(),
                                          region.space, false));
  }
}

void check_product(const Value& v, const Tensor& result, const Expression& e) {
  const TrackedTensor a = handle(e.args[0].value), b = handle(e.args[1].value);
  const TrackedTensor* const operands[] = {&a, &b};
  check_result(v.name, v.site, result, operands);
}

// Writes a matmul that waits.
void run_product(Value& v) {
  const Expression* e = v.pin();
  if (!e) return;
  const struct Unpin {
    ~Unpin() { value.unpin(); }
    Value& value;
  } unpin{v};
  const StreamScope scope(v.stream);
  Tensor result;
  try {
    result = Tensor::empty(v.shape, v.dtype, v.device);
    multiply(result, e->args[0].value->tensor(), e->args[1].value->tensor(),
             false);
  } catch (const Error&) {
    rethrow_with_site(v);
  }
  if (looks_for_anomalies()) check_product(v, result, *e);
  v.publish(std::move(result), v.product_node);
}

void gather_sums(RegionBuilder& region, std::span<const ColumnSum> sums) {
  for (const ColumnSum& s : sums)
    region.output(region.add_value(*s.value), Reduction::sum, s.value->shape);
}

void bind_sums(std::span<const ColumnSum> sums,
               std::vector<OutputBinding>& outputs) {
  for (const ColumnSum& s : sums)
    outputs.push_back({write_on(s.target, current_stream(s.target.device())),
                       s.target.dtype(), Strides{0, s.target.strides()[0]},
                       s.accumulate});
}

void run_sums(std::span<const ColumnSum> sums) {
  const Value& first = *sums[0].value;
  RegionBuilder region;
  Buffers buffers;
  region.begin(first.shape, {});
  gather_sums(region, sums);
  region.finish();
  bind_leaves(region, buffers.leaves);
  bind_sums(sums, buffers.outputs);
  backend::launch(first.name,
                  {program_of(region.code).get(), region.space, buffers.leaves,
                   region.slots, buffers.outputs},
                  current_stream(first.device));
}

// Memory of a launch's making that is used again by the next.
struct Workshop {
  RegionBuilder region;
  Buffers buffers;
  std::vector<Value*> wanted;
  std::span<const ColumnSum> sums;  // until they are computed

  void clear() {
    sums = {};
    region.release();
    buffers.tensors.clear();
    wanted.clear();
  }
};

Workshop& workshop() {
  __attribute__((tls_model(
      "initial-exec"))) static constinit thread_local Workshop* mine = nullptr;
  if (!mine) {
    thread_local Workshop w;
    mine = &w;
  }
  return *mine;
}

void run_group(Workshop& w);

// The region of one value as what the launch of a matmul carries; false if it
// isn't such a region or the backend has no such launch.
bool run_as_epilogue(Workshop& w) {
  Value& v = *w.wanted[0];
  const std::optional<CarriedRegion> carried = carried_region(w.region, v);
  if (!carried) return false;
  bool done = false;
  try {
    bind_outputs(w.wanted, w.region, w.buffers);
    done = multiply_carrying(v.name, w.buffers.tensors[0], *carried);
  } catch (const Error&) {
    rethrow_with_site(v);
  }
  if (done && looks_for_anomalies())
    check_launched(w.wanted, w.buffers.tensors);
  if (done)
    publish_all(w.wanted, w.region, known(w.region.code), w.buffers, {});
  return done;
}

void split_group(Workshop& w) {
  std::vector<Value*> all = w.wanted;
  std::ranges::sort(all, {}, &Value::id);  // operands first
  for (Value* v : all) {
    w.wanted.assign(1, v);
    run_group(w);
  }
}

// Inner values that were written after the outer ones were called are leaves
// beside their own operands, so that a region can outgrow its bound.
void split_region(Workshop& w) {
  Value* const root = w.wanted[0];
  const ValuePtr middle(w.region.inside[w.region.inside.size() / 2]);
  w.wanted.assign(1, middle.get());
  run_group(w);
  w.wanted.assign(1, root);
  run_group(w);
}

// One launch for the values in the workshop, all over one space.
void run_group(Workshop& w) {
  const StreamScope scope(w.wanted[0]->stream);
  w.region.begin(space_of(*w.wanted[0]), {});
  std::erase_if(w.wanted, [&](Value* v) { return !w.region.add_output(*v); });
  if (w.wanted.empty()) return;
  const bool single = w.wanted.size() == 1;
  if (w.region.leaves.size() > (single ? kMaxMask : kMaxLeaves)) {
    if (single)
      split_region(w);
    else
      split_group(w);
    return;
  }
  add_repeated(w.region, w.wanted);
  std::vector<Inside> held = w.region.held_inside(w.wanted, w.region);
  // Room for the leaves of any part of the region, however it will be cut.
  if (w.region.leaves.size() + w.wanted.size() - 1 + held.size() > kMaxMask) {
    w.wanted.size() == 1 ? split_region(w) : split_group(w);
    return;
  }
  if (w.wanted.size() == 1 && held.empty() && run_as_epilogue(w)) return;
  // Each sum has a factor of its own, and they have one in common.
  const bool sums = !w.sums.empty() &&
                    w.region.space == w.sums[0].value->shape &&
                    w.region.leaves.size() + w.sums.size() + 1 <= kMaxMask;
  if (sums) gather_sums(w.region, w.sums);
  w.region.finish();
  const Known& code = known(w.region.code);
  try {
    bind_outputs(w.wanted, w.region, w.buffers);
    if (sums) bind_sums(w.sums, w.buffers.outputs);
    bind_leaves(w.region, w.buffers.leaves);
    const Value& first = *w.wanted[0];
    const std::uint64_t compiled = backend::compilations();
    backend::launch(first.name,
                    {code.program.get(), w.region.space, w.buffers.leaves,
                     w.region.slots, w.buffers.outputs},
                    first.stream);
    if (backend::compilations() != compiled) [[unlikely]]
      backend::compiled_for(first.name, first.site);
  } catch (const Error&) {
    rethrow_with_site(*w.wanted[0]);
  }
  if (sums) w.sums = {};
  if (looks_for_anomalies()) check_launched(w.wanted, w.buffers.tensors);
  publish_all(w.wanted, w.region, code, w.buffers, std::move(held));
}

// `sums`: those that wait, taken away if they were computed.
void run_workshop(Workshop& w, std::span<const ColumnSum>& sums) {
  try {
    w.sums = sums;
    run_group(w);
    sums = w.sums;
  } catch (const AnomalousValue& bad) {
    w.clear();
    blame(bad);
  } catch (...) {
    w.clear();
    throw;
  }
  w.clear();
}

}  // namespace

void rethrow_with_site(const Value& v) {
  const std::string where = std::string(" (called at ") + v.site.file + ":" +
                            std::to_string(v.site.line) + ")";
  try {
    throw;
  } catch (const OutOfMemory& e) {
    throw OutOfMemory(e.what() + where);
  } catch (const IndexError& e) {
    throw IndexError(e.what() + where);
  }
}

bool gather_reduction(Value& v, RegionBuilder& region, Shape& over_space) {
  region.begin(space_of(v), {});
  if (!region.add_output(v)) return false;
  over_space = result_over_space(v);
  return true;
}

const Tensor& force(Value& value) {
  if (value.planned()) [[unlikely]]
    plan::settle(value);
  if (value.product) {
    run_product(value);
  } else if (!value.written()) {
    Workshop& w = workshop();
    w.wanted.assign(1, &value);
    std::span<const ColumnSum> none;
    run_workshop(w, none);
  }
  return value.tensor();
}

void force(std::span<Value* const> values) { force(values, {}); }

void force(std::span<Value* const> values, std::span<const ColumnSum> sums) {
  std::vector<Value*> left;
  for (Value* v : values) {
    if (v->product)
      run_product(*v);
    else if (!v->written() && std::ranges::find(left, v) == left.end())
      left.push_back(v);
  }
  Workshop& w = workshop();
  while (!left.empty()) {
    w.wanted.clear();
    const Shape space = space_of(*left[0]);
    const Stream stream = left[0]->stream;
    std::vector<Value*> rest;
    for (Value* v : left) {
      const bool fits =
          w.wanted.empty() || (v->stream == stream && space_of(*v) == space);
      (fits ? w.wanted : rest).push_back(v);
    }
    run_workshop(w, sums);
    left = std::move(rest);
  }
  if (!sums.empty()) run_sums(sums);
}

void compute_into(const Tensor& target, const TrackedTensor& t, bool accumulate,
                  const char* op) {
  ValuePtr v = snapshot(t, op);
  if (v->has_row || v->reduction != Reduction::store) force(*v);
  RegionBuilder region;
  Buffers buffers;
  region.begin(target.shape(), {});
  region.output(region.add_value(*v), Reduction::store, v->shape);
  region.finish();
  const pointwise::ProgramPtr program = program_of(region.code);
  bind_leaves(region, buffers.leaves);
  const Stream stream = current_stream(target.device());
  report_computes(region.inside, {});
  const OutputBinding out{write_on(target, stream), target.dtype(),
                          target.strides(), accumulate};
  backend::launch(op,
                  {program.get(), region.space, buffers.leaves, region.slots,
                   std::span(&out, 1)},
                  stream);
}

}  // namespace jacquard::tape
