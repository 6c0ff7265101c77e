// jvp and pushforward: values against formulas and finite differences, nesting
// with gradient, what the errors say, what a push costs.
#include "jacquard/jvp.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "tests/core/transforms/arrays.h"

namespace jacquard {
namespace {

// The derivative of f along v, by central differences.
template <class F>
TrackedTensor numeric(F&& f, const TrackedTensor& x, const TrackedTensor& v) {
  const double h = 1e-6;
  return (f(x + v * h) - f(x - v * h)) / (2 * h);
}

template <class F>
void expect_right(F&& f, const TrackedTensor& x) {
  manual_seed(7);
  const TrackedTensor v = materialize(randn(x.shape(), kDouble));
  const auto [y, t] = jvp(f, x, v);
  expect_near(y, f(x));
  EXPECT_EQ(t.dtype(), y.dtype());
  EXPECT_FALSE(t.is_tracked());
  expect_near(t, numeric(f, x, v), 1e-6);
}

TEST(Jvp, OfAFusedRegion) {
  expect_right([](const TrackedTensor& x) { return sin(x) * exp(x * 0.5) + x; },
               sample({5}));
}

TEST(Jvp, ThroughBroadcastsAndReductions) {
  const TrackedTensor w = sample({4});
  expect_right([&](const TrackedTensor& x) { return sum(tanh(x * w) / w, 1); },
               sample({3, 4}));
  expect_right(
      [&](const TrackedTensor& x) {
        return mean(x * sample({3, 4}), 0);
      },
      sample({4}));
  expect_right([](const TrackedTensor& x) { return sum(x * 2.0 + 1.0); },
               sample({}));
}

TEST(Jvp, OfMatrixProducts) {
  const TrackedTensor a = sample({3, 4});
  expect_right([&](const TrackedTensor& x) { return matmul(a, x); },
               sample({4, 2}));
  expect_right([&](const TrackedTensor& x) { return matmul(x, transpose(x)); },
               sample({2, 3, 4}));
  expect_right([&](const TrackedTensor& x) { return matmul(a, x); },
               sample({4}));
}

TEST(Jvp, OfShapesAndIndices) {
  const TrackedTensor index = tensor({2, 0, 2});
  expect_right(
      [&](const TrackedTensor& x) {
        const TrackedTensor y = index_select(transpose(x), 0, index);
        return cat({flip(y, 1), slice(y, 1, {.start = 0, .stop = 1})}, 1) *
               unsqueeze(select(x, 0, 1), 1);
      },
      sample({2, 3}));
  expect_right(
      [&](const TrackedTensor& x) {
        return slice_put(x, {{.start = 1, .stop = 3}}, sum(x)) +
               pad(x, {{0, 0}}, 1.0);
      },
      sample({4}));
}

TEST(Jvp, OfRowOperationsAndExtrema) {
  expect_right([](const TrackedTensor& x) { return softmax(x, 0) * x; },
               sample({3, 4}));
  expect_right([](const TrackedTensor& x) { return layer_norm(x, {}, {}); },
               sample({2, 5}));
  expect_right(
      [](const TrackedTensor& x) {
        return cross_entropy(x, tensor({1, 0, 3}));
      },
      sample({3, 4}));
  expect_right([](const TrackedTensor& x) { return max(x, 1) * prod(x, 1); },
               sample({3, 4}));
}

TEST(Jvp, OfSeveralArgumentsLeavesOutWhatHasNoTangent) {
  const TrackedTensor a = tensor({1.0, 2.0}), b = tensor({3.0, 5.0});
  const TrackedTensor one = tensor({1.0, 1.0});
  auto f = [](const TrackedTensor& x, const TrackedTensor& y) { return x * y; };
  expect_near(jvp(f, std::tuple(a, b), std::tuple(one, one)).tangent, a + b);
  expect_near(
      jvp(f, std::tuple(a, b), std::tuple(one, TrackedTensor())).tangent, b);
  auto none =
      jvp(f, std::tuple(a, b), std::tuple(TrackedTensor(), TrackedTensor()));
  EXPECT_TRUE(none.tangent.is_structural_zero());
  EXPECT_EQ(none.tangent.shape(), Shape({2}));
}

TEST(Jvp, KeepsTheStructureOfArgumentAndResult) {
  struct Model {
    TrackedTensor w;
    Values b;
    int steps = 1;
  };
  const Model m{tensor({2.0, 3.0}), {tensor({1.0, 1.0}), tensor({1, 2})}, 4};
  const Model v{tensor({1.0, 0.0}), {tensor({0.0, 1.0}), {}}, 0};
  const auto [y, t] = jvp(
      [](const Model& p) {
        return std::pair(p.w * p.b[0],
                         Values{sum(p.w), p.b[1], stop_gradient(p.w)});
      },
      m, v);
  expect_near(y.first, tensor({2.0, 3.0}));
  expect_near(t.first, tensor({1.0, 3.0}));
  expect_near(t.second[0], scalar(1, kDouble));
  EXPECT_FALSE(t.second[1].defined());
  EXPECT_TRUE(t.second[2].is_structural_zero());
}

TEST(Jvp, ChecksShapesAndDtypesOfTangents) {
  struct Model {
    TrackedTensor w;
  };
  auto f = [](const Model& m) { return sum(m.w); };
  const Model m{tensor({1.0, 2.0})};
  try {
    jvp(f, m, Model{tensor({1.0})});
    FAIL() << "a tangent of another shape was taken";
  } catch (const GraphError& e) {
    const std::string text = e.what();
    EXPECT_NE(text.find("\"w\""), std::string::npos) << text;
    EXPECT_NE(text.find("[1]"), std::string::npos) << text;
    EXPECT_NE(text.find("[2]"), std::string::npos) << text;
  }
  EXPECT_THROW(jvp(f, m, Model{tensor({1, 2})}), GraphError);
  auto g = [](const Values& x) { return x[0]; };
  EXPECT_THROW(jvp(g, Values{tensor({1.0})}, Values{}), ShapeError);
}

TEST(Jvp, OfHalfTypesHasTheirDtype) {
  const TrackedTensor x = cast(tensor({0.5, 1.5}), DType::float16);
  const auto [y, t] =
      jvp([](const TrackedTensor& a) { return matmul(exp(a), a) + sum(a); }, x,
          tensor({1.0, -1.0}));
  EXPECT_EQ(t.dtype(), DType::float16);
  const double due = std::exp(0.5) * 1.5 - std::exp(1.5) * 2.5;
  EXPECT_NEAR(t.item<double>(), due, 2e-2);
}

TEST(Jvp, DoesNotConfusePerturbations) {
  auto d = [](auto&& f, const TrackedTensor& x) {
    return jvp(f, x, ones_like(x)).tangent;
  };
  // D(x ↦ x · D(y ↦ x + y)) is 1, not 2.
  const auto outer = d(
      [&](const TrackedTensor& x) {
        return x * d([&](const TrackedTensor& y) { return x + y; },
                     scalar(1, kDouble));
      },
      scalar(1, kDouble));
  EXPECT_EQ(outer.item<double>(), 1);
  const auto product = d(
      [&](const TrackedTensor& x) {
        return x * d([&](const TrackedTensor& y) { return x * y; },
                     scalar(5, kDouble));
      },
      scalar(3, kDouble));
  EXPECT_EQ(product.item<double>(), 6);
}

TEST(Jvp, NestsInItself) {
  const TrackedTensor x = scalar(0.7, kDouble);
  auto d = [](auto f) {
    return
        [f](const TrackedTensor& a) { return jvp(f, a, ones_like(a)).tangent; };
  };
  auto f = [](const TrackedTensor& a) { return sin(a) * a; };
  expect_near(d(d(f))(x), 2.0 * cos(x) - sin(x) * x);
  expect_near(d(d(d(f)))(x), -3.0 * sin(x) - cos(x) * x);
}

TEST(Jvp, OfAGradientIsTheGradientOfAJvp) {
  const TrackedTensor w = sample({3, 3}), x = sample({3}),
                      v = tensor({1.0, -2.0, 0.5});
  auto f = [&](const TrackedTensor& a) {
    return sum(square(tanh(matmul(w, a)))) + logsumexp(a) + prod(a);
  };
  const auto forward_over_reverse =
      jvp([&](const TrackedTensor& a) { return gradient(f, a); }, x, v).tangent;
  const auto reverse_over_forward =
      gradient([&](const TrackedTensor& a) { return jvp(f, a, v).tangent; }, x);
  const auto reverse_over_reverse = gradient(
      [&](const TrackedTensor& a) { return sum(gradient(f, a) * v); }, x);
  expect_near(forward_over_reverse, reverse_over_reverse);
  expect_near(reverse_over_forward, reverse_over_reverse);
}

TEST(Jvp, IsRecordedOnlyInsideATransform) {
  const TrackedTensor w = param(tensor({1.0, 2.0}));
  const auto [y, t] = jvp([&](const TrackedTensor& x) { return x * w; },
                          tensor({3.0, 4.0}), tensor({1.0, 1.0}));
  EXPECT_FALSE(y.is_tracked());
  EXPECT_FALSE(t.is_tracked());
  // By the tangent, too.
  const auto g = gradient(
      [&](const TrackedTensor& v) {
        return sum(jvp([&](const TrackedTensor& x) { return x * x; },
                       tensor({3.0, 4.0}), v)
                       .tangent);
      },
      tensor({1.0, 1.0}));
  expect_near(g, tensor({6.0, 8.0}));
}

TEST(Jvp, StrongZerosHoldForwardAsWell) {
  const auto t = jvp([](const TrackedTensor& x) { return sqrt(x); },
                     tensor({0.0, 4.0}), tensor({0.0, 1.0}))
                     .tangent.to_host<double>();
  EXPECT_EQ(t[0], 0);
  EXPECT_EQ(t[1], 0.25);
}

TEST(Jvp, ReadsAParameterInTwoPlacesAsTwo) {
  const TrackedTensor w = param(scalar(3, kDouble));
  const auto t = jvp([](const Values& v) { return v[0] * v[1]; }, Values{w, w},
                     Values{scalar(1, kDouble), scalar(10, kDouble)})
                     .tangent;
  EXPECT_EQ(t.item<double>(), 33);
}

TEST(Jvp, LeavesGradientsAndHooksAlone) {
  const TrackedTensor w = param(tensor({1.0, 2.0}));
  int calls = 0;
  w.hook([&](const TrackedTensor& g) {
    ++calls;
    return g;
  });
  jvp(
      [&](const TrackedTensor& x) {
        TrackedTensor y = x * w;
        y.hook([&](const TrackedTensor& g) {
          ++calls;
          return g;
        });
        return y;
      },
      w, tensor({1.0, 1.0}));
  EXPECT_EQ(calls, 0);
  EXPECT_FALSE(w.grad().defined());
}

// Operations without a forward rule, of one value and of several.
TEST(Jvp, GoesThroughACheckpoint) {
  const TrackedTensor w = sample({3});
  expect_right(
      [&](const TrackedTensor& x) {
        return checkpoint(
            [&](const TrackedTensor& a) { return sin(a) * w + sum(a * a); }, x);
      },
      sample({3}));
  expect_right(
      [&](const TrackedTensor& x) {
        const auto [a, b] = checkpoint(
            [&](const TrackedTensor& c) { return std::pair(sin(c), c * w); },
            x);
        return a * b + b;
      },
      sample({3}));
}

TEST(Jvp, GoesThroughAUsersRule) {
  const auto cube =
      custom_vjp([](const TrackedTensor& x) { return x * x * x; },
                 [](const TrackedTensor& x, const TrackedTensor&,
                    const TrackedTensor& dy) { return dy * 3.0 * x * x; });
  expect_right([&](const TrackedTensor& x) { return cube(sin(x)) * x; },
               sample({4}));
}

TEST(Jvp, OfScans) {
  const TrackedTensor a = sample({3, 4});
  expect_right([](const TrackedTensor& x) { return cumprod(cumsum(x, 0), 1); },
               sample({3, 4}));
  expect_right(
      [&](const TrackedTensor& x) { return linear_recurrence(x * a, x, 1); },
      sample({3, 4}));
}

// One launch for a fused region, whatever the number of its tangents.
TEST(Jvp, PushesARegionInOneLaunch) {
  const TrackedTensor x = sample({6}), y = sample({6}, 2);
  const TrackedTensor one = materialize(ones({6}, kDouble));
  auto push = pushforward(
      [](const TrackedTensor& a, const TrackedTensor& b) {
        return sin(a * b) + exp(a) * b;
      },
      x, y);
  LaunchLog log;
  materialize(push(one, one));
  EXPECT_EQ(log.launches(), 1u) << log.to_string();
}

// A compiled product with a Hessian is that of the uncompiled function.
TEST(Jvp, CanBeCompiled) {
  auto product = [](const TrackedTensor& x, const TrackedTensor& v) {
    return hvp([](const TrackedTensor& a) { return sum(tanh(a * a) * a); }, x,
               v);
  };
  auto compiled = compile(product);
  for (int i = 0; i < 5; ++i) {
    const TrackedTensor x = sample({4}, 10 + static_cast<std::uint64_t>(i));
    const TrackedTensor v = sample({4}, 20 + static_cast<std::uint64_t>(i));
    EXPECT_EQ(compiled(x, v).to_host<double>(),
              product(x, v).to_host<double>());
  }
}

TEST(Pushforward, CanBeCalledAgain) {
  auto push = pushforward([](const TrackedTensor& x,
                             const TrackedTensor& y) { return matmul(x, y); },
                          tensor({{1.0, 2.0}}), tensor({{3.0}, {4.0}}));
  EXPECT_EQ(push.value().item<double>(), 11);
  EXPECT_EQ(push(tensor({{1.0, 0.0}}), {}).item<double>(), 3);
  EXPECT_EQ(push({}, tensor({{0.0}, {1.0}})).item<double>(), 2);
  EXPECT_EQ(push(tensor({{1.0, 0.0}}), tensor({{0.0}, {1.0}})).item<double>(),
            5);
}

// Zygote's forward.jl.
TEST(Pushforward, OfCompositionsLoopsAndClosures) {
  const TrackedTensor x = scalar(0.5, kDouble), one = scalar(1, kDouble);
  EXPECT_NEAR(
      pushforward([](const TrackedTensor& a) { return sin(cos(a)); }, x)(one)
          .item<double>(),
      -std::sin(0.5) * std::cos(std::cos(0.5)), 1e-12);
  auto power = [](const TrackedTensor& a, int n) {
    TrackedTensor r = ones_like(a);
    for (int i = 0; i < n; ++i) r = r * a;
    return r;
  };
  EXPECT_NEAR(pushforward([&](const TrackedTensor& a) { return power(a, 3); },
                          scalar(2, kDouble))(one)
                  .item<double>(),
              12, 1e-12);
  // A captured variable that the function assigns.
  EXPECT_NEAR(pushforward(
                  [](const TrackedTensor& a) {
                    TrackedTensor kept;
                    auto set = [&](const TrackedTensor& v) { kept = v * v; };
                    set(a);
                    return kept;
                  },
                  scalar(5, kDouble))(one)
                  .item<double>(),
              10, 1e-12);
}

}  // namespace
}  // namespace jacquard
