// Forward rules: from the tangents of a node's inputs to that of its value.
#pragma once

#include <span>

#include "core/tape/node.h"

namespace jacquard::tape {

// An array that a pullback needs, with the node of its value, so that a
// recording walk sees the same value again. Made by save() at the forward call.
struct Saved {
  Tensor tensor;
  NodePtr node;            // of an input; null: a constant
  bool is_output = false;  // the node's own value
};

// What any rule sees of the walk.
class RuleContext {
 public:
  // Whether the walk itself is recorded.
  bool recording() const { return recording_; }
  // The node that the rule is of.
  Node& node() const { return node_; }
  // Of the operation, and where it was called.
  const char* name() const { return node_.name; }
  CallSite site() const { return node_.site; }
  Device device() const { return node_.device; }
  // Shape of input i, which is not a constant.
  const Shape& shape_of(int i) const { return edges_[i]->shape; }
  DType dtype_of(int i) const { return edges_[i]->dtype; }
  // A saved array as a value, tracked if the walk records.
  TrackedTensor restore(const Saved& saved) const;

 protected:
  RuleContext(Node& node, const Edges& edges, bool recording)
      : node_(node), edges_(edges), recording_(recording) {}
  ~RuleContext() = default;

  Node& node_;
  const Edges& edges_;

 private:
  const bool recording_;
};

// What a forward rule sees. Several tangents may be pushed at once: each array
// then has one axis more, the first, which counts them; lead() is 1, else 0.
class PushContext : public RuleContext {
 public:
  // `tangents`: one for each edge. `batch`: how many at once; 0: one, without
  // an axis. `value`: of several that the operation has.
  PushContext(Node& node, const Edges& edges, bool recording,
              std::span<const TrackedTensor> tangents, std::int64_t batch,
              int value)
      : RuleContext(node, edges, recording),
        tangents_(tangents),
        batch_(batch),
        value_(value) {}

  int lead() const { return batch_ > 0 ? 1 : 0; }
  // Behind that axis, if there is one.
  Shape led(Shape shape) const;
  // Of the result: led(the value's).
  Shape shape() const { return led(node_.shape); }

  // Of an operation with several values (record_joint): the one whose tangent
  // is asked for. The rule is called for each.
  int value() const { return value_; }

  // Whether input i has a tangent; otherwise it is a structural zero.
  bool has(int i) const { return tangents_[i].defined(); }
  // Of shape led(shape_of(i)) and of the input's dtype. May be pending.
  const TrackedTensor& tangent(int i) const { return tangents_[i]; }
  // The same, zeros of that shape where there is none.
  TrackedTensor tangent_or_zeros(int i, const Shape& shape, DType dtype) const;
  // The same with axes of 1 between lead and shape, `rank` without the lead.
  TrackedTensor aligned(int i, int rank) const;

  // The result, of shape(); any floating dtype is converted. Not called: a
  // structural zero.
  void set(TrackedTensor tangent) { result_ = std::move(tangent); }
  TrackedTensor take() { return std::move(result_); }

 private:
  std::span<const TrackedTensor> tangents_;
  std::int64_t batch_;
  int value_;
  TrackedTensor result_;
};

}  // namespace jacquard::tape
