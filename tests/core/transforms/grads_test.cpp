// Grads: a map from parameters to gradients, and arithmetic on them; updates.
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "tests/core/transforms/arrays.h"

namespace jacquard {
namespace {

TrackedTensor leaf(std::initializer_list<double> values) {
  return param(tensor(values));
}

struct TwoGrads {
  TrackedTensor a = leaf({1, 2}), b = leaf({3}), unused = leaf({7});
  Params ps{a, b, unused};
  Grads one = gradient(ps, [&] { return sum(a * a) + sum(b); });
  Grads two = gradient(ps, [&] { return sum(a) + sum(b * b * b); });
};

TEST(Grads, IsAMapFromParametersToGradients) {
  const TwoGrads t;
  EXPECT_EQ(t.one.size(), 3U);
  EXPECT_TRUE(t.one.keys() == t.ps);
  EXPECT_TRUE(t.one.contains(t.b));
  EXPECT_FALSE(t.one.contains(leaf({3})));
  std::size_t i = 0;
  for (const TrackedTensor& g : t.one)
    EXPECT_EQ(read(g), read(t.one.values()[i++]));
  EXPECT_EQ(i, 3U);
  for (const auto& [p, g] : t.one.pairs()) EXPECT_EQ(read(g), read(t.one[p]));
}

TEST(Grads, SaysWhatIsNoParameter) {
  const TwoGrads t;
  const auto said = [&](const TrackedTensor& x) {
    return message_of<GraphError>([&] { t.one[x]; });
  };
  EXPECT_TRUE(has(said(tensor({1.0, 2.0, 3.0})), "the constant float64[3]"));
  EXPECT_TRUE(has(said(leaf({1, 2, 3, 4})), "the leaf float64[4]"));
  EXPECT_TRUE(has(said(exp(t.a)), "computed value exp float64[2]"));
  EXPECT_TRUE(has(said({}), "undefined"));
}

TEST(Grads, CopiesAreIndependent) {
  TwoGrads t;
  const Grads copy = t.one;
  t.one *= 0.0;
  t.one.set(t.b, tensor({9.0}));
  EXPECT_EQ(read(copy[t.a]), (Doubles{2, 4}));
  EXPECT_EQ(read(copy[t.b]), (Doubles{1}));
  EXPECT_EQ(read(t.one[t.b]), (Doubles{9}));
}

TEST(Grads, ArithmeticWithGradsAndScalars) {
  const TwoGrads t;  // one: {2, 4}, {1}, 0; two: {1, 1}, {27}, 0
  const auto check = [&](const Grads& g, Doubles a, Doubles b, Doubles unused) {
    EXPECT_EQ(read(g[t.a]), a);
    EXPECT_EQ(read(g[t.b]), b);
    EXPECT_EQ(read(g[t.unused]), unused);
    EXPECT_TRUE(g.keys() == t.ps);
  };
  check(t.one + t.two, {3, 5}, {28}, {0});
  check(t.one - t.two, {1, 3}, {-26}, {0});
  check(t.one * t.two, {2, 4}, {27}, {0});
  check(-t.one, {-2, -4}, {-1}, {0});
  check(2 * t.one, {4, 8}, {2}, {0});
  check(t.one * 2, {4, 8}, {2}, {0});
  check(t.one / 2, {1, 2}, {0.5}, {0});
  check(t.one + 1, {3, 5}, {2}, {1});
  check(1 - t.one, {-1, -3}, {0}, {1});
  check(4 / (t.one + 1), {4.0 / 3, 4.0 / 5}, {2}, {4});
  check((t.one + 1) / (t.two + 1), {1.5, 2.5}, {2.0 / 28}, {1});
  EXPECT_TRUE((t.one + t.two)[t.unused].is_structural_zero());
  EXPECT_TRUE((2 * t.one)[t.unused].is_structural_zero());
  Grads g = t.one;
  g += t.two;
  check(g, {3, 5}, {28}, {0});
  g -= t.two;
  g *= t.one;
  check(g, {4, 16}, {1}, {0});
  g /= 2;
  g += 1;
  check(g, {3, 9}, {1.5}, {1});
  g /= Grads(g);
  check(g, {1, 1}, {1}, {1});
}

TEST(Grads, ArithmeticGoesByParameterNotByPlace) {
  const TrackedTensor a = leaf({1}), b = leaf({1});
  const Grads one(Params{a, b}, {tensor({1.0}), tensor({2.0})});
  const Grads two(Params{b, a}, {tensor({10.0}), tensor({20.0})});
  EXPECT_EQ(read((one + two)[a]), (Doubles{21}));
  EXPECT_EQ(read((one + two)[b]), (Doubles{12}));
}

TEST(Grads, ArithmeticOverDifferentParametersIsAnError) {
  const TrackedTensor a = leaf({1}), b = leaf({1, 2});
  const Grads one(Params{a}, {tensor({1.0})});
  const Grads two(Params{a, b}, {tensor({1.0}), {}});
  EXPECT_TRUE(has(message_of<GraphError>([&] { one + two; }),
                  "different parameters: the float64[2]"));
  EXPECT_THROW(two - one, GraphError);
  EXPECT_THROW(map_grads([](auto& x, auto&) { return x; }, one, two),
               GraphError);
}

TEST(Grads, AnOperatorIsOneLaunchADtype) {
  const TrackedTensor a = leaf({1, 2}), b = param(ones({2, 3})),
                      c = param(ones({4}));
  const Params ps{a, b, c};
  const Grads g(ps, {tensor({1.0, 2.0}), materialize(ones({2, 3})),
                     materialize(ones({4}))});
  LaunchLog log;
  const Grads sum = g + g;
  const Grads scaled = g * 0.5;
  EXPECT_EQ(log.launches(), 4U);
  EXPECT_EQ(read(sum[a]), (Doubles{2, 4}));
  EXPECT_EQ(read(scaled[c]), (Doubles{0.5, 0.5, 0.5, 0.5}));
  EXPECT_EQ(scaled[c].dtype(), DType::float32);
}

TEST(Grads, MapSeesZerosWhereThereIsNoGradient) {
  const TwoGrads t;
  const Grads g =
      map_grads([](const TrackedTensor& x, const TrackedTensor& y,
                   const TrackedTensor& z) { return x + 10 * y + z * 0 + 1; },
                t.one, t.two, t.one);
  EXPECT_EQ(read(g[t.a]), (Doubles{13, 15}));
  EXPECT_EQ(read(g[t.b]), (Doubles{272}));
  EXPECT_EQ(read(g[t.unused]), (Doubles{1}));
  EXPECT_THROW(map_grads([](const TrackedTensor& x) { return sum(x); }, t.one),
               GraphError);
}

TEST(Grads, MergeUnitesTheParameters) {
  const TrackedTensor a = leaf({1}), b = leaf({2}), c = leaf({3});
  Grads one(Params{a, b}, {tensor({1.0}), tensor({2.0})});
  one.merge(Grads(Params{b, c}, {tensor({3.0}), tensor({4.0})})).merge(one);
  EXPECT_TRUE(one.keys() == (Params{a, b, c}));
  EXPECT_EQ(read(one[b]), (Doubles{3}));
  EXPECT_EQ(read(one[c]), (Doubles{4}));
}

TEST(Grads, GoToOneVectorAndBack) {
  TwoGrads t;
  EXPECT_EQ(read(t.one.to_vector()), (Doubles{2, 4, 1, 0}));
  t.one.assign_vector(tensor({1.0, 2.0, 3.0, 4.0}));
  EXPECT_EQ(read(t.one[t.a]), (Doubles{1, 2}));
  EXPECT_EQ(read(t.one[t.unused]), (Doubles{4}));
  EXPECT_THROW(t.one.assign_vector(tensor({1.0})), ShapeError);
}

TEST(Grads, AreCheckedLikeCotangents) {
  const TrackedTensor a = leaf({1, 2});
  EXPECT_THROW(Grads(Params{a}, {tensor({1.0})}), GraphError);
  EXPECT_THROW(Grads(Params{a}, {}), GraphError);
  EXPECT_EQ(Grads(Params{a}, {ones({2})})[a].dtype(), DType::float64);
  EXPECT_TRUE(Grads(Params{a}, {TrackedTensor()})[a].is_structural_zero());
}

TEST(Grads, ArithmeticInsideATransformIsRecorded) {
  const TrackedTensor w = leaf({3});
  const Params ps{w};
  const Grads gs = gradient(ps, [&] {
    const Grads inner = gradient(ps, [&] { return sum(w * w * w); });
    return sum((inner * inner / 2 - inner)[w]);  // 9w⁴/2 − 3w²
  });
  EXPECT_EQ(read(gs[w]), (Doubles{486 - 18}));
}

TEST(Update, AddsInPlaceAndClearsTheGradient) {
  const TrackedTensor x = leaf({1, 2, 3});
  backward(sum(x));
  update(x, leaf({4, 5, 6}));
  EXPECT_EQ(read(x), (Doubles{5, 7, 9}));
  EXPECT_FALSE(x.grad().defined());
  update(x, 1);
  EXPECT_EQ(read(x), (Doubles{6, 8, 10}));
  update(x, -0.5 * x);
  EXPECT_EQ(read(x), (Doubles{3, 4, 5}));
  const TrackedTensor s = param(3);
  update(s, 4);
  EXPECT_EQ(s.item<double>(), 7);
  EXPECT_THROW(update(x * 2, 1.0), GraphError);
  EXPECT_THROW(update(x, tensor({1.0, 2.0})), ShapeError);
}

TEST(Update, BetweenForwardAndBackwardDoesNotCorruptTheTape) {
  const TrackedTensor w = leaf({2, 3}), x = leaf({5, 7});
  const TrackedTensor written = materialize(w * x);
  const TrackedTensor pending = w * x;
  update(w, 100.0);
  w.assign(tensor({-1.0, -1.0}).data());
  update_in_place({{x}}, 1, [](const std::vector<TrackedTensor>& t) {
    return std::vector{t[0] * 0.0};
  });
  EXPECT_EQ(read(pending), (Doubles{10, 21}));
  for (const TrackedTensor& y : {written, pending}) {
    w.clear_grad();
    x.clear_grad();
    backward(sum(y));
    EXPECT_EQ(read(w.grad()), (Doubles{5, 7}));
    EXPECT_EQ(read(x.grad()), (Doubles{2, 3}));
  }
}

TEST(Param, OfScalarsAndListsFloatsIntegers) {
  EXPECT_EQ(param(3.0).dtype(), default_dtype());
  EXPECT_EQ(param(2).item<double>(), 2);
  EXPECT_TRUE(param(2).is_leaf());
  EXPECT_EQ(param(2, {DType::float64}).dtype(), DType::float64);
  EXPECT_EQ(param({1, 2, 3}).dtype(), default_dtype());
  EXPECT_EQ(param({1.0, 2.0}).dtype(), DType::float64);
  EXPECT_EQ(param({{1.0, 2.0}, {3.0, 4.0}}).shape(), (Shape{2, 2}));
  EXPECT_EQ(param(std::vector<float>{1, 2}).shape(), (Shape{2}));
  EXPECT_THROW(param(tensor({1, 2})), DTypeError);
  const TrackedTensor b = param(0.25);
  backward(b);
  EXPECT_EQ(b.grad().item<double>(), 1);
}

TEST(Param, OfATensorCutsTheGraph) {
  const TrackedTensor w = leaf({2});
  const TrackedTensor inner = param(w * w);
  backward(sum(inner * 3.0));
  EXPECT_FALSE(w.grad().defined());
  EXPECT_EQ(read(inner.grad()), (Doubles{3}));
}

}  // namespace
}  // namespace jacquard
