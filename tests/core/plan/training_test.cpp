// Compiled training steps leave, bit for bit, what uncompiled ones leave.
#include <gtest/gtest.h>

#include "jacquard/compile.h"
#include "jacquard/create.h"
#include "jacquard/gradient.h"
#include "jacquard/launch_log.h"
#include "jacquard/nn/nn.h"
#include "jacquard/pointwise.h"
#include "jacquard/reduce.h"
#include "jacquard/shape_ops.h"

namespace jacquard::nn {
namespace {

struct Mlp {
  Linear first = Linear::make(6, 8);
  Linear second = Linear::make(8, 5);
  Linear last = Linear::make(5, 3);

  TrackedTensor operator()(const TrackedTensor& x) const {
    return last(relu(second(relu(first(x)))));
  }
};

struct Batch {
  TrackedTensor x, y;
};
Batch batch(std::int64_t n) {
  return {materialize(rand({n, 6})), materialize(randint(0, 3, {n}))};
}

using Floats = std::vector<float>;

// Everything that a training run leaves.
struct Trace {
  Floats losses;
  std::vector<Floats> leaves;
  std::uint64_t drawn = 0;
  friend bool operator==(const Trace&, const Trace&) = default;
};

// Runs `steps` steps of make(model, optimizer), each on a batch of its own.
template <class Make>
Trace train(int steps, bool compiled, Make make, CompileStats* stats = nullptr,
            int ragged = 0) {
  manual_seed(7);
  Mlp model;
  Adam adam({.learning_rate = 1e-2});
  Trace trace;
  auto step = make(model, adam);
  auto fast = compile(step);
  for (int i = 0; i < steps; ++i) {
    const Batch b = batch(ragged && i % ragged == ragged - 1 ? 3 : 4);
    const TrackedTensor loss = compiled ? fast(b.x, b.y) : step(b.x, b.y);
    trace.losses.push_back(loss.item<float>());
  }
  visit_tensors(model, [&](const auto&, const TrackedTensor& t) {
    trace.leaves.push_back(t.to_host<float>());
  });
  trace.drawn = generator_state().offset;
  if (stats) *stats = fast.stats();
  return trace;
}

// A plain step; `forward(model, x)` is its forward pass.
template <class Forward>
auto plain_step(Mlp& model, Adam& adam, Forward forward) {
  return [&model, &adam, forward](const TrackedTensor& x,
                                  const TrackedTensor& y) {
    const auto [loss, grads] = withgradient(
        [&](const Mlp& m) { return cross_entropy(forward(m, x), y); }, model);
    adam.step(model, grads);
    return loss;
  };
}

const auto kForward = [](const Mlp& m, const TrackedTensor& x) { return m(x); };

TEST(CompiledTraining, AThousandStepsAreThoseOfTheUncompiled) {
  const auto make = [](Mlp& m, Adam& a) { return plain_step(m, a, kForward); };
  const int steps = default_device() == cpu() ? 1000 : 5;
  CompileStats stats;
  EXPECT_EQ(train(steps, true, make, &stats), train(steps, false, make));
  EXPECT_EQ(stats.replayed, static_cast<std::uint64_t>(steps) - 2);
}

TEST(CompiledTraining, FollowsAScheduleOfTheLearningRate) {
  const auto make = [](Mlp& m, Adam& a) {
    return [step = plain_step(m, a, kForward), &a, i = 0](
               const TrackedTensor& x, const TrackedTensor& y) mutable {
      a.set_learning_rate(1e-2 / (1 + i++));
      return step(x, y);
    };
  };
  CompileStats stats;
  EXPECT_EQ(train(6, true, make, &stats), train(6, false, make));
  EXPECT_EQ(stats.replayed, 4u);
}

TEST(CompiledTraining, DrawsANewDropoutMaskEachTime) {
  const auto make = [](Mlp& m, Adam& a) {
    return plain_step(m, a, [](const Mlp& model, const TrackedTensor& x) {
      return model.last(dropout(relu(model.second(relu(model.first(x)))), 0.3));
    });
  };
  CompileStats stats;
  EXPECT_EQ(train(6, true, make, &stats), train(6, false, make));
  EXPECT_EQ(stats.replayed, 4u);
}

TEST(CompiledTraining, TakesTheBranchOfTheEpoch) {
  const auto make = [](Mlp& m, Adam& a) {
    return
        [&, epoch = 0](const TrackedTensor& x, const TrackedTensor& y) mutable {
          const bool warm = epoch++ / 3 % 2 == 0;
          return plain_step(m, a,
                            [warm](const Mlp& model, const TrackedTensor& in) {
                              const TrackedTensor out = model(in);
                              return warm ? out * 0.5 : tanh(out);
                            })(x, y);
        };
  };
  CompileStats stats;
  EXPECT_EQ(train(14, true, make, &stats), train(14, false, make));
  EXPECT_GE(stats.replayed, 10u);
}

TEST(CompiledTraining, TakesARaggedLastBatch) {
  const auto make = [](Mlp& m, Adam& a) { return plain_step(m, a, kForward); };
  CompileStats stats;
  EXPECT_EQ(train(13, true, make, &stats, 4), train(13, false, make, {}, 4));
  EXPECT_EQ(stats.planned, 2u);
  EXPECT_EQ(stats.replayed, 10u);
}

TEST(CompiledTraining, WithBackwardAndTheLeavesOwnGradients) {
  const auto make = [](Mlp& m, Adam& a) {
    return [&](const TrackedTensor& x, const TrackedTensor& y) {
      visit_tensors(
          m, [](const auto&, const TrackedTensor& p) { p.clear_grad(); });
      const TrackedTensor loss = cross_entropy(m(x), y);
      backward(loss);
      a.step(m);
      return loss;
    };
  };
  CompileStats stats;
  EXPECT_EQ(train(8, true, make, &stats), train(8, false, make));
  EXPECT_GE(stats.replayed, 5u);
}

TEST(CompiledTraining, AccumulatesGradientsOverCalls) {
  const auto make = [](Mlp& m, Adam& a) {
    return [&, i = 0](const TrackedTensor& x, const TrackedTensor& y) mutable {
      const TrackedTensor loss = cross_entropy(m(x), y);
      backward(loss);
      if (++i % 3 == 0) {
        a.step(m);
        visit_tensors(
            m, [](const auto&, const TrackedTensor& p) { p.clear_grad(); });
      }
      return loss;
    };
  };
  CompileStats stats;
  EXPECT_EQ(train(12, true, make, &stats), train(12, false, make));
  EXPECT_GE(stats.replayed, 6u);
}

TEST(CompiledTraining, ReadingTheLossInsideRunsUncompiledAndSaysSoOnce) {
  const auto make = [](Mlp& m, Adam& a) {
    return [&](const TrackedTensor& x, const TrackedTensor& y) {
      const TrackedTensor loss = plain_step(m, a, kForward)(x, y);
      const double value = loss.item<double>();
      return loss * (value > 1 ? 2.0 : 1.0);
    };
  };
  testing::internal::CaptureStderr();
  CompileStats stats;
  const Trace got = train(6, true, make, &stats);
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_EQ(got, train(6, false, make));
  EXPECT_EQ(stats.replayed, 0u);
  EXPECT_NE(said.find("training_test.cpp"), std::string::npos) << said;
  EXPECT_NE(said.find("read on the host"), std::string::npos) << said;
  EXPECT_EQ(said.find("uncompiled"), said.rfind("uncompiled")) << said;
}

TEST(CompiledTraining, NoOperationRunsInAReplayButThePlans) {
  if (!fusion_enabled()) return;  // the bar is on fused steps
  manual_seed(7);
  Mlp model;
  Adam adam;
  auto step = compile(plain_step(model, adam, kForward));
  const Batch b = batch(4);
  for (int i = 0; i < 3; ++i) step(b.x, b.y);
  LaunchLog log;
  step(b.x, b.y);
  EXPECT_LE(log.launches(), 16u) << log.to_string();
  EXPECT_EQ(log.host_reads(), 0u) << log.to_string();
}

}  // namespace
}  // namespace jacquard::nn
