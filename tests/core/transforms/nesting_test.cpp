// Transforms inside transforms: derivative(), levels that must not be confused,
// and what the host language does between.
#include <cmath>
#include <stdexcept>
#include <thread>

#include "jacquard/memory.h"
#include "tests/core/transforms/models.h"

namespace jacquard {
namespace {

using namespace testing_models;
using T = TrackedTensor;

double number(const T& t) { return t.item<double>(); }

TEST(Derivative, IsAFunctionThatNests) {
  const auto f = [](const T& x) { return sin(x); };
  EXPECT_DOUBLE_EQ(number(derivative(f)(0.3)), std::cos(0.3));
  EXPECT_DOUBLE_EQ(number(derivative(derivative(f))(0.3)), -std::sin(0.3));
  EXPECT_DOUBLE_EQ(number(derivative(derivative(derivative(f)))(0.3)),
                   -std::cos(0.3));
  EXPECT_DOUBLE_EQ(
      number(derivative(derivative(derivative(derivative(f))))(0.3)),
      std::sin(0.3));
}

TEST(Derivative, TakesTensorsIntegersAndFloats) {
  const auto f = derivative([](const T& x) { return x * x * x; });
  EXPECT_EQ(number(f(2)), 12);
  EXPECT_EQ(number(f(f64({2}))), 12);
  EXPECT_EQ(f(2.0F).dtype(), DType::float32);
  EXPECT_EQ(f(2.0F).item<float>(), 12);
  EXPECT_FALSE(f(2).is_tracked());
}

TEST(Derivative, OfAConstantIsZero) {
  EXPECT_EQ(number(derivative([](const T&) { return 5.0; })(1.0)), 0);
  const auto square = [](const T& x) { return x * x; };
  EXPECT_EQ(number(derivative(derivative(derivative(square)))(3.0)), 0);
  const auto line = [](const T& x) { return x * 2.0; };
  EXPECT_EQ(number(derivative(derivative(line))(3.0)), 0);
}

TEST(Nesting, DoesNotConfusePerturbations) {
  // d/dx x·(d/dy x·y) = 2x, and d/dx x·(d/dy (x + y)) = 1.
  const auto product = derivative([](const T& x) {
    return x * derivative([&](const T& y) { return x * y; })(1.0);
  });
  EXPECT_EQ(number(product(4.0)), 8);
  const auto total = derivative([](const T& x) {
    return x * derivative([&](const T& y) { return x + y; })(1.0);
  });
  EXPECT_EQ(number(total(1.0)), 1);
  // The same point at both levels.
  const auto same = derivative([](const T& x) {
    return x * derivative([&](const T& y) { return x * y * y; })(x);
  });
  EXPECT_EQ(number(same(3.0)), 54);  // x·2x² = 2x³ → 6x²
}

TEST(Nesting, GoesThreeDeepWithEachVariableInEachLevel) {
  // d/dz xyz² = 2xyz, at z = y: 2xy². d/dy y·2xy² = 6xy², at y = x: 6x³.
  // d/dx x·6x³ = 24x³.
  const auto f = derivative([](const T& x) {
    return x * derivative([&](const T& y) {
             return y *
                    derivative([&](const T& z) { return x * y * z * z; })(y);
           })(x);
  });
  EXPECT_EQ(number(f(2.0)), 192);
  EXPECT_EQ(number(derivative(f)(2.0)), 288);
}

TEST(Nesting, AnOuterVariableIsAConstantInside) {
  const T g = gradient(
      [](const T& x) {
        const auto [value, slope] =
            withgradient([&](const T& y) { return sum(x * y * y); }, f64({3}));
        EXPECT_TRUE(value.is_tracked());
        return value * slope;  // 9x · 6x
      },
      f64({2}));
  EXPECT_EQ(values(g), (Doubles{216}));
}

TEST(Nesting, AStopInsideStopsOneOccurrenceAtAllLevels) {
  const auto f = derivative([](const T& x) {
    return derivative([&](const T& y) { return stop_gradient(x) * y * y * x; })(
        x);
  });
  EXPECT_EQ(number(f(3.0)), 36);  // 2cx² with c = 3 fixed: 4cx
}

TEST(Nesting, AGradientPenaltyOfAModelMatchesFiniteDifferences) {
  const Model m = small_model();
  const T x = randn({3, 2}, {DType::float64});
  const auto penalty = [&](const Model& in) {
    return sum(square(gradient([&](const T& t) { return sum(in(t)); }, x)));
  };
  const T analytic = flatten(gradient({.allow_unused = true}, penalty, m));
  const T at = flatten(m).data();
  const Tensor numeric = ngradient(
      [&](const std::vector<T>& v) { return penalty(unflatten(m, v[0])); },
      {at}, scalar(1, {DType::float64}))[0];
  const Doubles expected = T(numeric).to_host<double>();
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(values(analytic)[i], expected[i], 1e-6) << i;
}

TEST(Nesting, SecondOrderOfAModelThroughItsVector) {
  const Model m = small_model();
  const T x = randn({3, 2}, {DType::float64});
  const auto result = gradgradcheck(
      [&](const std::vector<T>& v) { return unflatten(m, v[0])(x); },
      {flatten(m).data()});
  EXPECT_TRUE(result) << result.message;
}

TEST(Nesting, AfterAnExceptionTheThreadIsAsBefore) {
  EXPECT_THROW(
      gradient(
          [](const T& x) {
            gradient([](const T&) -> T { throw std::runtime_error("user"); },
                     x);
            return x;
          },
          1.0),
      std::runtime_error);
  EXPECT_TRUE(is_grad_enabled());
  // No level is open: results are constants.
  EXPECT_FALSE(derivative([](const T& x) { return x * x; })(1.0).is_tracked());
  NoGrad off;
  EXPECT_THROW(gradient(
                   [](const T& x) {
                     return x * f64({1, 2});
                   },
                   1.0),
               GraphError);
  EXPECT_FALSE(is_grad_enabled());
}

TEST(Nesting, UnderNoGradItIsStillAGradientButNotRecorded) {
  const T x = param(f64({3}));
  NoGrad off;
  const T g = gradient(
      {.create_graph = true}, [](const T& t) { return t * t; }, x);
  EXPECT_EQ(values(g), (Doubles{6}));
  EXPECT_FALSE(g.is_tracked());
}

// What the host language does between the operations.

T power(const T& x, int n) { return n == 0 ? x / x : x * power(x, n - 1); }

TEST(HostLanguage, RecursionLoopsAndBranches) {
  EXPECT_EQ(number(derivative([](const T& x) { return power(x, 3); })(2.0)),
            12);
  const auto loop = [](const T& x) {
    T r = x / x;
    int n = 4;
    while (n > 0) {
      --n;
      r = r * x;
    }
    return r;
  };
  EXPECT_EQ(number(derivative(loop)(2.0)), 32);
  const auto branch = [](const T& x) {
    return x.item<double>() > 0 ? x * 3.0 : x * x;
  };
  EXPECT_EQ(number(derivative(branch)(5.0)), 3);
  EXPECT_EQ(number(derivative(branch)(-5.0)), -10);
}

TEST(HostLanguage, VariablesThatSwapInALoop) {
  const auto f = [](T a) {
    T b = a * 2.0, c = a * 3.0;
    for (int i = 0; i < 3; ++i) {
      T before = a;
      a = b;
      b = c;
      c = before * b;
    }
    return a + b + c;
  };
  // a, b, c = b₀, …: three rotations by hand.
  const auto by_hand = [](const T& a0) {
    const T b0 = a0 * 2.0, c0 = a0 * 3.0;
    const T c1 = a0 * c0, c2 = b0 * c1, c3 = c0 * c2;
    return c1 + c2 + c3;
  };
  EXPECT_EQ(number(derivative(f)(1.5)), number(derivative(by_hand)(1.5)));
}

TEST(HostLanguage, ClosuresCaptureWhatIsDifferentiated) {
  const auto f = [](const T& a, const T& x) {
    const auto scaled = [a](const T& t) { return a * t; };
    const auto twice = [&](const auto& g, const T& t) { return g(g(t)); };
    return sum(twice(scaled, x));
  };
  const auto [a, x] = gradient(f, 3.0, f64({1, 2}));
  EXPECT_EQ(number(a), 18);
  EXPECT_EQ(values(x), (Doubles{9, 9}));
}

TEST(HostLanguage, ADenseNetAddsEachValueOnce) {
  const auto net = [](const T& x) {
    std::vector<T> all{x, x};
    for (int i = 0; i < 17; ++i) {
      T total = all[0];
      for (std::size_t k = 1; k < all.size(); ++k) total = total + all[k];
      all.push_back(total);
    }
    return sum(all.back());
  };
  const T g = gradient(net, ones({10, 10}, {DType::float64}));
  for (double v : values(g)) EXPECT_EQ(v, 131072);
}

TEST(HostLanguage, ADenseNetNeedsFewerArraysThanItHasValues) {
  const auto net = [](const T& x) {
    std::vector<T> all{x};
    for (int i = 0; i < 18; ++i) {
      T total = all[0];
      for (std::size_t k = 1; k < all.size(); ++k) total = total + all[k];
      all.push_back(total);
    }
    return sum(all.back());
  };
  const T x = materialize(ones({64, 64}, {DType::float64}));
  gradient(net, x);
  const Device device = default_device();
  const std::size_t before = memory_stats(device).in_use;
  reset_peak_memory(device);
  const T g = gradient(net, x);
  EXPECT_LT(memory_stats(device).peak - before, 19 * 64 * 64 * sizeof(double));
}

TEST(HostLanguage, ExceptionsThatTheFunctionCatches) {
  const auto f = [](const T& x) {
    try {
      return matmul(x, tensor({{1.0}, {2.0}}));
    } catch (const ShapeError&) {
      return sum(x * x);
    }
  };
  EXPECT_EQ(values(gradient(f, f64({1, 2, 3}))), (Doubles{2, 4, 6}));
  const auto nested = [&](const T& x) {
    try {
      gradient([](const T& y) { return y * f64({1, 2}); }, x);
    } catch (const GraphError&) {
    }
    return x * x;
  };
  EXPECT_EQ(number(derivative(derivative(nested))(3.0)), 2);
}

TEST(HostLanguage, PartsComputedOnOtherThreads) {
  const auto f = [](const T& x) {
    std::vector<T> parts(3);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < parts.size(); ++i)
      threads.emplace_back([&parts, &x, i] {
        parts[i] = sum(x * x) * static_cast<double>(i + 1);
      });
    for (std::thread& t : threads) t.join();
    return parts[0] + parts[1] + parts[2];
  };
  EXPECT_EQ(values(gradient(f, f64({1, 2}))), (Doubles{12, 24}));
}

TEST(HostLanguage, TuplesAndPairsCarryTensors) {
  const auto g = gradient(
      [](const std::tuple<T, T>& t, const std::pair<T, int>& p) {
        const auto& [a, b] = t;
        return a * b * p.first * static_cast<double>(p.second);
      },
      std::tuple(T(f64({2})), T(f64({3}))), std::pair(T(f64({5})), 7));
  EXPECT_EQ(values(std::get<0>(std::get<0>(g))), (Doubles{105}));
  EXPECT_EQ(values(std::get<1>(std::get<0>(g))), (Doubles{70}));
  EXPECT_EQ(values(std::get<1>(g).first), (Doubles{42}));
  EXPECT_EQ(std::get<1>(g).second, 7);
}

TEST(HostLanguage, OneElementOfAVectorOfStructs) {
  struct Point {
    T x, y;
  };
  const std::vector<Point> points{{f64({1}), f64({2})}, {f64({3}), f64({4})}};
  const auto g = gradient(
      [](const std::vector<Point>& p) { return 2.0 * p[0].x + 5.0 * p[1].y; },
      points);
  EXPECT_EQ(values(g[0].x), (Doubles{2}));
  EXPECT_TRUE(g[0].y.is_structural_zero());
  EXPECT_EQ(values(g[1].y), (Doubles{5}));
}

TEST(HostLanguage, AStructIsBuiltInsideTheFunction) {
  struct Point {
    T x, y;
  };
  const auto f = [](const T& a) {
    const Point p{a, a};
    return p.x + p.y;
  };
  EXPECT_EQ(number(derivative(f)(1.0)), 2);
}

TEST(HostLanguage, AMapIsReadAndWrittenInsideTheFunction) {
  std::map<std::string, T> d{{"x", f64({2})}, {"y", f64({3})}};
  const auto g = gradient(
      [](std::map<std::string, T>& in) {
        in["z"] = in.at("x") * in.at("y");
        in["x"] = in.at("z") * in.at("x");
        return in.at("x");
      },
      d);
  EXPECT_EQ(values(g.at("x")), (Doubles{12}));
  EXPECT_EQ(values(g.at("y")), (Doubles{4}));
  EXPECT_EQ(g.size(), 2U);
  EXPECT_EQ(values(d.at("x")), (Doubles{2}));
}

}  // namespace
}  // namespace jacquard
