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
namespace {

TrackedTensor structural_zero(const TrackedTensor& like) {
  return tape::structural_zero(like.shape(), like.dtype(), like.device());
}

// What a walk starts from: a node, and the cotangent of its value.
struct Start {
  NodePtr root;
  TrackedTensor seed;
};

// A root that all tracked outputs with a seed are inputs of, so that one walk
// starts from all of them. Nothing if there are none.
Start joint_start(const std::vector<Level::Output>& outputs,
                  const char* transform, CallSite site) {
  std::vector<TrackedTensor> cotangents;
  std::vector<NodePtr> inputs;
  for (const Level::Output& o : outputs) {
    if (!o.seed.defined()) continue;
    ValuePtr v = tape::snapshot(o.y, transform);
    tape::force(*v);
    const std::string op = std::string(transform) + ": seed \"" + o.path + "\"";
    if (v->node()) {
      cotangents.push_back(
          tape::checked_cotangent(o.seed, *v->node(), op.c_str(), site));
      inputs.push_back(v->node());
    } else if (o.seed.shape() != v->shape) {
      throw GraphError(op + " has shape " + to_string(o.seed.shape()) +
                       ", the value " + to_string(v->shape));
    }
  }
  if (inputs.empty()) return {};
  const TrackedTensor any = cotangents[0];
  auto root =
      make_intrusive<Node>(tape::next_id(), "outputs", site, inputs[0]->shape,
                           inputs[0]->dtype, inputs[0]->stream);
  auto hand_out = [cotangents](tape::PullbackContext& c) {
    for (std::size_t i = 0; i < cotangents.size(); ++i)
      c.add(static_cast<int>(i), cotangents[i]);
  };
  tape::PullbackPtr pullback = tape::make_pullback(std::move(hand_out));
  for (NodePtr& input : inputs) pullback->add_edge(std::move(input));
  root->set_pullback(std::move(pullback));
  return {std::move(root), any};
}

}  // namespace

struct Level::State {
  std::vector<TrackedTensor> order;  // aliases and leaves to walk to
  // Identities of the argument that is being entered → places in `order`.
  tape::PointerMap known;
  int argument = 0;
  std::vector<bool> taken;  // one for each take()
  GradientOptions options;
  const char* transform;
  CallSite site;
  std::uint64_t opened = 0;       // the number of its call
  std::uint64_t keep_before = 0;  // what a walk doesn't give up
  bool recording = false;
  bool open = true;
  bool grad_before = true;

  // Whether a walk that begins now is recorded: a pullback may be called inside
  // a transform that was opened later.
  bool records_now() const {
    return recording || (tape::grad_enabled() && tape::level_depth() > 0);
  }
  std::vector<Walk::Result> run(Node& root, const TrackedTensor& seed,
                                bool retain) const;
  std::vector<TrackedTensor> shown(
      const std::vector<Walk::Result>& found) const;
  void require_allowed_unused() const;
};

// What a walk from root leaves at the aliases; nothing if no path leads there.
std::vector<Walk::Result> Level::State::run(Node& root,
                                            const TrackedTensor& seed,
                                            bool retain) const {
  std::vector<NodePtr> targets;
  for (const TrackedTensor& alias : order)
    targets.push_back(alias.value()->node());
  if (targets.empty()) return {};
  Walk walk(root, targets, {records_now(), retain, transform, keep_before});
  if (!walk.reaches_target()) return {};
  walk.run(seed);
  keep_gradients(walk.retained);
  return std::move(walk.results);
}

std::vector<TrackedTensor> Level::State::shown(
    const std::vector<Walk::Result>& found) const {
  tape::PointerMap places;
  for (std::size_t i = 0; i < found.size(); ++i)
    places.insert(found[i].node.get(), static_cast<int>(i));
  std::vector<TrackedTensor> grads;
  for (const TrackedTensor& alias : order) {
    const int i = places.find(alias.value()->node().get());
    TrackedTensor g;
    if (i >= 0) g = found[static_cast<std::size_t>(i)].cotangent;
    grads.push_back(g.defined() ? std::move(g) : structural_zero(alias));
  }
  return grads;
}

void Level::State::require_allowed_unused() const {
  if (options.allow_unused) return;
  const std::string name = transform;
  if (order.empty())
    throw GraphError(name +
                     ": no argument has a parameter: floating scalars and "
                     "tensors of a floating dtype that are trainable");
  throw GraphError(
      name +
      ": the result depends on none of the arguments; did the function use a "
      "captured copy instead of its parameter?");
}

Level::Level(GradientOptions options, CallSite site, const char* transform)
    : state_(std::make_unique<State>()) {
  state_->options = std::move(options);
  state_->transform = transform;
  state_->site = site;
  state_->recording = tape::grad_enabled() &&
                      (state_->options.create_graph || tape::level_depth() > 0);
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
  ValuePtr v = tape::snapshot(x, state_->transform);
  tape::force(*v);
  const void* identity = v->node() ? static_cast<const void*>(v->node().get())
                                   : static_cast<const void*>(v.get());
  if (std::exchange(state_->argument, argument) != argument)
    state_->known.clear();
  const int before = state_->known.find(identity);
  if (before >= 0) {
    const TrackedTensor alias = state_->order[static_cast<std::size_t>(before)];
    state_->order.push_back(alias);
    return alias;
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
  state_->known.insert(identity, static_cast<int>(state_->order.size()));
  state_->order.push_back(alias);
  return alias;
}

void Level::watch(const TrackedTensor& leaf) {
  if (!leaf.is_leaf())
    throw GraphError("gradient: implicit parameters must be leaves (param)");
  state_->order.push_back(tape::handle(tape::snapshot(leaf, "gradient")));
  state_->keep_before = state_->opened;
}

TrackedTensor Level::take(const Path& path, const TrackedTensor& x,
                          int argument) {
  const auto& chosen = state_->options.trainable;
  const bool in = x.defined() && is_floating(x.dtype()) && path.trainable() &&
                  (!chosen || chosen(path.text(), x));
  state_->taken.push_back(in);
  return in ? enter(x, argument) : x;
}

const std::vector<bool>& Level::taken() const { return state_->taken; }

std::vector<TrackedTensor> Level::walk(const TrackedTensor& y,
                                       const TrackedTensor& seed, bool retain) {
  const char* transform = state_->transform;
  ValuePtr v = tape::snapshot(y, transform);
  std::optional<tape::PendingRoot> pending;
  if (!state_->records_now() && !seed.defined()) pending.emplace(v);
  if (!pending || !pending->node()) tape::force(*v);
  const NodePtr root = v->written() ? v->node() : pending->node();
  std::vector<Walk::Result> found;
  if (root)
    found = state_->run(*root, seed_for(*root, seed, transform, state_->site),
                        retain);
  if (pending) pending->finish();
  if (found.empty()) state_->require_allowed_unused();
  return state_->shown(found);
}

std::vector<TrackedTensor> Level::walk_all(const std::vector<Output>& outputs,
                                           bool retain) {
  const Start start = joint_start(outputs, state_->transform, state_->site);
  std::vector<Walk::Result> found;
  if (start.root) found = state_->run(*start.root, start.seed, retain);
  bool seeded = false;
  for (const Output& o : outputs) seeded = seeded || o.seed.defined();
  if (seeded && found.empty()) state_->require_allowed_unused();
  return state_->shown(found);
}

TrackedTensor Level::result(const TrackedTensor& y) const {
  return state_->recording ? y : TrackedTensor(y.data());
}

void check_loss(const TrackedTensor& y, const char* transform) {
  if (!y.defined())
    throw GraphError(std::string(transform) +
                     ": the function's result is undefined");
  if (y.numel() == 1 && is_floating(y.dtype())) return;
  throw GraphError(std::string(transform) + ": the function's result is " +
                   std::string(name_of(y.dtype())) + to_string(y.shape()) +
                   ", not one floating element; reduce it (sum, mean), or use "
                   "pullback with a cotangent");
}

void throw_no_loss(const char* kind, const char* transform) {
  throw GraphError(std::string(transform) + ": the function's result is " +
                   kind +
                   ", not one floating element: a TrackedTensor, or a tuple or "
                   "struct whose first member is one");
}

TrackedTensor scalar_argument(float x, Device device) {
  return Tensor::from_host(std::span<const float>(&x, 1), {}, device);
}
TrackedTensor scalar_argument(double x, Device device) {
  return Tensor::from_host(std::span<const double>(&x, 1), {}, device);
}

}  // namespace detail
}  // namespace jacquard
