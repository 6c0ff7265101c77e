#include "jacquard/checkpoint.h"

#include <algorithm>
#include <string>

#include "core/tape/call.h"
#include "core/tape/leaf_scope.h"
#include "core/tape/modes.h"
#include "core/tape/pending.h"
#include "core/tape/region.h"
#include "core/tape/walk.h"
#include "jacquard/create.h"
#include "jacquard/error.h"

namespace jacquard {

using tape::Node;
using tape::NodePtr;
using tape::PullbackContext;
using tape::Value;
using tape::ValuePtr;
using tape::Walk;

namespace {

// What f finds when it runs, besides arguments and leaves.
struct Surroundings {
  GeneratorState generator = generator_state();
  int depth = tape::level_depth();
  std::vector<Stream> streams;  // current ones

  void note_stream(Device device) {
    const Stream stream = current_stream(device);
    if (std::ranges::find(streams, stream) == streams.end())
      streams.push_back(stream);
  }
};

// While it lives, this thread is in those surroundings, and records.
class Resumed {
 public:
  Resumed(const Surroundings& then, const tape::HeldLeaves& leaves)
      : generator_(generator_state()),
        depth_(then.depth - tape::level_depth()),
        leaves_(leaves) {
    for (const Stream& stream : then.streams)
      streams_.push_back(std::make_unique<StreamScope>(stream));
    tape::change_level_depth(depth_);
    set_generator_state(then.generator);
  }
  ~Resumed() {
    set_generator_state(generator_);
    tape::change_level_depth(-depth_);
    while (!streams_.empty()) streams_.pop_back();
  }
  Resumed(const Resumed&) = delete;
  Resumed& operator=(const Resumed&) = delete;

  // The ids of calls inside are larger.
  std::uint64_t edge() const { return edge_.id(); }

 private:
  const GeneratorState generator_;
  const int depth_;
  const tape::LeafScope leaves_;
  const tape::ScopeEdge edge_;
  const EnableGrad recording_;
  std::vector<std::unique_ptr<StreamScope>> streams_;
};

[[noreturn]] void throw_given_up(const Node& node) {
  throw GraphError(std::string("checkpoint: the tape of ") + node.name +
                   " (called at " + node.site.file + ":" +
                   std::to_string(node.site.line) +
                   ") was reversed and given up inside the function");
}

// The latest nodes older than `edge` that the roots were recorded from, by
// falling id.
std::vector<NodePtr> nodes_outside(const std::vector<NodePtr>& roots,
                                   std::uint64_t edge) {
  std::vector<NodePtr> outside, stack;
  tape::PointerMap seen;
  const auto meet = [&](const NodePtr& node) {
    if (!node || seen.find(node.get()) >= 0) return;
    seen.insert(node.get(), 1);
    (node->id < edge ? outside : stack).push_back(node);
  };
  for (const NodePtr& root : roots) meet(root);
  while (!stack.empty()) {
    const NodePtr node = std::move(stack.back());
    stack.pop_back();
    const bool there = node->enter();
    const tape::PullbackPtr pullback = node->pullback();
    node->leave(false);
    if (!there) throw_given_up(*node);
    if (!pullback) continue;
    for (int i = 0; i < pullback->edges().size(); ++i)
      meet(pullback->edges()[i]);
  }
  std::ranges::sort(outside, std::greater<>(),
                    [](const NodePtr& n) { return n->id; });
  return outside;
}

// Writes all, those over one space by one launch.
void write(const std::vector<TrackedTensor>& values) {
  std::vector<TrackedTensor> defined;
  std::ranges::copy_if(values, std::back_inserter(defined),
                       &TrackedTensor::defined);
  materialize(defined);
}

// Of written values; null: a constant, or undefined.
NodePtr node_of(const TrackedTensor& t) {
  return t.defined() ? tape::snapshot(t, "checkpoint")->node() : NodePtr();
}

class CheckpointPullback final : public tape::PullbackBase {
 public:
  // Value k of the node is tensor tracked[k] of the result.
  CheckpointPullback(detail::FlatFunction f, std::vector<TrackedTensor> args,
                     Surroundings surroundings, tape::HeldLeaves leaves,
                     const std::vector<TrackedTensor>& results,
                     std::vector<std::size_t> tracked)
      : f_(std::move(f)),
        args_(std::move(args)),
        surroundings_(std::move(surroundings)),
        leaves_(std::move(leaves)),
        tracked_(std::move(tracked)) {
    for (const TrackedTensor& r : results)
      known_.push_back(r.defined() ? to_text(r) : "an undefined tensor");
  }

  void run(PullbackContext& context) override {
    tape::report_user_code("checkpoint", context.site());
    std::vector<TrackedTensor> cotangents = context.cotangents();
    write(cotangents);
    std::uint64_t edge = 0;
    const NodePtr root = replay(context, std::move(cotangents), edge);
    std::vector<NodePtr> targets;
    std::vector<int> inputs;
    for (int i = 0; i < edges().size(); ++i) {
      if (!context.needs(i)) continue;
      targets.push_back(edges()[i]);
      inputs.push_back(i);
    }
    Walk walk(*root, targets,
              {.recording = context.recording(),
               .transform = "checkpoint",
               .floor = edge,
               .inner = true});
    if (!walk.reaches_target()) return;
    walk.run(tape::apply_fill("checkpoint", {}, DType::float32, root->device,
                              tape::Literal{.f = 1}));
    for (Walk::Result& r : walk.results) {
      const auto at = std::ranges::find(targets, r.node);
      context.add(inputs[static_cast<std::size_t>(at - targets.begin())],
                  std::move(r.cotangent));
    }
    context.retain(std::move(walk.retained));
  }

 private:
  static std::string to_text(const TrackedTensor& t) {
    return std::string(name_of(t.dtype())) + to_string(t.shape());
  }

  // Runs f again. The root of what it records gives each result its cotangent.
  NodePtr replay(const PullbackContext& context,
                 std::vector<TrackedTensor> cotangents,
                 std::uint64_t& edge) const {
    std::vector<TrackedTensor> results;
    {
      const Resumed resumed(surroundings_, leaves_);
      edge = resumed.edge();
      results = f_(args_);
      write(results);
    }
    check(context, results, edge);
    tape::PullbackPtr start =
        tape::make_pullback([cotangents](PullbackContext& c) {
          int input = 0;
          for (const TrackedTensor& g : cotangents)
            if (g.defined()) c.add(input++, g);
        });
    for (std::size_t k = 0; k < cotangents.size(); ++k)
      if (cotangents[k].defined())
        start->add_edge(node_of(results[tracked_[k]]));
    auto root = make_intrusive<Node>(
        tape::next_id(), "checkpoint", context.site(), Shape{}, DType::float32,
        current_stream(results[tracked_[0]].device()));
    root->set_pullback(std::move(start));
    return root;
  }

  void check(const PullbackContext& context,
             const std::vector<TrackedTensor>& results,
             std::uint64_t edge) const {
    const auto fail = [&](const std::string& what) {
      throw GraphError("checkpoint (called at " +
                       std::string(context.site().file) + ":" +
                       std::to_string(context.site().line) +
                       "): when it was run again, the function " + what +
                       "; it must do the same each time");
    };
    if (results.size() != known_.size())
      fail("gave " + std::to_string(results.size()) + " tensors instead of " +
           std::to_string(known_.size()));
    for (std::size_t i = 0; i < results.size(); ++i) {
      const std::string now =
          results[i].defined() ? to_text(results[i]) : "an undefined tensor";
      if (now != known_[i]) fail("gave " + now + " instead of " + known_[i]);
    }
    std::vector<NodePtr> roots;
    for (std::size_t i : tracked_) {
      roots.push_back(node_of(results[i]));
      if (!roots.back()) fail("gave a constant instead of a tracked value");
    }
    const std::vector<NodePtr> used = nodes_outside(roots, edge);
    bool same = static_cast<int>(used.size()) == edges().size();
    for (int i = 0; same && i < edges().size(); ++i)
      same = used[static_cast<std::size_t>(i)] == edges()[i];
    if (!same) fail("used other tracked values");
  }

  detail::FlatFunction f_;
  std::vector<TrackedTensor> args_;
  Surroundings surroundings_;
  tape::HeldLeaves leaves_;
  std::vector<std::size_t> tracked_;
  std::vector<std::string> known_;  // dtype and shape of each result
};

}  // namespace

static std::vector<TrackedTensor> run_checkpoint(
    const detail::FlatFunction& f, std::vector<TrackedTensor> args) {
  tape::report_user_code("checkpoint", {});
  Surroundings surroundings;
  surroundings.note_stream(default_device());
  // What leaves hold now; replays find it.
  for (TrackedTensor& x : args) {
    if (!x.defined()) continue;
    surroundings.note_stream(x.device());
    ValuePtr v = tape::snapshot(x, "checkpoint");
    tape::force(*v);
    x = tape::handle(std::move(v));
  }
  std::vector<TrackedTensor> results;
  tape::HeldLeaves leaves;
  std::uint64_t edge = 0;
  {
    tape::LeafScope noted;
    const tape::ScopeEdge inside;
    edge = inside.id();
    results = f(args);
    write(results);
    leaves = noted.take_older_than(edge);
  }
  std::vector<std::size_t> tracked;
  std::vector<Tensor> arrays;
  std::vector<NodePtr> roots;
  for (std::size_t i = 0; i < results.size(); ++i) {
    NodePtr node = node_of(results[i]);
    if (!node) continue;
    tracked.push_back(i);
    arrays.push_back(results[i].data());
    roots.push_back(std::move(node));
    surroundings.note_stream(results[i].device());
  }
  if (tracked.empty()) return results;
  auto pullback = tape::PullbackPtr::adopt(
      new CheckpointPullback(f, std::move(args), std::move(surroundings),
                             std::move(leaves), results, tracked));
  for (NodePtr& node : nodes_outside(roots, edge))
    pullback->add_edge(std::move(node));
  std::vector<TrackedTensor> values = tape::record_joint(
      "checkpoint", roots[0]->site, std::move(arrays), std::move(pullback));
  for (std::size_t k = 0; k < tracked.size(); ++k)
    results[tracked[k]] = std::move(values[k]);
  return results;
}

std::vector<TrackedTensor> detail::checkpoint_flat(
    FlatFunction f, std::vector<TrackedTensor> args) {
  return tape::call("checkpoint", {}, run_checkpoint, std::move(f),
                    std::move(args));
}

}  // namespace jacquard
