// What the tape promises: DESIGN of backward, identity, levels, freeing.
#include <gtest/gtest.h>

#include <cmath>
#include <thread>
#include <vector>

#include "jacquard/jacquard.h"
#include "jacquard/memory.h"

namespace jacquard {
namespace {

TrackedTensor f64(std::initializer_list<double> v) { return tensor(v); }

std::vector<double> grad_of(const TrackedTensor& x) {
  EXPECT_TRUE(x.grad().defined());
  return x.grad().to_host<double>();
}

using Doubles = std::vector<double>;

TEST(Backward, AddsToTheLeavesGradientEachTime) {
  TrackedTensor x = param(f64({1, 2, 3}));
  backward(sum(x * x));
  EXPECT_EQ(grad_of(x), (Doubles{2, 4, 6}));
  backward(sum(x * 3.0));
  EXPECT_EQ(grad_of(x), (Doubles{5, 7, 9}));
  x.clear_grad();
  EXPECT_FALSE(x.grad().defined());
}

TEST(Backward, NeedsASeedUnlessThereIsOneElement) {
  TrackedTensor x = param(f64({1, 2}));
  TrackedTensor y = x * x;
  EXPECT_THROW(backward(y), GraphError);
  backward(y, f64({1, 10}));
  EXPECT_EQ(grad_of(x), (Doubles{2, 40}));
}

TEST(Backward, ChecksTheSeed) {
  TrackedTensor x = param(f64({1, 2}));
  TrackedTensor y = x * x;
  EXPECT_THROW(backward(y, f64({1, 2, 3})), GraphError);
  EXPECT_THROW(backward(y, tensor<std::int64_t>({1, 2})), GraphError);
  EXPECT_FALSE(x.grad().defined());
}

TEST(Backward, RefusesAValueThatIsNotTracked) {
  EXPECT_THROW(backward(sum(f64({1, 2}))), GraphError);
  TrackedTensor x = param(f64({1}));
  NoGrad off;
  EXPECT_THROW(backward(x * 2.0), GraphError);
}

TEST(Backward, GivesUpTheTapeUnlessTold) {
  TrackedTensor x = param(f64({2}));
  TrackedTensor y = x * x;
  backward(y, {}, {.retain_graph = true});
  backward(y);
  EXPECT_EQ(grad_of(x), (Doubles{8}));
  try {
    backward(y);
    FAIL();
  } catch (const GraphError& e) {
    EXPECT_NE(std::string(e.what()).find("retain_graph"), std::string::npos);
    EXPECT_NE(std::string(e.what()).find("tape_test.cpp"), std::string::npos);
  }
  EXPECT_EQ(grad_of(x), (Doubles{8}));
}

TEST(Backward, TwoLossesOverOneTrunkNeedNoRetainGraph) {
  TrackedTensor x = param(f64({1, 2}));
  TrackedTensor trunk = materialize(exp(x));
  TrackedTensor a = sum(trunk * 2.0), b = sum(trunk * trunk);
  backward(a);
  backward(b);
  const double e1 = std::exp(1.0), e2 = std::exp(2.0);
  const Doubles g = grad_of(x);
  EXPECT_NEAR(g[0], 2 * e1 + 2 * e1 * e1, 1e-9);
  EXPECT_NEAR(g[1], 2 * e2 + 2 * e2 * e2, 1e-9);
}

TEST(Backward, APendingExpressionKeepsTheTrunkAlive) {
  TrackedTensor x = param(f64({3}));
  TrackedTensor trunk = materialize(x * x);
  TrackedTensor pending = trunk * 5.0;
  ASSERT_TRUE(pending.is_pending());
  backward(trunk * 1.0);
  EXPECT_EQ(grad_of(x), (Doubles{6}));
  backward(pending);
  EXPECT_EQ(grad_of(x), (Doubles{36}));
}

TEST(Backward, ALossThatWasReversedFreesTheTrunk) {
  TrackedTensor x = param(f64({3}));
  TrackedTensor trunk = materialize(x * x);
  backward(trunk * 1.0);
  EXPECT_THROW(backward(trunk * 2.0), GraphError);
}

TEST(Backward, RepeatedOperandsAccumulate) {
  TrackedTensor x = param(f64({3}));
  TrackedTensor y = x + x * x + x;
  backward(y * y);
  // y = 2x + x², y² ' = 2y(2 + 2x)
  EXPECT_EQ(grad_of(x), (Doubles{2 * 15 * 8}));
}

TEST(Backward, BroadcastOperandsAreSummed) {
  TrackedTensor a = param(tensor({{1., 2., 3.}, {4., 5., 6.}}));
  TrackedTensor row = param(f64({1, 10, 100}));
  TrackedTensor column = param(tensor({{2.}, {3.}}));
  TrackedTensor s = param(scalar(2, {DType::float64}));
  backward(sum(a * row * column * s));
  EXPECT_EQ(grad_of(row), (Doubles{2 * (2 + 12), 2 * (4 + 15), 2 * (6 + 18)}));
  EXPECT_EQ(grad_of(column), (Doubles{2 * 321, 2 * 654}));
  EXPECT_EQ(grad_of(s), (Doubles{2 * 321 + 3 * 654}));
  EXPECT_EQ(row.grad().shape(), (Shape{3}));
  EXPECT_EQ(column.grad().shape(), (Shape{2, 1}));
  EXPECT_EQ(s.grad().shape(), Shape{});
}

TEST(Backward, AChainOfAMillionOperations) {
  TrackedTensor x = param(f64({1}));
  TrackedTensor y = x;
  for (int i = 0; i < 1'000'000; ++i) {
    y = y + 1.0;
    if (i % 4 == 0) y = materialize(y);
  }
  EXPECT_EQ(y.item<double>(), 1'000'001);
  backward(y);
  EXPECT_EQ(grad_of(x), (Doubles{1}));
  y = {};
}

TEST(Backward, AChainOfAMillionIsDestroyedUnreversed) {
  TrackedTensor x = param(f64({1}));
  const std::size_t before = memory_stats(default_device()).in_use;
  TrackedTensor y = x;
  for (int i = 0; i < 1'000'000; ++i) y = materialize(y * x);
  EXPECT_GT(memory_stats(default_device()).in_use, before);
  y = {};
  EXPECT_EQ(memory_stats(default_device()).in_use, before);
}

TEST(Backward, LeavesKeepTheirGradientWhenAPullbackThrows) {
  TrackedTensor x = param(f64({1, 2}));
  backward(sum(x));
  TrackedTensor h = x * x;
  h.hook([](const TrackedTensor&) -> TrackedTensor {
    throw std::runtime_error("from the hook");
  });
  TrackedTensor loss = sum(h) + sum(x);
  EXPECT_THROW(backward(loss), std::runtime_error);
  EXPECT_EQ(grad_of(x), (Doubles{1, 1}));
}

TEST(Backward, ASeedThatIsPassedOnIsNotSharedWithLaterUpdates) {
  TrackedTensor x = param(f64({1, 2}));
  TrackedTensor seed = f64({5, 6});
  backward(x + 0.0, seed);
  TrackedTensor g = x.grad();
  backward(x + 0.0, seed);
  EXPECT_EQ(seed.to_host<double>(), (Doubles{5, 6}));
  EXPECT_EQ(g.to_host<double>(), (Doubles{5, 6}));
  EXPECT_EQ(grad_of(x), (Doubles{10, 12}));
}

TEST(Modes, NoGradDecidesAtTheCall) {
  TrackedTensor x = param(f64({2}));
  TrackedTensor constant;
  {
    NoGrad off;
    constant = x * x;
  }
  EXPECT_FALSE(constant.is_tracked());
  TrackedTensor y = constant * x;  // 4·x, the 4 not recorded
  EXPECT_TRUE(y.is_tracked());
  backward(y);
  EXPECT_EQ(grad_of(x), (Doubles{4}));

  x.clear_grad();
  TrackedTensor recorded = x * x;
  {
    NoGrad off;
    recorded.item<double>();
  }
  EXPECT_TRUE(recorded.is_tracked());
  backward(recorded);
  EXPECT_EQ(grad_of(x), (Doubles{4}));
}

TEST(StopGradient, IsAnIdentityOfItsOwn) {
  TrackedTensor x = param(f64({3}));
  backward(x * stop_gradient(x));
  EXPECT_EQ(grad_of(x), (Doubles{3}));
  x.clear_grad();
  TrackedTensor h = x * x;
  ASSERT_TRUE(h.is_pending());
  backward(h * stop_gradient(h));
  EXPECT_EQ(grad_of(x), (Doubles{54}));
}

TEST(Hooks, SeeAndReplaceTheCotangent) {
  TrackedTensor x = param(f64({3}));
  TrackedTensor h = x * x;
  double seen = 0;
  h.hook([&](const TrackedTensor& g) {
    seen = g.item<double>();
    return -g;
  });
  backward(h * 5.0);
  EXPECT_EQ(seen, 5);
  EXPECT_EQ(grad_of(x), (Doubles{-30}));
}

TEST(Hooks, OnALeafAndOnAConstant) {
  TrackedTensor x = param(f64({3}));
  x.hook([](const TrackedTensor& g) { return g * 2.0; });
  TrackedTensor c = f64({1});
  c.hook([](const TrackedTensor&) -> TrackedTensor {
    throw std::runtime_error("never called");
  });
  backward(x * c);
  EXPECT_EQ(grad_of(x), (Doubles{2}));
}

TEST(RetainGrad, KeepsTheGradientOfAnInnerValue) {
  TrackedTensor x = param(f64({3}));
  TrackedTensor h = x * x;
  h.retain_grad();
  TrackedTensor loss = h * h;
  backward(loss);
  EXPECT_EQ(h.grad().to_host<double>(), (Doubles{18}));
  EXPECT_EQ(grad_of(x), (Doubles{108}));
}

TEST(Gradient, LeavesNoResidue) {
  TrackedTensor x = param(f64({2}));
  TrackedTensor g =
      gradient([](const TrackedTensor& v) { return v * v * v; }, x);
  EXPECT_EQ(g.to_host<double>(), (Doubles{12}));
  EXPECT_FALSE(x.grad().defined());
  EXPECT_FALSE(g.is_tracked());
}

TEST(Gradient, SeveralArgumentsAndUnusedOnes) {
  auto [a, b] = gradient(
      [](const TrackedTensor& x, const TrackedTensor& y) {
        (void)y;
        return sum(x * 2.0);
      },
      f64({1, 2}), f64({3, 4}));
  EXPECT_EQ(a.to_host<double>(), (Doubles{2, 2}));
  EXPECT_TRUE(b.is_structural_zero());
  EXPECT_EQ(b.to_host<double>(), (Doubles{0, 0}));
}

TEST(Gradient, OfACapturedCopyIsAnError) {
  TrackedTensor x = param(f64({2}));
  EXPECT_THROW(gradient([&](const TrackedTensor&) { return x * x; }, f64({1})),
               GraphError);
  EXPECT_THROW(gradient([](const TrackedTensor& v) { return v; }, f64({1, 2})),
               GraphError);
}

TEST(Gradient, UnusedArgumentsCanBeAllowed) {
  TrackedTensor x = param(f64({2}));
  auto [value, g] = withgradient(
      {.allow_unused = true}, [&](const TrackedTensor&) { return x * x; },
      f64({1, 2}));
  EXPECT_EQ(value.item<double>(), 4);
  EXPECT_TRUE(g.is_structural_zero());
  EXPECT_EQ(g.shape(), (Shape{2}));
}

TEST(Gradient, NestsToAnyDepth) {
  auto f = [](const TrackedTensor& x) { return x * x * x * x; };
  auto d1 = [&](const TrackedTensor& x) { return gradient(f, x); };
  auto d2 = [&](const TrackedTensor& x) { return gradient(d1, x); };
  auto d3 = [&](const TrackedTensor& x) { return gradient(d2, x); };
  EXPECT_EQ(gradient(d3, f64({2})).to_host<double>(), (Doubles{24}));
  EXPECT_EQ(d3(f64({2})).to_host<double>(), (Doubles{48}));
}

TEST(Gradient, LevelsAreNotConfused) {
  // d/dx (x · d/dy (x·y)) = d/dx x² = 2x
  auto inner = [](const TrackedTensor& x) {
    return x * gradient([&](const TrackedTensor& y) { return x * y; }, x);
  };
  EXPECT_EQ(gradient(inner, f64({3})).to_host<double>(), (Doubles{6}));
}

TEST(Gradient, OfAGradientInABackward) {
  TrackedTensor x = param(f64({2}));
  auto [value, g] = withgradient(
      {.create_graph = true}, [](const TrackedTensor& v) { return v * v * v; },
      x);
  EXPECT_EQ(value.item<double>(), 8);
  backward(g);
  EXPECT_EQ(grad_of(x), (Doubles{12}));
}

TEST(Gradient, OfATiedParameterIsOneTotal) {
  TrackedTensor w = param(f64({3}));
  std::vector<TrackedTensor> model{w, w};
  auto g = gradient(
      [](const std::vector<TrackedTensor>& m) { return m[0] * m[1] * m[1]; },
      model);
  EXPECT_EQ(g[0].to_host<double>(), (Doubles{27}));
  EXPECT_EQ(g[1].to_host<double>(), (Doubles{27}));
  auto [a, b] = gradient(
      [](const TrackedTensor& x, const TrackedTensor& y) { return x * y * y; },
      w, w);
  EXPECT_EQ(a.to_host<double>(), (Doubles{9}));
  EXPECT_EQ(b.to_host<double>(), (Doubles{18}));
}

TEST(Pullback, CanBeCalledAgain) {
  auto [y, back] =
      pullback([](const TrackedTensor& x) { return x * x; }, f64({1, 2}));
  EXPECT_EQ(y.to_host<double>(), (Doubles{1, 4}));
  EXPECT_EQ(back(f64({1, 0})).to_host<double>(), (Doubles{2, 0}));
  EXPECT_EQ(back(f64({0, 1})).to_host<double>(), (Doubles{0, 4}));
}

TEST(Leaf, AssignLeavesEarlierValuesAlone) {
  TrackedTensor x = param(f64({2}));
  TrackedTensor y = x * x;
  ASSERT_TRUE(y.is_pending());
  x.assign(f64({10}).data());
  EXPECT_EQ(y.item<double>(), 4);
  EXPECT_EQ((x * 1.0).item<double>(), 10);
  EXPECT_THROW(x.assign(f64({1, 2}).data()), ShapeError);
}

TEST(Leaf, AnUpdateInPlaceLeavesEarlierValuesAlone) {
  TrackedTensor x = param(f64({2, 3}));
  const void* address = x.data().data_ptr();
  TrackedTensor before = x.data();
  TrackedTensor y = x * x;
  ASSERT_TRUE(y.is_pending());
  update_in_place({{x, f64({1, 1})}}, 1,
                  [](const std::vector<TrackedTensor>& t) {
                    return std::vector<TrackedTensor>{t[0] - t[1] * 0.5};
                  });
  EXPECT_EQ(x.to_host<double>(), (Doubles{1.5, 2.5}));
  EXPECT_EQ(x.data().data_ptr(), address);
  EXPECT_EQ(before.to_host<double>(), (Doubles{2, 3}));
  EXPECT_EQ(y.to_host<double>(), (Doubles{4, 9}));
  backward(sum(y));
  EXPECT_EQ(grad_of(x), (Doubles{4, 6}));
}

TEST(Leaf, AnUpdateThatIsRefusedWritesNothing) {
  TrackedTensor x = param(f64({2}));
  TrackedTensor other = f64({1});
  auto captured = [&](const std::vector<TrackedTensor>& t) {
    return std::vector<TrackedTensor>{t[0] + other};
  };
  EXPECT_THROW(update_in_place({{x}}, 1, captured), GraphError);
  EXPECT_EQ(x.to_host<double>(), (Doubles{2}));
}

TEST(HalfTypes, GradientsHaveTheDtypeOfTheirPrimal) {
  TrackedTensor x = param(cast(tensor({1.f, 2.f}), DType::bfloat16).data());
  backward(sum(x * x));
  EXPECT_EQ(x.grad().dtype(), DType::bfloat16);
  EXPECT_EQ(x.grad().to_host<float>(), (std::vector<float>{2, 4}));
}

TEST(HalfTypes, HooksSeeTheDtypeOfTheValue) {
  TrackedTensor x = param(cast(tensor({1.f, 2.f}), DType::float16).data());
  TrackedTensor h = x * x;
  DType seen = DType::bool_;
  h.hook([&](const TrackedTensor& g) {
    seen = g.dtype();
    return g * 0.5;
  });
  backward(sum(h));
  EXPECT_EQ(seen, DType::float16);
  EXPECT_EQ(x.grad().to_host<float>(), (std::vector<float>{1, 2}));
}

TEST(Threads, BuildAndReverseTheirOwnGraphs) {
  TrackedTensor shared = materialize(f64({1, 2, 3}));
  TrackedTensor weight = param(f64({1, 1, 1}));
  std::vector<std::thread> threads;
  std::vector<Doubles> results(4);
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        TrackedTensor g = gradient(
            [&](const TrackedTensor& w) {
              return sum(tanh(w * shared) * static_cast<double>(t));
            },
            weight);
        results[static_cast<std::size_t>(t)] = g.to_host<double>();
      }
    });
  for (auto& t : threads) t.join();
  for (int t = 0; t < 4; ++t)
    for (int i = 0; i < 3; ++i) {
      const double x = i + 1, y = std::tanh(x);
      EXPECT_NEAR(
          results[static_cast<std::size_t>(t)][static_cast<std::size_t>(i)],
          t * x * (1 - y * y), 1e-12);
    }
}

TEST(Threads, ForceOnePendingValueTogether) {
  for (int round = 0; round < 50; ++round) {
    TrackedTensor x = param(f64({1, 2, 3}));
    TrackedTensor h = exp(x) * 2.0;
    TrackedTensor y = h * h + h;
    std::vector<std::thread> threads;
    std::vector<Doubles> seen(4);
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        seen[static_cast<std::size_t>(t)] =
            (t % 2 ? y : h * 1.0).to_host<double>();
      });
    for (auto& t : threads) t.join();
    EXPECT_EQ(seen[0], seen[2]);
    EXPECT_EQ(seen[1], seen[3]);
    backward(sum(y));
    const double h1 = 2 * std::exp(1.0);
    EXPECT_NEAR(grad_of(x)[0], h1 * (2 * h1 + 1), 1e-9);
  }
}

}  // namespace
}  // namespace jacquard
