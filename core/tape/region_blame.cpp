// Anomaly mode: which operation of a region has the bad derivative.
#include <algorithm>

#include "core/tape/pending.h"
#include "core/tape/region.h"
#include "core/tape/region_pullback.h"
#include "core/tape/walk.h"
#include "jacquard/pointwise.h"
#include "jacquard/shape_ops.h"

namespace jacquard::tape {
namespace {

bool is_operation(const pointwise::Instr& instr) {
  return !pointwise::is_leaf(instr.op) && instr.op != Op::cast;
}

// The leaf with a node of its own, at which a walk ends.
TrackedTensor entered(const ValuePtr& leaf, std::vector<NodePtr>& targets) {
  if (!leaf->written() || !leaf->node()) return handle(leaf);
  auto node = make_intrusive<Node>(next_id(), leaf->name, leaf->site,
                                   leaf->shape, leaf->dtype, leaf->stream);
  targets.push_back(node);
  return handle(make_intrusive<Value>(leaf->tensor(), std::move(node)));
}

}  // namespace

void RegionPullback::blame(const Node& node, const TrackedTensor& cotangent) {
  if (!anatomy_) return;
  const pointwise::Code& code = anatomy_->code;
  const pointwise::Output& out = code.outputs[0];
  const bool reduces = out.reduction != Reduction::store;
  if (std::ranges::count_if(code.instrs, is_operation) + reduces <= 1) return;

  const EnableGrad recording;
  std::vector<NodePtr> targets;
  std::vector<TrackedTensor> leaves;
  for (const ValuePtr& leaf : anatomy_->leaves)
    leaves.push_back(entered(leaf, targets));
  std::vector<Label> labels = anatomy_->labels;
  labels.resize(std::max<std::size_t>(code.instrs.size(), 2),
                {node.name, node.site});
  TrackedTensor y = tape::instantiate(code, leaves, slots_, space_, labels)[0];
  if (reduces) {
    unsigned axes = 0;
    for (int i = 0; i < space_.rank(); ++i)
      if (result_over_space_[i] != space_[i]) axes |= 1u << i;
    y = apply_reduction(node.name, out.reduction, expand(y, space_), axes, true,
                        node.dtype, node.site);
  }
  const ValuePtr root = snapshot(y, node.name);
  force(*root);
  if (!root->node()) return;
  Walk walk(*root->node(), targets, {});
  if (walk.reaches_target()) walk.run(reshape(cotangent, root->shape));
}

}  // namespace jacquard::tape
