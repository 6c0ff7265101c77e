#include "jacquard/create.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "core/ops/as_tensor.h"
#include "core/ops/checks.h"
#include "core/ops/term.h"
#include "core/tape/call.h"
#include "core/tape/pending.h"
#include "core/tape/record.h"
#include "jacquard/error.h"
#include "jacquard/pointwise.h"

namespace jacquard {

using ops::check_extents;
using tape::Op;

namespace {

TrackedTensor positions(const char* name, const Shape& shape, Device device) {
  return tape::apply_index(name, shape, DType::int64, device);
}

TrackedTensor filled(const char* name, const Shape& shape, double value,
                     TensorOptions o) {
  check_extents(name, shape);
  return ops::fill(name, shape, o.dtype, o.device,
                   {.integral = false, .f = value});
}

}  // namespace

TrackedTensor zeros(const Shape& shape, TensorOptions o) {
  return filled("zeros", shape, 0, o);
}

TrackedTensor ones(const Shape& shape, TensorOptions o) {
  return filled("ones", shape, 1, o);
}

TrackedTensor full(const Shape& shape, double value, TensorOptions o) {
  return filled("full", shape, value, o);
}

TrackedTensor zeros_like(const TrackedTensor& x) {
  return filled("zeros_like", x.shape(), 0, {x.dtype(), x.device()});
}

TrackedTensor ones_like(const TrackedTensor& x) {
  return filled("ones_like", x.shape(), 1, {x.dtype(), x.device()});
}

TrackedTensor scalar(double value, TensorOptions o) {
  return filled("scalar", {}, value, o);
}

TrackedTensor detail::float_param(const TrackedTensor& values) {
  return param(is_floating(values.dtype()) ? values
                                           : cast(values, default_dtype()));
}

TrackedTensor arange(std::int64_t stop) {
  return positions("arange", {std::max<std::int64_t>(stop, 0)},
                   default_device());
}

namespace {

bool is_whole(double x) { return std::abs(x) < 0x1p53 && x == std::trunc(x); }

}  // namespace

// Whole numbers are computed as such, everything else in float64: one rounding
// an element.
TrackedTensor arange(double start, double stop, double step, TensorOptions o) {
  const double count = std::ceil((stop - start) / step);
  if (step == 0 || !std::isfinite(count) || count >= 0x1p62)
    throw Error("arange: from " + std::to_string(start) + " to " +
                std::to_string(stop) + " in steps of " + std::to_string(step) +
                " is not a finite sequence");
  const auto n = static_cast<std::int64_t>(std::max(count, 0.0));
  const TrackedTensor index = positions("arange", {n}, o.device);
  if (!is_floating(o.dtype) && is_whole(start) && is_whole(step))
    return cast(index * static_cast<std::int64_t>(step) +
                    static_cast<std::int64_t>(start),
                o.dtype);
  return cast(cast(index, DType::float64) * step + start, o.dtype);
}

// Counted from the nearer end, so that both are exact.
TrackedTensor linspace(double start, double stop, std::int64_t n,
                       TensorOptions o) {
  check_extents("linspace", {n});
  const double step = n > 1 ? (stop - start) / static_cast<double>(n - 1) : 0;
  const TrackedTensor index =
      cast(positions("linspace", {n}, o.device), DType::float64);
  const double last = static_cast<double>(n - 1);
  return cast(where(index <= 0.5 * last, index * step + start,
                    stop - (last - index) * step),
              o.dtype);
}

TrackedTensor eye(std::int64_t n, TensorOptions o) {
  check_extents("eye", {n, n});
  return cast(
      eq(positions("eye", {n, 1}, o.device), positions("eye", {n}, o.device)),
      o.dtype);
}

namespace {

// x where keep(row + k, column), else 0.
template <class F>
TrackedTensor triangle(const char* name, Operand operand, int k, F keep) {
  const CallSite site = operand.site();
  TrackedTensor x = ops::as_tensor(name, operand);
  const Shape& shape = x.shape();
  if (shape.rank() < 2)
    throw ShapeError(std::string(name) + ": " + to_string(shape) +
                     " has no last two axes; the rank must be at least 2");
  const std::int64_t rows = shape[shape.rank() - 2];
  const std::int64_t columns = shape[shape.rank() - 1];
  const TrackedTensor row = positions(name, {rows, 1}, x.device());
  const TrackedTensor column = positions(name, {columns}, x.device());
  return tape::apply(name, Op::where, Operand(keep(row + k, column), site),
                     std::move(x), false);
}

}  // namespace

static TrackedTensor run_tril(Operand&& x, int k) {
  return triangle("tril", std::move(x), k,
                  [](const TrackedTensor& row, const TrackedTensor& column) {
                    return column <= row;
                  });
}

TrackedTensor tril(Operand x, int k) {
  return tape::call("tril", x.site(), run_tril, std::move(x), k);
}

static TrackedTensor run_triu(Operand&& x, int k) {
  return triangle("triu", std::move(x), k,
                  [](const TrackedTensor& row, const TrackedTensor& column) {
                    return column >= row;
                  });
}

TrackedTensor triu(Operand x, int k) {
  return tape::call("triu", x.site(), run_triu, std::move(x), k);
}

static TrackedTensor run_to_device(const TrackedTensor& operand,
                                   Device device) {
  TrackedTensor x = tape::handle(tape::snapshot(operand, "to_device"));
  if (x.device() == device) return x;
  return tape::record(
      "to_device", {}, x.data().to(device), {&x},
      [home = x.device()](tape::PullbackContext& c) {
        c.add(0, to_device(c.cotangent(), home));
      },
      [device](tape::PushContext& c) {
        c.set(to_device(c.tangent(0), device));
      });
}

TrackedTensor to_device(const TrackedTensor& operand, Device device) {
  return tape::call("to_device", {}, run_to_device, operand, device);
}

}  // namespace jacquard
