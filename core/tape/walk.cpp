#include "core/tape/walk.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <string>

#include "core/backend/compilation_watch.h"
#include "core/tape/anomaly.h"
#include "core/tape/call.h"
#include "core/tape/finite.h"
#include "core/tape/modes.h"
#include "core/tape/pending.h"
#include "core/tape/region.h"
#include "jacquard/error.h"
#include "jacquard/pointwise.h"

namespace jacquard::tape {
namespace {

[[noreturn]] void throw_given_up(const Node& node, const char* transform) {
  throw GraphError(std::string(transform) + ": the tape of " + node.name +
                   called_at(node.site) +
                   " was already reversed and given up; pass retain_graph to "
                   "the first backward to keep it");
}

DType collected_type(DType t) { return is_half(t) ? DType::float32 : t; }

}  // namespace

TrackedTensor checked_cotangent(TrackedTensor g, const Node& node,
                                const char* op, CallSite site) {
  const auto fail = [&](const std::string& what) {
    throw GraphError(std::string(op) + called_at(site) + ": the cotangent of " +
                     node.name + " has " + what);
  };
  if (!(g.shape() == node.shape))
    fail("shape " + to_string(g.shape()) + ", the value " +
         to_string(node.shape));
  if (!(g.device() == node.device))
    fail("device " + to_string(g.device()) + ", the value " +
         to_string(node.device));
  if (!is_floating(g.dtype()))
    fail("dtype " + std::string(name_of(g.dtype())) + ", the value " +
         std::string(name_of(node.dtype)));
  const DType collected = collected_type(node.dtype);
  return g.dtype() == collected ? g : cast(std::move(g), collected);
}

Walk::Walk(Node& root, std::span<const NodePtr> targets, WalkOptions options)
    : options_(options) {
  collect(root, targets);
  std::ranges::sort(slots_, std::greater<>(),
                    [](const Slot& s) { return s.node->id; });
  index_.clear();
  for (std::size_t i = 0; i < slots_.size(); ++i)
    index_.insert(slots_[i].node.get(), static_cast<int>(i));
  mark_paths(targets);
}

void Walk::collect(Node& root, std::span<const NodePtr> targets) {
  std::uint64_t oldest = targets.empty() ? 0 : ~std::uint64_t{0};
  PointerMap is_target;
  for (const NodePtr& t : targets) {
    oldest = std::min(oldest, t->id);
    is_target.insert(t.get(), 1);
  }
  std::vector<Node*> stack{&root};
  index_.insert(&root, 0);
  while (!stack.empty()) {
    Node* n = stack.back();
    stack.pop_back();
    slots_.push_back({NodePtr(n), {}, {}, false, false, false});
    const bool there = n->enter();
    if (is_target.find(n) >= 0) continue;
    if (!there) throw_given_up(*n, options_.transform);
    if (options_.recording) n->write_inside();
    slots_.back().pullback = n->pullback();
    if (!slots_.back().pullback) continue;
    const Edges& edges = slots_.back().pullback->edges();
    for (int i = 0; i < edges.size(); ++i) {
      Node* e = edges[i].get();
      if (!e || e->id < oldest || index_.find(e) >= 0) continue;
      if (e->id < options_.floor && is_target.find(e) < 0) continue;
      index_.insert(e, 0);
      stack.push_back(e);
    }
  }
}

void Walk::mark_paths(std::span<const NodePtr> targets) {
  if (targets.empty()) {
    for (Slot& s : slots_) {
      s.visited = true;
      s.target = s.node->leaf;
    }
    return;
  }
  for (const NodePtr& t : targets)
    if (Slot* s = slot_of(*t)) s->visited = s->target = true;
  for (auto s = slots_.rbegin(); s != slots_.rend(); ++s) {
    if (!s->pullback) continue;
    const Edges& edges = s->pullback->edges();
    for (int i = 0; i < edges.size() && !s->visited; ++i) {
      const Slot* e = edges[i] ? slot_of(*edges[i]) : nullptr;
      s->visited = e && e->visited;
    }
  }
}

Walk::Slot* Walk::slot_of(const Node& node) {
  const int i = index_.find(&node);
  return i < 0 ? nullptr : &slots_[static_cast<std::size_t>(i)];
}

void Walk::run(TrackedTensor seed) {
  const WalkMode mode(options_.recording);
  if (looks_for_anomalies())
    if (const NonFinite bad = find_anomaly(force(seed, options_.transform)))
      throw_bad_gradient(*slots_.front().node, bad, "the seed, which it got");
  slots_.front().cotangent = std::move(seed);
  const bool frees = !options_.recording && !options_.retain;
  if (options_.early) count_consumers();
  std::vector<Slot*> completed;
  for (Slot& slot : slots_) {
    if (slot.visited && !slot.done)
      slot.early < 0 ? visit(slot) : hand_out(slot);
    if (options_.early) completed = completed_by(slot);
    ++held_.left;
    slot.pullback = nullptr;
    slot.node->leave(frees && slot.visited && !slot.target &&
                     slot.node->id >= options_.keep_before);
    for (Slot* s : completed) hand_out(*s);
  }
  if (frees) backend::note_step();
}

void Walk::count_consumers() {
  for (Slot& s : slots_)
    if (s.target) s.early = options_.early->index.find(s.node.get());
  for (const Slot& s : slots_) {
    if (!s.visited || !s.pullback) continue;
    const Edges& edges = s.pullback->edges();
    for (int i = 0; i < edges.size(); ++i)
      if (edges[i])
        if (Slot* to = slot_of(*edges[i])) ++to->unfinished;
  }
}

std::vector<Walk::Slot*> Walk::completed_by(const Slot& slot) {
  std::vector<Slot*> completed;
  if (!slot.visited || !slot.pullback) return completed;
  const Edges& edges = slot.pullback->edges();
  for (int i = 0; i < edges.size(); ++i) {
    Slot* to = edges[i] ? slot_of(*edges[i]) : nullptr;
    if (to && --to->unfinished == 0 && to->early >= 0) completed.push_back(to);
  }
  return completed;
}

void Walk::hand_out(Slot& slot) {
  slot.done = true;
  slot.owned = false;
  if (slot.cotangent.defined()) call_hooks(slot);
  TrackedTensor g = std::exchange(slot.cotangent, {});
  if (!g.defined()) return;
  settle(g, *slot.node);
  options_.early->receive(static_cast<std::size_t>(slot.early), g);
}

Walk::Held::~Held() {
  for (; left < slots.size(); ++left) slots[left].node->leave(false);
}

void Walk::settle(TrackedTensor& cotangent, const Node& node) const {
  cotangent = cast(std::move(cotangent), node.dtype);
  const Tensor t = force(cotangent, options_.transform);
  if (!options_.recording && !t.is_contiguous())
    cotangent = TrackedTensor(t.contiguous());
}

void Walk::call_hooks(Slot& slot) {
  Node& node = *slot.node;
  Node::Extras* extras = node.find_extras();
  if (!extras) return;
  // Copies: hooks may add hooks, and so may other threads.
  decltype(extras->hooks) hooks;
  bool retain_grad;
  {
    std::lock_guard lock(extras->mutex);
    hooks = extras->hooks;
    retain_grad = extras->retain_grad;
  }
  for (const auto& hook : hooks) {
    report_user_code("a hook", node.site);
    // Users see the primal's dtype.
    TrackedTensor changed = hook(cast(slot.cotangent, node.dtype));
    if (changed.is_structural_zero()) {
      slot.cotangent = {};
      return;
    }
    if (changed.defined())
      slot.cotangent =
          checked_cotangent(std::move(changed), node, "hook", node.site);
  }
  if (retain_grad && !node.leaf) {
    TrackedTensor kept = slot.cotangent;
    settle(kept, node);
    retained.push_back({slot.node, std::move(kept)});
  }
}

void Walk::visit(Slot& slot) {
  Node& node = *slot.node;
  slot.owned = false;
  if (slot.cotangent.defined() && options_.hooks) call_hooks(slot);
  if (slot.cotangent.defined() && node.find_extras() && looks_for_anomalies())
    if (const NonFinite bad =
            find_anomaly(force(slot.cotangent, options_.transform)))
      throw_bad_gradient(node, bad, "the gradient that its hook returned");
  if (slot.target) {
    if (slot.cotangent.defined() && !options_.inner)
      settle(slot.cotangent, node);
    results.push_back({slot.node, std::exchange(slot.cotangent, {})});
    return;
  }
  if ((slot.cotangent.defined() || !slot.joint.empty()) && slot.pullback) {
    const StreamScope scope(node.stream);
    const bool looks = looks_for_anomalies();
    const TrackedTensor given = looks ? slot.cotangent : TrackedTensor();
    PullbackContext context(
        *this, node, slot.pullback->edges(), options_.recording,
        std::exchange(slot.cotangent, {}), std::exchange(slot.joint, {}));
    slot.pullback->run(context);
    if (carrier_) visit_with_riders(*std::exchange(carrier_, nullptr));
    if (looks) check_gradients(slot, given);
  }
}

void Walk::check_gradients(const Slot& slot, const TrackedTensor& given) {
  const Edges& edges = slot.pullback->edges();
  for (int i = 0; i < edges.size(); ++i) {
    const Slot* to = edges[i] ? slot_of(*edges[i]) : nullptr;
    if (!to || !to->cotangent.defined()) continue;
    const NonFinite bad =
        find_anomaly(force(to->cotangent, options_.transform));
    if (!bad) continue;
    if (given.defined()) slot.pullback->blame(*slot.node, given);
    throw_bad_gradient(*slot.node, bad,
                       "the gradient of input " + std::to_string(i) + ", " +
                           described(to->node->dtype, to->node->shape));
  }
}

void Walk::visit_with_riders(Slot& slot) {
  slot.done = true;
  visit(slot);
  unload();
}

void Walk::unload() {
  if (riders_.empty()) return;
  tape::force({}, std::exchange(riders_, {}));
}

bool PullbackContext::needs(int i) const {
  const NodePtr& e = edges_[i];
  if (!e) return false;
  const Walk::Slot* s = walk_.slot_of(*e);
  return s && s->visited;
}

void PullbackContext::add(int i, TrackedTensor g) {
  if (!g.defined() || g.is_structural_zero() || !needs(i)) return;
  Node& to = *edges_[i];
  g = checked_cotangent(std::move(g), to, node_.name, node_.site);
  Walk::Slot& slot = *walk_.slot_of(to);
  if (!slot.cotangent.defined()) {
    slot.cotangent = std::move(g);
    slot.owned = false;
    return;
  }
  walk_.unload();
  if (slot.owned && !recording()) {
    compute_into(slot.cotangent.data(), g, true, node_.name);
    return;
  }
  slot.cotangent = slot.cotangent + g;
  slot.owned = false;
}

std::vector<TrackedTensor> PullbackContext::cotangents() const {
  return joint_.empty() ? std::vector{cotangent_} : joint_;
}

void PullbackContext::add_to_joint(int k, int n, TrackedTensor g) {
  if (!needs(0)) return;
  std::vector<TrackedTensor>& joint = walk_.slot_of(*edges_[0])->joint;
  joint.resize(static_cast<std::size_t>(n));
  // In a walk of second order there may be more than one node for a value.
  TrackedTensor& sum = joint[static_cast<std::size_t>(k)];
  sum = sum.defined() ? sum + g : std::move(g);
}

void PullbackContext::retain(std::vector<WalkResult> kept) {
  std::ranges::move(kept, std::back_inserter(walk_.retained));
}

bool PullbackContext::is_next(int i) const {
  // How far to look for others that lead there.
  constexpr std::ptrdiff_t kFar = 16;
  const Walk::Slot* to = needs(i) ? walk_.slot_of(*edges_[i]) : nullptr;
  if (!to || to->target || to->cotangent.defined() || !to->pullback ||
      looks_for_anomalies() || !to->pullback->inlines_cotangent() ||
      to->node->find_extras())
    return false;
  int uses = 0;
  for (int k = 0; k < edges_.size(); ++k) uses += edges_[k] == edges_[i];
  const Walk::Slot* from = walk_.slot_of(node_);
  if (uses > 1 || to - from > kFar || !(to->node->stream == node_.stream))
    return false;
  for (const Walk::Slot* s = from + 1; s < to; ++s) {
    if (!s->visited || s->done || !s->pullback) continue;
    const Edges& edges = s->pullback->edges();
    for (int k = 0; k < edges.size(); ++k)
      if (edges[k] == edges_[i]) return false;
  }
  return true;
}

void PullbackContext::ride(int i, std::vector<ColumnSum> sums) {
  walk_.riders_ = std::move(sums);
  walk_.carrier_ = walk_.slot_of(*edges_[i]);
}

void PullbackContext::force(std::span<Value* const> values) {
  tape::force(values, std::exchange(walk_.riders_, {}));
}

bool PullbackContext::can_share(int from, int to) const {
  const Node& a = *edges_[from];
  const Node& b = *edges_[to];
  int uses = 0;
  for (int i = 0; i < edges_.size(); ++i) {
    const Node* e = edges_[i].get();
    uses += e == &a || e == &b;
  }
  return uses == 2 && &a != &b && a.dtype == b.dtype && a.shape == b.shape &&
         !walk_.slot_of(a)->cotangent.defined() &&
         !walk_.slot_of(b)->cotangent.defined();
}

void PullbackContext::share(int from, int to) {
  Walk::Slot& a = *walk_.slot_of(*edges_[from]);
  Walk::Slot& b = *walk_.slot_of(*edges_[to]);
  b.cotangent = a.cotangent;
  a.owned = b.owned = false;
}

PullbackContext::Target PullbackContext::target(int i) {
  const Strides strides = contiguous_strides(shape_of(i));
  Walk::Slot& slot = *walk_.slot_of(*edges_[i]);
  if (slot.owned && !slot.cotangent.data().is_contiguous()) slot.owned = false;
  return make_target(i, strides);
}

PullbackContext::Target PullbackContext::matrix_target(int i, bool transposed) {
  const Shape& shape = shape_of(i);
  Strides strides = contiguous_strides(shape);
  const int last = shape.rank() - 1;
  if (transposed) {
    strides[last - 1] = 1;
    strides[last] = std::max<std::int64_t>(shape[last - 1], 1);
  }
  return make_target(i, strides);
}

PullbackContext::Target PullbackContext::make_target(int i,
                                                     const Strides& fresh) {
  Node& to = *edges_[i];
  Walk::Slot& slot = *walk_.slot_of(to);
  if (slot.cotangent.defined()) walk_.unload();
  if (slot.owned) return {slot.cotangent.data(), true};
  const Tensor memory =
      Tensor::empty({to.shape.numel()}, collected_type(to.dtype), to.device);
  Tensor target = memory.view(to.shape, fresh, 0);
  const bool accumulate = slot.cotangent.defined();
  if (accumulate) compute_into(target, slot.cotangent, false, node_.name);
  slot.cotangent = TrackedTensor(target);
  slot.owned = true;
  return {std::move(target), accumulate};
}

Tensor PullbackContext::part_buffer(int i) {
  Target t = target(i);
  if (!t.accumulate)
    compute_into(t.tensor,
                 apply_fill("zeros", t.tensor.shape(), t.tensor.dtype(),
                            t.tensor.device(), Literal{.f = 0}),
                 false, node_.name);
  return t.tensor;
}

void PullbackContext::add_into(const Tensor& part, const TrackedTensor& g) {
  compute_into(part, g, true, "add_part");
}

}  // namespace jacquard::tape
