#include "jacquard/nn/loss.h"

#include "jacquard/pointwise.h"
#include "jacquard/reduce.h"

namespace jacquard::nn {
namespace {

TrackedTensor reduced(TrackedTensor x, LossReduction reduction, CallSite site) {
  switch (reduction) {
    case LossReduction::mean:
      return mean({std::move(x), site});
    case LossReduction::sum:
      return sum({std::move(x), site});
    case LossReduction::none:
      break;
  }
  return x;
}

}  // namespace

TrackedTensor mse_loss(Operand a, Operand b, LossReduction reduction) {
  const CallSite site = a.site();
  return reduced(square(std::move(a) - std::move(b)), reduction, site);
}

TrackedTensor l1_loss(Operand a, Operand b, LossReduction reduction) {
  const CallSite site = a.site();
  return reduced(abs(std::move(a) - std::move(b)), reduction, site);
}

TrackedTensor huber_loss(Operand a, Operand b, double delta,
                         LossReduction reduction) {
  if (!(delta > 0)) throw Error("huber_loss: delta must be positive");
  const CallSite site = a.site();
  const TrackedTensor d = abs(std::move(a) - std::move(b));
  return reduced(where(d <= delta, square(d) * 0.5, (d - delta / 2) * delta),
                 reduction, site);
}

TrackedTensor binary_cross_entropy_with_logits(Operand logits, Operand target,
                                               LossReduction reduction) {
  // softplus(x) − t·x equals both terms together.
  const CallSite site = logits.site();
  return reduced(softplus(logits) - logits * std::move(target), reduction,
                 site);
}

TrackedTensor accuracy(Operand logits, Operand target) {
  return mean(eq(argmax(std::move(logits), -1), std::move(target)));
}

}  // namespace jacquard::nn
