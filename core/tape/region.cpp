#include "core/tape/region.h"

#include <algorithm>
#include <string>

#include "core/backend/launch.h"
#include "core/tape/bindings.h"
#include "core/tape/region_builder.h"
#include "core/tape/region_pullback.h"
#include "jacquard/error.h"

namespace jacquard::tape {
namespace {

using backend::Binding;
using backend::OutputBinding;

// The index space that a pending value is computed over, before row
// operations widen it.
Shape space_of(const Value& v) {
  Expression e;
  if (v.expression(e) && e.reduction != Reduction::store)
    return e.args[0].value->shape;
  return v.shape;
}

// The result's shape with reduced axes kept as 1.
Shape result_over_space(const Value& v) {
  Expression e;
  if (!v.expression(e) || e.reduction == Reduction::store) return v.shape;
  Shape s = e.args[0].value->shape;
  for (int i = 0; i < s.rank(); ++i)
    if (e.axes >> i & 1) s[i] = 1;
  return s;
}

struct Buffers {
  std::vector<Binding> leaves;
  std::vector<OutputBinding> outputs;
  std::vector<Tensor> tensors;
  std::vector<Shape> over_space;
};

void bind_leaves(const RegionBuilder& region, std::vector<Binding>& out) {
  out.clear();
  for (const ValuePtr& v : region.leaves)
    out.push_back(v->written()
                      ? bind(v->tensor(), region.space)
                      : bind_virtual(v->shape, v->dtype, region.space));
}

[[noreturn]] void rethrow_with_site(const Value& v) {
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

NodePtr make_node(Value& v, const RegionBuilder& region,
                  const pointwise::ProgramPtr& program, const Shape& over_space,
                  const Tensor& result) {
  auto node =
      make_intrusive<Node>(v.id, v.name, v.site, v.shape, v.dtype, v.device);
  node->pullback = std::make_unique<RegionPullback>(*node, program, region,
                                                    over_space, result);
  return node;
}

// Marks what other values will not find on the tape any more.
void mark_inside(const RegionBuilder& region, const Value& root) {
  for (const ValuePtr& v : region.inside) {
    if (v.get() == &root) continue;
    v->inlined.store(true, std::memory_order_relaxed);
    if (root.tracked && v->tracked)
      v->bypassed.store(true, std::memory_order_relaxed);
  }
}

void publish_all(std::vector<ValuePtr>& wanted, const RegionBuilder& region,
                 const pointwise::ProgramPtr& program, const Buffers& buffers) {
  if (wanted.size() == 1) {
    Value& v = *wanted[0];
    NodePtr node;
    if (v.tracked)
      node = make_node(v, region, program, buffers.over_space[0],
                       buffers.tensors[0]);
    mark_inside(region, v);
    v.publish(buffers.tensors[0], std::move(node));
    return;
  }
  std::vector<std::size_t> order(wanted.size());
  std::vector<Value*> stops;
  for (std::size_t i = 0; i < order.size(); ++i) {
    order[i] = i;
    stops.push_back(wanted[i].get());
  }
  std::ranges::sort(order, {}, [&](std::size_t i) { return wanted[i]->id; });
  thread_local RegionBuilder part;
  for (std::size_t i : order) {
    Value& v = *wanted[i];
    NodePtr node;
    if (v.tracked) {
      part.begin(space_of(v), stops);
      if (!part.add_output(v)) continue;
      part.finish();
      node = make_node(v, part, program_of(part.code), buffers.over_space[i],
                       buffers.tensors[i]);
      mark_inside(part, v);
    }
    v.publish(buffers.tensors[i], std::move(node));
  }
  part.begin({}, {});
}

// One launch for values over one space.
void run_group(std::vector<ValuePtr>& wanted) {
  thread_local RegionBuilder region;
  thread_local Buffers buffers;
  region.begin(space_of(*wanted[0]), {});
  std::erase_if(wanted,
                [&](const ValuePtr& v) { return !region.add_output(*v); });
  if (wanted.empty()) return;
  if (wanted.size() > 1 && region.leaves.size() > kMaxLeaves) {
    for (const ValuePtr& v : wanted) {
      std::vector<ValuePtr> alone{v};
      run_group(alone);
    }
    return;
  }
  for (const ValuePtr& v : std::vector<ValuePtr>(region.repeated)) {
    if (std::ranges::find(wanted, v) != wanted.end()) continue;
    region.output(region.add_value(*v), Reduction::store, false);
    wanted.push_back(v);
  }
  region.finish();
  const pointwise::ProgramPtr program = program_of(region.code);
  buffers.outputs.clear();
  buffers.tensors.clear();
  buffers.over_space.clear();
  try {
    for (const ValuePtr& v : wanted) {
      buffers.tensors.push_back(Tensor::empty(v->shape, v->dtype, v->device));
      buffers.over_space.push_back(result_over_space(*v));
      buffers.outputs.push_back(bind_output(buffers.tensors.back(),
                                            buffers.over_space.back(),
                                            region.space, false));
    }
    bind_leaves(region, buffers.leaves);
    backend::launch(wanted[0]->name,
                    {program.get(), region.space, buffers.leaves, region.slots,
                     buffers.outputs},
                    buffers.tensors[0].stream());
  } catch (const Error&) {
    rethrow_with_site(*wanted[0]);
  }
  publish_all(wanted, region, program, buffers);
  buffers.tensors.clear();
  region.begin({}, {});
}

}  // namespace

const Tensor& force(Value& value) {
  if (!value.written()) {
    std::vector<ValuePtr> alone{ValuePtr(&value)};
    run_group(alone);
  }
  return value.tensor();
}

void force(std::span<Value* const> values) {
  std::vector<ValuePtr> left;
  for (Value* v : values)
    if (!v->written() &&
        std::ranges::find(left, v, &ValuePtr::get) == left.end())
      left.push_back(ValuePtr(v));
  while (!left.empty()) {
    const Shape space = space_of(*left[0]);
    const Device device = left[0]->device;
    std::vector<ValuePtr> group, rest;
    for (ValuePtr& v : left) {
      const bool fits =
          group.empty() || (v->device == device && space_of(*v) == space);
      (fits ? group : rest).push_back(std::move(v));
    }
    run_group(group);
    left = std::move(rest);
  }
}

void compute_into(const Tensor& target, const TrackedTensor& t, bool accumulate,
                  const char* op) {
  ValuePtr v = snapshot(t, op);
  Expression e;
  if (v->has_row || (v->expression(e) && e.reduction != Reduction::store))
    force(*v);
  e = {};
  thread_local RegionBuilder region;
  thread_local Buffers buffers;
  region.begin(target.shape(), {});
  region.output(region.add_value(*v), Reduction::store, false);
  region.finish();
  const pointwise::ProgramPtr program = program_of(region.code);
  bind_leaves(region, buffers.leaves);
  const OutputBinding out{target.data_ptr(), target.dtype(), target.strides(),
                          accumulate};
  backend::launch(op,
                  {program.get(), region.space, buffers.leaves, region.slots,
                   std::span(&out, 1)},
                  target.stream());
  region.begin({}, {});
}

}  // namespace jacquard::tape
