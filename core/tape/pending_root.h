// The last value of a forward computation, written by the launch of its own
// reverse: a loss and the gradient of what it reduces are one launch.
#pragma once

#include "core/backend/backend.h"
#include "core/tape/region_builder.h"
#include "core/tape/value.h"

namespace jacquard::tape {

class RegionPullback;

// While this lives, a walk may start from node(). Whatever happens, the value
// is written when finish() returns; until its launch it is pending.
class PendingRoot {
 public:
  // Does nothing, and has no node, unless v is a pending reduction that is
  // tracked, of whose region nobody holds a part.
  explicit PendingRoot(const ValuePtr& v);
  ~PendingRoot();
  PendingRoot(const PendingRoot&) = delete;
  PendingRoot& operator=(const PendingRoot&) = delete;

  const NodePtr& node() const { return node_; }
  void finish();

  // For the pullback. The reverse's launch, which reads a cotangent bound as
  // `cotangent`, with the value as its first output; false if the value must
  // be written before.
  bool launch_along(const pointwise::Reverse& reverse,
                    const pointwise::ProgramPtr& summed,
                    const backend::Binding& cotangent,
                    std::span<const Literal> slots,
                    std::span<const backend::OutputBinding> outputs);

 private:
  void launch(const pointwise::ProgramPtr& program,
              std::span<const backend::Binding> leaves,
              std::span<const Literal> slots,
              std::span<const backend::OutputBinding> outputs);
  void published();

  ValuePtr value_;
  NodePtr node_;
  PullbackPtr pullback_;
  RegionBuilder region_;
  pointwise::ProgramPtr program_;
  std::vector<backend::Binding> leaves_;
  backend::OutputBinding output_;
  Tensor result_;
};

}  // namespace jacquard::tape
