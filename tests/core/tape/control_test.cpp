// What is recorded, hooks, and the semantics of backward around them.
#include "jacquard/control.h"

#include <gtest/gtest.h>

#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "jacquard/jacquard.h"

namespace jacquard {
namespace {

using Doubles = std::vector<double>;
using Values = std::vector<TrackedTensor>;

TrackedTensor f64(std::initializer_list<double> v) { return tensor(v); }
Doubles host(const TrackedTensor& t) { return t.to_host<double>(); }
TrackedTensor negated(const TrackedTensor& g) { return -g; }

TEST(Hook, AsAFunctionFlipsTheSign) {
  const auto f = [](const TrackedTensor& x) { return sum(hook(negated, x)); };
  EXPECT_EQ(host(gradient(f, f64({1, 2}))), (Doubles{-1, -1}));
}

TEST(Hook, AsAFunctionSeesOnlyWhatFlowsThroughIt) {
  const TrackedTensor x = param(f64({2}));
  backward(hook(negated, x) * 3.0 + x * 10.0);
  EXPECT_EQ(host(x.grad()), (Doubles{7}));
}

TEST(Hook, ThatReturnsNothingLeavesTheGradient) {
  Doubles seen;
  const TrackedTensor x = param(f64({1, 2}));
  backward(sum(hook(
                   [&](const TrackedTensor& g) {
                     seen = host(g);
                     return TrackedTensor();
                   },
                   x * x) *
               3.0));
  EXPECT_EQ(seen, (Doubles{3, 3}));
  EXPECT_EQ(host(x.grad()), (Doubles{6, 12}));
}

TEST(Hook, DropsTheGradientByAStructuralZero) {
  const TrackedTensor x = param(f64({2})), w = param(f64({5}));
  backward(hook([](auto& g) { return structural_zero(g); }, x) * w);
  EXPECT_FALSE(x.grad().defined());
  EXPECT_EQ(host(w.grad()), (Doubles{2}));

  const TrackedTensor y = x * x;
  int later = 0;
  y.hook([](auto& g) { return structural_zero(g); });
  y.hook([&](auto&) {
    ++later;
    return TrackedTensor();
  });
  backward(y * w);
  EXPECT_FALSE(x.grad().defined());
  EXPECT_EQ(later, 0);
  const auto f = [](auto& a) {
    return sum(hook([](auto& g) { return structural_zero(g); }, a) * 2.0);
  };
  EXPECT_TRUE(gradient(f, f64({1, 2})).is_structural_zero());
}

TEST(Hook, OfAConstantIsTheConstant) {
  const TrackedTensor c = f64({1});
  int calls = 0;
  const Hook f = [&](const TrackedTensor& g) {
    ++calls;
    return g;
  };
  EXPECT_EQ(hook(f, c).value(), c.value());
  const TrackedTensor x = param(f64({1}));
  EXPECT_EQ(no_grad([&] { return hook(f, x); }).value(), x.value());
  backward(hook(f, c) * x);
  EXPECT_EQ(calls, 0);
}

TEST(Hook, IsDifferentiatedInARecordedWalk) {
  // The gradient that flows on is the cube of what came: (2x)³.
  const auto f = [](const TrackedTensor& x) {
    return hook([](const TrackedTensor& g) { return g * g * g; }, x) *
           stop_gradient(x) * 2.0;
  };
  const auto first = [&](const TrackedTensor& x) { return gradient(f, x); };
  EXPECT_EQ(host(first(f64({2}))), (Doubles{64}));
  const auto with = [](const TrackedTensor& x) {
    return hook([](const TrackedTensor& g) { return g * g; }, x) * x;
  };
  // d/dx of (x² + x) along both paths.
  EXPECT_EQ(
      host(gradient([&](auto& x) { return gradient(with, x); }, f64({3}))),
      (Doubles{7}));
}

TEST(Hook, ChecksWhatComesBack) {
  const TrackedTensor x = param(f64({1, 2}));
  EXPECT_THROW(backward(sum(hook(
                   [](auto&) {
                     return f64({1, 2, 3});
                   },
                   x))),
               GraphError);
  EXPECT_FALSE(x.grad().defined());
}

TEST(Hook, SeesTheDtypeOfTheValue) {
  const TrackedTensor x = param(cast(f64({1, 2}), DType::float16).data());
  DType seen = DType::float64;
  backward(sum(hook(
      [&](const TrackedTensor& g) {
        seen = g.dtype();
        return g * 2.0;
      },
      x)));
  EXPECT_EQ(seen, DType::float16);
  EXPECT_EQ(host(x.grad()), (Doubles{2, 2}));
}

TEST(Hook, HandsOnMemoryThatNobodyAddsTo) {
  const TrackedTensor x = param(f64({1, 2}));
  Values kept;
  const Hook keep = [&](const TrackedTensor& g) {
    kept.push_back(materialize(g));
    return g;
  };
  const TrackedTensor h = hook(keep, x);
  backward(sum(reshape(h, {2, 1}) * 2.0) + sum(h * h) + sum(h));
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(host(kept[0]), (Doubles{5, 7}));
  EXPECT_EQ(host(x.grad()), (Doubles{5, 7}));
  backward(sum(x));
  EXPECT_EQ(host(kept[0]), (Doubles{5, 7}));
}

TEST(ShowGrad, PrintsTheGradientAndPassesItOn) {
  std::ostringstream out;
  const auto f = [&](const TrackedTensor& x) {
    return sum(show_grad(x, "x", out) * 3.0);
  };
  EXPECT_EQ(host(gradient(f, f64({1, 2}))), (Doubles{3, 3}));
  EXPECT_EQ(out.str(), "∂x = " + to_string(f64({3, 3}).data()) + "\n");
}

TEST(IsRecording, IsTrueInsideTransforms) {
  EXPECT_FALSE(is_recording());
  std::vector<bool> seen;
  const auto f = [&](const TrackedTensor& x) {
    seen.push_back(is_recording());
    seen.push_back(no_grad([] { return is_recording(); }));
    return x * x;
  };
  gradient(f, f64({1}));
  EXPECT_EQ(seen, (std::vector<bool>{true, false}));
  f(f64({1}));
  EXPECT_EQ(seen, (std::vector<bool>{true, false, false, false}));
  EXPECT_FALSE(is_recording());
}

TEST(IsRecording, OfAValueAsksWhetherItIsTracked) {
  const TrackedTensor x = param(f64({1})), c = f64({1});
  EXPECT_TRUE(is_recording(x));
  EXPECT_FALSE(is_recording(c));
  EXPECT_FALSE(no_grad([&] { return is_recording(x); }));
  EXPECT_FALSE(is_recording(TrackedTensor()));
}

TEST(NoGradCall, ReturnsWhatTheFunctionReturns) {
  const TrackedTensor x = param(f64({2}));
  const auto [y, n] = no_grad([&] { return std::pair(x * x, 3); });
  EXPECT_FALSE(y.is_tracked());
  EXPECT_EQ(n, 3);
  EXPECT_TRUE(no_grad([&] { return x; }).is_tracked());
  EXPECT_TRUE(no_grad([] { return param(f64({1})); }).is_leaf());
  int calls = 0;
  no_grad([&] { ++calls; });
  EXPECT_EQ(calls, 1);
  EXPECT_THROW(no_grad([]() -> int { throw std::runtime_error("no"); }),
               std::runtime_error);
  EXPECT_TRUE(is_grad_enabled());
}

struct Layer {
  TrackedTensor weight, bias;
  int size = 0;
};

TEST(Dropgrad, IsStopGradientOfValuesAndStructures) {
  const TrackedTensor x = param(f64({3}));
  backward(x * dropgrad(x));
  EXPECT_EQ(host(x.grad()), (Doubles{3}));
  const Layer still = dropgrad(Layer{x, {}, 4});
  EXPECT_FALSE(still.weight.is_tracked());
  EXPECT_FALSE(still.bias.defined());
  EXPECT_EQ(still.size, 4);
  EXPECT_FALSE(dropgrad(x * x).is_tracked());
  // Opaque: the function is x², not 0.
  const auto f = [](const TrackedTensor& a) { return a * dropgrad(a); };
  EXPECT_EQ(host(gradient(f, f64({3}))), (Doubles{3}));
}

TEST(Ignore, LetsNothingFlowThroughTheResult) {
  const TrackedTensor x = param(f64({3}));
  EXPECT_FALSE(ignore([&] { return x; }).is_tracked());
  backward(x * ignore([&] { return x * x; }));
  EXPECT_EQ(host(x.grad()), (Doubles{9}));
  const auto [a, b] = ignore([&] { return std::pair(x, 1); });
  EXPECT_FALSE(a.is_tracked());
  EXPECT_EQ(b, 1);
}

TEST(Backward, LeavesGradientsAsTheyWereWhenAPullbackThrows) {
  const TrackedTensor x = param(f64({1})), w = param(f64({2}));
  backward(x * w);
  const TrackedTensor broken = hook(
      [](const TrackedTensor&) -> TrackedTensor {
        throw std::runtime_error("no");
      },
      x);
  EXPECT_THROW(backward(broken * w), std::runtime_error);
  EXPECT_EQ(host(x.grad()), (Doubles{2}));
  EXPECT_EQ(host(w.grad()), (Doubles{1}));
  EXPECT_TRUE(is_grad_enabled());
  backward(x * w);
  EXPECT_EQ(host(x.grad()), (Doubles{4}));
}

TEST(Backward, ChecksTheLossIfTold) {
  const TrackedTensor x = param(f64({-1}));
  for (const bool is_nan : {true, false}) {
    const TrackedTensor loss = is_nan ? log(x) : 1.0 / (x + 1.0);
    try {
      backward(loss, {}, {.check_loss = true});
      FAIL();
    } catch (const NumericError& e) {
      const std::string what = e.what();
      EXPECT_NE(what.find(is_nan ? "NaN" : "Inf"), std::string::npos) << what;
      EXPECT_NE(what.find("control_test.cpp"), std::string::npos) << what;
    }
    EXPECT_FALSE(x.grad().defined());
    backward(loss);  // nothing was given up
    x.clear_grad();
  }
  LaunchLog log;
  backward(x * x);
  EXPECT_EQ(log.host_reads(), 0u);
  backward(x * x, {}, {.check_loss = true});
  EXPECT_EQ(log.host_reads(), 1u);
}

}  // namespace
}  // namespace jacquard
