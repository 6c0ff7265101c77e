// What leaves hold, as seen by a function that will be run again.
#pragma once

#include <unordered_map>

#include "core/tape/value.h"

namespace jacquard::tape {

// What leaves held when a function first read them. A leaf that the function
// wrote before has no snapshot.
struct HeldLeaf {
  ValuePtr cell;
  ValuePtr snapshot;
};
using HeldLeaves = std::unordered_map<const Value*, HeldLeaf>;

// While it lives, reads and writes of leaves by this thread go through it.
// Scopes nest.
class LeafScope {
 public:
  // Notes what leaves hold when they are first read.
  LeafScope();
  // Leaves hold what they held then; what is written is seen inside only.
  explicit LeafScope(const HeldLeaves& held);
  ~LeafScope();
  LeafScope(const LeafScope&) = delete;
  LeafScope& operator=(const LeafScope&) = delete;

  static LeafScope* innermost();
  ValuePtr read(Value& cell);
  // Whether the leaf itself is to stay as it is.
  bool write(Value& cell, const ValuePtr& fresh);
  // What was noted of leaves that were there before call `id`.
  HeldLeaves take_older_than(std::uint64_t id);

 private:
  HeldLeaves held_;
  const bool replays_;
  LeafScope* outer_;
};

}  // namespace jacquard::tape
