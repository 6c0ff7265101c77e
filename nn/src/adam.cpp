#include "jacquard/nn/adam.h"

#include <cmath>

#include "jacquard/pointwise.h"

namespace jacquard::nn {

Adam::Adam(AdamOptions options)
    : Optimizer(options.learning_rate, 2), options_(options) {
  auto is_rate = [](double beta) { return beta >= 0 && beta < 1; };
  if (!is_rate(options.beta1) || !is_rate(options.beta2))
    throw Error("Adam: beta1 and beta2 must be in [0, 1)");
  if (!(options.eps >= 0) || !(options.weight_decay >= 0))
    throw Error("Adam: eps and weight_decay can't be negative");
}

TrackedTensor Adam::update(const TrackedTensor& param,
                           const TrackedTensor& grad,
                           std::vector<TrackedTensor>& state) const {
  const double beta1 = options_.beta1, beta2 = options_.beta2;
  const double decay = options_.weight_decay;
  const double rate = learning_rate();
  const double t = static_cast<double>(steps_done());
  TrackedTensor p = param, g = grad;
  if (decay != 0) {
    if (options_.decoupled)
      p = p * (1 - rate * decay);
    else
      g += decay * p;
  }
  state[0] = beta1 * state[0] + (1 - beta1) * g;
  state[1] = beta2 * state[1] + (1 - beta2) * square(g);
  const double step = rate / (1 - std::pow(beta1, t));
  const double correction = 1 / std::sqrt(1 - std::pow(beta2, t));
  return p - step * state[0] / (sqrt(state[1]) * correction + options_.eps);
}

AdamW::AdamW(AdamWOptions o)
    : Adam({o.learning_rate, o.beta1, o.beta2, o.eps, o.weight_decay, true}) {}

}  // namespace jacquard::nn
