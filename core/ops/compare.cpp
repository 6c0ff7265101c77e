#include "core/ops/as_tensor.h"
#include "core/ops/operand_checks.h"
#include "jacquard/pointwise.h"
#include "jacquard/reduce.h"

namespace jacquard {
namespace {

// Both on one device; a host scalar goes where the other is.
std::pair<TrackedTensor, TrackedTensor> pair_of(const char* op,
                                                const Operand& a,
                                                const Operand& b) {
  const Device device = !a.is_scalar()   ? a.tensor().device()
                        : !b.is_scalar() ? b.tensor().device()
                                         : default_device();
  const TrackedTensor x = ops::as_tensor(op, a, device);
  const TrackedTensor y = ops::as_tensor(op, b, device);
  ops::check_same_device(op, x, y);
  return {x, y};
}

TrackedTensor floating(const TrackedTensor& x) {
  return is_floating(x.dtype()) ? x : cast(x, DType::float64);
}

}  // namespace

bool equal(Operand a, Operand b) {
  const NoGrad constant;
  const auto [x, y] = pair_of("equal", a, b);
  return x.shape() == y.shape() && all(eq(x, y)).item<bool>();
}

bool allclose(Operand a, Operand b, double relative, double absolute,
              bool equal_nan) {
  const NoGrad constant;
  const auto [given_x, given_y] = pair_of("allclose", a, b);
  const TrackedTensor x = floating(given_x), y = floating(given_y);
  TrackedTensor close = logical_or(
      eq(x, y),
      logical_and(abs(x - y) <= abs(y) * relative + absolute, is_finite(y)));
  if (equal_nan) close = logical_or(close, logical_and(is_nan(x), is_nan(y)));
  return all(close).item<bool>();
}

}  // namespace jacquard
