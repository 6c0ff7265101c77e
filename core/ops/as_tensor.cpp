#include "core/ops/as_tensor.h"

#include "core/tape/pending.h"

namespace jacquard::ops {

TrackedTensor fill(const char* name, const Shape& shape, DType dtype,
                   Device device, HostScalar value) {
  alignas(8) unsigned char bytes[8] = {};
  write_scalar(value, bytes, dtype);
  const HostScalar rounded = read_scalar(bytes, dtype);
  tape::Literal literal{};
  if (rounded.integral)
    literal.i = rounded.i;
  else
    literal.f = rounded.f;
  return tape::apply_fill(name, shape, dtype, device, literal);
}

HostScalar host_scalar(const Operand& scalar) {
  if (scalar.scalar_kind() == ScalarKind::floating)
    return {.integral = false, .f = scalar.floating()};
  return {.integral = true, .i = scalar.integer()};
}

TrackedTensor as_tensor(const char* name, const Operand& x, Device device) {
  if (!x.is_scalar()) return tape::handle(tape::snapshot(x.tensor(), name));
  const DType dtype = x.scalar_kind() == ScalarKind::boolean ? DType::bool_
                      : x.scalar_kind() == ScalarKind::integer
                          ? DType::int64
                          : default_dtype();
  return fill(name, {}, dtype, device, host_scalar(x));
}

TrackedTensor as_tensor(const char* name, Operand&& x, Device device) {
  const Operand& same = x;
  if (x.is_scalar() || !x.tensor().defined() || x.tensor().is_leaf())
    return as_tensor(name, same, device);
  return std::move(x).tensor();
}

}  // namespace jacquard::ops
