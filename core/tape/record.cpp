#include "core/tape/record.h"

#include "core/tape/modes.h"
#include "core/tape/region.h"

namespace jacquard::tape {

Saved save(const TrackedTensor& x, const char* op) {
  ValuePtr v = snapshot(x, op);
  force(*v);
  return {v->tensor(), v->node(), false};
}

bool would_record(std::span<const TrackedTensor* const> inputs) {
  if (!grad_enabled()) return false;
  for (const TrackedTensor* t : inputs)
    if (t->defined() && t->is_tracked()) return true;
  return false;
}

TrackedTensor record_with(const char* name, CallSite site, Tensor result,
                          std::span<const TrackedTensor* const> inputs,
                          PullbackPtr pullback) {
  if (!is_floating(result.dtype())) return TrackedTensor(std::move(result));
  auto node = make_intrusive<Node>(next_id(), name, site, result.shape(),
                                   result.dtype(), result.stream());
  for (const TrackedTensor* t : inputs) {
    NodePtr edge;
    if (t->defined()) {
      ValuePtr v = snapshot(*t, name);
      force(*v);
      edge = v->node();
    }
    pullback->add_edge(std::move(edge));
  }
  node->set_pullback(std::move(pullback));
  return handle(make_intrusive<Value>(std::move(result), std::move(node)));
}

}  // namespace jacquard::tape
