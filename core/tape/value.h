// Value: what a TrackedTensor points to.
//
// A value is *pending* (an instruction over other values) or *written* (an
// array, and a node if it is tracked). Everything about it is fixed when it is
// made, but for one slot: array and node, published once, under the value's
// lock, whereupon its operands are given up. A *cell* is the value behind a
// leaf: it has no array of its own but a current snapshot, which is a written
// value; operations take the snapshot when they are called.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/pointwise/program.h"
#include "core/tape/node.h"
#include "core/tensor/pool.h"
#include "core/tensor/ref_count.h"
#include "jacquard/tracked_tensor.h"

namespace jacquard::plan {
struct Mark;
}

namespace jacquard::tape {

using pointwise::Literal;
using pointwise::Op;
using pointwise::Reduction;
class Value;
using ValuePtr = IntrusivePtr<Value>;

// An operand of a pending value.
struct Arg {
  enum class Kind : std::uint8_t { none, value, slot, literal };
  ValuePtr value;
  Literal scalar{};
  Kind kind = Kind::none;
};

// How a pending value is computed from its operands.
struct Expression {
  Op op = Op::load;
  // Not `store`: a reduction of args[0] over `axes` (bit i: axis i of the
  // operand); op is then `load`.
  Reduction reduction = Reduction::store;
  bool keepdims = false;
  // args[0]·args[1], both written: a matmul that waits; op is then `load`.
  bool product = false;
  std::uint8_t axes = 0;
  DType operand_dtype = DType::float32;  // what value operands are cast to
  Arg args[3];
};

class Value : public RefCounted<Value>, public PooledNew<Value> {
 public:
  // Pending. If tracked, counts itself as a use of its operands.
  Value(const char* name, CallSite site, const Shape& shape, DType dtype,
        Device device, bool tracked, Expression expression);
  // Written.
  Value(Tensor tensor, NodePtr node);
  // A stand-in for the result of a call that a plan answered: pending until
  // the plan has run and publishes it.
  Value(const char* name, CallSite site, const Shape& shape, DType dtype,
        Stream stream, bool tracked);
  ~Value();

  void release() const noexcept {
    if (drop()) LateDestruction<Value>::destroy(this);
  }

  const Shape shape;
  const DType dtype;
  const Device device;
  // Where it is computed; fixed at the call.
  const Stream stream;
  // A gradient can flow to it: fixed at the call.
  const bool tracked;
  // Pending: some operand, through whatever path, is tracked.
  bool leads_to_tracked = false;
  // Pending: holds more than casts, sums and products; is (or contains) a row
  // operation.
  bool heavy = false;
  bool has_row = false;
  // Pending: its region has no more instructions and leaves than these; not
  // fewer instructions either if the weight is exact.
  bool exact_weight = false;
  std::uint16_t weight = 0;
  std::uint16_t leaf_weight = 0;
  // Of pending values `store` or how args[0] is reduced.
  const Reduction reduction = Reduction::store;
  // A matmul that waits, or waited, and its node if it is tracked.
  const bool product = false;
  NodePtr product_node;
  const CallSite site;
  const char* const name;
  const std::uint64_t id;

  bool written() const { return written_.load(std::memory_order_acquire); }
  // Of written values only. A stand-in gets its value first.
  const Tensor& tensor() const {
    if (planned_.load(std::memory_order_relaxed)) [[unlikely]]
      settle();
    return tensor_;
  }
  const NodePtr& node() const {
    if (planned_.load(std::memory_order_relaxed)) [[unlikely]]
      settle();
    return node_;
  }
  // Of written values and of products: the latter lead somewhere before they
  // have an array.
  const NodePtr& known_node() const { return product ? product_node : node(); }

  // How it is computed, or nullptr if it is written. Until unpin() the
  // expression, and so its operands, stay where they are, even if the value is
  // written meanwhile.
  const Expression* pin();
  void unpin();
  // Between the two.
  const Expression& pinned() const { return expression_; }
  // Whether it is a stand-in that nobody has published.
  bool planned() const {
    return planned_.load(std::memory_order_relaxed) && !written();
  }
  // What a plan that is being made knows it by, or nullptr.
  std::atomic<plan::Mark*> mark{nullptr};
  // Publishes array and node, unless another thread was first; then cuts the
  // nodes again that have this value in their inside.
  void publish(Tensor tensor, NodePtr node);

  // A node that has this value in its inside; false if it is written already.
  bool add_recut(Recut& recut);
  // Of a written value: returns when each such node was cut again.
  void finish_recuts();

  // Whether a region that was computed has it in its inside.
  std::atomic<bool> inlined{false};
  std::atomic<bool> zero{false};  // a structural zero

  // Tracked pending values that have this one as operand.
  void add_use() const;
  void drop_use() const;

  struct Cell {
    std::atomic_flag lock = ATOMIC_FLAG_INIT;
    ValuePtr current;
    NodePtr node;
    // Counts the snapshots; guarded by the lock.
    std::uint32_t version = 0;
  };
  std::unique_ptr<Cell> cell;
  // Makes a written value the cell of a leaf: the array moves to its snapshot.
  void hold(std::unique_ptr<Cell> c) {
    cell = std::move(c);
    tensor_ = {};
    node_ = {};
  }

 private:
  friend class LateDestruction<Value>;
  class Guard;
  mutable const Value* next_dead_ = nullptr;

  mutable std::atomic<bool> lock_{false};
  std::atomic<bool> written_{false};
  std::atomic<bool> planned_{false};
  void settle() const;
  using Operands = ValuePtr[3];
  void take_operands(Operands& out);
  void drop_uses(const Operands& gone) const;
  mutable std::int32_t uses_ = 0;
  std::unique_ptr<std::vector<IntrusivePtr<Recut>>> recuts_;
  std::int32_t pins_ = 0;
  Expression expression_;
  Tensor tensor_;
  NodePtr node_;
};

// The handle's value; for a leaf its current snapshot. GraphError if undefined.
ValuePtr snapshot(const TrackedTensor& t, const char* op);
// A handle to a value.
inline TrackedTensor handle(ValuePtr value) {
  return TrackedTensor(value.detach());
}

// The snapshot of a leaf, whatever scopes are open.
ValuePtr current_of(Value& cell);
// Replaces the snapshot of a leaf.
void set_current(Value& cell, Tensor tensor);
// The snapshot that a cell has now, and how many it had before.
struct Snapshot {
  ValuePtr value;
  std::uint32_t version;
};
Snapshot snapshot_of(const Value& cell);

}  // namespace jacquard::tape
