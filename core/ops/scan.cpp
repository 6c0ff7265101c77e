#include "jacquard/scan.h"

#include <string>
#include <utility>

#include "core/backend/launch.h"
#include "core/ops/as_tensor.h"
#include "core/ops/operand_checks.h"
#include "core/tape/call.h"
#include "core/tape/pending.h"
#include "core/tape/record.h"
#include "core/tape/region.h"
#include "jacquard/create.h"
#include "jacquard/pointwise.h"
#include "jacquard/shape_ops.h"

namespace jacquard {
namespace {

using tape::PullbackContext;
using tape::PushContext;

// How a scan runs over its axis.
struct Way {
  int axis = 0;
  bool reverse = false;
  bool coefficient_of_previous = false;  // of a recurrence

  // From the other end; a cotangent meets the coefficients in between.
  Way back() const { return {axis, !reverse, !coefficient_of_previous}; }
  // Behind the axis that counts tangents, if there is one.
  Way led(const PushContext& c) const {
    return {axis + c.lead(), reverse, coefficient_of_previous};
  }
};

// a or b may be undefined: a sum, a product. Of one shape and dtype.
Tensor scanned(const char* name, const Tensor& a, const Tensor& b, Way way) {
  const Tensor& like = b.defined() ? b : a;
  const Shape& shape = like.shape();
  Tensor result = Tensor::empty(shape, like.dtype(), like.device());
  backend::ScanLaunch work{
      .op = name,
      .dtype = like.dtype(),
      .extent = shape[way.axis],
      .reverse = way.reverse,
      .coefficient_of_previous = way.coefficient_of_previous};
  for (int i = 0; i < way.axis; ++i) work.outer *= shape[i];
  for (int i = way.axis + 1; i < shape.rank(); ++i) work.inner *= shape[i];
  const Stream stream = current_stream(like.device());
  if (a.defined()) work.a = a.data_on(stream);
  if (b.defined()) work.b = b.data_on(stream);
  work.out = result.data_ptr();
  if (result.numel() != 0) backend::launch_scan(work, stream);
  return result;
}

Tensor contiguous(const char* name, const TrackedTensor& t) {
  return tape::force(t, name).contiguous();
}

// t[p] at place j, p being the place before j; `first` where there is none.
TrackedTensor previous(const TrackedTensor& t, Way way, double first) {
  const std::int64_t n = t.shape()[way.axis];
  std::vector<std::pair<std::int64_t, std::int64_t>> width(
      static_cast<std::size_t>(t.rank()), {0, 0});
  auto& [before, after] = width[static_cast<std::size_t>(way.axis)];
  (way.reverse ? after : before) = 1;
  const Slice rest = way.reverse ? Slice{.start = 1, .stop = n, .step = 1}
                                 : Slice{.start = 0, .stop = n - 1, .step = 1};
  return n == 0 ? t : pad(slice(t, way.axis, rest), width, first);
}

TrackedTensor running_sum(const char* name, CallSite site,
                          const TrackedTensor& x, Way way) {
  return tape::record(
      name, site, scanned(name, {}, contiguous(name, x), way), {&x},
      [name, way](PullbackContext& c) {
        c.add(0, running_sum(name, {}, c.cotangent(),
                             {way.axis, !way.reverse, false}));
      },
      [name, way](PushContext& c) {
        c.set(running_sum(name, {}, c.tangent(0), way.led(c)));
      });
}

TrackedTensor recurrence(const char* name, CallSite site,
                         const TrackedTensor& a, const TrackedTensor& b,
                         Way way);

// Tangents run by the same coefficients, from what each place adds to them.
TrackedTensor pushed(PushContext& c, const TrackedTensor& a,
                     const TrackedTensor& added, Way way) {
  return recurrence(c.name(), {}, expand(a, c.shape()), added, way.led(c));
}

TrackedTensor recurrence(const char* name, CallSite site,
                         const TrackedTensor& a, const TrackedTensor& b,
                         Way way) {
  const Tensor factor = contiguous(name, a);
  Tensor result = scanned(name, factor, contiguous(name, b), way);
  const TrackedTensor* const inputs[] = {&a, &b};
  if (!tape::would_record(inputs)) return result;
  const tape::Saved saved_a = tape::save(a, name);
  const tape::Saved saved_h = tape::save_output(result);
  return tape::record(
      name, site, std::move(result), {&a, &b},
      [name, saved_a, saved_h, way](PullbackContext& c) {
        // The cotangents of h, each with what later places give
        // it.
        const TrackedTensor total =
            recurrence(name, {}, c.restore(saved_a), c.cotangent(), way.back());
        if (c.needs(1)) c.add(1, total);
        if (!c.needs(0)) return;
        const TrackedTensor h = c.restore(saved_h);
        // The coefficient of place j is at p: so is its
        // gradient.
        c.add(0, way.coefficient_of_previous
                     ? previous(total, way.back(), 0) * h
                     : total * previous(h, way, 0));
      },
      [saved_a, saved_h, way](PushContext& c) {
        TrackedTensor added;
        if (c.has(0)) {
          const TrackedTensor h = c.restore(saved_h);
          added = way.coefficient_of_previous
                      ? previous(c.tangent(0) * h, way.led(c), 0)
                      : c.tangent(0) * previous(h, way, 0);
        }
        if (c.has(1))
          added = added.defined() ? added + c.tangent(1) : c.tangent(1);
        c.set(pushed(c, c.restore(saved_a), added, way));
      },
      tape::bytes_of(saved_a) + tape::bytes_of(saved_h));
}

TrackedTensor running_product(const char* name, CallSite site,
                              const TrackedTensor& x, Way way) {
  Tensor result = scanned(name, contiguous(name, x), {}, way);
  const TrackedTensor* const inputs[] = {&x};
  if (!tape::would_record(inputs)) return result;
  const tape::Saved saved_x = tape::save(x, name);
  const tape::Saved saved_y = tape::save_output(result);
  return tape::record(
      name, site, std::move(result), {&x},
      [name, saved_x, saved_y, way](PullbackContext& c) {
        const TrackedTensor total =
            recurrence(name, {}, c.restore(saved_x), c.cotangent(), way.back());
        c.add(0, total * previous(c.restore(saved_y), way, 1));
      },
      [saved_x, saved_y, way](PushContext& c) {
        const TrackedTensor& t = c.tangent(0);
        c.set(pushed(c, c.restore(saved_x),
                     t * previous(c.restore(saved_y), way, 1), way));
      },
      tape::bytes_of(saved_x) + tape::bytes_of(saved_y));
}

Way way_of(const TrackedTensor& t, int axis, ScanFrom from, const char* name) {
  return {normalize_axis(axis, t.shape(), name), from == ScanFrom::last, false};
}

// In the dtype that accumulates; the result goes back to that of half types.
template <class F>
TrackedTensor accumulated(const char* name, const Operand& x, F scan) {
  const TrackedTensor t = ops::as_tensor(name, x);
  const DType dtype = is_floating(t.dtype()) ? t.dtype() : DType::int64;
  return tape::apply_cast(
      name, scan(tape::apply_cast(name, t, compute_type(dtype))), dtype);
}

}  // namespace

static TrackedTensor run_cumsum(Operand&& x, int axis, ScanFrom from) {
  const CallSite site = x.site();
  return accumulated("cumsum", x, [&](const TrackedTensor& t) {
    return running_sum("cumsum", site, t, way_of(t, axis, from, "cumsum"));
  });
}

TrackedTensor cumsum(Operand x, int axis, ScanFrom from) {
  return tape::call("cumsum", x.site(), run_cumsum, std::move(x), axis, from);
}

static TrackedTensor run_cumprod(Operand&& x, int axis, ScanFrom from) {
  const CallSite site = x.site();
  return accumulated("cumprod", x, [&](const TrackedTensor& t) {
    return running_product("cumprod", site, t,
                           way_of(t, axis, from, "cumprod"));
  });
}

TrackedTensor cumprod(Operand x, int axis, ScanFrom from) {
  return tape::call("cumprod", x.site(), run_cumprod, std::move(x), axis, from);
}

static TrackedTensor run_linear_recurrence(Operand&& a, Operand&& b, int axis,
                                           ScanFrom from) {
  constexpr const char* kName = "linear_recurrence";
  const CallSite site = a.site();
  TrackedTensor left = ops::as_tensor(kName, a);
  TrackedTensor right = ops::as_tensor(kName, b);
  ops::check_same_device(kName, left, right);
  const DType dtype = promote(left.dtype(), right.dtype());
  if (!is_floating(dtype))
    throw DTypeError(std::string(kName) + ": operands must be floating, not " +
                     std::string(name_of(left.dtype())) + " and " +
                     std::string(name_of(right.dtype())));
  const Shape shape = broadcast(left.shape(), right.shape(), kName);
  const auto whole = [&](const TrackedTensor& t) {
    const TrackedTensor wide = tape::apply_cast(kName, t, compute_type(dtype));
    return wide.shape() == shape ? wide : expand(wide, shape);
  };
  left = whole(left);
  right = whole(right);
  return tape::apply_cast(
      kName,
      recurrence(kName, site, left, right, way_of(left, axis, from, kName)),
      dtype);
}

TrackedTensor linear_recurrence(Operand a, Operand b, int axis, ScanFrom from) {
  return tape::call("linear_recurrence", a.site(), run_linear_recurrence,
                    std::move(a), std::move(b), axis, from);
}

}  // namespace jacquard
