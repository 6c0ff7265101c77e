#include "jacquard/jacobian.h"

#include <algorithm>
#include <string>

#include "core/transforms/linearization.h"
#include "jacquard/error.h"
#include "jacquard/pointwise.h"
#include "jacquard/reduce.h"
#include "jacquard/shape_ops.h"

namespace jacquard::detail {
namespace {

using Tensors = std::vector<TrackedTensor>;

// Zeros with a 1 in the middle: every row and block of an identity matrix is a
// view of them.
class UnitVectors {
 public:
  UnitVectors(std::int64_t n, DType dtype, Device device) : n_(n) {
    std::vector<double> host(static_cast<std::size_t>(2 * n - 1));
    host[static_cast<std::size_t>(n - 1)] = 1;
    const NoGrad constant;
    const TrackedTensor all =
        Tensor::from_host(std::span<const double>(host), {2 * n - 1}, device);
    memory_ = cast(all, dtype).data();
  }
  // Rows from, …, from + count − 1 of the identity.
  Tensor rows(std::int64_t from, std::int64_t count) const {
    return memory_.view({count, n_}, {-1, 1}, n_ - 1 - from);
  }
  Tensor row(std::int64_t i) const {
    return memory_.view({n_}, {1}, n_ - 1 - i);
  }

 private:
  std::int64_t n_;
  Tensor memory_;
};

Shape joined_shape(const Shape& y, const Shape& x, const char* transform) {
  if (y.rank() + x.rank() > kMaxRank)
    throw ShapeError(std::string(transform) + ": " + to_string(y) + " by " +
                     to_string(x) + " has more than " +
                     std::to_string(kMaxRank) +
                     " axes; flatten the result or the argument");
  Shape shape = y;
  for (const std::int64_t extent : x) shape.push_back(extent);
  return shape;
}

Shape behind(std::int64_t count, Shape shape) {
  shape.insert(0, count);
  return shape;
}

// How tangents are pushed: so many at once, 0 meaning one without an axis.
std::int64_t batch_size(const tape::ForwardWalk& walk, std::int64_t columns) {
  constexpr std::int64_t kElements = std::int64_t{1} << 22;
  if (columns <= 1 || walk.max_rank() == kMaxRank) return 0;
  return std::clamp<std::int64_t>(
      kElements / std::max<std::int64_t>(walk.max_numel(), 1), 1, columns);
}

// Calls take(result's tangents, unit rows, batch) for all unit tangents of
// entered tensor i, in order.
template <class Take>
void push_units(const Linearization& trace, std::size_t i, std::int64_t batch,
                Take&& take) {
  const Tensors& entered = trace.level().aliases();
  const TrackedTensor& x = entered[i];
  const std::int64_t n = x.numel();
  if (n == 0) return;
  const UnitVectors units(n, x.dtype(), x.device());
  const std::int64_t step = std::max<std::int64_t>(batch, 1);
  for (std::int64_t from = 0; from < n; from += step) {
    const std::int64_t count = std::min(step, n - from);
    Tensors tangents(entered.size());
    const Tensor rows = units.rows(from, count);
    tangents[i] =
        rows.reshape(batch > 0 ? behind(count, x.shape()) : x.shape());
    take(trace.push(tangents, batch > 0 ? count : 0), rows);
  }
}

// The place where the same tensor entered first.
std::size_t first_of(const Tensors& entered, std::size_t i) {
  std::size_t k = 0;
  while (entered[k].value() != entered[i].value()) ++k;
  return k;
}

TrackedTensor by_columns(const Linearization& trace, std::size_t i,
                         const TrackedTensor& y, const Shape& shape,
                         std::int64_t batch) {
  const int rank = y.rank();
  Tensors pieces;
  bool zero = true;
  push_units(trace, i, batch, [&](const Tensors& pushed, const Tensor&) {
    const TrackedTensor& t = pushed[0];
    zero = zero && t.is_structural_zero();
    if (batch == 0) {
      pieces.push_back(t);
      return;
    }
    std::vector<int> order;
    for (int axis = 1; axis <= rank; ++axis) order.push_back(axis);
    order.push_back(0);
    pieces.push_back(permute(t, std::move(order)));
  });
  if (zero) return zero_tangent(shape, y);
  if (batch > 0) return reshape(cat(pieces, -1), shape);
  if (pieces.size() == 1) return reshape(pieces[0], shape);
  return reshape(stack(pieces, -1), shape);
}

Tensors by_rows(const Linearization& trace, const TrackedTensor& y) {
  const Tensors& entered = trace.level().aliases();
  std::vector<Tensors> rows(entered.size());
  const std::int64_t m = y.numel();
  if (m > 0) {
    const UnitVectors units(m, y.dtype(), y.device());
    for (std::int64_t k = 0; k < m; ++k) {
      const Tensor seed = units.row(k).reshape(y.shape());
      const Tensors g = trace.level().walk(y, seed, /*retain=*/true);
      for (std::size_t i = 0; i < g.size(); ++i) rows[i].push_back(g[i]);
    }
  }
  Tensors out;
  for (std::size_t i = 0; i < entered.size(); ++i) {
    const Shape shape =
        joined_shape(y.shape(), entered[i].shape(), trace.transform());
    if (std::ranges::all_of(rows[i], &TrackedTensor::is_structural_zero))
      out.push_back(zero_tangent(shape, y));
    else if (m == 1)
      out.push_back(reshape(rows[i][0], shape));
    else
      out.push_back(reshape(stack(rows[i], 0), shape));
  }
  return out;
}

}  // namespace

std::vector<TrackedTensor> Linearization::jacobians(DerivativeMode mode,
                                                    bool allow_unused) const {
  const char* const transform = state_->transform;
  if (state_->results.empty())
    throw GraphError(std::string(transform) +
                     ": the function's result is not floating");
  const TrackedTensor& y = state_->results[0];
  const Tensors& entered = level().aliases();
  std::int64_t inputs = 0;
  for (std::size_t i = 0; i < entered.size(); ++i) {
    joined_shape(y.shape(), entered[i].shape(), transform);
    if (first_of(entered, i) == i) inputs += entered[i].numel();
  }
  bool reaches = false;
  std::int64_t batch = 0;
  {
    const tape::ForwardWalk walk =
        walk_between(state_->results, entered, level().recording(), transform);
    reaches = walk.reaches();
    batch = batch_size(walk, inputs);
  }
  if (!reaches && !allow_unused)
    throw GraphError(
        std::string(transform) +
        ": the result depends on none of the arguments; did the function use a "
        "captured copy instead of its parameter?");
  if (mode == DerivativeMode::automatic)
    mode =
        inputs <= y.numel() ? DerivativeMode::forward : DerivativeMode::reverse;
  if (mode == DerivativeMode::reverse) return by_rows(*this, y);
  Tensors out;
  for (std::size_t i = 0; i < entered.size(); ++i) {
    const std::size_t first = first_of(entered, i);
    if (first < i) {
      out.push_back(out[first]);
      continue;
    }
    const Shape shape = joined_shape(y.shape(), entered[i].shape(), transform);
    const std::int64_t own = entered[i].numel() > 1 ? batch : 0;
    out.push_back(
        by_columns(*this, i, y, shape, std::min(own, entered[i].numel())));
  }
  return out;
}

std::vector<TrackedTensor> Linearization::diagonals() const {
  const Tensors& entered = level().aliases();
  std::int64_t largest = 0;
  for (const TrackedTensor& x : entered) largest = std::max(largest, x.numel());
  std::int64_t batch = 0;
  {
    const tape::ForwardWalk walk = walk_between(
        state_->results, entered, level().recording(), state_->transform);
    batch = batch_size(walk, largest);
  }
  Tensors out;
  for (std::size_t i = 0; i < entered.size(); ++i) {
    const TrackedTensor& x = entered[i];
    const std::size_t first = first_of(entered, i);
    if (first < i) {
      out.push_back(out[first]);
      continue;
    }
    const std::int64_t own = x.numel() > 1 ? std::min(batch, x.numel()) : 0;
    Tensors pieces;
    bool zero = true;
    push_units(*this, i, own, [&](const Tensors& pushed, const Tensor& rows) {
      zero = zero && pushed[i].is_structural_zero();
      pieces.push_back(
          sum(reshape(pushed[i], rows.shape()) * TrackedTensor(rows), 1));
    });
    out.push_back(zero ? zero_tangent(x.shape(), x)
                       : reshape(cat(pieces, 0), x.shape()));
  }
  return out;
}

std::int64_t batch_of(const std::vector<TrackedTensor>& seeds) {
  std::int64_t count = -1;
  for (const TrackedTensor& s : seeds) {
    if (s.rank() == 0 || (count >= 0 && s.shape()[0] != count))
      throw ShapeError("pull_batch: seeds " + to_string(seeds[0].shape()) +
                       " and " + to_string(s.shape()) +
                       ": each needs a first axis of one extent for all");
    count = s.shape()[0];
  }
  if (count <= 0) throw ShapeError("pull_batch: there are no seeds");
  return count;
}

TrackedTensor slice_of(const TrackedTensor& t, std::int64_t k) {
  return select(t, 0, k);
}

TrackedTensor stacked(const std::vector<TrackedTensor>& slices) {
  const TrackedTensor& first = slices[0];
  if (!first.defined()) return first;
  if (std::ranges::all_of(slices, &TrackedTensor::is_structural_zero))
    return zero_tangent(
        behind(static_cast<std::int64_t>(slices.size()), first.shape()), first);
  return stack(slices, 0);
}

}  // namespace jacquard::detail
