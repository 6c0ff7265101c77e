// Cutting a node's region again.
//
// A node leads from its value to the leaves of its region, past the values
// inside. If such a value is held from elsewhere, it may be written later, and
// then have hooks, a kept gradient and other consumers; the node must lead
// through it from then on. So the node keeps its region's code and leaves as
// long as somebody holds a value inside of it that is still pending.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "core/tape/node.h"
#include "core/tape/region_builder.h"
#include "core/tape/value.h"

namespace jacquard::tape {

// Shared by the node and the values inside, each of which may end first.
class Recut : public RefCounted<Recut>, public PooledNew<Recut> {
 public:
  // Of a node and what its RegionPullback was made of; `code` is the region's.
  // The caller hands it to the node and to the values inside.
  Recut(Node& node, const Region& region,
        std::shared_ptr<const pointwise::Code> code,
        const Shape& result_over_space, Tensor result,
        std::vector<Inside> inside);

  // `value`, which was written, becomes a leaf: the node gets the pullback of
  // what is left of its region. Nothing happens if that was done, or if the
  // node has ended.
  void cut_at(Value& value);
  // Writes the values inside that somebody holds, whereby the node is cut at
  // each: what is recorded of its reverse then leads to them.
  void write_inside();
  // `value` is pending and about to be destroyed.
  void forget(const Value& value);
  // The node is about to be destroyed, or its part of the tape was given up.
  void end();
  bool ended() const { return ended_.load(std::memory_order_relaxed); }

  // Guards the node's pullback.
  std::mutex& mutex() { return mutex_; }

 private:
  // Of the region, while there are values inside.
  struct Kept {
    std::shared_ptr<const pointwise::Code> code;
    std::vector<ValuePtr> leaves;
    std::vector<Literal> slots;
    Tensor result;
  };

  std::mutex mutex_;
  Node* node_;
  const Shape space_, result_over_space_;
  const bool has_row_;
  Kept kept_;
  std::vector<Inside> inside_;  // pending
  std::atomic<bool> ended_{false};
};

}  // namespace jacquard::tape
