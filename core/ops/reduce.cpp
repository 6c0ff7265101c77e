#include "jacquard/reduce.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "core/ops/as_tensor.h"
#include "core/ops/reduced_axes.h"
#include "core/ops/sum_to.h"
#include "core/tape/call.h"
#include "core/tape/record.h"
#include "core/tape/region.h"
#include "jacquard/create.h"
#include "jacquard/pointwise.h"
#include "jacquard/shape_ops.h"

namespace jacquard {
namespace ops {

ReducedAxes::ReducedAxes(const Shape& shape, const Axes& axes, const char* op)
    : kept(shape) {
  if (axes.all()) mask = (1u << shape.rank()) - 1;
  for (const int named : axes.list()) {
    const int axis = normalize_axis(named, shape, op);
    if ((mask >> axis & 1u) != 0)
      throw IndexError(std::string(op) + ": axis " + std::to_string(axis) +
                       " of " + to_string(shape) + " is named twice");
    mask |= 1u << axis;
  }
  for (int i = 0; i < shape.rank(); ++i) {
    if ((mask >> i & 1u) == 0) {
      dropped.push_back(shape[i]);
      continue;
    }
    count *= shape[i];
    kept[i] = 1;
  }
}

TrackedTensor reduce(const char* name, tape::Reduction reduction,
                     TrackedTensor x, const ReducedAxes& axes, bool keepdims,
                     DType dtype, CallSite site) {
  TrackedTensor result = tape::apply_reduction(
      name, reduction, std::move(x), axes.mask, keepdims, dtype, site);
  tape::force(result, name);
  return result;
}

TrackedTensor sum_to(const TrackedTensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  const int added = x.rank() - shape.rank();
  ReducedAxes axes;
  axes.kept = x.shape();
  bool inner = false;
  for (int i = 0; i < x.rank(); ++i) {
    const bool broadcast =
        i < added || (shape[i - added] == 1 && x.shape()[i] != 1);
    if (!broadcast) continue;
    axes.mask |= 1u << i;
    inner = inner || i >= added;
  }
  const TrackedTensor summed = reduce("sum", tape::Reduction::sum, x, axes,
                                      inner, x.dtype(), CallSite::current());
  return inner && added > 0 ? reshape(summed, shape) : summed;
}

}  // namespace ops

namespace {

using ops::reduce;
using ops::ReducedAxes;
using tape::PullbackContext;
using tape::PushContext;
using tape::Reduction;

// The dtype in which integers and bools are added and multiplied.
DType accumulated(DType t) { return is_floating(t) ? t : DType::int64; }

// As a floating tensor: integers and bools in the default dtype.
TrackedTensor floating(const char* name, const TrackedTensor& t) {
  return is_floating(t.dtype()) ? t
                                : tape::apply_cast(name, t, default_dtype());
}

// Compositions compute half types in float32 and round their result once.
TrackedTensor in_compute_type(const char* name, const TrackedTensor& t) {
  return tape::apply_cast(name, t, compute_type(t.dtype()));
}

bool records(const TrackedTensor& t) {
  const TrackedTensor* const inputs[] = {&t};
  return tape::would_record(inputs);
}

// √v for v ≥ 0, with derivative 0 at 0.
TrackedTensor sqrt_flat_at_zero(const TrackedTensor& v) {
  return where(eq(v, 0.0), v, sqrt(v));
}

void check_not_empty(const char* name, const Shape& shape,
                     const ReducedAxes& axes) {
  if (axes.count == 0 && axes.dropped.numel() != 0)
    throw ShapeError(std::string(name) + ": " + to_string(shape) +
                     ": nothing to reduce, and no value stands for that");
}

// The cotangent g of the extrema `out` of x, shared evenly among the elements
// that equal them; NaN extrema share among the NaN elements.
TrackedTensor shared_among_ties(const TrackedTensor& g, const TrackedTensor& x,
                                const TrackedTensor& out,
                                const ReducedAxes& axes) {
  const TrackedTensor ties =
      logical_or(eq(x, reshape(out, axes.kept)), is_nan(x));
  const TrackedTensor count =
      reduce("ties", Reduction::sum, ties, axes, true, g.dtype(), {});
  return where(ties, reshape(g, axes.kept) / count, 0.0);
}

// The axes behind `lead` of an array of the led shape.
ReducedAxes led(const ReducedAxes& axes, const PushContext& c) {
  ReducedAxes out = axes;
  out.mask <<= c.lead();
  out.kept = c.led(axes.kept);
  out.dropped = c.led(axes.dropped);
  return out;
}

// The sum of slopes · tangent over the axes: what is pushed through a
// reduction.
void push_slopes(PushContext& c, const TrackedTensor& slopes,
                 const ReducedAxes& axes) {
  const TrackedTensor& t = c.tangent(0);
  c.set(reshape(reduce(c.name(), Reduction::sum, mulz(t, slopes), led(axes, c),
                       false, t.dtype(), c.site()),
                c.shape()));
}

TrackedTensor extremum(const char* name, Reduction reduction, const Operand& x,
                       const Axes& named, bool keepdims) {
  const CallSite site = x.site();
  const TrackedTensor t = ops::as_tensor(name, x);
  const ReducedAxes axes(t.shape(), named, name);
  check_not_empty(name, t.shape(), axes);
  if (!records(t))
    return reduce(name, reduction, t, axes, keepdims, t.dtype(), site);
  const Tensor in = tape::force(t, name);
  const Tensor out =
      reduce(name, reduction, in, axes, keepdims, t.dtype(), site).data();
  // The ties are constants: nothing of x is needed but its numbers.
  return tape::record(
      name, site, out, {&t},
      [in, out, axes](PullbackContext& c) {
        c.add(0, shared_among_ties(c.cotangent(), in, out, axes));
      },
      [in, out, axes](PushContext& c) {
        const TrackedTensor one =
            ones(axes.dropped, {compute_type(out.dtype()), out.device()});
        push_slopes(c, shared_among_ties(one, in, out, axes), axes);
      },
      tape::bytes_of(in) + tape::bytes_of(out));
}

// Of x [r, n], n ≥ 1, and g [r, 1]: element [i, j] is g[i] times the product of
// x[i, k] over k ≠ j. A tree of products: whatever is zero, nothing is divided.
TrackedTensor product_of_others(const TrackedTensor& x,
                                const TrackedTensor& g) {
  const std::int64_t rows = x.shape()[0];
  std::vector<TrackedTensor> levels;  // [rows, pairs, 2]
  TrackedTensor products = x;
  while (products.shape()[1] > 1) {
    if (products.shape()[1] % 2 != 0) products = pad(products, {{0, 1}}, 1);
    levels.push_back(reshape(products, {rows, products.shape()[1] / 2, 2}));
    products = select(levels.back(), 2, 0) * select(levels.back(), 2, 1);
  }
  TrackedTensor others = g;
  for (auto level = levels.rbegin(); level != levels.rend(); ++level) {
    const std::int64_t pairs = level->shape()[1];
    if (others.shape()[1] != pairs)
      others = slice(others, 1, {.start = 0, .stop = pairs});
    others = reshape(unsqueeze(others, 2) * flip(*level, 2), {rows, 2 * pairs});
  }
  const std::int64_t n = x.shape()[1];
  return others.shape()[1] == n ? others
                                : slice(others, 1, {.start = 0, .stop = n});
}

// Of the shape of `input`: the products of the others that each element is
// multiplied with, times g, which has one element a product.
TrackedTensor product_slopes(const TrackedTensor& input, const TrackedTensor& g,
                             const ReducedAxes& axes) {
  const Shape& shape = input.shape();
  std::vector<int> order;
  for (int pass = 0; pass < 2; ++pass)
    for (int i = 0; i < shape.rank(); ++i)
      if (static_cast<int>(axes.mask >> i & 1u) == pass) order.push_back(i);
  std::vector<int> inverse(order.size());
  for (std::size_t i = 0; i < order.size(); ++i)
    inverse[static_cast<std::size_t>(order[i])] = static_cast<int>(i);

  const std::int64_t rows = axes.dropped.numel();
  const TrackedTensor x = permute(cast(input, g.dtype()), std::move(order));
  const Shape permuted = x.shape();
  const TrackedTensor others =
      product_of_others(reshape(x, {rows, axes.count}), reshape(g, {rows, 1}));
  return permute(reshape(others, permuted), std::move(inverse));
}

// The axis moved last, then a row operation; constant.
TrackedTensor position(const char* name, pointwise::Op op, CallSite site,
                       const TrackedTensor& t, int axis, bool keepdims) {
  const NoGrad constant;
  const Shape& shape = t.shape();
  Shape result = shape;
  result[axis] = 1;
  if (shape[axis] == 0 && result.numel() != 0)
    throw ShapeError(std::string(name) + ": axis " + std::to_string(axis) +
                     " of " + to_string(shape) + " is empty");
  if (!keepdims) result.erase(axis);
  if (shape.numel() == 0)
    return Tensor::empty(result, DType::int64, t.device());

  TrackedTensor rows =
      t.dtype() == DType::bool_ ? tape::apply_cast(name, t, DType::int32) : t;
  if (axis != t.rank() - 1) {
    std::vector<int> order;
    for (int i = 0; i < t.rank(); ++i)
      if (i != axis) order.push_back(i);
    order.push_back(axis);
    rows = permute(rows, std::move(order));
  }
  const TrackedTensor places =
      tape::apply_row(name, op, rows, nullptr, nullptr, site);
  return tape::force(places, name).reshape(result);
}

TrackedTensor position(const char* name, pointwise::Op op, const Operand& x,
                       int axis, bool keepdims) {
  const TrackedTensor t = ops::as_tensor(name, x);
  return position(name, op, x.site(), t, normalize_axis(axis, t.shape(), name),
                  keepdims);
}

TrackedTensor position(const char* name, pointwise::Op op, const Operand& x) {
  const NoGrad constant;
  const TrackedTensor t = ops::as_tensor(name, x);
  return position(name, op, x.site(),
                  t.rank() == 1 ? t : reshape(t, {t.numel()}), 0, false);
}

TrackedTensor truth(const char* name, Reduction reduction, const Operand& x,
                    const Axes& named, bool keepdims) {
  const CallSite site = x.site();
  const TrackedTensor t = ops::as_tensor(name, x);
  return reduce(name, reduction, stop_gradient(t),
                ReducedAxes(t.shape(), named, name), keepdims, DType::bool_,
                site);
}

// The mean of squared distances from the mean, in the compute type.
TrackedTensor variance(const char* name, const TrackedTensor& x,
                       const ReducedAxes& axes, bool keepdims,
                       double correction, CallSite site) {
  const TrackedTensor mean =
      reduce(name, Reduction::mean, x, axes, true, x.dtype(), site);
  const TrackedTensor squares = reduce(name, Reduction::sum, square(x - mean),
                                       axes, keepdims, x.dtype(), site);
  return squares / std::max(0.0, static_cast<double>(axes.count) - correction);
}

// (Σ|x|ᵖ)^(1/p) with derivative 0 at 0, for 0 < p < ∞.
TrackedTensor power_norm(const TrackedTensor& x, const ReducedAxes& axes,
                         bool keepdims, double p, CallSite site) {
  const auto total = [&](TrackedTensor terms) {
    return reduce("norm", Reduction::sum, std::move(terms), axes, keepdims,
                  x.dtype(), site);
  };
  if (p == 1) return total(abs(x));
  if (p == 2) return sqrt_flat_at_zero(total(square(x)));
  // |x|ᵖ and the root have no finite derivatives at 0.
  const auto power = [](const TrackedTensor& base, double exponent) {
    return where(eq(base, 0.0), 0.0, pow(base, exponent));
  };
  return power(total(power(abs(x), p)), 1 / p);
}

}  // namespace

static TrackedTensor run_sum(Operand&& x, Axes&& axes, bool keepdims) {
  const CallSite site = x.site();
  TrackedTensor t = ops::as_tensor("sum", std::move(x));
  const ReducedAxes reduced(t.shape(), axes, "sum");
  const DType dtype = accumulated(t.dtype());
  return reduce("sum", Reduction::sum, std::move(t), reduced, keepdims, dtype,
                site);
}

TrackedTensor sum(Operand x, Axes axes, bool keepdims) {
  return tape::call("sum", x.site(), run_sum, std::move(x), std::move(axes),
                    keepdims);
}

static TrackedTensor run_mean(Operand&& x, Axes&& axes, bool keepdims) {
  const CallSite site = x.site();
  TrackedTensor t = ops::as_tensor("mean", std::move(x));
  const ReducedAxes reduced(t.shape(), axes, "mean");
  const DType dtype = is_floating(t.dtype()) ? t.dtype() : default_dtype();
  return reduce("mean", Reduction::mean, std::move(t), reduced, keepdims, dtype,
                site);
}

TrackedTensor mean(Operand x, Axes axes, bool keepdims) {
  return tape::call("mean", x.site(), run_mean, std::move(x), std::move(axes),
                    keepdims);
}

static TrackedTensor run_prod(Operand&& x, Axes&& named, bool keepdims) {
  const CallSite site = x.site();
  const TrackedTensor t = ops::as_tensor("prod", x);
  const ReducedAxes axes(t.shape(), named, "prod");
  const DType dtype = accumulated(t.dtype());
  if (!records(t))
    return reduce("prod", Reduction::prod, t, axes, keepdims, dtype, site);
  const tape::Saved saved = tape::save(t, "prod");
  const TrackedTensor out = reduce("prod", Reduction::prod, saved.tensor, axes,
                                   keepdims, dtype, site);
  return tape::record(
      "prod", site, out.data(), {&t},
      [saved, axes](PullbackContext& c) {
        if (c.shape_of(0).numel() != 0)
          c.add(0, product_slopes(c.restore(saved), c.cotangent(), axes));
      },
      [saved, axes](PushContext& c) {
        if (c.shape_of(0).numel() == 0) return;
        const TrackedTensor one =
            ones(axes.dropped,
                 {compute_type(saved.tensor.dtype()), saved.tensor.device()});
        push_slopes(c, product_slopes(c.restore(saved), one, axes), axes);
      },
      tape::bytes_of(saved));
}

TrackedTensor prod(Operand x, Axes named, bool keepdims) {
  return tape::call("prod", x.site(), run_prod, std::move(x), std::move(named),
                    keepdims);
}

static TrackedTensor run_max(Operand&& x, Axes&& axes, bool keepdims) {
  return extremum("max", Reduction::max, x, axes, keepdims);
}

TrackedTensor max(Operand x, Axes axes, bool keepdims) {
  return tape::call("max", x.site(), run_max, std::move(x), std::move(axes),
                    keepdims);
}

static TrackedTensor run_min(Operand&& x, Axes&& axes, bool keepdims) {
  return extremum("min", Reduction::min, x, axes, keepdims);
}

TrackedTensor min(Operand x, Axes axes, bool keepdims) {
  return tape::call("min", x.site(), run_min, std::move(x), std::move(axes),
                    keepdims);
}

static TrackedTensor run_argmax(Operand&& x) {
  return position("argmax", pointwise::Op::row_argmax, x);
}

TrackedTensor argmax(Operand x) {
  return tape::call("argmax", x.site(), run_argmax, std::move(x));
}

static TrackedTensor run_argmax_along(Operand&& x, int axis, bool keepdims) {
  return position("argmax", pointwise::Op::row_argmax, x, axis, keepdims);
}

TrackedTensor argmax(Operand x, int axis, bool keepdims) {
  return tape::call("argmax", x.site(), run_argmax_along, std::move(x), axis,
                    keepdims);
}

static TrackedTensor run_argmin(Operand&& x) {
  return position("argmin", pointwise::Op::row_argmin, x);
}

TrackedTensor argmin(Operand x) {
  return tape::call("argmin", x.site(), run_argmin, std::move(x));
}

static TrackedTensor run_argmin_along(Operand&& x, int axis, bool keepdims) {
  return position("argmin", pointwise::Op::row_argmin, x, axis, keepdims);
}

TrackedTensor argmin(Operand x, int axis, bool keepdims) {
  return tape::call("argmin", x.site(), run_argmin_along, std::move(x), axis,
                    keepdims);
}

static TrackedTensor run_any(Operand&& x, Axes&& axes, bool keepdims) {
  return truth("any", Reduction::max, x, axes, keepdims);
}

TrackedTensor any(Operand x, Axes axes, bool keepdims) {
  return tape::call("any", x.site(), run_any, std::move(x), std::move(axes),
                    keepdims);
}

static TrackedTensor run_all(Operand&& x, Axes&& axes, bool keepdims) {
  return truth("all", Reduction::min, x, axes, keepdims);
}

TrackedTensor all(Operand x, Axes axes, bool keepdims) {
  return tape::call("all", x.site(), run_all, std::move(x), std::move(axes),
                    keepdims);
}

static TrackedTensor run_var(Operand&& x, Axes&& named, bool keepdims,
                             double correction) {
  const CallSite site = x.site();
  const TrackedTensor t = floating("var", ops::as_tensor("var", x));
  const ReducedAxes axes(t.shape(), named, "var");
  const TrackedTensor result = variance("var", in_compute_type("var", t), axes,
                                        keepdims, correction, site);
  return tape::apply_cast("var", result, t.dtype());
}

TrackedTensor var(Operand x, Axes named, bool keepdims, double correction) {
  return tape::call("var", x.site(), run_var, std::move(x), std::move(named),
                    keepdims, correction);
}

static TrackedTensor run_std_dev(Operand&& x, Axes&& named, bool keepdims,
                                 double correction) {
  const CallSite site = x.site();
  const TrackedTensor t = floating("std_dev", ops::as_tensor("std_dev", x));
  const ReducedAxes axes(t.shape(), named, "std_dev");
  const TrackedTensor result =
      variance("std_dev", in_compute_type("std_dev", t), axes, keepdims,
               correction, site);
  return tape::apply_cast("std_dev", sqrt_flat_at_zero(result), t.dtype());
}

TrackedTensor std_dev(Operand x, Axes named, bool keepdims, double correction) {
  return tape::call("std_dev", x.site(), run_std_dev, std::move(x),
                    std::move(named), keepdims, correction);
}

static TrackedTensor run_norm(Operand&& x, Axes&& named, bool keepdims,
                              double p) {
  const CallSite site = x.site();
  const TrackedTensor t = floating("norm", ops::as_tensor("norm", x));
  const ReducedAxes axes(t.shape(), named, "norm");
  if (!(p >= 0))
    throw Error("norm: p = " + std::to_string(p) + "; p must not be negative");
  const TrackedTensor wide = in_compute_type("norm", t);
  TrackedTensor result;
  if (p == 0) {
    result = reduce("norm", Reduction::sum, ne(wide, 0.0), axes, keepdims,
                    wide.dtype(), site);
  } else if (std::isinf(p)) {
    check_not_empty("norm", t.shape(), axes);
    result = max(Operand(abs(wide), site), named, keepdims);
  } else {
    result = power_norm(wide, axes, keepdims, p, site);
  }
  return tape::apply_cast("norm", result, t.dtype());
}

TrackedTensor norm(Operand x, Axes named, bool keepdims, double p) {
  return tape::call("norm", x.site(), run_norm, std::move(x), std::move(named),
                    keepdims, p);
}

static TrackedTensor run_logsumexp(Operand&& x, Axes&& named, bool keepdims) {
  const CallSite site = x.site();
  const TrackedTensor t = floating("logsumexp", ops::as_tensor("logsumexp", x));
  const ReducedAxes axes(t.shape(), named, "logsumexp");
  const Shape& shape = keepdims ? axes.kept : axes.dropped;
  constexpr double infinity = std::numeric_limits<double>::infinity();
  // Recorded like any sum of nothing.
  if (axes.count == 0)
    return reduce("logsumexp", Reduction::sum, t, axes, keepdims, t.dtype(),
                  site) -
           infinity;
  const TrackedTensor wide = in_compute_type("logsumexp", t);
  // The largest element, where that is a number to subtract: a constant,
  // whose derivative would cancel.
  const TrackedTensor largest =
      reduce("logsumexp", Reduction::max, stop_gradient(wide), axes, true,
             wide.dtype(), site);
  const TrackedTensor shift = where(is_finite(largest), largest, 0.0);
  const TrackedTensor total =
      reduce("logsumexp", Reduction::sum, exp(wide - shift), axes, keepdims,
             wide.dtype(), site);
  // No gradient where nothing was added: the logarithm's is infinite.
  const TrackedTensor result =
      where(eq(total, 0.0), -infinity, log(total)) + reshape(shift, shape);
  return tape::apply_cast("logsumexp", result, t.dtype());
}

TrackedTensor logsumexp(Operand x, Axes named, bool keepdims) {
  return tape::call("logsumexp", x.site(), run_logsumexp, std::move(x),
                    std::move(named), keepdims);
}

}  // namespace jacquard
