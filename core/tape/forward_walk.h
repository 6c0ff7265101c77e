// A walk over the tape the other way: from the arguments of a transform to what
// was computed from them, pushing tangents along.
#pragma once

#include <span>
#include <vector>

#include "core/tape/node.h"
#include "core/tape/region_builder.h"
#include "jacquard/tracked_tensor.h"

namespace jacquard::tape {

// The nodes between arguments and results, held against being given up, by
// rising id. Hooks are not called: they see cotangents.
class ForwardWalk {
 public:
  struct Options {
    bool recording = false;  // the walk is itself recorded
    const char* transform = "jvp";
  };

  // GraphError if a node on the way was given up. Null results lead nowhere.
  ForwardWalk(std::span<const NodePtr> results,
              std::span<const NodePtr> arguments, Options options);
  ~ForwardWalk();
  ForwardWalk(const ForwardWalk&) = delete;
  ForwardWalk& operator=(const ForwardWalk&) = delete;

  // Tangents of the results, written and of their dtype, from those of the
  // arguments; undefined ones are structural zeros. `batch` > 0: so many at
  // once, along a first axis of each. May be called any number of times.
  std::vector<TrackedTensor> run(std::span<const TrackedTensor> tangents,
                                 std::int64_t batch = 0) const;

  // Whether a path leads from an argument to a result.
  bool reaches() const { return !slots_.empty(); }
  // Of the values on the way: what a batch is limited by.
  int max_rank() const { return max_rank_; }
  std::int64_t max_numel() const { return max_numel_; }

 private:
  struct Slot {
    NodePtr node;
    PullbackPtr pullback;  // of an argument: none
    int last_use = -1;     // the last slot that has this one as input
    // Of one of several values: the slot of the node behind, whose inputs are
    // its inputs; -1: none. That node has no tangent of its own.
    int behind = -1;
    bool joint = false;  // is such a node
  };
  void collect(std::span<const NodePtr> results,
               std::span<const NodePtr> arguments);
  void keep_paths(std::span<const NodePtr> arguments);
  int slot_of(const Node& node) const { return index_.find(&node); }
  // Whose pullback has the rule and the inputs.
  const Slot& rule_of(const Slot& slot) const {
    return slot.behind < 0 ? slot
                           : slots_[static_cast<std::size_t>(slot.behind)];
  }
  TrackedTensor push(const Slot& slot, std::span<const TrackedTensor> inputs,
                     std::int64_t batch) const;
  TrackedTensor fall_back(const Slot& slot,
                          std::span<const TrackedTensor> inputs) const;

  Options options_;
  std::vector<Slot> slots_;
  std::vector<NodePtr> entered_;
  PointerMap index_;                      // of slots_
  std::vector<int> results_, arguments_;  // their slots; -1: none
  int max_rank_ = 0;
  std::int64_t max_numel_ = 1;
};

}  // namespace jacquard::tape
