// A walk over the tape, from a value back to leaves or to the arguments of a
// transform.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "core/tape/node.h"
#include "core/tape/record.h"
#include "core/tape/region.h"
#include "core/tape/region_builder.h"

namespace jacquard::tape {

// Targets whose cotangents are handed out as soon as they are complete, instead
// of being results.
struct EarlyTargets {
  PointerMap index;  // of nodes
  std::function<void(std::size_t index, const TrackedTensor& cotangent)>
      receive;
};

struct WalkOptions {
  bool recording = false;  // the walk is itself recorded; frees nothing
  bool retain = false;     // frees nothing
  const char* transform = "backward";
  std::uint64_t keep_before = 0;  // frees nothing that was called before this
  // Of what was recorded before this call only targets are reached.
  std::uint64_t floor = 0;
  // Part of another walk: results may be pending, half types are still float32.
  bool inner = false;
  bool hooks = true;  // calls hooks and keeps gradients
  const EarlyTargets* early = nullptr;
};

struct WalkResult {
  NodePtr node;
  TrackedTensor cotangent;
};

// One walk. Visits nodes by falling id; each slot collects the cotangent of one
// node's value.
class Walk {
 public:
  // Collects what `root` was recorded from. `targets`: only nodes on a path to
  // one of these are visited, none of them is passed; empty: all leaves.
  // GraphError if a node on the way was given up.
  Walk(Node& root, std::span<const NodePtr> targets, WalkOptions options);
  Walk(const Walk&) = delete;
  Walk& operator=(const Walk&) = delete;

  // Whether a path leads from the root to a target.
  bool reaches_target() const { return slots_.front().visited; }
  // Runs the pullbacks, starting with the cotangent of the root.
  void run(TrackedTensor seed);

  // Targets, or leaves, with their cotangents (undefined: no path), written
  // and of the primal's dtype.
  using Result = WalkResult;
  std::vector<Result> results;
  // Gradients kept for values with retain_grad().
  std::vector<Result> retained;

 private:
  friend class PullbackContext;
  struct Slot {
    NodePtr node;
    // As it was when the walk began: the node may be cut again meanwhile.
    PullbackPtr pullback;
    TrackedTensor cotangent;
    bool owned = false;    // the cotangent's memory is this walk's alone
    bool visited = false;  // lies on a path to a target
    bool target = false;
    bool done = false;                   // visited before its turn
    std::vector<TrackedTensor> joint{};  // of a node of several values
    int early = -1;      // the index of a target that is handed out early
    int unfinished = 0;  // its consumers whose pullbacks haven't run
  };

  void collect(Node& root, std::span<const NodePtr> targets);
  void mark_paths(std::span<const NodePtr> targets);
  void count_consumers();
  // The early targets that wait for no other slot than this.
  std::vector<Slot*> completed_by(const Slot& slot);
  void hand_out(Slot& slot);
  void visit(Slot& slot);
  void call_hooks(Slot& slot);
  // In anomaly mode: what the slot's pullback has added to.
  void check_gradients(const Slot& slot, const TrackedTensor& given);
  Slot* slot_of(const Node& node);
  void visit_with_riders(Slot& slot);
  // Computes what rides now: before anything is added to a cotangent, which
  // could be one that waits for it.
  void unload();
  void settle(TrackedTensor& cotangent, const Node& node) const;

  // Leaves the nodes that run() did not come to.
  struct Held {
    ~Held();
    std::vector<Slot>& slots;
    std::size_t left = 0;
  };

  WalkOptions options_;
  std::vector<Slot> slots_;
  Held held_{slots_};
  PointerMap index_;
  // What rides with the visit of a slot, which comes next.
  std::vector<ColumnSum> riders_;
  Slot* carrier_ = nullptr;
};

// Checks that g can be a cotangent of the node's value and converts its dtype:
// float32 for half types while collecting. GraphError names `op`, who gave it.
TrackedTensor checked_cotangent(TrackedTensor g, const Node& node,
                                const char* op, CallSite site);

}  // namespace jacquard::tape
