// compile(f) on CUDA: what a step computes, and what it costs the driver.
#include <gtest/gtest.h>
#include <jacquard/jacquard.h>
#include <jacquard/nn/nn.h>

#include <vector>

#include "tests/cuda/acceptance/emulator.h"
#include "tests/cuda/acceptance/models.h"

namespace jacquard::acceptance {
namespace {

class CompiledStep : public OnCuda {};
class CountedCompiledStep : public OnEmulator {};

// A classifier with noise and a schedule, so that each step has other scalars:
// rate, powers of the step count, seed and offset.
struct Classifier {
  nn::Linear first = nn::Linear::make(12, 16);
  nn::Linear last = nn::Linear::make(16, 5);

  TrackedTensor operator()(const TrackedTensor& x) const {
    return last(dropout(relu(first(x)), 0.25, true));
  }
};

// The losses of some steps, then the weights.
std::vector<float> train(int steps, bool compiled) {
  manual_seed(3);
  Classifier model;
  nn::Adam adam;
  const auto step = [&, count = 0](const TrackedTensor& x,
                                   const TrackedTensor& y) mutable {
    adam.set_learning_rate(0.01 / ++count);
    const auto [loss, grads] = withgradient(
        [&](const Classifier& m) { return cross_entropy(m(x), y); }, model);
    adam.step(model, grads);
    return loss;
  };
  auto plain = step;
  auto fast = compile(step);
  const TrackedTensor x = materialize(rand({8, 12})),
                      y = materialize(randint(0, 5, {8}));
  std::vector<float> left;
  for (int i = 0; i < steps; ++i) {
    // A batch where the last one was, and one at another place.
    const TrackedTensor now = i % 3 == 2 ? materialize(x * 0.5) : x;
    left.push_back((compiled ? fast(now, y) : plain(now, y)).item<float>());
  }
  if (compiled) {
    EXPECT_GE(fast.stats().replayed, static_cast<unsigned>(steps) - 2);
  }
  visit_tensors(model, [&](const auto&, const TrackedTensor& t) {
    for (const float w : t.to_host<float>()) left.push_back(w);
  });
  return left;
}

TEST_F(CompiledStep, HasTheBitsOfTheUncompiledOne) {
  EXPECT_EQ(train(12, true), train(12, false));
}

TEST_F(CountedCompiledStep, IsOneUploadAndOneGraphLaunch) {
  MlpTraining training;
  auto step = compile([&] { return training.step(); });
  for (int i = 0; i < 3; ++i) step();
  const auto before = step.stats().replayed;
  Counters counters;
  for (int i = 0; i < 2; ++i) step();
  counters.stop();
  EXPECT_EQ(step.stats().replayed, before + 2);
  EXPECT_EQ(counters.calls_of("cudaGraphLaunch"), 2u) << counters.to_string();
  EXPECT_EQ(counters.calls_of("cudaMemcpyAsync"), 2u) << counters.to_string();
  EXPECT_EQ(counters.all_calls(), 4u) << counters.to_string();
  EXPECT_LE(counters.launches().size(), 2 * 15u) << counters.to_string();
}

}  // namespace
}  // namespace jacquard::acceptance
