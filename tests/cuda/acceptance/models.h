// The networks of the acceptance tests.
#pragma once

#include <jacquard/jacquard.h>
#include <jacquard/nn/nn.h>

#include <cstdint>

#include "core/tape/modes.h"

namespace jacquard::acceptance {

// 784-512-256-10, a batch of 128, Adam.
struct Mlp {
  nn::Linear first = nn::Linear::make(784, 512);
  nn::Linear second = nn::Linear::make(512, 256);
  nn::Linear last = nn::Linear::make(256, 10);

  TrackedTensor operator()(const TrackedTensor& x) const {
    return last(relu(second(relu(first(x)))));
  }
};

struct MlpTraining {
  static constexpr std::int64_t kBatch = 128;

  TrackedTensor x = materialize(rand({kBatch, 784}));
  TrackedTensor y = materialize(randint(0, 10, {kBatch}));
  Mlp model;
  nn::Adam adam;

  TrackedTensor step() {
    const auto [loss, grads] = withgradient(
        [&](const Mlp& m) { return cross_entropy(m(x), y); }, model);
    adam.step(model, grads);
    return loss;
  }
};

// Whether products carry bias, activation and their gradients, in a scope.
class Epilogues {
 public:
  explicit Epilogues(bool on) { tape::set_epilogues(on); }
  ~Epilogues() { tape::set_epilogues(before_); }
  Epilogues(const Epilogues&) = delete;
  Epilogues& operator=(const Epilogues&) = delete;

 private:
  const bool before_ = tape::epilogues_enabled();
};

}  // namespace jacquard::acceptance
