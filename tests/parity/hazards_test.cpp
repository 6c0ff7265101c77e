// Where Tracker.jl, YotaTracked.jl and Zygote.jl were silently wrong, failed,
// or gave results that later calls changed.
#include <cmath>
#include <limits>
#include <stdexcept>

#include "tests/parity/parity_testing.h"

namespace jacquard::parity {
namespace {

// Tracker: x[[1, 1], :] overwrote instead of adding.
TEST(Hazards, MixedIndicesWithRepetitionsAddUp) {
  const T i = integers({1, 1});
  const T g = gradient(
      [&](const T& x) {
        return sum(index(x, {i, Slice{}}));
      },
      uniform({3, 2}, 1));
  EXPECT_EQ(host(g), (Vector{0, 0, 2, 2, 0, 0}));
}

// Tracker: NaN with zeros, and a wrong Hessian ([−2, −0.5] instead of [1, 1]).
TEST(Hazards, ProductsHaveTheRightHessianZerosOrNot) {
  for (const Vector& at : {Vector{1, 2}, Vector{0, 2}, Vector{0, 0}}) {
    const T x = f64(at, {2});
    const T g = gradient([](const T& v) { return prod(v); }, x);
    EXPECT_EQ(host(g), (Vector{at[1], at[0]}));
    const T row = gradient(
        [](const T& v) {
          return sum(gradient([](const T& u) { return prod(u); }, v));
        },
        x);
    EXPECT_EQ(host(row), (Vector{1, 1}));
  }
}

// Tracker: var took the mean for a constant.
TEST(Hazards, VarianceIsDifferentiatedThroughItsMean) {
  gradtest([](const auto& x) { return var(x[0] * x[0], 0); }, {{4, 3}});
}

// Tracker: the second derivative through dropout was wrong.
TEST(Hazards, DropoutKeepsItsMaskInEveryOrder) {
  manual_seed(3);
  const T x = uniform({50}, 1) + 1.0;
  Vector mask;
  const T g = gradient(
      [&](const T& v) {
        return sum(gradient(
            [&](const T& u) {
              const T kept = dropout(u, 0.5);
              mask = host(stop_gradient(kept / u));
              return sum(kept * kept);
            },
            v));
      },
      x);
  const Vector got = host(g);
  for (std::size_t i = 0; i < mask.size(); ++i)
    EXPECT_NEAR(got[i], 2 * mask[i] * mask[i], 1e-12);
}

// Tracker: norm(0) was √eps.
TEST(Hazards, NormOfZeroIsZeroWithGradientZero) {
  const auto [value, g] = withgradient([](const T& v) { return norm(v); },
                                       zeros({5}, {DType::float64}));
  EXPECT_EQ(value.item<double>(), 0);
  EXPECT_EQ(host(g), Vector(5, 0.0));
}

// Tracker: gradients that leaves had leaked into those of the parameters.
TEST(Hazards, WhatALeafHasDoesNotLeakIntoAGradient) {
  const T w = param(uniform({3}, 1));
  backward(sum(w * 5.0));
  const Grads gs = gradient(Params{w}, [&] { return sum(w * w); });
  EXPECT_TRUE(allclose(gs[w], 2.0 * w));
  EXPECT_EQ(host(w.grad()), Vector(3, 5.0));
}

// Tracker: an error inside back! left counts behind, and later walks stopped.
TEST(Hazards, AnErrorInsideABackwardLeavesTheGraphUsable) {
  const T w = param(uniform({3}, 1));
  const T inside = w * 2.0;
  bool throws = true;
  inside.hook([&](const T& g) -> T {
    if (throws) throw std::runtime_error("hook");
    return g;
  });
  const T loss = sum(inside * inside);
  EXPECT_THROW(backward(loss, {}, {.retain_graph = true}), std::runtime_error);
  EXPECT_FALSE(w.grad().defined());
  throws = false;
  backward(loss);
  EXPECT_TRUE(allclose(w.grad(), 8.0 * w));
}

// Tracker: memory that identity, reshape and transpose passed on was added to.
TEST(Hazards, GradientsThatShareMemoryAreNotAddedTo) {
  const auto f = [](const T& x) {
    const T a = reshape(x, {6}), b = reshape(x, {3, 2}), c = transpose(x);
    return sum(a) + sum(b * 2.0) + sum(c * 3.0) + sum(x) + sum(a * a);
  };
  const T x = uniform({2, 3}, 1);
  EXPECT_TRUE(allclose(gradient(f, x), 7.0 + 2.0 * x));
  const T w = param(x), y = w + 0.0;
  backward(sum(y) + sum(reshape(y, {6})));
  const T first = w.grad();
  backward(sum(w));
  EXPECT_EQ(host(first), Vector(6, 2.0));
  EXPECT_EQ(host(w.grad()), Vector(6, 3.0));
}

// Tracker, Zygote: captures lost their gradient in checkpoint.
TEST(Hazards, ACheckpointKeepsTheGradientOfItsCaptures) {
  const T w = param(uniform({3}, 1));
  const T x = uniform({3}, 2);
  backward(sum(checkpoint([&](const T& v) { return v * w; }, x)));
  EXPECT_TRUE(allclose(w.grad(), x));
}

// YotaTracked: the last operation was differentiated, not the result, and
// operations off the path were an error.
TEST(Hazards, TheResultIsDifferentiatedWhateverComesAfterIt) {
  const T x = f64({3}, {});
  const T g = gradient(
      [](const T& v) {
        const T result = v * v;
        const T unused = exp(result) * 100.0;
        static_cast<void>(materialize(unused));
        return result;
      },
      x);
  EXPECT_EQ(host(g), Vector{6});
}

// YotaTracked: gradients were buffers of the cached tape.
TEST(Hazards, ALaterCallDoesNotChangeAnEarlierGradient) {
  const auto f = [](const T& v) { return sum(v * v); };
  const T first = gradient(f, f64({1, 2}, {2}));
  const T second = gradient(f, f64({5, 6}, {2}));
  EXPECT_EQ(host(first), (Vector{2, 4}));
  EXPECT_EQ(host(second), (Vector{10, 12}));
}

// YotaTracked: the cache did not look at dtypes and sizes.
TEST(Hazards, TheSameFunctionTakesOtherTypesAndSizes) {
  const auto f = [](const T& v) { return sum(v * v); };
  for (const DType dtype : {DType::float32, DType::float64, DType::float16})
    for (const std::int64_t n : {1, 3, 0}) {
      const T x = ones({n}, {dtype});
      const T g = gradient(f, x);
      EXPECT_EQ(g.dtype(), dtype);
      EXPECT_EQ(host(g), Vector(static_cast<std::size_t>(n), 2.0));
    }
}

// YotaTracked: the gradient of exp on a GPU lost the cotangent.
TEST(Hazards, ExpIsMultipliedByItsCotangent) {
  const T g =
      gradient([](const T& v) { return sum(exp(v) * 3.0); }, f64({0, 0}, {2}));
  EXPECT_EQ(host(g), (Vector{3, 3}));
}

// Zygote: broadcasting with Bool arrays.
TEST(Hazards, BoolsBroadcastWithoutGradients) {
  const T x = f64({-1, 2, 3}, {3});
  const T g = gradient([](const T& v) { return sum((v > 0.0) * v * v); }, x);
  EXPECT_EQ(host(g), (Vector{0, 4, 6}));
}

// Zygote: variables that change places in a loop lost their gradient.
TEST(Hazards, VariablesMayChangePlacesInALoop) {
  const auto f = [](T a, T b) {
    for (int i = 0; i < 3; ++i) {
      std::swap(a, b);
      a = a * 2.0;
    }
    return a + 3.0 * b;
  };
  const auto [ga, gb] = gradient(f, f64({1}, {}), f64({1}, {}));
  // (a, b) → (2b, a) → (2a, 2b) → (4b, 2a): 4b + 6a.
  EXPECT_EQ(host(ga), Vector{6});
  EXPECT_EQ(host(gb), Vector{4});
}

// Zygote: a slot of a Buffer that is written again.
TEST(Hazards, WhatIsOverwrittenHasNoGradient) {
  const auto f = [](const T& x) {
    TensorBuilder b({3}, {DType::float64});
    b.write({0}, select(x, 0, 0));
    b.write({1}, select(x, 0, 1));
    const T before = b.read({0});
    b.write({0}, select(x, 0, 2) * before);
    return sum(b.freeze());
  };
  const T g = gradient(f, f64({2, 3, 5}, {3}));
  EXPECT_EQ(host(g), (Vector{5, 1, 2}));
}

// Zygote: pulling back again changed the Grads that were already given out.
TEST(Hazards, GradsAreNotChangedByTheNextPullback) {
  const T w = param(f64({1, 2}, {2}));
  const auto [y, pull] = pullback(Params{w}, [&] { return sum(w * w); });
  const Grads first = pull();
  const Grads second = pull(f64({10}, {}));
  EXPECT_EQ(host(first[w]), (Vector{2, 4}));
  EXPECT_EQ(host(second[w]), (Vector{20, 40}));
}

// Zygote: a gradient that is not implemented became nothing.
TEST(Hazards, AGradientThatIsNotImplementedIsAnError) {
  const auto f = custom_vjp([](const T& x) { return x * x; },
                            [](const T&, const T&, const T&) -> T {
                              throw GraphError("not implemented");
                            },
                            {.name = "half_done"});
  EXPECT_THROW(gradient([&](const T& x) { return sum(f(x)); }, uniform({2}, 1)),
               GraphError);
}

// Zygote: the ∞-norm gave all to the last of equals, maximum to the first.
TEST(Hazards, TheInfinityNormSharesAmongTiesLikeMax) {
  const T x = f64({-3, 1, 3}, {3});
  const auto largest = [](const T& v) {
    return norm(v, {}, false, std::numeric_limits<double>::infinity());
  };
  EXPECT_EQ(host(gradient(largest, x)), (Vector{-0.5, 0, 0.5}));
  EXPECT_EQ(host(gradient([](const T& v) { return max(abs(v)); }, x)),
            (Vector{-0.5, 0, 0.5}));
}

// All: NaN from 0·∞ where the cotangent is zero.
TEST(Hazards, AZeroCotangentTimesAnInfiniteSlopeIsZero) {
  const auto f = [](const T& v) {
    return sum(sqrt(v) * 0.0) + sum(log(v) * 0.0) +
           sum(where(v > 0.0, pow(v, 0.5), 0.0));
  };
  EXPECT_EQ(host(gradient(f, f64({0, 4}, {2}))), (Vector{0, 0.25}));
}

}  // namespace
}  // namespace jacquard::parity
