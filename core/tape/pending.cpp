#include "core/tape/pending.h"

#include <algorithm>
#include <string>

#include "core/tape/call.h"
#include "core/tape/modes.h"
#include "core/tape/planned_scalar.h"
#include "core/tape/region.h"
#include "core/tape/region_builder.h"
#include "jacquard/error.h"

namespace jacquard::tape {
namespace {

using pointwise::info;
using pointwise::OpClass;

Device device_of(const char* op, const Operand* const* operands, int n) {
  const TrackedTensor* first = nullptr;
  for (int i = 0; i < n; ++i) {
    if (operands[i]->is_scalar()) continue;
    const TrackedTensor& t = operands[i]->tensor();
    if (!first) {
      first = &t;
    } else if (!(t.device() == first->device())) {
      throw DeviceError(std::string(op) + ": operands on " +
                        to_string(first->device()) + " and " +
                        to_string(t.device()) + "; move one with to_device");
    }
  }
  return first ? first->device() : default_device();
}

// The common type of two operands, of which one may be a scalar.
DType common_type(const Operand& a, const Operand& b) {
  if (a.is_scalar() && b.is_scalar()) {
    const auto kind = std::max(a.scalar_kind(), b.scalar_kind());
    return kind == ScalarKind::boolean   ? DType::bool_
           : kind == ScalarKind::integer ? DType::int64
                                         : default_dtype();
  }
  if (a.is_scalar()) return promote(b.tensor().dtype(), a.scalar_kind());
  if (b.is_scalar()) return promote(a.tensor().dtype(), b.scalar_kind());
  return promote(a.tensor().dtype(), b.tensor().dtype());
}

DType settle(const char* name, Op op, DType t) {
  switch (info(op).cls) {
    case OpClass::f:
      return is_floating(t) ? t : default_dtype();
    case OpClass::n:
      return t == DType::bool_ ? DType::int64 : t;
    case OpClass::b:  // is_nan and its like; comparisons take bools
      return t == DType::bool_ && info(op).arity == 1 ? DType::int64 : t;
    case OpClass::l:
      if (t != DType::bool_)
        throw DTypeError(std::string(name) + ": operands must be bool, not " +
                         std::string(name_of(t)));
      return t;
    default:
      return t;
  }
}

DType result_type(Op op, DType operand) {
  const OpClass cls = info(op).cls;
  return cls == OpClass::b || cls == OpClass::l ? DType::bool_ : operand;
}

bool keeps_light(Op op) {
  return op == Op::cast || op == Op::add || op == Op::sub || op == Op::mul ||
         op == Op::neg || op == Op::stop_gradient || pointwise::is_leaf(op);
}

// A pending operand that would be computed once for each element that it is
// broadcast to is written first, unless that is as cheap as reading it.
void cut_where_broadcast(const Arg& arg, std::int64_t numel) {
  if (arg.value && !arg.value->written() && arg.value->heavy &&
      !arg.value->has_row && arg.value->shape.numel() < numel)
    force(*arg.value);
}

// Nothing is computed from a reduction before it is written.
void write_reductions(const Arg* args) {
  for (int i = 0; i < 3; ++i)
    if (args[i].value && args[i].value->reduction != Reduction::store)
      force(*args[i].value);
}

Shape shape_of_result(const char* name, const Arg* args) {
  Shape shape;
  bool first = true;
  for (int i = 0; i < 3; ++i) {
    if (!args[i].value) continue;
    const Shape& s = args[i].value->shape;
    if (first) {
      shape = s;
      first = false;
    } else if (!(s == shape)) {
      shape = broadcast(shape, s, name);
    }
  }
  return shape;
}

// What is known of a pending value from its operands.
struct Traits {
  RegionSize size{1, 0};
  bool heavy = false, row = false, leads = false;
  bool exact = true;  // the instructions of `size` are, not only bounded
};

Traits traits_of(const Arg* args) {
  Traits t;
  int pending = 0;
  for (int i = 0; i < 3; ++i) {
    const Value* a = args[i].value.get();
    if (!a) continue;
    t.leads = t.leads || a->tracked || a->leads_to_tracked;
    if (a->written()) {
      ++t.size.leaves;
      continue;
    }
    t.exact = a->exact_weight && ++pending == 1;
    t.size.instructions += a->weight;
    t.size.leaves += a->leaf_weight;
    t.heavy = t.heavy || a->heavy;
    t.row = t.row || a->has_row;
  }
  return t;
}

bool too_large(RegionSize s) {
  return s.instructions > kMaxInstructions || s.leaves > kMaxLeaves;
}

// Keeps regions within what kernels can hold. Sizes are bounds that count
// shared operands twice; where the bound is too large the union is measured,
// and if that is too large as well, the heaviest operand is written first.
Traits bounded_traits(const Arg* args) {
  for (;;) {
    Traits t = traits_of(args);
    if (!too_large(t.size)) return t;
    if (!t.exact || t.size.instructions <= kMaxInstructions) {
      t.size = measure(args);
      ++t.size.instructions;
      t.exact = true;
      if (!too_large(t.size)) return t;
    }
    Value* heaviest = nullptr;
    for (int i = 0; i < 3; ++i) {
      Value* a = args[i].value.get();
      if (a && !a->written() && (!heaviest || a->weight > heaviest->weight))
        heaviest = a;
    }
    if (!heaviest) return t;
    force(*heaviest);
  }
}

ValuePtr make_value(const char* name, CallSite site, const Shape& shape,
                    DType dtype, Device device, bool light,
                    const Traits& traits, Expression e) {
  bool tracked = false;
  if (grad_enabled() && is_floating(dtype) && e.op != Op::stop_gradient)
    for (const Arg& a : e.args)
      tracked = tracked || (a.value && a.value->tracked);
  auto v = make_intrusive<Value>(name, site, shape, dtype, device, tracked,
                                 std::move(e));
  v->heavy = !light || traits.heavy;
  v->has_row = traits.row;
  v->leads_to_tracked = traits.leads;
  v->exact_weight = traits.exact;
  v->weight = static_cast<std::uint16_t>(traits.size.instructions);
  v->leaf_weight = static_cast<std::uint16_t>(traits.size.leaves);
  return v;
}

}  // namespace

Arg to_arg(Operand&& operand, DType dtype, const char* op) {
  Arg arg;
  if (operand.is_scalar()) {
    arg.kind = Arg::Kind::slot;
    arg.scalar = PlannedScalar::slot(operand, dtype);
  } else {
    arg.kind = Arg::Kind::value;
    arg.value = snapshot(operand.tensor(), op);
  }
  return arg;
}

TrackedTensor make_pending(const char* name, CallSite site, Op op, DType dtype,
                           DType operand_dtype, Device device, Arg a, Arg b,
                           Arg c) {
  Expression e;
  e.op = op;
  e.operand_dtype = operand_dtype;
  e.args[0] = std::move(a);
  e.args[1] = std::move(b);
  e.args[2] = std::move(c);
  write_reductions(e.args);
  Shape shape = shape_of_result(name, e.args);
  const bool row = pointwise::is_row(op);
  if (row && pointwise::is_row_constant(op) && shape.rank() > 0)
    shape[shape.rank() - 1] = 1;
  if (!row) {
    const std::int64_t numel = shape.numel();
    // A derivative that is attached is computed by the reverse alone.
    const std::size_t computed = op == Op::attach ? 2 : 3;
    for (std::size_t i = 0; i < computed; ++i)
      cut_where_broadcast(e.args[i], numel);
  }
  Traits traits = bounded_traits(e.args);
  traits.row = traits.row || row;
  ValuePtr v = make_value(name, site, shape, dtype, device, keeps_light(op),
                          traits, std::move(e));
  if (!fusion_enabled() && !v->has_row) force(*v);
  return handle(std::move(v));
}

static TrackedTensor run_unary(const char* name, Op op, Operand&& a) {
  const Operand* all[] = {&a};
  const Device device = device_of(name, all, 1);
  const CallSite site = a.site();
  const DType t = settle(name, op, common_type(a, a));
  return make_pending(name, site, op, result_type(op, t), t, device,
                      to_arg(std::move(a), t, name), {}, {});
}

TrackedTensor apply(const char* name, Op op, Operand a) {
  return call(name, a.site(), run_unary, name, op, std::move(a));
}

static TrackedTensor run_binary(const char* name, Op op, Operand&& a,
                                Operand&& b) {
  const Operand* all[] = {&a, &b};
  const Device device = device_of(name, all, 2);
  const CallSite site = a.site();
  const DType t = settle(name, op, common_type(a, b));
  Arg x = to_arg(std::move(a), t, name), y = to_arg(std::move(b), t, name);
  if (op == Op::polygamma && x.kind == Arg::Kind::slot)
    x.kind = Arg::Kind::literal;
  return make_pending(name, site, op, result_type(op, t), t, device,
                      std::move(x), std::move(y), {});
}

TrackedTensor apply(const char* name, Op op, Operand a, Operand b) {
  return call(name, a.site(), run_binary, name, op, std::move(a), std::move(b));
}

static TrackedTensor run_ternary(const char* name, Op op, Operand&& a,
                                 Operand&& b, Operand&& c) {
  const Operand* all[] = {&a, &b, &c};
  const Device device = device_of(name, all, 3);
  const CallSite site = a.site();
  const DType condition = a.is_scalar() ? DType::bool_ : a.tensor().dtype();
  if (condition != DType::bool_ ||
      (a.is_scalar() && a.scalar_kind() != ScalarKind::boolean))
    throw DTypeError(std::string(name) + ": the condition must be bool, not " +
                     std::string(name_of(condition)));
  const DType t = common_type(b, c);
  return make_pending(
      name, site, op, t, t, device, to_arg(std::move(a), DType::bool_, name),
      to_arg(std::move(b), t, name), to_arg(std::move(c), t, name));
}

TrackedTensor apply(const char* name, Op op, Operand a, Operand b, Operand c) {
  return call(name, a.site(), run_ternary, name, op, std::move(a), std::move(b),
              std::move(c));
}

static TrackedTensor run_attach(const char* name, CallSite site,
                                TrackedTensor value, TrackedTensor x,
                                Operand derivative) {
  const DType dtype = value.dtype();
  const Device device = value.device();
  return make_pending(name, site, Op::attach, dtype, dtype, device,
                      to_arg(Operand(std::move(value)), dtype, name),
                      to_arg(Operand(std::move(x)), dtype, name),
                      to_arg(std::move(derivative), dtype, name));
}

TrackedTensor attach(const char* name, CallSite site, TrackedTensor value,
                     TrackedTensor x, Operand derivative) {
  return call(name, site, run_attach, name, site, std::move(value),
              std::move(x), std::move(derivative));
}

static TrackedTensor run_cast(const char* name, Operand&& x, DType dtype) {
  const Operand* all[] = {&x};
  const Device device = device_of(name, all, 1);
  const CallSite site = x.site();
  const DType from = common_type(x, x);
  return make_pending(name, site, Op::cast, dtype, from, device,
                      to_arg(std::move(x), from, name), {}, {});
}

TrackedTensor apply_cast(const char* name, Operand x, DType dtype) {
  if (!x.is_scalar() && x.tensor().dtype() == dtype)
    return std::move(x).tensor();
  return call(name, x.site(), run_cast, name, std::move(x), dtype);
}

TrackedTensor apply_row(const char* name, Op op, TrackedTensor a,
                        const Operand* b, const Operand* c, CallSite site) {
  const DType t = is_floating(a.dtype()) ? a.dtype()
                  : op == Op::row_argmax || op == Op::row_argmin
                      ? (a.dtype() == DType::bool_ ? DType::int64 : a.dtype())
                      : default_dtype();
  const DType result =
      op == Op::row_argmax || op == Op::row_argmin ? DType::int64 : t;
  auto arg = [&](const Operand* x, int i) {
    return x ? to_arg(Operand(*x), dtype_of_arg(op, i, t), name) : Arg{};
  };
  const Device device = a.device();
  return make_pending(name, site, op, result, t, device,
                      to_arg(Operand(std::move(a)), t, name), arg(b, 1),
                      arg(c, 2));
}

TrackedTensor apply_reduction(const char* name, Reduction reduction,
                              TrackedTensor x, unsigned axes, bool keepdims,
                              DType dtype, CallSite site) {
  Expression e;
  e.op = Op::load;
  e.reduction = reduction;
  e.axes = static_cast<std::uint8_t>(axes);
  e.keepdims = keepdims;
  e.operand_dtype = dtype;
  e.args[0] = to_arg(Operand(std::move(x)), dtype, name);
  write_reductions(e.args);
  const Value& operand = *e.args[0].value;
  const Device device = operand.device;
  Shape shape;
  for (int i = 0; i < operand.shape.rank(); ++i) {
    const bool reduced = axes >> i & 1;
    if (!reduced || keepdims) shape.push_back(reduced ? 1 : operand.shape[i]);
  }
  const Traits traits = traits_of(e.args);
  return handle(make_value(name, site, shape, dtype, device, false, traits,
                           std::move(e)));
}

static TrackedTensor make_leaf(const char* name, const Shape& shape,
                               DType dtype, Device device, Expression e) {
  Traits traits;
  traits.size.leaves = 1;
  const bool light = e.op == Op::index;
  return handle(
      make_value(name, {}, shape, dtype, device, light, traits, std::move(e)));
}

TrackedTensor structural_zero(const Shape& shape, DType dtype, Device device) {
  TrackedTensor z = apply_fill("zero", shape, dtype, device, Literal{.f = 0});
  z.value()->zero.store(true);
  return z;
}

static TrackedTensor run_index(const char* name, const Shape& shape,
                               DType dtype, Device device) {
  Expression e;
  e.op = Op::index;
  return make_leaf(name, shape, dtype, device, std::move(e));
}

TrackedTensor apply_index(const char* name, const Shape& shape, DType dtype,
                          Device device) {
  return call(name, {}, run_index, name, shape, dtype, device);
}

static TrackedTensor run_leaf(const char* name, Op op, const Shape& shape,
                              DType dtype, Device device, Draw draw) {
  Expression e;
  e.op = op;
  e.args[0].kind = e.args[1].kind = Arg::Kind::slot;
  e.args[0].scalar = draw.seed;
  e.args[1].scalar = draw.offset;
  return make_leaf(name, shape, dtype, device, std::move(e));
}

TrackedTensor apply_leaf(const char* name, Op op, const Shape& shape,
                         DType dtype, Device device, Draw draw) {
  return call(name, {}, run_leaf, name, op, shape, dtype, device, draw);
}

static TrackedTensor run_fill(const char* name, const Shape& shape, DType dtype,
                              Device device, Literal value) {
  Expression e;
  e.op = Op::slot;
  e.args[0].kind = Arg::Kind::slot;
  e.args[0].scalar = value;
  return handle(
      make_value(name, {}, shape, dtype, device, true, {}, std::move(e)));
}

TrackedTensor apply_fill(const char* name, const Shape& shape, DType dtype,
                         Device device, Literal value) {
  return call(name, {}, run_fill, name, shape, dtype, device, value);
}

}  // namespace jacquard::tape
