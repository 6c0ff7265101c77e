// Adam and AdamW.
#pragma once

#include "jacquard/nn/optimizer.h"

namespace jacquard::nn {

struct AdamOptions {
  double learning_rate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
  // false: weight_decay·p is added to the gradient. true: p shrinks by
  // learning_rate·weight_decay·p beside the step.
  bool decoupled = false;
};

//   m ← β₁·m + (1−β₁)·g;  v ← β₂·v + (1−β₂)·g²
//   p ← p − learning_rate·(m / (1−β₁ᵗ)) / (√(v / (1−β₂ᵗ)) + eps)
// Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015.
// Error for options out of range.
class JACQUARD_API Adam : public Optimizer {
 public:
  explicit Adam(AdamOptions options = {});

 private:
  TrackedTensor update(const TrackedTensor& param, const TrackedTensor& grad,
                       std::vector<TrackedTensor>& state) const override;

  AdamOptions options_;
};

struct AdamWOptions {
  double learning_rate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.01;
};

// Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019.
class JACQUARD_API AdamW : public Adam {
 public:
  explicit AdamW(AdamWOptions options = {});
};

}  // namespace jacquard::nn
