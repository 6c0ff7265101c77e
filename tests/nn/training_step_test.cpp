// What a whole training step costs: launches, reads by the host, allocations.
#include <gtest/gtest.h>

#include <iostream>

#include "jacquard/gradient.h"
#include "jacquard/launch_log.h"
#include "jacquard/memory.h"
#include "jacquard/nn/nn.h"
#include "jacquard/pointwise.h"

namespace jacquard::nn {
namespace {

struct Mlp {
  Linear first = Linear::make(784, 512);
  Linear second = Linear::make(512, 256);
  Linear last = Linear::make(256, 10);

  TrackedTensor operator()(const TrackedTensor& x) const {
    return last(relu(second(relu(first(x)))));
  }
};

TEST(TrainingStep, OfAnMlpWithAdamTakesAtMostSixteenLaunches) {
  if (!fusion_enabled()) return;  // the bar is on fused steps
  manual_seed(1);
  const auto x = materialize(rand({64, 784}));
  const auto y = materialize(randint(0, 10, {64}));
  Mlp model;
  Adam adam;
  const auto step = [&] {
    const auto [loss, grads] = withgradient(
        [&](const Mlp& m) { return cross_entropy(m(x), y); }, model);
    adam.step(model, grads);
    return loss;
  };
  const double at_first = step().item<double>();
  for (int i = 0; i < 2; ++i) step();

  const auto before = memory_stats(cpu()).system_allocations;
  LaunchLog log;
  TrackedTensor loss = step();
  EXPECT_LE(log.launches(), 16u) << log.to_string();
  EXPECT_EQ(log.host_reads(), 0u) << log.to_string();
  std::cout << log.to_string();
  for (int i = 0; i < 10; ++i) loss = step();
  EXPECT_EQ(memory_stats(cpu()).system_allocations, before);
  EXPECT_LT(loss.item<double>(), at_first);
}

}  // namespace
}  // namespace jacquard::nn
