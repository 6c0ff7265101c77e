// The cases of the test suites of YotaTracked.jl and Yota.jl.
#include "tests/parity/parity_testing.h"

namespace jacquard::parity {
namespace {

// Their matrices are column-major; ours are the same with axes as written.

TEST(Yota, BroadcastsOfSixShapePairs) {
  const std::vector<std::pair<Shape, Shape>> pairs = {
      {{3, 4}, {3, 1}}, {{3, 4}, {4}},    {{3, 4}, {1, 4}},
      {{3, 1}, {3, 4}}, {{4}, {3, 4}},    {{1, 4}, {3, 4}},
      {{1, 1}, {3, 4}}, {{3, 1}, {1, 4}}, {{}, {3, 4}}};
  for (const auto& [a, b] : pairs) {
    SCOPED_TRACE(to_string(a) + to_string(b));
    gradtest([](const std::vector<T>& x) { return x[0] + x[1]; }, {a, b});
    gradtest([](const std::vector<T>& x) { return x[0] * x[1]; }, {a, b});
    const auto [ga, gb] =
        gradient([](const T& x, const T& y) { return sum(x + y); },
                 uniform(a, 1), uniform(b, 2));
    EXPECT_EQ(ga.shape(), a);
    EXPECT_EQ(gb.shape(), b);
  }
}

TEST(Yota, Perceptrons) {
  const std::vector<Shape> shapes = {{4, 3}, {4}, {3}};
  gradtest([](const auto& x) { return matmul(x[0], x[2]) + x[1]; }, shapes);
  gradtest([](const auto& x) { return tanh(matmul(x[0], x[2]) + x[1]); },
           shapes);
  gradtest(
      [](const auto& x) {
        return square(abs(tanh(matmul(x[0], x[2]) + x[1]) - x[3]));
      },
      {{4, 3}, {4}, {3}, {4}});
}

TEST(Yota, SeveralPathsFromOneValue) {
  gradtest(
      [](const auto& v) {
        const T gate = tanh(slice(v[0], 0, {.start = 0, .stop = 5}));
        return tanh(gate * v[1]);
      },
      {{20, 4}, {5, 4}});
}

TEST(Yota, KeywordsAreHostArguments) {
  for (const bool keepdims : {false, true})
    gradtest([&](const auto& x) { return mean(x[0], 0, keepdims); }, {{3, 3}});
  gradtest([](const auto& x) { return sum(x[0], 0); }, {{2, 3}});
}

TEST(Yota, AnInputThatIsNotUsedHasAStructuralZero) {
  const auto [gx, gy] = gradient([](const T&, const T& y) { return y; },
                                 f64({2}, {}), f64({3}, {}));
  EXPECT_TRUE(gx.is_structural_zero());
  EXPECT_EQ(host(gy), Vector{1});
}

TEST(Yota, ScalarAndSliceReads) {
  const auto at = [](const T& x, std::vector<Index> i) { return index(x, i); };
  gradtest([&](const auto& x) { return at(x[0], {0, 1, 0}); }, {{3, 4, 5}});
  gradtest([&](const auto& x) { return at(x[0], {Slice{}, 0}); }, {{3, 4, 5}});
  gradtest([&](const auto& x) { return select(x[0], 0, 0); }, {{4}});
}

TEST(Yota, RepeatedIndicesAddUp) {
  const T i = integers({0, 2, 0});
  const T g = gradient([&](const T& x) { return sum(index_select(x, 0, i)); },
                       uniform({4}, 1));
  EXPECT_EQ(host(g), (Vector{2, 0, 1, 0}));
  const T columns = gradient(
      [&](const T& x) {
        return sum(index(x, {Slice{}, i}));
      },
      uniform({2, 4}, 1));
  EXPECT_EQ(host(columns), (Vector{2, 0, 1, 0, 2, 0, 1, 0}));
}

TEST(Yota, Concatenations) {
  gradtest([](const auto& x) { return cat(x, 0); }, {{2, 3}, {3, 3}});
  gradtest([](const auto& x) { return cat(x, 1); }, {{2, 3}, {2, 4}});
  gradtest([](const auto& x) { return cat(x, 2); },
           {{3, 4, 1, 2}, {3, 4, 2, 2}, {3, 4, 3, 2}, {3, 4, 4, 2}});
}

TEST(Yota, PowersAndTransposes) {
  gradtest([](const auto& x) { return pow(x[0], 2); }, {{3, 4}});
  gradtest([](const auto& x) { return transpose(x[0]); }, {{2, 3}});
  const T h = uniform({3, 3}, 3), x = uniform({3}, 4);
  const auto form = [&](const T& v) { return 0.5 * dot(v, matmul(h, v)); };
  const T g = gradient(form, x);
  const T expected = 0.5 * (matmul(h, x) + matmul(transpose(h), x));
  EXPECT_TRUE(allclose(g, expected, 1e-12));
}

struct Point {
  T x, y;
};
struct Line {
  Point p1, p2;
};

TEST(Yota, NestedStructsAreBuiltAndReadInside) {
  const Line line{{f64({1}, {}), f64({2}, {})}, {f64({3}, {}), f64({4}, {})}};
  const Line g =
      gradient([](const Line& l) { return 2 * l.p1.x + 5 * l.p2.y; }, line);
  EXPECT_EQ(host(g.p1.x), Vector{2});
  EXPECT_TRUE(g.p1.y.is_structural_zero());
  EXPECT_EQ(host(g.p2.y), Vector{5});
  const T both = gradient(
      [](const T& a) {
        const Point p{a, a};
        return p.x + p.y;
      },
      f64({7}, {}));
  EXPECT_EQ(host(both), Vector{2});
}

TEST(Yota, SeedsOfAVectorValuedFunction) {
  const auto twice = [](const T& x) { return 2 * x; };
  EXPECT_THROW(gradient(twice, uniform({3}, 1)), GraphError);
  const auto [y, pull] = pullback(twice, uniform({3}, 1));
  EXPECT_THROW(pull(), GraphError);
  EXPECT_EQ(host(pull(ones_like(y))), (Vector{2, 2, 2}));
}

// y = X·b by gradient descent: the loss falls to a tenth.
TEST(Yota, FitsALine) {
  const T x = uniform({100, 5}, 1) - 0.5;
  const T truth = uniform({5}, 2), y = matmul(x, truth);
  T b = uniform({5}, 3);
  double first = 0, last = 0;
  for (int epoch = 0; epoch < 100; ++epoch) {
    const auto [loss, g] = withgradient(
        [&](const T& w) { return mean(square(y - matmul(x, w))); }, b);
    b = materialize(b - 2.0 * g);
    last = loss.item<double>();
    if (epoch == 0) first = last;
  }
  EXPECT_LT(last, first / 10);
}

}  // namespace
}  // namespace jacquard::parity
