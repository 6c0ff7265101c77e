#include "jacquard/nn/checkpoint_sequential.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "jacquard/gradient.h"
#include "jacquard/nn/linear.h"
#include "jacquard/pointwise.h"
#include "jacquard/reduce.h"

namespace jacquard::nn {
namespace {

TEST(CheckpointSequential, GivesTheGradientsOfTheLayers) {
  manual_seed(2);
  std::vector<Linear> layers;
  for (int i = 0; i < 5; ++i) layers.push_back(Linear::make(3, 3));
  const TrackedTensor x = ones({2, 3});
  const auto gradients = [&](const TrackedTensor& y) {
    backward(sum(square(y)));
    std::vector<std::vector<float>> grads;
    for (const Linear& l : layers) {
      grads.push_back(l.weight.grad().to_host<float>());
      l.weight.clear_grad();
      l.bias.clear_grad();
    }
    return grads;
  };
  TrackedTensor h = x;
  for (const Linear& l : layers) h = l(h);
  const auto want = gradients(h);
  for (const int every : {1, 2, 5, 9})
    EXPECT_EQ(gradients(checkpoint_sequential(layers, every, x)), want);
  EXPECT_THROW(checkpoint_sequential(layers, 0, x), Error);
}

TEST(CheckpointSequential, TakesFunctions) {
  int calls = 0;
  using Function = std::function<TrackedTensor(const TrackedTensor&)>;
  const Function twice = [&](const TrackedTensor& a) {
    ++calls;
    return a * 2.0;
  };
  const std::vector<Function> layers(3, twice);
  const TrackedTensor x = param(ones({2}));
  backward(sum(checkpoint_sequential(layers, 2, x)));
  EXPECT_EQ(x.grad().to_host<double>(), (std::vector<double>{8, 8}));
  EXPECT_EQ(calls, 6);
}

}  // namespace
}  // namespace jacquard::nn
