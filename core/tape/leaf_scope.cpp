#include "core/tape/leaf_scope.h"

#include <utility>

namespace jacquard::tape {
namespace {
__attribute__((tls_model(
    "initial-exec"))) constinit thread_local LeafScope* scope = nullptr;
}

LeafScope::LeafScope() : replays_(false), outer_(std::exchange(scope, this)) {}

LeafScope::LeafScope(const HeldLeaves& held)
    : held_(held), replays_(true), outer_(std::exchange(scope, this)) {}

LeafScope::~LeafScope() { scope = outer_; }

LeafScope* LeafScope::innermost() { return scope; }

ValuePtr LeafScope::read(Value& cell) {
  if (replays_) {
    const auto at = held_.find(&cell);
    if (at != held_.end() && at->second.snapshot) return at->second.snapshot;
  }
  ValuePtr now = outer_ ? outer_->read(cell) : current_of(cell);
  if (!replays_) held_.try_emplace(&cell, HeldLeaf{ValuePtr(&cell), now});
  return now;
}

bool LeafScope::write(Value& cell, const ValuePtr& fresh) {
  if (replays_) {
    held_.insert_or_assign(&cell, HeldLeaf{ValuePtr(&cell), fresh});
    return true;
  }
  held_.try_emplace(&cell, HeldLeaf{ValuePtr(&cell), {}});
  return outer_ && outer_->write(cell, fresh);
}

HeldLeaves LeafScope::take_older_than(std::uint64_t id) {
  std::erase_if(held_, [&](const auto& held) {
    return held.second.cell->cell->node->id >= id;
  });
  return std::move(held_);
}

}  // namespace jacquard::tape
