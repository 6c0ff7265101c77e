// Stochastic gradient descent.
#pragma once

#include "jacquard/nn/optimizer.h"

namespace jacquard::nn {

struct SGDOptions {
  double learning_rate = 0.01;
  double momentum = 0;
  double weight_decay = 0;  // adds weight_decay·p to the gradient
  bool nesterov = false;    // needs a momentum
};

//   g ← grad + weight_decay·p;  v ← momentum·v + g
//   p ← p − learning_rate·(nesterov ? g + momentum·v : v)
// Sutskever et al., "On the importance of initialization and momentum in deep
// learning", ICML 2013, in the form that PyTorch uses. Error for options out of
// range.
class JACQUARD_API SGD : public Optimizer {
 public:
  explicit SGD(SGDOptions options = {});

 private:
  TrackedTensor update(const TrackedTensor& param, const TrackedTensor& grad,
                       std::vector<TrackedTensor>& state) const override;

  SGDOptions options_;
};

}  // namespace jacquard::nn
