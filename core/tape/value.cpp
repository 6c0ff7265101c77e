#include "core/tape/value.h"

#include <string>

#include "core/plan/mark.h"
#include "core/tape/leaf_scope.h"
#include "core/tape/modes.h"
#include "core/tape/recut.h"
#include "core/tape/region.h"
#include "jacquard/error.h"

namespace jacquard::tape {

// A spin lock: what it guards takes a few nanoseconds.
class Value::Guard {
 public:
  explicit Guard(const Value& v) : lock_(v.lock_) {
    while (lock_.exchange(true, std::memory_order_acquire)) {
    }
  }
  ~Guard() { lock_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool>& lock_;
};

Value::Value(const char* name, CallSite site, const Shape& shape, DType dtype,
             Device device, bool tracked, Expression expression)
    : shape(shape),
      dtype(dtype),
      device(device),
      stream(current_stream(device)),
      tracked(tracked),
      reduction(expression.reduction),
      product(expression.product),
      site(site),
      name(name),
      id(next_id()),
      expression_(std::move(expression)) {
  if (!tracked) return;
  for (const Arg& a : expression_.args)
    if (a.value) a.value->add_use();
}

Value::Value(Tensor tensor, NodePtr node)
    : shape(tensor.shape()),
      dtype(tensor.dtype()),
      device(tensor.device()),
      stream(tensor.stream()),
      tracked(static_cast<bool>(node)),
      site(node ? node->site : CallSite{}),
      name(node ? node->name : "constant"),
      id(node ? node->id : 0),
      written_(true),
      tensor_(std::move(tensor)),
      node_(std::move(node)) {}

Value::Value(const char* name, CallSite site, const Shape& shape, DType dtype,
             Stream stream, bool tracked)
    : shape(shape),
      dtype(dtype),
      device(stream.device()),
      stream(stream),
      tracked(tracked),
      site(site),
      name(name),
      id(next_id()),
      planned_(true) {}

Value::~Value() {
  if (mark.load(std::memory_order_relaxed)) plan::Mark::forget(*this);
  if (!tracked) return;
  if (recuts_)
    for (const auto& r : *recuts_) r->forget(*this);
  for (const Arg& a : expression_.args)
    if (a.value) a.value->drop_use();
}

void Value::settle() const {
  if (planned()) plan::settle(const_cast<Value&>(*this));
}

const Expression* Value::pin() {
  if (written()) return nullptr;
  if (planned()) [[unlikely]]
    plan::settle(*this);
  Guard guard(*this);
  if (written()) return nullptr;
  ++pins_;
  return &expression_;
}

void Value::unpin() {
  Operands gone;
  {
    Guard guard(*this);
    if (--pins_ > 0 || !written()) return;
    take_operands(gone);
  }
  drop_uses(gone);
}

void Value::publish(Tensor tensor, NodePtr node) {
  Operands gone;
  bool inside = false;
  {
    Guard guard(*this);
    if (written()) return;
    inside = node && recuts_;
    // Until they are cut again, the nodes around it count as one use.
    if (node && uses_ + inside > 0)
      node->consumers.fetch_add(uses_ + inside, std::memory_order_relaxed);
    tensor_ = std::move(tensor);
    node_ = std::move(node);
    written_.store(true, std::memory_order_release);
    if (pins_ == 0) take_operands(gone);
  }
  drop_uses(gone);
  if (!inside) return;
  const struct Leaving {
    ~Leaving() { node.leave(false); }
    Node& node;
  } leaving{*node_};
  finish_recuts();
}

bool Value::add_recut(Recut& recut) {
  Guard guard(*this);
  if (written()) return false;
  if (!recuts_) recuts_ = std::make_unique<std::vector<IntrusivePtr<Recut>>>();
  // A value may be used without end and never written.
  if (recuts_->size() == recuts_->capacity()) {
    std::erase_if(*recuts_, [](const auto& r) { return r->ended(); });
    recuts_->reserve(2 * recuts_->size() + 2);
  }
  recuts_->emplace_back(&recut);
  return true;
}

void Value::finish_recuts() {
  for (;;) {
    IntrusivePtr<Recut> next;
    {
      Guard guard(*this);
      if (!recuts_ || recuts_->empty()) return;
      next = recuts_->back();
    }
    next->cut_at(*this);  // waits for another thread that does it
    Guard guard(*this);
    std::erase(*recuts_, next);
  }
}

void Value::take_operands(Operands& out) {
  for (int i = 0; i < 3; ++i)
    if (expression_.args[i].value)
      out[i] = std::move(expression_.args[i].value);
}

void Value::drop_uses(const Operands& gone) const {
  if (!tracked) return;
  for (const ValuePtr& v : gone)
    if (v) v->drop_use();
}

void Value::add_use() const {
  Guard guard(*this);
  if (written()) {
    if (node_) node_->consumers.fetch_add(1, std::memory_order_relaxed);
  } else {
    ++uses_;
  }
}

void Value::drop_use() const {
  Guard guard(*this);
  if (written()) {
    if (node_) node_->consumers.fetch_sub(1, std::memory_order_relaxed);
  } else {
    --uses_;
  }
}

namespace {

class CellGuard {
 public:
  explicit CellGuard(Value::Cell& cell) : lock_(cell.lock) {
    while (lock_.test_and_set(std::memory_order_acquire)) {
    }
  }
  ~CellGuard() { lock_.clear(std::memory_order_release); }

 private:
  std::atomic_flag& lock_;
};

}  // namespace

ValuePtr snapshot(const TrackedTensor& t, const char* op) {
  Value* v = t.value();
  if (!v)
    throw GraphError(std::string(op) +
                     ": an operand is undefined (a default-"
                     "constructed TrackedTensor)");
  if (!v->cell) {
    if (!v->written() && v->id < innermost_edge()) force(*v);
    return ValuePtr(v);
  }
  if (LeafScope* scope = LeafScope::innermost()) return scope->read(*v);
  return current_of(*v);
}

ValuePtr current_of(Value& cell) {
  CellGuard guard(*cell.cell);
  return cell.cell->current;
}

void set_current(Value& cell, Tensor tensor) {
  auto fresh = make_intrusive<Value>(std::move(tensor), cell.cell->node);
  LeafScope* scope = LeafScope::innermost();
  if (scope && scope->write(cell, fresh)) return;
  CellGuard guard(*cell.cell);
  ++cell.cell->version;
  std::swap(cell.cell->current, fresh);
}

Snapshot snapshot_of(const Value& cell) {
  CellGuard guard(*cell.cell);
  return {cell.cell->current, cell.cell->version};
}

}  // namespace jacquard::tape
