#include "jacquard/primitive.h"

#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/ops/as_tensor.h"
#include "core/tape/modes.h"
#include "core/tape/pending.h"
#include "jacquard/error.h"

namespace jacquard::detail {

const char* kept_name(const std::string& name) {
  static std::mutex mutex;
  static auto& names = *new std::set<std::string>;
  const std::lock_guard lock(mutex);
  return names.insert(name).first->c_str();
}

struct PrimitiveCall::State {
  const char* name;
  CallSite site;
  std::vector<TrackedTensor> operands;
  Shape shape;
  TrackedTensor value;

  [[noreturn]] void misfit(const std::string& what, const Shape& is) const {
    throw ShapeError(std::string(name) + " (called at " + site.file + ":" +
                     std::to_string(site.line) + "): the " + what +
                     " has shape " + to_string(is) +
                     ", which an elementwise function of operands that "
                     "broadcast to " +
                     to_string(shape) + " can't have");
  }
};

namespace {

// The type of the tensors among the operands, and where they are.
struct Common {
  bool known = false;
  DType dtype = DType::float32;
  Device device;
};

Common common_of(std::span<const Operand> operands) {
  Common c;
  for (const Operand& x : operands) {
    if (x.is_scalar()) continue;
    const DType dtype = x.tensor().dtype();
    c.dtype = c.known ? promote(c.dtype, dtype) : dtype;
    c.device = x.tensor().device();
    c.known = true;
  }
  return c;
}

TrackedTensor settled(const char* name, const Operand& x, const Common& c) {
  if (!x.is_scalar() || !c.known) return ops::as_tensor(name, x);
  const DType dtype = promote(c.dtype, x.scalar_kind());
  return tape::apply_fill(name, {}, dtype, c.device,
                          tape::to_arg(Operand(x), dtype, name).scalar);
}

}  // namespace

PrimitiveCall::PrimitiveCall(const char* name, std::span<Operand> operands)
    : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.name = name;
  s.site = operands[0].site();
  const Common common = common_of(operands);
  for (const Operand& x : operands) {
    s.operands.push_back(settled(name, x, common));
    s.shape = broadcast(s.shape, s.operands.back().shape(), name);
  }
}

PrimitiveCall::~PrimitiveCall() = default;

const TrackedTensor& PrimitiveCall::operator[](std::size_t k) const {
  return state_->operands[k];
}

bool PrimitiveCall::records(std::size_t k) const {
  return tape::grad_enabled() && is_floating(state_->value.dtype()) &&
         state_->operands[k].is_tracked();
}

void PrimitiveCall::set_value(const TrackedTensor& value) {
  if (!(value.shape() == state_->shape)) state_->misfit("value", value.shape());
  state_->value = value.is_tracked() ? stop_gradient(value) : value;
}

void PrimitiveCall::attach(std::size_t k, Operand derivative) {
  State& s = *state_;
  if (!derivative.is_scalar()) {
    const Shape& shape = derivative.tensor().shape();
    if (!(broadcast(shape, s.shape, s.name) == s.shape))
      s.misfit("derivative by operand " + std::to_string(k), shape);
  }
  s.value = tape::attach(s.name, s.site, s.value, s.operands[k],
                         std::move(derivative));
}

const TrackedTensor& PrimitiveCall::result() const { return state_->value; }

}  // namespace jacquard::detail
