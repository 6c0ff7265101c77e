#include "core/tape/record.h"

#include "core/tape/anomaly.h"
#include "core/tape/call.h"
#include "core/tape/modes.h"
#include "core/tape/region.h"

namespace jacquard::tape {

std::size_t bytes_of(const Tensor& t) {
  if (!t.defined()) return 0;
  std::size_t n = 1;
  for (int i = 0; i < t.rank(); ++i)
    if (t.strides()[i] != 0) n *= static_cast<std::size_t>(t.shape()[i]);
  return n * size_of(t.dtype());
}

Saved save(const TrackedTensor& x, const char* op) {
  ValuePtr v = snapshot(x, op);
  force(*v);
  return {v->tensor(), v->node(), false};
}

TrackedTensor RuleContext::restore(const Saved& saved) const {
  if (!recording_) return TrackedTensor(saved.tensor);
  NodePtr node = saved.is_output ? NodePtr(&node_) : saved.node;
  return handle(make_intrusive<Value>(saved.tensor, std::move(node)));
}

bool would_record(std::span<const TrackedTensor* const> inputs) {
  if (!grad_enabled()) return false;
  for (const TrackedTensor* t : inputs)
    if (t->defined() && t->is_tracked()) return true;
  return false;
}

TrackedTensor constant_result(const char* name, CallSite site, Tensor result,
                              std::span<const TrackedTensor* const> inputs) {
  if (looks_for_anomalies()) check_result(name, site, result, inputs);
  return TrackedTensor(std::move(result));
}

TrackedTensor record_with(const char* name, CallSite site, Tensor result,
                          std::span<const TrackedTensor* const> inputs,
                          PullbackPtr pullback) {
  if (observation.active) observation.active->bypassed(name, site);
  if (!is_floating(result.dtype())) return TrackedTensor(std::move(result));
  if (looks_for_anomalies()) check_result(name, site, result, inputs);
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

namespace {

// Of one of several values: hands its cotangent on to the node they share.
class JointValuePullback final : public PullbackBase {
 public:
  JointValuePullback(NodePtr joint, int k, int n) : k_(k), n_(n) {
    add_edge(std::move(joint));
  }
  void run(PullbackContext& context) override {
    context.add_to_joint(k_, n_, context.cotangent());
  }
  int joint_value() const override { return k_; }

 private:
  int k_, n_;
};

NodePtr node_of_result(const char* name, CallSite site, const Tensor& result,
                       PullbackPtr pullback) {
  auto node = make_intrusive<Node>(next_id(), name, site, result.shape(),
                                   result.dtype(), result.stream());
  node->set_pullback(std::move(pullback));
  return node;
}

}  // namespace

std::vector<TrackedTensor> record_joint(const char* name, CallSite site,
                                        std::vector<Tensor> results,
                                        PullbackPtr pullback) {
  const int n = static_cast<int>(results.size());
  NodePtr joint;
  std::vector<TrackedTensor> values;
  for (int k = 0; k < n; ++k) {
    Tensor& result = results[static_cast<std::size_t>(k)];
    if (looks_for_anomalies()) check_result(name, site, result, {});
    if (!is_floating(result.dtype())) {
      values.emplace_back(std::move(result));
      continue;
    }
    NodePtr node;
    if (n == 1) {
      node = node_of_result(name, site, result, std::move(pullback));
    } else {
      if (!joint) joint = node_of_result(name, site, result, pullback);
      node = node_of_result(
          name, site, result,
          PullbackPtr::adopt(new JointValuePullback(joint, k, n)));
    }
    values.push_back(
        handle(make_intrusive<Value>(std::move(result), std::move(node))));
  }
  return values;
}

TrackedTensor joint_value(Node& joint, int k, int n, Tensor result) {
  NodePtr node = node_of_result(
      joint.name, joint.site, result,
      PullbackPtr::adopt(new JointValuePullback(NodePtr(&joint), k, n)));
  return handle(make_intrusive<Value>(std::move(result), std::move(node)));
}

}  // namespace jacquard::tape
