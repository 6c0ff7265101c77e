#include "core/tape/forward_walk.h"

#include <algorithm>
#include <string>
#include <utility>

#include "core/tape/modes.h"
#include "core/tape/pending.h"
#include "core/tape/push.h"
#include "core/tape/region.h"
#include "core/tape/value.h"
#include "core/tape/walk.h"
#include "jacquard/create.h"
#include "jacquard/error.h"
#include "jacquard/pointwise.h"
#include "jacquard/shape_ops.h"

namespace jacquard::tape {

Shape PushContext::led(Shape shape) const {
  if (batch_ > 0) shape.insert(0, batch_);
  return shape;
}

TrackedTensor PushContext::tangent_or_zeros(int i, const Shape& shape,
                                            DType dtype) const {
  return has(i) ? tangent(i) : zeros(led(shape), {dtype, node_.device});
}

TrackedTensor PushContext::aligned(int i, int rank) const {
  const TrackedTensor& t = tangent(i);
  if (t.rank() == rank + lead() || lead() == 0) return t;
  Shape shape = shape_of(i);
  while (shape.rank() < rank) shape.insert(0, 1);
  return reshape(t, led(shape));
}

ForwardWalk::ForwardWalk(std::span<const NodePtr> results,
                         std::span<const NodePtr> arguments, Options options)
    : options_(options) {
  try {
    collect(results, arguments);
  } catch (...) {
    for (const NodePtr& n : entered_) n->leave(false);
    throw;
  }
  keep_paths(arguments);
  const auto find = [&](const NodePtr& n) { return n ? slot_of(*n) : -1; };
  for (const NodePtr& n : results) results_.push_back(find(n));
  for (const NodePtr& n : arguments) arguments_.push_back(find(n));
}

ForwardWalk::~ForwardWalk() {
  for (const NodePtr& n : entered_) n->leave(false);
}

void ForwardWalk::collect(std::span<const NodePtr> results,
                          std::span<const NodePtr> arguments) {
  std::uint64_t oldest = ~std::uint64_t{0};
  PointerMap is_argument;
  for (const NodePtr& n : arguments) {
    oldest = std::min(oldest, n->id);
    is_argument.insert(n.get(), 1);
  }
  std::vector<Node*> stack;
  const auto meet = [&](Node* n) {
    if (!n || n->id < oldest || index_.find(n) >= 0) return;
    index_.insert(n, 0);
    stack.push_back(n);
  };
  for (const NodePtr& n : results) meet(n.get());
  while (!stack.empty()) {
    Node* n = stack.back();
    stack.pop_back();
    entered_.emplace_back(n);
    const bool there = n->enter();
    slots_.push_back({NodePtr(n), {}});
    if (is_argument.find(n) >= 0) continue;
    if (!there)
      throw GraphError(std::string(options_.transform) + ": the tape of " +
                       n->name + " was already reversed and given up");
    if (options_.recording) n->write_inside();
    slots_.back().pullback = n->pullback();
    if (!slots_.back().pullback) continue;
    const Edges& edges = slots_.back().pullback->edges();
    for (int i = 0; i < edges.size(); ++i) meet(edges[i].get());
  }
}

void ForwardWalk::keep_paths(std::span<const NodePtr> arguments) {
  std::ranges::sort(slots_, {}, [](const Slot& s) { return s.node->id; });
  PointerMap kept;
  for (const NodePtr& n : arguments) kept.insert(n.get(), 1);
  std::erase_if(slots_, [&](Slot& s) {
    if (kept.find(s.node.get()) >= 0) return false;
    if (!s.pullback) return true;
    const Edges& edges = s.pullback->edges();
    for (int i = 0; i < edges.size(); ++i)
      if (edges[i] && kept.find(edges[i].get()) >= 0) {
        kept.insert(s.node.get(), 1);
        return false;
      }
    return true;
  });
  index_.clear();
  for (std::size_t k = 0; k < slots_.size(); ++k)
    index_.insert(slots_[k].node.get(), static_cast<int>(k));
  for (std::size_t k = 0; k < slots_.size(); ++k) {
    Slot& s = slots_[k];
    max_rank_ = std::max(max_rank_, s.node->shape.rank());
    max_numel_ = std::max(max_numel_, s.node->shape.numel());
    if (!s.pullback) continue;
    if (s.pullback->joint_value() >= 0) {
      s.behind = slot_of(*s.pullback->edges()[0]);
      slots_[static_cast<std::size_t>(s.behind)].joint = true;
    }
    const Edges& edges = rule_of(s).pullback->edges();
    for (int i = 0; i < edges.size(); ++i)
      if (const int e = edges[i] ? slot_of(*edges[i]) : -1; e >= 0)
        slots_[static_cast<std::size_t>(e)].last_use = static_cast<int>(k);
  }
}

std::vector<TrackedTensor> ForwardWalk::run(
    std::span<const TrackedTensor> tangents, std::int64_t batch) const {
  const WalkMode mode(options_.recording);
  std::vector<TrackedTensor> at(slots_.size());
  const auto is_result = [&](int k) {
    return std::ranges::find(results_, k) != results_.end();
  };
  for (std::size_t i = 0; i < arguments_.size(); ++i)
    if (arguments_[i] >= 0 && tangents[i].defined() &&
        !tangents[i].is_structural_zero())
      at[static_cast<std::size_t>(arguments_[i])] = tangents[i];
  for (std::size_t k = 0; k < slots_.size(); ++k) {
    const Slot& s = slots_[k];
    if (!s.pullback || s.joint) continue;
    const Edges& edges = rule_of(s).pullback->edges();
    std::vector<TrackedTensor> inputs;
    bool any = false;
    for (int i = 0; i < edges.size(); ++i) {
      const int e = edges[i] ? slot_of(*edges[i]) : -1;
      inputs.push_back(e < 0 ? TrackedTensor()
                             : at[static_cast<std::size_t>(e)]);
      any = any || inputs.back().defined();
    }
    // Nobody asks for the others again.
    for (int i = 0; i < edges.size(); ++i)
      if (const int e = edges[i] ? slot_of(*edges[i]) : -1;
          e >= 0 && !is_result(e) &&
          slots_[static_cast<std::size_t>(e)].last_use == static_cast<int>(k))
        at[static_cast<std::size_t>(e)] = {};
    if (any) at[k] = push(s, inputs, batch);
  }
  std::vector<TrackedTensor> out;
  std::vector<Value*> pending;
  for (const int k : results_) {
    out.push_back(k < 0 ? TrackedTensor() : at[static_cast<std::size_t>(k)]);
    if (out.back().defined()) pending.push_back(out.back().value());
  }
  force(pending);
  return out;
}

TrackedTensor ForwardWalk::push(const Slot& slot,
                                std::span<const TrackedTensor> inputs,
                                std::int64_t batch) const {
  Node& node = *slot.node;
  PullbackBase& rule = *rule_of(slot).pullback;
  const StreamScope scope(node.stream);
  PushContext context(node, rule.edges(), options_.recording, inputs, batch,
                      std::max(slot.pullback->joint_value(), 0));
  TrackedTensor t;
  if (rule.push(context)) {
    t = context.take();
  } else if (batch == 0) {
    t = fall_back(slot, inputs);
  } else {
    std::vector<TrackedTensor> parts;
    std::vector<TrackedTensor> one(inputs.size());
    for (std::int64_t b = 0; b < batch; ++b) {
      for (std::size_t i = 0; i < inputs.size(); ++i)
        if (inputs[i].defined()) one[i] = select(inputs[i], 0, b);
      parts.push_back(fall_back(slot, one));
      if (!parts.back().defined()) return {};
    }
    t = stack(parts, 0);
  }
  if (!t.defined() || t.is_structural_zero()) return {};
  if (!(t.shape() == context.shape()) || !(t.device() == node.device) ||
      !is_floating(t.dtype()))
    throw GraphError(
        std::string(options_.transform) + ": the forward rule of " + node.name +
        " gave " + std::string(name_of(t.dtype())) + to_string(t.shape()) +
        " on " + to_string(t.device()) + " for a value of " +
        std::string(name_of(node.dtype)) + to_string(context.shape()) + " on " +
        to_string(node.device));
  return apply_cast(node.name, std::move(t), node.dtype);
}

// A pullback is linear in its cotangent: what pulls the tangents of its results
// back to the cotangent pushes them through the node.
TrackedTensor ForwardWalk::fall_back(
    const Slot& slot, std::span<const TrackedTensor> inputs) const {
  Node& node = *slot.node;
  std::vector<NodePtr> targets;
  std::vector<TrackedTensor> tangents;
  const Edges& edges = rule_of(slot).pullback->edges();
  for (int i = 0; i < edges.size(); ++i) {
    const TrackedTensor& t = inputs[static_cast<std::size_t>(i)];
    if (!t.defined() || std::ranges::find(targets, edges[i]) != targets.end())
      continue;
    targets.push_back(edges[i]);
    tangents.push_back(t);
  }
  const DType dtype = compute_type(node.dtype);
  const auto cotangent = make_intrusive<Node>(next_id(), "cotangent", node.site,
                                              node.shape, dtype, node.stream);
  const Tensor nothing =
      force(zeros(node.shape, {dtype, node.device}), node.name);
  const TrackedTensor seed = handle(make_intrusive<Value>(nothing, cotangent));
  Walk walk(
      node, targets,
      {.recording = true, .transform = options_.transform, .hooks = false});
  walk.run(seed);
  TrackedTensor total;
  for (const Walk::Result& pulled : walk.results) {
    if (!pulled.cotangent.defined()) continue;
    const ValuePtr root = snapshot(pulled.cotangent, node.name);
    force(*root);
    if (!root->node()) continue;
    const auto at = std::ranges::find(targets, pulled.node) - targets.begin();
    Walk back(*root->node(), std::span(&cotangent, 1),
              {.recording = options_.recording,
               .retain = true,
               .transform = options_.transform,
               .hooks = false});
    if (!back.reaches_target()) continue;
    back.run(checked_cotangent(tangents[static_cast<std::size_t>(at)],
                               *root->node(), node.name, node.site));
    for (const Walk::Result& t : back.results)
      if (t.cotangent.defined())
        total = total.defined() ? total + t.cotangent : t.cotangent;
  }
  return total;
}

}  // namespace jacquard::tape
