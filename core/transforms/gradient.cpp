#include "jacquard/gradient.h"

#include <mutex>
#include <optional>
#include <string>

#include "core/backend/launch_list.h"
#include "core/plan/mark.h"
#include "core/tape/call.h"
#include "core/tape/finite.h"
#include "core/tape/modes.h"
#include "core/tape/pending.h"
#include "core/tape/pending_root.h"
#include "core/tape/region.h"
#include "core/tape/walk.h"
#include "jacquard/control.h"
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
  const float f = 1;
  const double d = 1;
  const auto make = [&] {
    return dtype == DType::float64
               ? Tensor::from_host(std::span(&d, 1), {}, device)
               : Tensor::from_host(std::span(&f, 1), {}, device);
  };
  // What is launched again has all its memory for itself.
  if (backend::LaunchList::recording()) return make();
  thread_local std::vector<Known> known;
  for (const Known& k : known)
    if (k.dtype == dtype && k.device == device) return k.one;
  known.push_back({dtype, device, make()});
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
    plan::touch_gradient(*node);
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
    plan::touch_gradient(*node);
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

namespace {

using Receiver = std::function<void(std::size_t, const TrackedTensor&)>;

tape::EarlyTargets early_targets(const std::vector<TrackedTensor>& leaves,
                                 const Receiver& receive) {
  tape::EarlyTargets early;
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    const TrackedTensor& leaf = leaves[i];
    if (!leaf.defined() || !leaf.is_leaf())
      throw GraphError("backward: eager: tensor " + std::to_string(i) +
                       " is not a leaf (param)");
    const Node* node = leaf.value()->cell->node.get();
    if (early.index.find(node) < 0)
      early.index.insert(node, static_cast<int>(i));
  }
  early.receive = receive;
  return early;
}

}  // namespace

static void run_backward(const TrackedTensor& y, TrackedTensor seed,
                         bool retain_graph, bool check_loss,
                         const std::vector<TrackedTensor>& leaves,
                         const Receiver& receive, CallSite site) {
  ValuePtr v = tape::snapshot(y, "backward");
  tape::force(*v);
  if (!v->node())
    throw GraphError(
        "backward: the value is not tracked: it depends on no param, or was "
        "computed under NoGrad or behind stop_gradient");
  Node& root = *v->node();
  if (check_loss) {
    tape::report_user_code("check_loss", site);
    tape::require_finite(v->tensor(), root, "backward");
  }
  seed = seed_for(root, seed, "backward", site);
  const tape::EarlyTargets early = early_targets(leaves, receive);
  Walk walk(root, {},
            {.retain = retain_graph, .early = receive ? &early : nullptr});
  walk.run(std::move(seed));
  commit(walk.results);
  keep_gradients(walk.retained);
}

void backward(const TrackedTensor& y, TrackedTensor seed,
              BackwardOptions options, CallSite site) {
  tape::call("backward", site, run_backward, y, std::move(seed),
             options.retain_graph, options.check_loss, options.eager.leaves,
             options.eager.receive, site);
}

namespace detail {
namespace {

using Tensors = std::vector<TrackedTensor>;

// What a walk starts from: a node, and the cotangent of its value.
struct Start {
  NodePtr root;
  TrackedTensor seed;
};

// A root that all tracked outputs with a seed are inputs of, so that one walk
// starts from all of them. Nothing if there are none.
Start joint_start(const Tensors& ys, const Tensors& seeds,
                  const std::vector<std::string>& paths, const char* transform,
                  CallSite site) {
  Tensors cotangents;
  std::vector<NodePtr> inputs;
  for (std::size_t i = 0; i < ys.size(); ++i) {
    if (!seeds[i].defined()) continue;
    ValuePtr v = tape::snapshot(ys[i], transform);
    tape::force(*v);
    const std::string op =
        std::string(transform) + ": seed \"" + paths[i] + "\"";
    if (v->node()) {
      cotangents.push_back(
          tape::checked_cotangent(seeds[i], *v->node(), op.c_str(), site));
      inputs.push_back(v->node());
    } else if (seeds[i].shape() != v->shape) {
      throw GraphError(op + " has shape " + to_string(seeds[i].shape()) +
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

// The node of a leaf that is watched stands before the leaf's own.
constexpr const char* kWatched = "watched";

// A value over x's memory, whose node leads to x's.
TrackedTensor alias_of(const TrackedTensor& x, const char* name,
                       const char* transform, CallSite site) {
  ValuePtr v = tape::snapshot(x, transform);
  tape::force(*v);
  auto node = make_intrusive<Node>(tape::next_id(), name, site, v->shape,
                                   v->dtype, v->stream);
  if (v->node()) {
    auto pass = [](tape::PullbackContext& c) { c.add(0, c.cotangent()); };
    auto push = [](tape::PushContext& c) { c.set(c.tangent(0)); };
    tape::PullbackPtr pullback = tape::make_pullback(pass, push);
    pullback->add_edge(v->node());
    node->set_pullback(std::move(pullback));
  }
  return tape::handle(make_intrusive<Value>(v->tensor(), std::move(node)));
}

TrackedTensor run_enter(const TrackedTensor& x, const char* transform,
                        CallSite site) {
  return alias_of(x, "argument", transform, site);
}

TrackedTensor run_watch(const TrackedTensor& leaf, CallSite site) {
  if (!leaf.is_leaf())
    throw GraphError("gradient: implicit parameters must be leaves (param)");
  return alias_of(leaf, kWatched, "gradient", site);
}

// Whether a walk is recorded: because its level was opened inside another one,
// or because it begins in one, as a pullback's may.
bool is_recorded(bool asked) {
  return asked || (tape::grad_enabled() && tape::level_depth() > 0);
}

// What is entered in a level, and how it is walked.
struct Entered {
  const Tensors& values;
  bool asked, retain, allow_unused;
  const char* transform;
  std::vector<NodePtr> targets = {};
  std::uint64_t keep_before = 0;  // what a walk doesn't give up

  void find_targets();
  // What a walk from root leaves at the targets; nothing if no path leads
  // there.
  std::vector<Walk::Result> run(Node& root, const TrackedTensor& seed);
  Tensors shown(const std::vector<Walk::Result>& found) const;
  void require_allowed_unused() const;
};

void Entered::find_targets() {
  for (const TrackedTensor& x : values) {
    const NodePtr& node = x.value()->node();
    if (node->name != kWatched) {
      targets.push_back(node);
      continue;
    }
    if (keep_before == 0) keep_before = node->id;
    targets.push_back(node->pullback()->edges()[0]);
  }
}

std::vector<Walk::Result> Entered::run(Node& root, const TrackedTensor& seed) {
  if (targets.empty()) return {};
  Walk walk(root, targets,
            {is_recorded(asked), retain, transform, keep_before});
  if (!walk.reaches_target()) return {};
  walk.run(seed);
  keep_gradients(walk.retained);
  return std::move(walk.results);
}

Tensors Entered::shown(const std::vector<Walk::Result>& found) const {
  tape::PointerMap places;
  for (std::size_t i = 0; i < found.size(); ++i)
    places.insert(found[i].node.get(), static_cast<int>(i));
  Tensors grads;
  for (std::size_t k = 0; k < targets.size(); ++k) {
    const int i = places.find(targets[k].get());
    TrackedTensor g;
    if (i >= 0) g = found[static_cast<std::size_t>(i)].cotangent;
    grads.push_back(g.defined() ? std::move(g) : structural_zero(values[k]));
  }
  return grads;
}

void Entered::require_allowed_unused() const {
  if (allow_unused) return;
  const std::string name = transform;
  if (values.empty())
    throw GraphError(name +
                     ": no argument has a parameter: floating scalars and "
                     "tensors of a floating dtype that are trainable");
  throw GraphError(
      name +
      ": the result depends on none of the arguments; did the function use a "
      "captured copy instead of its parameter?");
}

Tensors run_walk(const TrackedTensor& y, const TrackedTensor& seed,
                 const Tensors& values, bool asked, bool retain,
                 bool allow_unused, const char* transform, CallSite site) {
  Entered entered{values, asked, retain, allow_unused, transform};
  entered.find_targets();
  ValuePtr v = tape::snapshot(y, transform);
  std::optional<tape::PendingRoot> pending;
  if (!is_recorded(asked) && !seed.defined()) pending.emplace(v);
  NodePtr root;
  if (pending) root = pending->node();
  if (!root) {
    tape::force(*v);
    root = v->node();
  }
  std::vector<Walk::Result> found;
  if (root) found = entered.run(*root, seed_for(*root, seed, transform, site));
  if (pending) pending->finish();
  if (found.empty()) entered.require_allowed_unused();
  return entered.shown(found);
}

Tensors run_walk_all(const Tensors& ys, const Tensors& seeds,
                     const std::vector<std::string>& paths,
                     const Tensors& values, bool asked, bool retain,
                     bool allow_unused, const char* transform, CallSite site) {
  Entered entered{values, asked, retain, allow_unused, transform};
  entered.find_targets();
  const Start start = joint_start(ys, seeds, paths, transform, site);
  std::vector<Walk::Result> found;
  if (start.root) found = entered.run(*start.root, start.seed);
  bool seeded = false;
  for (const TrackedTensor& s : seeds) seeded = seeded || s.defined();
  if (seeded && found.empty()) entered.require_allowed_unused();
  return entered.shown(found);
}

TrackedTensor run_result(const TrackedTensor& y, bool asked) {
  return is_recorded(asked) ? y : TrackedTensor(y.data());
}

// What makes two handles the same parameter.
const void* identity_of(const TrackedTensor& x) {
  const Value& v = *x.value();
  return v.cell ? static_cast<const void*>(v.cell->node.get()) : &v;
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
  bool recording = false;
  bool separate = false;
  bool open = true;
  bool grad_before = true;
};

Level::Level(GradientOptions options, CallSite site, const char* transform)
    : state_(std::make_unique<State>()) {
  state_->options = std::move(options);
  state_->transform = transform;
  state_->site = site;
  state_->recording = tape::grad_enabled() &&
                      (state_->options.create_graph || tape::level_depth() > 0);
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
  if (!x.defined())
    throw GraphError(std::string(state_->transform) +
                     ": a parameter is undefined");
  const void* const identity = identity_of(x);
  if (std::exchange(state_->argument, argument) != argument || state_->separate)
    state_->known.clear();
  const int before = state_->known.find(identity);
  if (before >= 0) {
    TrackedTensor alias = state_->order[static_cast<std::size_t>(before)];
    state_->order.push_back(alias);
    return alias;
  }
  TrackedTensor alias = tape::call("argument", state_->site, run_enter, x,
                                   state_->transform, state_->site);
  state_->known.insert(identity, static_cast<int>(state_->order.size()));
  state_->order.push_back(alias);
  return alias;
}

void Level::separate() { state_->separate = true; }

const std::vector<TrackedTensor>& Level::aliases() const {
  return state_->order;
}

bool Level::recording() const { return state_->recording; }

void Level::watch(const TrackedTensor& leaf) {
  state_->order.push_back(
      tape::call("watch", state_->site, run_watch, leaf, state_->site));
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
  return tape::call(state_->transform, state_->site, run_walk, y, seed,
                    state_->order, state_->recording, retain,
                    state_->options.allow_unused, state_->transform,
                    state_->site);
}

std::vector<TrackedTensor> Level::walk_all(const std::vector<Output>& outputs,
                                           bool retain) {
  Tensors ys, seeds;
  std::vector<std::string> paths;
  for (const Output& o : outputs) {
    ys.push_back(o.y);
    seeds.push_back(o.seed);
    paths.push_back(o.path);
  }
  return tape::call(state_->transform, state_->site, run_walk_all, ys, seeds,
                    paths, state_->order, state_->recording, retain,
                    state_->options.allow_unused, state_->transform,
                    state_->site);
}

TrackedTensor Level::result(const TrackedTensor& y) const {
  return tape::call("result", state_->site, run_result, y, state_->recording);
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
