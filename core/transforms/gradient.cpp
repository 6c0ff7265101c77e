#include "jacquard/gradient.h"

#include <mutex>
#include <optional>
#include <string>

#include "core/tape/modes.h"
#include "core/tape/pending.h"
#include "core/tape/pending_root.h"
#include "core/tape/region.h"
#include "core/tape/walk.h"
#include "jacquard/error.h"
#include "jacquard/pointwise.h"

namespace jacquard {

using tape::Node;
using tape::NodePtr;
using tape::Value;
using tape::ValuePtr;
using tape::Walk;

namespace {

TrackedTensor structural_zero(const Node& like) {
  TrackedTensor z = tape::apply_fill("zero", like.shape, like.dtype,
                                     like.device, tape::Literal{.f = 0});
  z.value()->zero.store(true);
  return z;
}

// The seed of a single element, kept: a training step starts with no launch.
Tensor one_of(DType dtype, Device device) {
  struct Known {
    DType dtype;
    Device device;
    Tensor one;
  };
  thread_local std::vector<Known> known;
  for (const Known& k : known)
    if (k.dtype == dtype && k.device == device) return k.one;
  const float f = 1;
  const double d = 1;
  known.push_back({dtype, device,
                   dtype == DType::float64
                       ? Tensor::from_host(std::span(&d, 1), {}, device)
                       : Tensor::from_host(std::span(&f, 1), {}, device)});
  return known.back().one;
}

// The cotangent to start from: checked, or 1 where y has one element.
TrackedTensor seed_for(const Node& y, const TrackedTensor& seed,
                       const char* transform, CallSite site) {
  if (seed.defined()) return tape::checked_cotangent(seed, y, transform, site);
  if (y.shape.numel() != 1)
    throw GraphError(std::string(transform) + ": " + y.name +
                     to_string(y.shape) +
                     " is not a single element; give a seed of its shape, or "
                     "reduce it (sum, mean) first");
  const Tensor one =
      one_of(is_half(y.dtype) ? DType::float32 : y.dtype, y.device);
  return TrackedTensor(y.shape.rank() == 0 ? one : one.reshape(y.shape));
}

void keep_gradients(const std::vector<Walk::Result>& kept) {
  for (const auto& [node, g] : kept) {
    std::lock_guard lock(node->extras().mutex);
    node->extras().grad = g.data();
  }
}

// Adds to the leaves: computes all sums first, then swaps them in. Commits take
// turns, so that none is lost.
void commit(const std::vector<Walk::Result>& results) {
  static std::mutex turns;
  std::vector<TrackedTensor> sums;
  std::vector<Node*> nodes;
  std::vector<Tensor> totals;
  NoGrad constant;
  std::lock_guard turn(turns);
  for (const auto& [node, g] : results) {
    if (!g.defined()) continue;
    Tensor before;
    if (Node::Extras* extras = node->find_extras()) {
      std::lock_guard lock(extras->mutex);
      before = extras->grad;
    }
    sums.push_back(before.defined() ? TrackedTensor(before) + g : g);
    node->extras();
    nodes.push_back(node.get());
  }
  materialize(sums);
  for (const TrackedTensor& t : sums) totals.push_back(t.data());
  for (std::size_t i = 0; i < totals.size(); ++i) {
    Node::Extras& extras = nodes[i]->extras();
    std::lock_guard lock(extras.mutex);
    std::swap(extras.grad, totals[i]);
  }
}

}  // namespace

void backward(const TrackedTensor& y, TrackedTensor seed,
              BackwardOptions options, CallSite site) {
  ValuePtr v = tape::snapshot(y, "backward");
  tape::force(*v);
  if (!v->node())
    throw GraphError(
        "backward: the value is not tracked: it depends on no param, or was "
        "computed under NoGrad or behind stop_gradient");
  Node& root = *v->node();
  seed = seed_for(root, seed, "backward", site);
  Walk walk(root, {}, {false, options.retain_graph, "backward"});
  walk.run(std::move(seed));
  commit(walk.results);
  keep_gradients(walk.retained);
}

namespace detail {

struct Level::State {
  struct Entered {
    const void* identity;
    int argument;
    TrackedTensor alias;
  };
  std::vector<Entered> entered;
  std::vector<NodePtr> order;     // one for each enter()
  std::uint64_t opened = 0;       // the number of its call
  std::uint64_t keep_before = 0;  // what a walk doesn't give up
  bool recording = false;
  bool allow_unused = false;
  bool open = true;
  bool grad_before = true;
  CallSite site;
};

Level::Level(GradientOptions options, CallSite site)
    : state_(std::make_unique<State>()) {
  state_->site = site;
  state_->recording =
      tape::grad_enabled() && (options.create_graph || tape::level_depth() > 0);
  state_->allow_unused = options.allow_unused;
  state_->opened = tape::next_id();
  tape::change_level_depth(1);
  state_->grad_before = tape::set_grad_enabled(true);
}

Level::~Level() { close(); }

void Level::close() {
  if (!std::exchange(state_->open, false)) return;
  tape::change_level_depth(-1);
  tape::set_grad_enabled(state_->grad_before);
}

TrackedTensor Level::enter(const TrackedTensor& x, int argument) {
  ValuePtr v = tape::snapshot(x, "gradient");
  tape::force(*v);
  const void* identity = v->node() ? static_cast<const void*>(v->node().get())
                                   : static_cast<const void*>(v.get());
  for (const State::Entered& e : state_->entered)
    if (e.identity == identity && e.argument == argument) {
      state_->order.push_back(e.alias.value()->node());
      return e.alias;
    }
  auto node = make_intrusive<Node>(tape::next_id(), "argument", state_->site,
                                   v->shape, v->dtype, v->stream);
  if (v->node()) {
    auto pass = [](tape::PullbackContext& c) { c.add(0, c.cotangent()); };
    tape::PullbackPtr pullback = tape::make_pullback(pass);
    pullback->add_edge(v->node());
    node->set_pullback(std::move(pullback));
  }
  TrackedTensor alias = tape::handle(make_intrusive<Value>(v->tensor(), node));
  state_->entered.push_back({identity, argument, alias});
  state_->order.push_back(std::move(node));
  return alias;
}

void Level::watch(const TrackedTensor& leaf) {
  if (!leaf.is_leaf())
    throw GraphError("gradient: implicit parameters must be leaves (param)");
  state_->order.push_back(leaf.value()->cell->node);
  state_->keep_before = state_->opened;
}

std::vector<TrackedTensor> Level::walk(const TrackedTensor& y,
                                       const TrackedTensor& seed, bool retain) {
  ValuePtr v = tape::snapshot(y, "gradient");
  std::optional<tape::PendingRoot> pending;
  if (!state_->recording && !seed.defined()) pending.emplace(v);
  if (!pending || !pending->node()) tape::force(*v);
  const NodePtr last = v->written() ? v->node() : pending->node();
  std::vector<Walk::Result> results;
  if (last && !state_->order.empty()) {
    Node& root = *last;
    const TrackedTensor start = seed_for(root, seed, "gradient", state_->site);
    Walk walk(root, state_->order,
              {state_->recording, retain, "gradient", state_->keep_before});
    if (walk.reaches_target()) {
      walk.run(start);
      keep_gradients(walk.retained);
      results = std::move(walk.results);
    }
  }
  if (pending) pending->finish();
  if (results.empty() && !state_->allow_unused)
    throw GraphError(
        "gradient: the result depends on none of the arguments; did the "
        "function use a captured copy instead of its parameter?");
  std::vector<TrackedTensor> grads;
  for (const NodePtr& target : state_->order) {
    TrackedTensor g;
    for (const auto& [node, cotangent] : results)
      if (node == target) g = cotangent;
    grads.push_back(g.defined() ? std::move(g) : structural_zero(*target));
  }
  return grads;
}

TrackedTensor Level::result(const TrackedTensor& y) const {
  return state_->recording ? y : TrackedTensor(y.data());
}

void check_loss(const TrackedTensor& y, const char* transform) {
  if (y.numel() == 1 && is_floating(y.dtype())) return;
  throw GraphError(std::string(transform) + ": the function's result is " +
                   std::string(name_of(y.dtype())) + to_string(y.shape()) +
                   ", not one floating element; reduce it (sum, mean), or use "
                   "pullback with a cotangent");
}

}  // namespace detail
}  // namespace jacquard
