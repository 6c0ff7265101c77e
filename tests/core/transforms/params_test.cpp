// Implicit parameters: the set, gradients of functions without arguments, and
// arithmetic on them.
#include "jacquard/params.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>

#include "jacquard/jacquard.h"

namespace jacquard {
namespace {

using Vector = std::vector<double>;

TrackedTensor leaf(std::initializer_list<double> values) {
  return param(tensor(values));
}

Vector host(const TrackedTensor& t) { return t.to_host<double>(); }

template <class E, class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  }
  ADD_FAILURE() << "nothing, or something else, was thrown";
  return "";
}

bool mentions(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

struct Layer {
  TrackedTensor weight, bias;
};
struct Model {
  std::vector<Layer> layers;
  TrackedTensor shift;
  int steps = 1;
};

Model model() {
  return {
      {{leaf({1, 2}), leaf({3})}, {leaf({4}), leaf({5, 6})}}, tensor({1.0}), 2};
}

TEST(Params, IsAnOrderedSetOfLeavesByIdentity) {
  const TrackedTensor a = leaf({1}), b = leaf({2}), same = a;
  const TrackedTensor over_one_memory = param(a.data());
  Params ps{a, b, same};
  EXPECT_EQ(ps.size(), 2U);
  EXPECT_TRUE(ps.contains(same));
  EXPECT_FALSE(ps.contains(over_one_memory));
  EXPECT_FALSE(ps.contains(TrackedTensor()));
  EXPECT_EQ(ps[0].value(), a.value());
  EXPECT_EQ(ps[1].value(), b.value());
  ps.push(over_one_memory);
  ps.push(b);
  EXPECT_EQ(ps.size(), 3U);
  EXPECT_TRUE(ps.erase(a));
  EXPECT_FALSE(ps.erase(a));
  EXPECT_EQ(ps.size(), 2U);
  EXPECT_EQ(ps.find(b), 0U);
  EXPECT_EQ(ps.find(over_one_memory), 1U);
  EXPECT_EQ(ps.find(a), Params::kNone);
  EXPECT_TRUE(Params().empty());
  EXPECT_TRUE(Params(std::vector<TrackedTensor>{}).empty());
}

TEST(Params, OfAModelAreItsLeaves) {
  const Model m = model();
  const Params ps(m);
  ASSERT_EQ(ps.size(), 4U);  // not the constant
  EXPECT_EQ(ps[0].value(), m.layers[0].weight.value());
  EXPECT_EQ(ps[3].value(), m.layers[1].bias.value());
  EXPECT_TRUE(Params(ps) == ps);
  EXPECT_EQ(to_string(ps),
            "Params of 4: float64[2], float64[1], float64[1], float64[2]");
}

TEST(Params, TiedWeightsAreOneMember) {
  const TrackedTensor w = leaf({1});
  EXPECT_EQ(Params(Model{{{w, w}}, w, 1}).size(), 1U);
}

TEST(Params, SayWhatIsNoLeaf) {
  const TrackedTensor a = leaf({1, 2});
  EXPECT_TRUE(mentions(message_of<GraphError>([&] { Params{a * 2}; }),
                       "computed value"));
  EXPECT_TRUE(mentions(message_of<GraphError>([&] { Params{tensor({1.0})}; }),
                       "the constant float64[1]"));
  EXPECT_THROW(Params{TrackedTensor()}, GraphError);
  // An L2 penalty over these would silently be 0.
  gradient(
      [](const Model& inside) {
        EXPECT_THROW(Params{inside}, GraphError);
        return sum(inside.layers[0].weight);
      },
      model());
}

TEST(Params, AreIndexedAndSliced) {
  const Params ps(model());
  EXPECT_EQ(ps.slice(1, 3).size(), 2U);
  EXPECT_EQ(ps.slice(1, 3)[0].value(), ps[1].value());
  EXPECT_TRUE(ps.slice(4, 4).empty());
  EXPECT_THROW(ps.slice(3, 5), IndexError);
  EXPECT_THROW(ps.slice(2, 1), IndexError);
  EXPECT_THROW(ps[4], IndexError);
}

TEST(Params, UnionAndIntersection) {
  const TrackedTensor a = leaf({1}), b = leaf({2}), c = leaf({3});
  const Params ab{a, b}, bc{b, c};
  EXPECT_TRUE(set_union(ab, bc) == (Params{a, b, c}));
  EXPECT_TRUE(set_union(bc, ab) == (Params{b, c, a}));
  EXPECT_TRUE(set_intersection(ab, bc) == Params{b});
  EXPECT_TRUE(set_intersection(ab, Params()).empty());
  Params ps = ab;
  ps.unite(bc).unite(ps);
  EXPECT_TRUE(ps == (Params{a, b, c}));
  ps.intersect(bc);
  EXPECT_TRUE(ps == bc);
  EXPECT_EQ(ps.find(c), 1U);
  EXPECT_TRUE(ab == (Params{a, b}));  // copies are independent
}

TEST(Params, EqualityKeepsTheOrderAndSetEqualityDoesNot) {
  const TrackedTensor a = leaf({1}), b = leaf({2});
  const Params ab{a, b}, ba{b, a};
  EXPECT_FALSE(ab == ba);
  EXPECT_TRUE(set_equal(ab, ba));
  EXPECT_FALSE(set_equal(ab, Params{a}));
  EXPECT_FALSE(set_equal(ab, (Params{a, leaf({2})})));
}

TEST(Params, GoToOneVectorAndBack) {
  const TrackedTensor a = param(tensor({{1.0, 2.0}, {3.0, 4.0}}));
  const TrackedTensor b = leaf({5});
  const TrackedTensor none = param(zeros({0, 2}, {DType::float64}));
  const Params ps{a, none, b};
  EXPECT_EQ(host(ps.to_vector()), (Vector{1, 2, 3, 4, 5}));
  ps.assign_vector(tensor({6.0, 7.0, 8.0, 9.0, 10.0}));
  EXPECT_EQ(host(a), (Vector{6, 7, 8, 9}));
  EXPECT_EQ(host(b), (Vector{10}));
  const std::string said = message_of<ShapeError>([&] {
    ps.assign_vector(tensor({1.0, 2.0}));
  });
  EXPECT_TRUE(mentions(said, "[2]")) << said;
  EXPECT_TRUE(mentions(said, "[5]")) << said;
  EXPECT_EQ(host(b), (Vector{10}));
  EXPECT_THROW(Params().to_vector(), ShapeError);
  // Differentiable.
  EXPECT_EQ(host(gradient(ps, [&] { return sum(square(ps.to_vector())); })[b]),
            (Vector{20}));
}

TEST(Params, AssignedPartsDoNotShareTheVector) {
  const TrackedTensor a = leaf({1}), b = leaf({2});
  const TrackedTensor flat = tensor({3.0, 4.0});
  Params{a, b}.assign_vector(flat);
  update(a, 1.0);
  EXPECT_EQ(host(flat), (Vector{3, 4}));
  EXPECT_EQ(host(b), (Vector{4}));
}

TEST(ImplicitGradient, IsTheExplicitOne) {
  const TrackedTensor w = param(randn({5, 10}, {DType::float64}));
  const TrackedTensor x = randn({10}, {DType::float64});
  const Grads gs = gradient(Params{w}, [&] { return sum(matmul(w, x)); });
  const TrackedTensor g =
      gradient([&](const TrackedTensor& v) { return sum(matmul(v, x)); }, w);
  EXPECT_EQ(host(gs[w]), host(g));
  EXPECT_FALSE(gs[w].is_tracked());
}

TEST(ImplicitGradient, LeavesNoResidueAndIgnoresWhatIsThere) {
  const TrackedTensor w = leaf({2}), v = leaf({3});
  backward(sum(w * 10.0));
  const Params ps{w};
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(host(gradient(ps, [&] { return sum(w * w * v); })[w]),
              (Vector{12}));
  EXPECT_EQ(host(w.grad()), (Vector{10}));
  EXPECT_FALSE(v.grad().defined());
}

TEST(ImplicitGradient, GivesTheValueToo) {
  const TrackedTensor w = leaf({1, 2, 3});
  const auto [y, gs] = withgradient(Params{w}, [&] { return sum(square(w)); });
  EXPECT_EQ(y.item<double>(), 14);
  EXPECT_FALSE(y.is_tracked());
  EXPECT_EQ(host(gs[w]), (Vector{2, 4, 6}));
}

TEST(ImplicitGradient, UnusedParametersHaveStructuralZeros) {
  const TrackedTensor w = leaf({1}), unused = leaf({1, 2});
  const Params ps{unused, w};
  const Grads gs = gradient(ps, [&] { return sum(w); });
  EXPECT_TRUE(gs[unused].is_structural_zero());
  EXPECT_EQ(host(gs[unused]), (Vector{0, 0}));
  EXPECT_EQ(to_string(gs), "Grads of 2: float64[2] (zero), float64[1]");
  EXPECT_THROW(gradient(Params{unused}, [&] { return sum(w); }), GraphError);
  EXPECT_TRUE(gradient(Params(), [&] { return sum(w); }).empty());
  EXPECT_TRUE(gradient({.allow_unused = true}, ps, [] { return scalar(1); })[w]
                  .is_structural_zero());
}

TEST(ImplicitGradient, RefusesWhatIsNoLoss) {
  const TrackedTensor w = leaf({1, 2});
  EXPECT_THROW(gradient(Params{w}, [&] { return w * 2; }), GraphError);
}

TEST(ImplicitGradient, AnErrorInsideTheFunctionClosesTheLevel) {
  const TrackedTensor w = leaf({1});
  EXPECT_THROW(gradient(Params{w},
                        [&]() -> TrackedTensor {
                          return matmul(w, tensor({1.0, 2.0}));
                        }),
               ShapeError);
  EXPECT_FALSE(w.grad().defined());
  const Grads gs = gradient(Params{w}, [&] { return sum(w); });
  EXPECT_FALSE(gs[w].is_tracked());
}

TEST(ImplicitGradient, PenaltyByIterationOverTheParameters) {
  const TrackedTensor w = leaf({1, 2}), b = leaf({3});
  const Params ps{w, b};
  const Grads gs = gradient(ps, [&] {
    TrackedTensor penalty = scalar(0, {DType::float64});
    for (const TrackedTensor& p : ps) penalty = penalty + sum(square(p));
    return penalty;
  });
  EXPECT_EQ(host(gs[w]), (Vector{2, 4}));
  EXPECT_EQ(host(gs[b]), (Vector{6}));
}

TEST(ImplicitGradient, GoesThroughWhatWasRecordedBeforeAndKeepsIt) {
  const TrackedTensor w = leaf({3});
  const TrackedTensor before = materialize(w * w);
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(host(gradient(Params{w}, [&] { return sum(before * w); })[w]),
              (Vector{27}));
  backward(sum(before));
  EXPECT_EQ(host(w.grad()), (Vector{6}));
}

TEST(ImplicitGradient, OfAPullbackOfTheSameParameters) {
  const TrackedTensor x = param(3.0, {DType::float64});
  const Params ps{x};
  const Grads gs = gradient(ps, [&] {
    auto [y, back] = pullback(ps, [&] { return x * x * x; });
    return back(ones_like(y))[x] * x;
  });
  EXPECT_EQ(gs[x].item<double>(), 81);  // d(x·3x²)/dx = 9x²
  EXPECT_FALSE(gs[x].is_tracked());
}

TEST(ImplicitGradient, NestsInExplicitGradientsAndTheyInIt) {
  const TrackedTensor w = leaf({2});
  const TrackedTensor g = gradient(
      [&](const TrackedTensor& x) {
        const Grads inner =
            gradient(Params{w}, [&] { return sum(w * w * x * x); });
        return sum(inner[w] * 1.0);  // 2wx²
      },
      tensor({3.0}));
  EXPECT_EQ(host(g), (Vector{24}));  // 4wx
  const Grads gs = gradient(Params{w}, [&] {
    return sum(
        gradient([&](const TrackedTensor& x) { return sum(w * w * x * x); },
                 tensor({3.0})));
  });
  EXPECT_EQ(host(gs[w]), (Vector{24}));
}

TEST(ImplicitGradient, ThirdOrder) {
  const TrackedTensor w = leaf({2});
  const Params ps{w};
  const Grads gs = gradient(ps, [&] {
    return sum(gradient(ps, [&] {
      return sum(gradient(ps, [&] { return sum(w * w * w * w); })[w]);
    })[w]);
  });
  EXPECT_EQ(host(gs[w]), (Vector{48}));
}

TEST(ImplicitPullback, TakesSeedsAnyNumberOfTimes) {
  const TrackedTensor w = leaf({1, 2}), v = leaf({3, 4});
  const Params ps{w, v};
  const auto [y, back] = pullback(ps, [&] { return w * v; });
  EXPECT_EQ(host(y), (Vector{3, 8}));
  const Grads first = back(tensor({1.0, 1.0}));
  const Grads second = back(tensor({0.0, 2.0}));
  // What is called later changes no earlier result.
  EXPECT_EQ(host(first[w]), (Vector{3, 4}));
  EXPECT_EQ(host(first[v]), (Vector{1, 2}));
  EXPECT_EQ(host(second[w]), (Vector{0, 8}));
  EXPECT_THROW(back(), GraphError);
  EXPECT_THROW(back(tensor({1.0})), GraphError);
}

TEST(ImplicitPullback, OfAScalarNeedsNoSeed) {
  const TrackedTensor w = leaf({1, 2});
  EXPECT_EQ(host(pullback(Params{w}, [&] { return sum(w * w); }).second()[w]),
            (Vector{2, 4}));
}

TEST(ImplicitJacobian, HasTheShapesOfResultAndParameter) {
  const TrackedTensor w = param({{1.0, 2.0}, {3.0, 4.0}}), b = leaf({5, 6});
  const TrackedTensor unused = leaf({1});
  const TrackedTensor x = tensor({10.0, 20.0});
  const auto j =
      jacobian(Params{w, b, unused}, [&] { return matmul(w, x) + b * b; });
  ASSERT_EQ(j.size(), 3U);
  EXPECT_EQ(j[0].shape(), (Shape{2, 2, 2}));
  EXPECT_EQ(host(j[0]), (Vector{10, 20, 0, 0, 0, 0, 10, 20}));
  EXPECT_EQ(host(j[1]), (Vector{10, 0, 0, 12}));
  EXPECT_EQ(j[2].shape(), (Shape{2, 1}));
  EXPECT_EQ(host(j[2]), (Vector{0, 0}));
}

TEST(ImplicitPullback, OfSeveralResultsTakesSeveralSeeds) {
  const TrackedTensor x = param(5.0, {DType::float64});
  const auto [y, back] = pullback(Params{x}, [&] {
    return std::vector{3 * square(x), 2 * x};
  });
  EXPECT_EQ(y[0].item<double>(), 75);
  const TrackedTensor one = scalar(1, {DType::float64});
  EXPECT_EQ(back({one, one})[x].item<double>(), 32);
  EXPECT_EQ(back({TrackedTensor(), one})[x].item<double>(), 2);
}

TEST(ImplicitGradient, GivesWhatElseTheFunctionReturns) {
  const TrackedTensor w = leaf({1, 2});
  const auto [all, gs] =
      withgradient(Params{w}, [&] { return std::tuple(sum(w * w), w * 2, 7); });
  EXPECT_EQ(std::get<0>(all).item<double>(), 5);
  EXPECT_EQ(host(std::get<1>(all)), (Vector{2, 4}));
  EXPECT_EQ(std::get<2>(all), 7);
  EXPECT_EQ(host(gs[w]), (Vector{2, 4}));
}

TEST(ImplicitGradient, IsTakenWhereTheFunctionReadTheParameters) {
  const TrackedTensor w = leaf({3});
  const Grads gs = gradient(Params{w}, [&] {
    const TrackedTensor y = sum(w * w);
    update(w, 10.0);
    return y;
  });
  EXPECT_EQ(host(gs[w]), (Vector{6}));
  EXPECT_EQ(host(w), (Vector{13}));
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
    EXPECT_EQ(host(g), host(t.one.values()[i++]));
  EXPECT_EQ(i, 3U);
  for (const auto& [p, g] : t.one.pairs()) EXPECT_EQ(host(g), host(t.one[p]));
}

TEST(Grads, SaysWhatIsNoParameter) {
  const TwoGrads t;
  const auto said = [&](const TrackedTensor& x) {
    return message_of<GraphError>([&] { t.one[x]; });
  };
  EXPECT_TRUE(
      mentions(said(tensor({1.0, 2.0, 3.0})), "the constant float64[3]"));
  EXPECT_TRUE(mentions(said(leaf({1, 2, 3, 4})), "the leaf float64[4]"));
  EXPECT_TRUE(mentions(said(exp(t.a)), "computed value exp float64[2]"));
  EXPECT_TRUE(mentions(said({}), "undefined"));
}

TEST(Grads, CopiesAreIndependent) {
  TwoGrads t;
  const Grads copy = t.one;
  t.one *= 0.0;
  t.one.set(t.b, tensor({9.0}));
  EXPECT_EQ(host(copy[t.a]), (Vector{2, 4}));
  EXPECT_EQ(host(copy[t.b]), (Vector{1}));
  EXPECT_EQ(host(t.one[t.b]), (Vector{9}));
}

TEST(Grads, ArithmeticWithGradsAndScalars) {
  const TwoGrads t;  // one: {2, 4}, {1}, 0; two: {1, 1}, {27}, 0
  const auto check = [&](const Grads& g, Vector a, Vector b, Vector unused) {
    EXPECT_EQ(host(g[t.a]), a);
    EXPECT_EQ(host(g[t.b]), b);
    EXPECT_EQ(host(g[t.unused]), unused);
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
  EXPECT_EQ(host((one + two)[a]), (Vector{21}));
  EXPECT_EQ(host((one + two)[b]), (Vector{12}));
}

TEST(Grads, ArithmeticOverDifferentParametersIsAnError) {
  const TrackedTensor a = leaf({1}), b = leaf({1, 2});
  const Grads one(Params{a}, {tensor({1.0})});
  const Grads two(Params{a, b}, {tensor({1.0}), {}});
  EXPECT_TRUE(mentions(message_of<GraphError>([&] { one + two; }),
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
  EXPECT_EQ(host(sum[a]), (Vector{2, 4}));
  EXPECT_EQ(host(scaled[c]), (Vector{0.5, 0.5, 0.5, 0.5}));
  EXPECT_EQ(scaled[c].dtype(), DType::float32);
}

TEST(Grads, MapSeesZerosWhereThereIsNoGradient) {
  const TwoGrads t;
  const Grads g =
      map_grads([](const TrackedTensor& x, const TrackedTensor& y,
                   const TrackedTensor& z) { return x + 10 * y + z * 0 + 1; },
                t.one, t.two, t.one);
  EXPECT_EQ(host(g[t.a]), (Vector{13, 15}));
  EXPECT_EQ(host(g[t.b]), (Vector{272}));
  EXPECT_EQ(host(g[t.unused]), (Vector{1}));
  EXPECT_THROW(map_grads([](const TrackedTensor& x) { return sum(x); }, t.one),
               GraphError);
}

TEST(Grads, MergeUnitesTheParameters) {
  const TrackedTensor a = leaf({1}), b = leaf({2}), c = leaf({3});
  Grads one(Params{a, b}, {tensor({1.0}), tensor({2.0})});
  one.merge(Grads(Params{b, c}, {tensor({3.0}), tensor({4.0})})).merge(one);
  EXPECT_TRUE(one.keys() == (Params{a, b, c}));
  EXPECT_EQ(host(one[b]), (Vector{3}));
  EXPECT_EQ(host(one[c]), (Vector{4}));
}

TEST(Grads, GoToOneVectorAndBack) {
  TwoGrads t;
  EXPECT_EQ(host(t.one.to_vector()), (Vector{2, 4, 1, 0}));
  t.one.assign_vector(tensor({1.0, 2.0, 3.0, 4.0}));
  EXPECT_EQ(host(t.one[t.a]), (Vector{1, 2}));
  EXPECT_EQ(host(t.one[t.unused]), (Vector{4}));
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
  EXPECT_EQ(host(gs[w]), (Vector{486 - 18}));
}

TEST(Update, AddsInPlaceAndClearsTheGradient) {
  const TrackedTensor x = leaf({1, 2, 3});
  backward(sum(x));
  update(x, leaf({4, 5, 6}));
  EXPECT_EQ(host(x), (Vector{5, 7, 9}));
  EXPECT_FALSE(x.grad().defined());
  update(x, 1);
  EXPECT_EQ(host(x), (Vector{6, 8, 10}));
  update(x, -0.5 * x);
  EXPECT_EQ(host(x), (Vector{3, 4, 5}));
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
  EXPECT_EQ(host(pending), (Vector{10, 21}));
  for (const TrackedTensor& y : {written, pending}) {
    w.clear_grad();
    x.clear_grad();
    backward(sum(y));
    EXPECT_EQ(host(w.grad()), (Vector{5, 7}));
    EXPECT_EQ(host(x.grad()), (Vector{2, 3}));
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
  EXPECT_EQ(host(inner.grad()), (Vector{3}));
}

}  // namespace
}  // namespace jacquard
