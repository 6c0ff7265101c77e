#include "jacquard/tracked_tensor.h"

#include "core/plan/mark.h"
#include "core/tape/call.h"
#include "core/tape/modes.h"
#include "core/tape/pending.h"
#include "core/tape/region.h"
#include "core/tape/value.h"
#include "core/tape/walk.h"
#include "jacquard/error.h"
#include "jacquard/pointwise.h"

namespace jacquard {

using tape::Node;
using tape::NodePtr;
using tape::Value;
using tape::ValuePtr;

namespace {

Value& value_of(const TrackedTensor& t) {
  if (!t.value())
    throw GraphError("an undefined TrackedTensor has no shape or value");
  return *t.value();
}

// The node on which hooks and kept gradients live; nullptr for constants.
Node* node_for_hooks(const TrackedTensor& t) {
  Value& v = value_of(t);
  if (v.cell) return v.cell->node.get();
  if (!v.tracked) return nullptr;
  tape::force(v);
  v.finish_recuts();
  return v.node().get();
}

// Where a gradient may lie; nullptr if there is none.
Node::Extras* extras_of(const TrackedTensor& t) {
  Value& v = value_of(t);
  Node* node = v.cell        ? v.cell->node.get()
               : v.written() ? v.node().get()
                             : nullptr;
  if (!node) return nullptr;
  plan::touch_gradient(*node);
  return node->find_extras();
}

TrackedTensor run_grad(const TrackedTensor& x) {
  Node::Extras* extras = extras_of(x);
  if (!extras) return {};
  std::lock_guard lock(extras->mutex);
  return extras->grad.defined() ? TrackedTensor(extras->grad) : TrackedTensor();
}

void run_clear_grad(const TrackedTensor& x) {
  Node::Extras* extras = extras_of(x);
  if (!extras) return;
  Tensor gone;
  std::lock_guard lock(extras->mutex);
  std::swap(gone, extras->grad);
}

void run_set_grad(const TrackedTensor& x, TrackedTensor grad) {
  Value& v = value_of(x);
  if (!v.cell)
    throw GraphError("set_grad: only leaves (param) have a gradient");
  Node& node = *v.cell->node;
  grad = cast(
      tape::checked_cotangent(std::move(grad), node, "set_grad", node.site),
      node.dtype);
  Tensor t = grad.data();
  plan::touch_gradient(node);
  std::lock_guard lock(node.extras().mutex);
  node.extras().grad = std::move(t);
}

using Hook = std::function<TrackedTensor(const TrackedTensor&)>;

void run_hook(const TrackedTensor& x, Hook f) {
  Node* node = node_for_hooks(x);
  if (!node) return;
  std::lock_guard lock(node->extras().mutex);
  node->extras().hooks.push_back(std::move(f));
}

void run_retain_grad(const TrackedTensor& x) {
  Node* node = node_for_hooks(x);
  if (!node) return;
  std::lock_guard lock(node->extras().mutex);
  node->extras().retain_grad = true;
}

void run_assign(const TrackedTensor& x, const TrackedTensor& to) {
  Value& v = value_of(x);
  const Tensor tensor = to.data();
  if (!v.cell) throw GraphError("assign: only leaves (param) can be assigned");
  if (!(tensor.shape() == v.shape))
    throw ShapeError("assign: " + to_string(tensor.shape()) +
                     " does not fit the leaf's " + to_string(v.shape));
  if (tensor.dtype() != v.dtype)
    throw DTypeError("assign: " + std::string(name_of(tensor.dtype())) +
                     " does not fit the leaf's " +
                     std::string(name_of(v.dtype)));
  if (!(tensor.device() == v.device))
    throw DeviceError("assign: the tensor is on " + to_string(tensor.device()) +
                      ", the leaf on " + to_string(v.device));
  tape::set_current(v, tensor);
}

TrackedTensor run_param(const TrackedTensor& x) {
  Tensor tensor = x.data();
  if (!is_floating(tensor.dtype()))
    throw DTypeError("param: a leaf must be floating, not " +
                     std::string(name_of(tensor.dtype())));
  auto node =
      make_intrusive<Node>(tape::next_id(), "param", CallSite{}, tensor.shape(),
                           tensor.dtype(), tensor.stream());
  node->leaf = true;
  auto cell = std::make_unique<Value::Cell>();
  cell->node = node;
  cell->current = make_intrusive<Value>(tensor, node);
  auto v = make_intrusive<Value>(std::move(tensor), std::move(node));
  v->hold(std::move(cell));
  return tape::handle(std::move(v));
}

TrackedTensor run_stop_gradient(Operand&& x) {
  if (x.is_scalar())
    return tape::apply("stop_gradient", tape::Op::stop_gradient, std::move(x));
  ValuePtr v = tape::snapshot(x.tensor(), "stop_gradient");
  if (v->written()) return TrackedTensor(v->tensor());
  return tape::make_pending("stop_gradient", x.site(), tape::Op::stop_gradient,
                            v->dtype, v->dtype, v->device,
                            tape::Arg{v, {}, tape::Arg::Kind::value}, {}, {});
}

TrackedTensor run_materialize(const TrackedTensor& x) {
  tape::force(x, "materialize");
  return x;
}

void run_materialize_all(const std::vector<TrackedTensor>& values) {
  std::vector<ValuePtr> held;
  std::vector<Value*> all;
  for (const TrackedTensor& t : values) {
    held.push_back(tape::snapshot(t, "materialize"));
    all.push_back(held.back().get());
  }
  tape::force(all);
}

}  // namespace

TrackedTensor::TrackedTensor(Tensor tensor) {
  if (!tensor.defined())
    throw GraphError("a TrackedTensor can't be made of an undefined Tensor");
  value_ = make_intrusive<Value>(std::move(tensor), NodePtr()).detach();
}

TrackedTensor::TrackedTensor(const TrackedTensor& other) noexcept
    : value_(other.value_) {
  if (value_) value_->retain();
}

TrackedTensor& TrackedTensor::operator=(const TrackedTensor& other) noexcept {
  TrackedTensor copy(other);
  std::swap(value_, copy.value_);
  return *this;
}

TrackedTensor::~TrackedTensor() {
  if (value_) value_->release();
}

const Shape& TrackedTensor::shape() const { return value_of(*this).shape; }
DType TrackedTensor::dtype() const { return value_of(*this).dtype; }
Device TrackedTensor::device() const { return value_of(*this).device; }
bool TrackedTensor::is_tracked() const { return value_of(*this).tracked; }
bool TrackedTensor::is_leaf() const {
  return value_ && static_cast<bool>(value_->cell);
}
bool TrackedTensor::is_pending() const {
  const Value& v = value_of(*this);
  return !v.cell && !v.written();
}
bool TrackedTensor::is_structural_zero() const {
  return value_ && value_->zero.load(std::memory_order_relaxed);
}

Tensor TrackedTensor::data() const {
  tape::reading(*this);
  return tape::force(*this, "data");
}

TrackedTensor TrackedTensor::grad() const {
  return tape::call("grad", {}, run_grad, *this);
}

void TrackedTensor::clear_grad() const {
  tape::call("clear_grad", {}, run_clear_grad, *this);
}

void TrackedTensor::set_grad(TrackedTensor grad) const {
  tape::call("set_grad", {}, run_set_grad, *this, std::move(grad));
}

void TrackedTensor::hook(
    std::function<TrackedTensor(const TrackedTensor&)> f) const {
  tape::call("hook", {}, run_hook, *this, std::move(f));
}

void TrackedTensor::retain_grad() const {
  tape::call("retain_grad", {}, run_retain_grad, *this);
}

void TrackedTensor::assign(const Tensor& tensor) const {
  tape::call("assign", {}, run_assign, *this, TrackedTensor(tensor));
}

TrackedTensor param(Tensor tensor) {
  return param(TrackedTensor(std::move(tensor)));
}

TrackedTensor param(const TrackedTensor& t) {
  return tape::call("param", {}, run_param, t);
}

TrackedTensor stop_gradient(Operand x) {
  return tape::call("stop_gradient", x.site(), run_stop_gradient, std::move(x));
}

TrackedTensor materialize(const TrackedTensor& x) {
  return tape::call("materialize", {}, run_materialize, x);
}

void materialize(std::span<const TrackedTensor> values) {
  tape::call("materialize", {}, run_materialize_all,
             std::vector<TrackedTensor>(values.begin(), values.end()));
}

std::string to_string(const TrackedTensor& t) {
  return to_string(t.data()) + (t.is_tracked() ? " tracked" : "");
}

}  // namespace jacquard
