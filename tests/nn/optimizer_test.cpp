#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "jacquard/gradient.h"
#include "jacquard/launch_log.h"
#include "jacquard/nn/adam.h"
#include "jacquard/nn/linear.h"
#include "jacquard/nn/sgd.h"
#include "jacquard/pointwise.h"
#include "jacquard/reduce.h"

namespace jacquard::nn {
namespace {

struct Pair {
  TrackedTensor a, b;
};

// One parameter by the textbook: state, parameter, gradient → new parameter.
using Reference = std::function<double(std::vector<double>& state, double p,
                                       double g, int step)>;

// Runs an optimizer and the textbook beside each other for six steps of a loss
// whose gradient is known: Σ (p − target)²/2.
void expect_like(Optimizer& optimizer, const Reference& reference) {
  const std::vector<double> target{1, -2, 0.5};
  std::vector<double> expected{0.3, 0.1, -4};
  std::vector<std::vector<double>> state(3, std::vector<double>(2, 0));
  const TrackedTensor goal = tensor(target, {3});
  const TrackedTensor p = param(tensor(expected, {3}));
  for (int step = 1; step <= 6; ++step) {
    const auto g = gradient(
        [&](const TrackedTensor& x) { return sum(square(x - goal)) * 0.5; }, p);
    optimizer.step(p, g);
    for (std::size_t i = 0; i < 3; ++i)
      expected[i] =
          reference(state[i], expected[i], expected[i] - target[i], step);
    const auto values = p.to_host<double>();
    for (std::size_t i = 0; i < 3; ++i)
      EXPECT_NEAR(values[i], expected[i], 1e-12) << "step " << step;
  }
}

TEST(SGD, FollowsTheGradient) {
  SGD sgd({.learning_rate = 0.1});
  expect_like(sgd, [](auto&, double p, double g, int) { return p - 0.1 * g; });
}

TEST(SGD, AccumulatesMomentum) {
  SGD sgd({.learning_rate = 0.1, .momentum = 0.9});
  expect_like(sgd, [](auto& s, double p, double g, int) {
    s[0] = 0.9 * s[0] + g;
    return p - 0.1 * s[0];
  });
}

TEST(SGD, LooksAheadWithNesterovsMomentumAndDecaysWeights) {
  SGD sgd({.learning_rate = 0.1,
           .momentum = 0.9,
           .weight_decay = 0.3,
           .nesterov = true});
  expect_like(sgd, [](auto& s, double p, double g, int) {
    g += 0.3 * p;
    s[0] = 0.9 * s[0] + g;
    return p - 0.1 * (g + 0.9 * s[0]);
  });
}

double adam_step(std::vector<double>& s, double p, double g, int t) {
  s[0] = 0.8 * s[0] + 0.2 * g;
  s[1] = 0.95 * s[1] + 0.05 * g * g;
  const double m = s[0] / (1 - std::pow(0.8, t));
  const double v = s[1] / (1 - std::pow(0.95, t));
  return p - 0.1 * m / (std::sqrt(v) + 1e-3);
}

TEST(Adam, CorrectsTheBiasOfItsMoments) {
  Adam adam({.learning_rate = 0.1, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-3});
  expect_like(adam, adam_step);
}

TEST(Adam, AddsWeightDecayToTheGradient) {
  Adam adam({.learning_rate = 0.1,
             .beta1 = 0.8,
             .beta2 = 0.95,
             .eps = 1e-3,
             .weight_decay = 0.2});
  expect_like(adam, [](auto& s, double p, double g, int t) {
    return adam_step(s, p, g + 0.2 * p, t);
  });
}

TEST(AdamW, ShrinksWeightsBesideTheStep) {
  AdamW adam({.learning_rate = 0.1,
              .beta1 = 0.8,
              .beta2 = 0.95,
              .eps = 1e-3,
              .weight_decay = 0.2});
  expect_like(adam, [](auto& s, double p, double g, int t) {
    return adam_step(s, p, g, t) - 0.1 * 0.2 * p;
  });
}

TEST(Optimizer, UpdatesAllParametersInOneLaunch) {
  std::vector<Linear> model;
  for (int i = 1; i < 5; ++i) model.push_back(Linear::make(i, 3 * i));
  const auto grads = map_tensors(
      model, [](const TrackedTensor& t) { return materialize(ones_like(t)); });
  AdamW adam;
  adam.step(model, grads);
  LaunchLog log;
  adam.step(model, grads);
  EXPECT_EQ(log.launches(), 1u) << log.to_string();
  EXPECT_EQ(log.host_reads(), 0u) << log.to_string();
}

TEST(Optimizer, KeepsAddressesAndLeavesSharersTheirContents) {
  const TrackedTensor p = param(tensor<float>({1, 2}));
  SGD sgd({.learning_rate = 1});
  sgd.step(p, tensor<float>({1, 1}));
  const void* address = p.data().data_ptr();
  const Tensor before = p.data();
  const TrackedTensor pending = p * 10;
  sgd.step(p, tensor<float>({1, 1}));
  EXPECT_EQ(p.data().data_ptr(), address);
  EXPECT_EQ(p.to_host<float>(), (std::vector<float>{-1, 0}));
  EXPECT_EQ(before.to_host<float>(), (std::vector<float>{0, 1}));
  EXPECT_EQ(pending.to_host<float>(), (std::vector<float>{0, 10}));
}

TEST(Optimizer, UpdatesALeafThatOccursTwiceOnce) {
  const TrackedTensor shared = param(tensor<float>({1}));
  SGD sgd({.learning_rate = 1});
  sgd.step(Pair{shared, shared}, Pair{tensor<float>({1}), tensor<float>({1})});
  EXPECT_EQ(shared.item<float>(), 0);
}

TEST(Optimizer, LeavesConstantsAlone) {
  const Pair model{param(tensor<float>({1})), tensor<float>({1})};
  SGD sgd({.learning_rate = 1});
  sgd.step(model, Pair{tensor<float>({1}), tensor<float>({1})});
  EXPECT_EQ(model.a.item<float>(), 0);
  EXPECT_EQ(model.b.item<float>(), 1);
}

TEST(Optimizer, TakesTheGradientsThatBackwardLeft) {
  const Pair model{param(tensor<float>({1})), param(tensor<float>({1}))};
  backward(sum(model.a * 3));
  SGD sgd({.learning_rate = 1, .weight_decay = 0.5});
  sgd.step(model);
  EXPECT_EQ(model.a.item<float>(), -2.5);
  EXPECT_EQ(model.b.item<float>(), 1);  // has no gradient
}

TEST(Optimizer, TreatsAStructuralZeroAsAGradientOfZero) {
  const Pair model{param(tensor<float>({1})), param(tensor<float>({1, 2}))};
  const auto grads =
      gradient([](const Pair& m) { return sum(m.a * 3); }, model);
  ASSERT_TRUE(grads.b.is_structural_zero());
  SGD sgd({.learning_rate = 1, .weight_decay = 0.5});
  sgd.step(model, grads);
  EXPECT_EQ(model.b.to_host<float>(), (std::vector<float>{0.5, 1}));
}

TEST(Optimizer, KeepsStateOfHalfTypesInFloat32) {
  const Pair model{param(cast(tensor<float>({1}), DType::bfloat16)),
                   param(tensor<float>({1}))};
  const Pair grads{cast(tensor<float>({0.01f}), DType::bfloat16),
                   tensor<float>({0.01f})};
  SGD sgd({.learning_rate = 0.25, .momentum = 1});
  for (int i = 0; i < 4; ++i) sgd.step(model, grads);
  // 0.01 in bfloat16 is 0.010009765625: velocities are its exact multiples.
  float p = 1;
  for (int i = 1; i <= 4; ++i)
    p = bfloat16_to_float(float_to_bfloat16(p - 0.25f * (i * 0.010009765625f)));
  EXPECT_EQ(model.a.dtype(), DType::bfloat16);
  EXPECT_EQ(model.a.item<float>(), p);
}

TEST(Optimizer, UsesTheLearningRateOfTheMoment) {
  const TrackedTensor p = param(tensor<float>({1}));
  SGD sgd({.learning_rate = 1});
  sgd.set_learning_rate(0.25);
  sgd.step(p, tensor<float>({1}));
  EXPECT_EQ(p.item<float>(), 0.75f);
  EXPECT_EQ(sgd.learning_rate(), 0.25);
  EXPECT_EQ(sgd.steps_done(), 1);
}

TEST(Optimizer, TakesParametersWithoutElements) {
  const Pair model{param(zeros({0, 3})), param(tensor<float>({1}))};
  SGD sgd({.learning_rate = 1});
  sgd.step(model, Pair{zeros({0, 3}), tensor<float>({1})});
  EXPECT_EQ(model.b.item<float>(), 0);
}

TEST(Optimizer, SaysWhatIsWrong) {
  SGD sgd;
  const TrackedTensor p = param(tensor<float>({1, 2}));
  EXPECT_THROW(sgd.step(tensor<float>({1}), tensor<float>({1})), GraphError);
  EXPECT_THROW(sgd.step(p, tensor<float>({1})), ShapeError);
  sgd.step(p, tensor<float>({1, 1}));
  EXPECT_THROW(sgd.step(param(tensor<float>({1})), tensor<float>({1})),
               ShapeError);
  EXPECT_EQ(sgd.steps_done(), 1);
  EXPECT_THROW(SGD({.momentum = -1}), Error);
  EXPECT_THROW(SGD({.nesterov = true}), Error);
  EXPECT_THROW(Adam({.beta1 = 1}), Error);
  EXPECT_THROW(Adam({.eps = -1}), Error);
}

// Two models with the same values; one is trained by backward and step, the
// other within backward.
void expect_same_eagerly(Optimizer& stepped, Optimizer& eager) {
  const auto make = [] {
    manual_seed(3);
    Linear a = Linear::make(3, 4), b = Linear::make(4, 3);
    return std::vector<Linear>{a, b, a};  // tied
  };
  const std::vector<Linear> model = make(), other = make();
  const TrackedTensor x = tensor({{0.1f, -0.4f, 0.8f}, {0.3f, 0.2f, -0.9f}});
  const auto loss = [&](const std::vector<Linear>& m) {
    TrackedTensor h = x;
    for (const Linear& layer : m) h = tanh(layer(h));
    return mean(square(h));
  };
  for (int step = 0; step < 4; ++step) {
    backward(loss(model));
    stepped.step(model);
    backward(loss(other), {}, {.eager = eager_update(eager, other)});
    zip_tensors(
        [](const std::string& path, auto& p, auto& q) {
          EXPECT_EQ(p.template to_host<float>(), q.template to_host<float>())
              << path;
          EXPECT_FALSE(q.grad().defined());
          p.clear_grad();
        },
        model, other);
  }
  EXPECT_EQ(stepped.steps_done(), eager.steps_done());
}

TEST(EagerUpdate, GivesTheBitsOfAnOrdinaryStep) {
  Adam adam({.learning_rate = 0.1}), eager_adam({.learning_rate = 0.1});
  expect_same_eagerly(adam, eager_adam);
  SGD sgd({.learning_rate = 0.1, .momentum = 0.9}),
      eager_sgd({.learning_rate = 0.1, .momentum = 0.9});
  expect_same_eagerly(sgd, eager_sgd);
}

TEST(EagerUpdate, NeedsAParameter) {
  SGD sgd({.learning_rate = 0.1});
  EXPECT_THROW(eager_update(sgd, Pair{}), GraphError);
}

}  // namespace
}  // namespace jacquard::nn
