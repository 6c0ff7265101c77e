#include "jacquard/row_ops.h"

#include <string>
#include <utility>

#include "core/ops/as_tensor.h"
#include "core/ops/term.h"
#include "core/tape/call.h"
#include "core/tape/modes.h"
#include "core/tape/pending.h"
#include "core/tape/region.h"
#include "jacquard/error.h"
#include "jacquard/pointwise.h"
#include "jacquard/shape_ops.h"

namespace jacquard {

using tape::Op;

namespace {

TrackedTensor forced(const char* name, TrackedTensor x) {
  tape::force(x, name);
  return x;
}

// A row operation of the same shape along `axis`.
TrackedTensor along(const char* name, Op op, Operand operand, int axis) {
  const CallSite site = operand.site();
  TrackedTensor x = ops::as_tensor(name, std::move(operand));
  const Shape shape = x.shape();
  const int rank = shape.rank();
  if (rank == 0) {
    normalize_axis(axis, {1}, name);
    x = reshape(Operand(std::move(x), site), {1});
    x = forced(name,
               tape::apply_row(name, op, std::move(x), nullptr, nullptr, site));
    return reshape(Operand(std::move(x), site), {});
  }
  axis = normalize_axis(axis, shape, name);
  if (axis != rank - 1) x = transpose(Operand(std::move(x), site), axis, -1);
  x = forced(name,
             tape::apply_row(name, op, std::move(x), nullptr, nullptr, site));
  if (axis != rank - 1) x = transpose(Operand(std::move(x), site), axis, -1);
  return x;
}

}  // namespace

// Whether a loss had better be written along with its reverse, which a
// transform is about to ask for.
bool awaits_reverse(const TrackedTensor& loss) {
  return loss.is_tracked() && tape::level_depth() == 1 && fusion_enabled();
}

static TrackedTensor run_softmax(Operand&& x, int axis) {
  return along("softmax", Op::row_softmax, std::move(x), axis);
}

TrackedTensor softmax(Operand x, int axis) {
  return tape::call("softmax", x.site(), run_softmax, std::move(x), axis);
}

static TrackedTensor run_log_softmax(Operand&& x, int axis) {
  return along("log_softmax", Op::row_log_softmax, std::move(x), axis);
}

TrackedTensor log_softmax(Operand x, int axis) {
  return tape::call("log_softmax", x.site(), run_log_softmax, std::move(x),
                    axis);
}

namespace {

constexpr const char* kCrossEntropy = "cross_entropy";

void check_classes(const TrackedTensor& logits, const TrackedTensor& target) {
  const Shape& z = logits.shape();
  if (!is_floating(logits.dtype()))
    throw DTypeError("cross_entropy: logits must be floating, not " +
                     std::string(name_of(logits.dtype())));
  if (!is_integer(target.dtype()))
    throw DTypeError("cross_entropy: target must be int64 or int32, not " +
                     std::string(name_of(target.dtype())));
  if (z.rank() != 1 && z.rank() != 2)
    throw ShapeError("cross_entropy: logits " + to_string(z) +
                     " must be [N, C] or [C]");
  const Shape expected = z.rank() == 1 ? Shape{} : Shape{z[0]};
  if (!(target.shape() == expected))
    throw ShapeError("cross_entropy: logits " + to_string(z) + " and target " +
                     to_string(target.shape()) + ": target must be " +
                     to_string(expected));
  if (z[z.rank() - 1] == 0 && target.numel() > 0)
    throw ShapeError("cross_entropy: logits " + to_string(z) +
                     " have no classes");
}

// The losses of rows [N, C], pending, [N, 1].
TrackedTensor row_losses(TrackedTensor z, TrackedTensor target, CallSite site) {
  const std::int64_t rows = z.shape()[0];
  // Halves are rounded once, at the end.
  if (is_half(z.dtype()))
    z = tape::apply_cast(kCrossEntropy, Operand(std::move(z), site),
                         DType::float32);
  target = reshape(Operand(std::move(target), site), {rows, 1});
  const Operand index(
      tape::apply_cast(kCrossEntropy, Operand(std::move(target), site),
                       DType::int64),
      site);
  const TrackedTensor all = tape::apply_row(kCrossEntropy, Op::row_logsumexp, z,
                                            nullptr, nullptr, site);
  const TrackedTensor picked =
      tape::apply_row(kCrossEntropy, Op::row_pick, z, &index, nullptr, site);
  return tape::apply(kCrossEntropy, Op::sub, Operand(all, site),
                     Operand(picked, site));
}

}  // namespace

static TrackedTensor run_cross_entropy(Operand&& logits, Operand&& target,
                                       LossReduction reduction) {
  const CallSite site = logits.site();
  TrackedTensor z = ops::as_tensor(kCrossEntropy, std::move(logits));
  TrackedTensor t = ops::as_tensor(kCrossEntropy, target, z.device());
  check_classes(z, t);
  const DType dtype = z.dtype();
  const bool single = z.rank() == 1;
  if (single) z = reshape(Operand(z, site), {1, z.shape()[0]});
  const std::int64_t rows = z.shape()[0];

  TrackedTensor loss = row_losses(std::move(z), std::move(t), site);
  if (reduction == LossReduction::none) {
    loss = reshape(Operand(forced(kCrossEntropy, std::move(loss)), site),
                   single ? Shape{} : Shape{rows});
  } else {
    const auto how = reduction == LossReduction::mean ? tape::Reduction::mean
                                                      : tape::Reduction::sum;
    const DType computed = loss.dtype();
    loss = tape::apply_reduction(kCrossEntropy, how, std::move(loss), 0b11,
                                 false, computed, site);
    if (!awaits_reverse(loss)) tape::force(loss, kCrossEntropy);
  }
  return tape::apply_cast(kCrossEntropy, Operand(std::move(loss), site), dtype);
}

TrackedTensor cross_entropy(Operand logits, Operand target,
                            LossReduction reduction) {
  return tape::call("cross_entropy", logits.site(), run_cross_entropy,
                    std::move(logits), std::move(target), reduction);
}

namespace {

void check_row_parameter(const char* what, const TrackedTensor& parameter,
                         const Shape& x) {
  if (!parameter.defined()) return;
  const Shape expected{x[x.rank() - 1]};
  if (!(parameter.shape() == expected))
    throw ShapeError("layer_norm: " + std::string(what) + " " +
                     to_string(parameter.shape()) + " for x " + to_string(x) +
                     " must be " + to_string(expected));
}

}  // namespace

static TrackedTensor run_layer_norm(Operand&& operand,
                                    const TrackedTensor& weight,
                                    const TrackedTensor& bias, double eps) {
  constexpr const char* name = "layer_norm";
  const CallSite site = operand.site();
  TrackedTensor x = ops::as_tensor(name, std::move(operand));
  if (x.rank() == 0)
    throw ShapeError("layer_norm: [] has no last axis to normalize over");
  check_row_parameter("weight", weight, x.shape());
  check_row_parameter("bias", bias, x.shape());

  DType dtype = is_floating(x.dtype()) ? x.dtype() : default_dtype();
  for (const TrackedTensor* p : {&weight, &bias})
    if (p->defined()) dtype = promote(dtype, p->dtype());
  // Halves are rounded once, at the end.
  if (is_half(x.dtype()))
    x = tape::apply_cast(name, Operand(std::move(x), site), DType::float32);

  const Operand epsilon(eps, site);
  TrackedTensor y = tape::apply_row(name, Op::row_normalize, std::move(x),
                                    &epsilon, nullptr, site);
  if (weight.defined())
    y = tape::apply(name, Op::mul, Operand(std::move(y), site), weight);
  if (bias.defined())
    y = tape::apply(name, Op::add, Operand(std::move(y), site), bias);
  return forced(name,
                tape::apply_cast(name, Operand(std::move(y), site), dtype));
}

TrackedTensor layer_norm(Operand operand, const TrackedTensor& weight,
                         const TrackedTensor& bias, double eps) {
  return tape::call("layer_norm", operand.site(), run_layer_norm,
                    std::move(operand), weight, bias, eps);
}

}  // namespace jacquard
