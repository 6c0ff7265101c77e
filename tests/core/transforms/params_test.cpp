// Implicit parameters: the set, gradients of functions without arguments, and
// arithmetic on them.
#include "jacquard/params.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>

#include "tests/core/transforms/arrays.h"

namespace jacquard {
namespace {

TrackedTensor leaf(std::initializer_list<double> values) {
  return param(tensor(values));
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
  EXPECT_TRUE(
      has(message_of<GraphError>([&] { Params{a * 2}; }), "computed value"));
  EXPECT_TRUE(has(message_of<GraphError>([&] { Params{tensor({1.0})}; }),
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
  EXPECT_EQ(read(ps.to_vector()), (Doubles{1, 2, 3, 4, 5}));
  ps.assign_vector(tensor({6.0, 7.0, 8.0, 9.0, 10.0}));
  EXPECT_EQ(read(a), (Doubles{6, 7, 8, 9}));
  EXPECT_EQ(read(b), (Doubles{10}));
  const std::string said = message_of<ShapeError>([&] {
    ps.assign_vector(tensor({1.0, 2.0}));
  });
  EXPECT_TRUE(has(said, "[2]")) << said;
  EXPECT_TRUE(has(said, "[5]")) << said;
  EXPECT_EQ(read(b), (Doubles{10}));
  EXPECT_THROW(Params().to_vector(), ShapeError);
  // Differentiable.
  EXPECT_EQ(read(gradient(ps, [&] { return sum(square(ps.to_vector())); })[b]),
            (Doubles{20}));
}

TEST(Params, AssignedPartsDoNotShareTheVector) {
  const TrackedTensor a = leaf({1}), b = leaf({2});
  const TrackedTensor flat = tensor({3.0, 4.0});
  Params{a, b}.assign_vector(flat);
  update(a, 1.0);
  EXPECT_EQ(read(flat), (Doubles{3, 4}));
  EXPECT_EQ(read(b), (Doubles{4}));
}

TEST(ImplicitGradient, IsTheExplicitOne) {
  const TrackedTensor w = param(randn({5, 10}, {DType::float64}));
  const TrackedTensor x = randn({10}, {DType::float64});
  const Grads gs = gradient(Params{w}, [&] { return sum(matmul(w, x)); });
  const TrackedTensor g =
      gradient([&](const TrackedTensor& v) { return sum(matmul(v, x)); }, w);
  EXPECT_EQ(read(gs[w]), read(g));
  EXPECT_FALSE(gs[w].is_tracked());
}

TEST(ImplicitGradient, LeavesNoResidueAndIgnoresWhatIsThere) {
  const TrackedTensor w = leaf({2}), v = leaf({3});
  backward(sum(w * 10.0));
  const Params ps{w};
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(read(gradient(ps, [&] { return sum(w * w * v); })[w]),
              (Doubles{12}));
  EXPECT_EQ(read(w.grad()), (Doubles{10}));
  EXPECT_FALSE(v.grad().defined());
}

TEST(ImplicitGradient, GivesTheValueToo) {
  const TrackedTensor w = leaf({1, 2, 3});
  const auto [y, gs] = withgradient(Params{w}, [&] { return sum(square(w)); });
  EXPECT_EQ(y.item<double>(), 14);
  EXPECT_FALSE(y.is_tracked());
  EXPECT_EQ(read(gs[w]), (Doubles{2, 4, 6}));
}

TEST(ImplicitGradient, UnusedParametersHaveStructuralZeros) {
  const TrackedTensor w = leaf({1}), unused = leaf({1, 2});
  const Params ps{unused, w};
  const Grads gs = gradient(ps, [&] { return sum(w); });
  EXPECT_TRUE(gs[unused].is_structural_zero());
  EXPECT_EQ(read(gs[unused]), (Doubles{0, 0}));
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
  EXPECT_EQ(read(gs[w]), (Doubles{2, 4}));
  EXPECT_EQ(read(gs[b]), (Doubles{6}));
}

TEST(ImplicitGradient, GoesThroughWhatWasRecordedBeforeAndKeepsIt) {
  const TrackedTensor w = leaf({3});
  const TrackedTensor before = materialize(w * w);
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(read(gradient(Params{w}, [&] { return sum(before * w); })[w]),
              (Doubles{27}));
  backward(sum(before));
  EXPECT_EQ(read(w.grad()), (Doubles{6}));
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
  EXPECT_EQ(read(g), (Doubles{24}));  // 4wx
  const Grads gs = gradient(Params{w}, [&] {
    return sum(
        gradient([&](const TrackedTensor& x) { return sum(w * w * x * x); },
                 tensor({3.0})));
  });
  EXPECT_EQ(read(gs[w]), (Doubles{24}));
}

TEST(ImplicitGradient, ThirdOrder) {
  const TrackedTensor w = leaf({2});
  const Params ps{w};
  const Grads gs = gradient(ps, [&] {
    return sum(gradient(ps, [&] {
      return sum(gradient(ps, [&] { return sum(w * w * w * w); })[w]);
    })[w]);
  });
  EXPECT_EQ(read(gs[w]), (Doubles{48}));
}

TEST(ImplicitPullback, TakesSeedsAnyNumberOfTimes) {
  const TrackedTensor w = leaf({1, 2}), v = leaf({3, 4});
  const Params ps{w, v};
  const auto [y, back] = pullback(ps, [&] { return w * v; });
  EXPECT_EQ(read(y), (Doubles{3, 8}));
  const Grads first = back(tensor({1.0, 1.0}));
  const Grads second = back(tensor({0.0, 2.0}));
  // What is called later changes no earlier result.
  EXPECT_EQ(read(first[w]), (Doubles{3, 4}));
  EXPECT_EQ(read(first[v]), (Doubles{1, 2}));
  EXPECT_EQ(read(second[w]), (Doubles{0, 8}));
  EXPECT_THROW(back(), GraphError);
  EXPECT_THROW(back(tensor({1.0})), GraphError);
}

TEST(ImplicitPullback, OfAScalarNeedsNoSeed) {
  const TrackedTensor w = leaf({1, 2});
  EXPECT_EQ(read(pullback(Params{w}, [&] { return sum(w * w); }).second()[w]),
            (Doubles{2, 4}));
}

TEST(ImplicitJacobian, HasTheShapesOfResultAndParameter) {
  const TrackedTensor w = param({{1.0, 2.0}, {3.0, 4.0}}), b = leaf({5, 6});
  const TrackedTensor unused = leaf({1});
  const TrackedTensor x = tensor({10.0, 20.0});
  const auto j =
      jacobian(Params{w, b, unused}, [&] { return matmul(w, x) + b * b; });
  ASSERT_EQ(j.size(), 3U);
  EXPECT_EQ(j[0].shape(), (Shape{2, 2, 2}));
  EXPECT_EQ(read(j[0]), (Doubles{10, 20, 0, 0, 0, 0, 10, 20}));
  EXPECT_EQ(read(j[1]), (Doubles{10, 0, 0, 12}));
  EXPECT_EQ(j[2].shape(), (Shape{2, 1}));
  EXPECT_EQ(read(j[2]), (Doubles{0, 0}));
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
  EXPECT_EQ(read(std::get<1>(all)), (Doubles{2, 4}));
  EXPECT_EQ(std::get<2>(all), 7);
  EXPECT_EQ(read(gs[w]), (Doubles{2, 4}));
}

TEST(ImplicitGradient, IsTakenWhereTheFunctionReadTheParameters) {
  const TrackedTensor w = leaf({3});
  const Grads gs = gradient(Params{w}, [&] {
    const TrackedTensor y = sum(w * w);
    update(w, 10.0);
    return y;
  });
  EXPECT_EQ(read(gs[w]), (Doubles{6}));
  EXPECT_EQ(read(w), (Doubles{13}));
}

}  // namespace
}  // namespace jacquard
