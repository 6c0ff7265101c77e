#include "jacquard/nn/sgd.h"

#include "jacquard/pointwise.h"

namespace jacquard::nn {

SGD::SGD(SGDOptions options)
    : Optimizer(options.learning_rate, options.momentum != 0 ? 1 : 0),
      options_(options) {
  if (!(options.momentum >= 0) || !(options.weight_decay >= 0))
    throw Error("SGD: momentum and weight_decay can't be negative");
  if (options.nesterov && options.momentum == 0)
    throw Error("SGD: nesterov needs a momentum");
}

TrackedTensor SGD::update(const TrackedTensor& param, const TrackedTensor& grad,
                          std::vector<TrackedTensor>& state) const {
  TrackedTensor g = grad;
  if (options_.weight_decay != 0) g += options_.weight_decay * param;
  if (options_.momentum != 0) {
    state[0] = options_.momentum * state[0] + g;
    g = options_.nesterov ? g + options_.momentum * state[0] : state[0];
  }
  return param - learning_rate() * g;
}

}  // namespace jacquard::nn
