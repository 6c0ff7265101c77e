// Corners of the law of the tape: walks inside walks, what is freed and when,
// transforms that are recorded, leaves that meet twice, empty shapes.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <optional>
#include <vector>

#include "jacquard/jacquard.h"

namespace jacquard {
namespace {

using Doubles = std::vector<double>;
using Tensors = std::vector<TrackedTensor>;

TrackedTensor f64(std::initializer_list<double> v) { return tensor(v); }

// Numbers without symmetry, of any shape.
TrackedTensor numbers(const Shape& shape, double start = 0.3) {
  Doubles v(static_cast<std::size_t>(shape.numel()));
  for (std::size_t i = 0; i < v.size(); ++i)
    v[i] = start + std::sin(1.7 * static_cast<double>(i + 1));
  return Tensor::from_host(std::span<const double>(v), shape);
}

Doubles grad_of(const TrackedTensor& x) {
  EXPECT_TRUE(x.grad().defined());
  return x.grad().to_host<double>();
}

void expect_near(const Doubles& a, const Doubles& b, double tolerance = 1e-9) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i)
    EXPECT_NEAR(a[i], b[i], tolerance) << "element " << i;
}

TEST(Walks, AWalkInsideAWalkLeavesTheOuterOneItsTape) {
  TrackedTensor x = param(f64({3}));
  TrackedTensor h = materialize(x * x);
  TrackedTensor y = materialize(h * 2.0);
  bool inside = false;
  y.hook([&](const TrackedTensor&) -> TrackedTensor {
    if (!inside) {
      inside = true;
      backward(y);
    }
    return {};
  });
  backward(y);
  EXPECT_EQ(grad_of(x), (Doubles{24}));
  EXPECT_THROW(backward(h * 1.0), GraphError);
}

TEST(Walks, AWalkThatThrowsDoesNotKeepTheTapeFromBeingFreed) {
  TrackedTensor x = param(f64({3}));
  TrackedTensor trunk = materialize(x * x);
  TrackedTensor y = materialize(trunk * 2.0);
  bool fails = true;
  trunk.hook([&](const TrackedTensor&) -> TrackedTensor {
    if (fails) throw std::runtime_error("from the hook");
    return {};
  });
  EXPECT_THROW(backward(y), std::runtime_error);
  EXPECT_FALSE(x.grad().defined());
  fails = false;
  backward(trunk * 1.0);
  EXPECT_EQ(grad_of(x), (Doubles{6}));
  EXPECT_THROW(backward(trunk * 1.0), GraphError);
}

TEST(Walks, AHookMayAddHooks) {
  TrackedTensor x = param(f64({3}));
  TrackedTensor h = x * x;
  int calls = 0;
  h.hook([&](const TrackedTensor&) -> TrackedTensor {
    for (int i = 0; i < 20; ++i)
      h.hook([&](const TrackedTensor&) -> TrackedTensor {
        ++calls;
        return {};
      });
    return {};
  });
  TrackedTensor y = materialize(h * 2.0);
  backward(y, {}, {.retain_graph = true});
  EXPECT_EQ(calls, 0);
  backward(y);
  EXPECT_EQ(calls, 20);
  EXPECT_EQ(grad_of(x), (Doubles{24}));
}

TEST(Walks, ABackwardInsideATransformLeavesItsArgumentsUsable) {
  TrackedTensor w = param(f64({5}));
  TrackedTensor g = gradient(
      [&](const TrackedTensor& x) {
        backward(materialize(x * w));
        return x * x;
      },
      f64({3}));
  EXPECT_EQ(g.to_host<double>(), (Doubles{6}));
  EXPECT_EQ(grad_of(w), (Doubles{3}));
}

TEST(Walks, ATransformInsideARecordedWalkIsRecorded) {
  TrackedTensor x = param(f64({2}));
  auto f = [](const TrackedTensor& v) {
    TrackedTensor h = v * v;
    h.hook([](const TrackedTensor& g) {
      return gradient([](const TrackedTensor& t) { return t * t * t; }, g);
    });
    return h * v;  // the cotangent of h is v, so the hook makes 3v² of it
  };
  TrackedTensor g = gradient({.create_graph = true}, f, x);
  EXPECT_EQ(g.to_host<double>(), (Doubles{6 * 8 + 4}));
  // g = 3v²·2v + h; the hook makes 3 of the 1 that reaches h.
  backward(g);
  EXPECT_EQ(grad_of(x), (Doubles{18 * 4 + 3 * 4}));
}

TEST(Walks, TheGradientOfASumOfManyLeavesThroughOneRegion) {
  // Interior values that were written are leaves of the region beside their
  // own operands: there are more than a mask has bits.
  std::vector<TrackedTensor> leaves;
  for (int i = 0; i < 24; ++i) leaves.push_back(param(f64({1.0 + i, 2})));
  std::vector<TrackedTensor> conditions;
  for (int i = 0; i < 23; ++i)
    conditions.push_back(materialize(f64({i % 2 ? 1.0 : 0.0, 1}) > 0.5));
  TrackedTensor y = leaves[0];
  for (int i = 0; i < 23; ++i)
    y = where(conditions[static_cast<std::size_t>(i)],
              leaves[static_cast<std::size_t>(i) + 1], y);
  Tensors products;
  for (int i = 0; i < 20; ++i) {
    const auto k = static_cast<std::size_t>(i);
    products.push_back(leaves[k] * leaves[k + 1]);
    y = y + products.back();
  }
  for (const TrackedTensor& p : products) materialize(p);
  backward(y, f64({1, 1}));
  for (int i = 0; i < 21; ++i) {
    const auto k = static_cast<std::size_t>(i);
    double expected = (i > 0 ? i : 0) + (i < 20 ? i + 2 : 0);
    if (i == 22) expected += 1;
    EXPECT_EQ(grad_of(leaves[k])[0], expected) << i;
  }
  EXPECT_EQ(grad_of(leaves[22])[0], 1);
  EXPECT_EQ(grad_of(leaves[23])[1], 1);
}

TEST(Leaves, OneThatIsReadBeforeAndAfterAnAssignmentCollectsBoth) {
  TrackedTensor x = param(f64({2, 3}));
  TrackedTensor a = x * 2.0;
  x.assign(f64({5, 7}).data());
  TrackedTensor b = x * 3.0;
  backward(sum(a * b));
  EXPECT_EQ(grad_of(x), (Doubles{6 * (2 + 5), 6 * (3 + 7)}));
}

TEST(Leaves, ABroadcastOneThatIsReadTwiceCollectsBoth) {
  TrackedTensor x = param(f64({2}));
  TrackedTensor c = numbers({300, 400});
  TrackedTensor a = x * c;
  x.assign(f64({5}).data());
  backward(sum(a * x));
  EXPECT_NEAR(grad_of(x)[0], 7 * sum(c).item<double>(), 1e-8);
}

TEST(Leaves, ASeedThatIsALeafIsReadWhenGiven) {
  TrackedTensor seed = param(f64({5, 6}));
  auto [y, back] =
      pullback([](const TrackedTensor& x) { return x + 0.0; }, f64({1, 2}));
  TrackedTensor g = back(seed);
  EXPECT_FALSE(g.is_leaf());
  update_in_place({{seed}}, 1,
                  [](const Tensors& t) { return Tensors{t[0] * 100.0}; });
  EXPECT_EQ(seed.to_host<double>(), (Doubles{500, 600}));
  EXPECT_EQ(g.to_host<double>(), (Doubles{5, 6}));
}

TEST(Leaves, AnUpdateReadsWhatAnotherEntryWrites) {
  TrackedTensor a = param(f64({1, 2})), b = param(f64({10, 20}));
  update_in_place({{a, b}, {b, a}}, 1,
                  [](const Tensors& t) { return Tensors{t[0] + t[1]}; });
  EXPECT_EQ(a.to_host<double>(), (Doubles{11, 22}));
  EXPECT_EQ(b.to_host<double>(), (Doubles{11, 22}));
}

TEST(Leaves, AnUpdateRefusesToWriteOneLeafTwice) {
  TrackedTensor a = param(f64({1, 2}));
  auto twice = [](const Tensors& t) { return Tensors{t[0] * 2.0}; };
  EXPECT_THROW(update_in_place({{a}, {a}}, 1, twice), GraphError);
  auto swap = [](const Tensors& t) { return Tensors{t[1], t[0]}; };
  EXPECT_THROW(update_in_place({{a, a}}, 2, swap), GraphError);
  EXPECT_EQ(a.to_host<double>(), (Doubles{1, 2}));
}

TEST(Leaves, AnUpdateRefusesGroupsThatAreTooSmall) {
  TrackedTensor a = param(f64({1, 2}));
  auto f = [](const Tensors& t) { return Tensors{t[0], t[0]}; };
  EXPECT_THROW(update_in_place({{a}}, 2, f), GraphError);
  EXPECT_THROW(update_in_place({{}}, 1, f), GraphError);
}

TEST(Leaves, AnUpdateOfALeafThatSharesMemoryLeavesTheOthersAlone) {
  TrackedTensor a = param(f64({1, 2}));
  TrackedTensor b = param(a);
  TrackedTensor view = reshape(a, {2, 1});
  const void* address = a.data().data_ptr();
  update_in_place({{a}, {b}}, 1,
                  [](const Tensors& t) { return Tensors{t[0] * 10.0}; });
  EXPECT_EQ(a.to_host<double>(), (Doubles{10, 20}));
  EXPECT_EQ(b.to_host<double>(), (Doubles{10, 20}));
  EXPECT_EQ(view.to_host<double>(), (Doubles{1, 2}));
  EXPECT_EQ(a.data().data_ptr(), address);
  EXPECT_NE(b.data().data_ptr(), address);
}

TEST(Shared, EqualGradientsAreWrittenOnce) {
  const Shape s{256, 512};
  TrackedTensor a = param(numbers(s).data()), b = param(numbers(s, 1).data()),
                c = param(numbers(s, 2).data());
  TrackedTensor seed = numbers(s, 3);
  TrackedTensor y = materialize((a + b) * c);
  LaunchLog log;
  backward(y, seed);
  EXPECT_EQ(log.launches(), 1u) << log.to_string();
  EXPECT_EQ(static_cast<double>(log.bytes()) / 8 / (256 * 512), 6);
  const Doubles expected = (seed * c).to_host<double>();
  EXPECT_EQ(grad_of(a), expected);
  EXPECT_EQ(grad_of(b), expected);
}

TEST(Shared, WhatIsAddedToOneOfEqualGradientsIsNotAddedToTheOther) {
  TrackedTensor a = param(f64({1, 2})), b = param(f64({3, 4})), c = f64({5, 6}),
                d = f64({7, 8});
  TrackedTensor before = materialize(square(a));
  TrackedTensor bias = materialize(a * d);
  TrackedTensor y = materialize((a + b) * c);
  backward(sum(y + bias + before));
  EXPECT_EQ(grad_of(a), (Doubles{5 + 7 + 2, 6 + 8 + 4}));
  EXPECT_EQ(grad_of(b), (Doubles{5, 6}));
}

TEST(Shared, ALeafOfTwoReadsKeepsBothBesideAnEqualOne) {
  TrackedTensor x = param(f64({1, 2})), b = param(f64({3, 4}));
  TrackedTensor old = x * 1.0;
  x.assign(f64({10, 20}).data());
  TrackedTensor c = f64({5, 6});
  backward(materialize((old + b) * c + x * x), f64({1, 1}));
  EXPECT_EQ(grad_of(x), (Doubles{5 + 20, 6 + 40}));
  EXPECT_EQ(grad_of(b), (Doubles{5, 6}));
}

// A function of float64 tensors, and inputs to try it on.
struct Case {
  const char* name;
  std::function<TrackedTensor(const Tensors&)> f;
  Tensors inputs;
};

std::vector<Case> cases() {
  const auto total = [](const TrackedTensor& y) { return sum(y * y); };
  std::vector<Case> all;
  all.push_back({"the same",
                 [=](const Tensors& x) { return total(x[0] * x[1]); },
                 {numbers({4, 3}), numbers({4, 3}, 1)}});
  all.push_back(
      {"a row, a column and a scalar",
       [=](const Tensors& x) { return total(x[0] * x[1] + x[2] * x[3]); },
       {numbers({4, 3}), numbers({3}), numbers({4, 1}), numbers({}, 2)}});
  all.push_back({"a sum over the axis that a leaf of lower rank varies over",
                 [=](const Tensors& x) { return total(sum(x[0] * x[1], {1})); },
                 {numbers({4, 3}), numbers({2, 1, 3})}});
  all.push_back({"a mean that varies over no axis of the leaf",
                 [=](const Tensors& x) {
                   return total(mean(x[0] + x[1], {1, 2}, true));
                 },
                 {numbers({4, 3}), numbers({2, 1, 1})}});
  all.push_back({"a sum of a plain leaf of lower rank",
                 [=](const Tensors& x) {
                   return total(sum(x[0] + x[1], {0, 2}));
                 },
                 {numbers({3}), numbers({2, 4, 1})}});
  all.push_back({"log_softmax of a biased matrix",
                 [=](const Tensors& x) {
                   return total(log_softmax(x[0] * x[2] + x[1], -1));
                 },
                 {numbers({4, 3}), numbers({3}), numbers({4, 1}, 2)}});
  all.push_back(
      {"softmax of a row that is broadcast",
       [=](const Tensors& x) { return total(softmax(x[0] + x[1], -1)); },
       {numbers({4, 1}), numbers({3})}});
  all.push_back({"logsumexp with a column that was used before",
                 [=](const Tensors& x) {
                   TrackedTensor d = x[1] - x[2];
                   TrackedTensor before = sum(square(d));
                   return total(logsumexp(x[0] + d, {-1}, true)) + before;
                 },
                 {numbers({4, 3}), numbers({4, 1}, 1), numbers({4, 1}, 2)}});
  all.push_back(
      {"softmax of one column",
       [=](const Tensors& x) { return total(softmax(x[0], -1) * x[1]); },
       {numbers({4, 1}), numbers({4, 3})}});
  all.push_back({"layer_norm",
                 [=](const Tensors& x) {
                   return total(layer_norm(x[0] * x[0], x[1], x[2]));
                 },
                 {numbers({4, 3}), numbers({3}, 1), numbers({3}, 2)}});
  all.push_back(
      {"softmax of a vector",
       [=](const Tensors& x) { return total(softmax(x[0] * x[1], -1)); },
       {numbers({3}), numbers({}, 2)}});
  all.push_back(
      {"relu and abs",
       [=](const Tensors& x) { return total(relu(x[0] + x[1]) + abs(x[0])); },
       {numbers({4, 3}), numbers({3})}});
  all.push_back({"rank 0",
                 [=](const Tensors& x) { return x[0] * exp(x[1]); },
                 {numbers({}), numbers({}, 1)}});
  all.push_back(
      {"no rows",
       [=](const Tensors& x) { return total(x[0] * x[1]) + sum(x[1] * x[2]); },
       {numbers({0, 3}), numbers({3}), numbers({}, 2)}});
  all.push_back({"no columns",
                 [=](const Tensors& x) {
                   return total(sum(x[0] * x[1], {1})) + sum(x[1] * x[2]);
                 },
                 {numbers({4, 0}), numbers({4, 1}), numbers({}, 2)}});
  all.push_back({"a mean of nothing",
                 [=](const Tensors& x) {
                   return sum(mean(x[0] * x[1], {0})) + sum(x[1]);
                 },
                 {numbers({0, 0}), numbers({3, 0, 1})}});
  return all;
}

// What the walk computes by launches.
TEST(Recorded, AGradientHasTheSameValueRecordedOrNot) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    const Tensors plain = gradient(c.f, c.inputs);
    const Tensors recorded = gradient({.create_graph = true}, c.f, c.inputs);
    ASSERT_EQ(plain.size(), recorded.size());
    for (std::size_t i = 0; i < plain.size(); ++i) {
      EXPECT_EQ(plain[i].shape(), c.inputs[i].shape());
      EXPECT_EQ(recorded[i].shape(), c.inputs[i].shape());
      expect_near(recorded[i].to_host<double>(), plain[i].to_host<double>());
    }
  }
}

TEST(Recorded, AGradientIsTheNumericOneInFirstAndSecondOrder) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    const GradcheckResult first = gradcheck(c.f, c.inputs);
    EXPECT_TRUE(first.ok) << first.message;
    const GradcheckResult second = gradgradcheck(c.f, c.inputs);
    EXPECT_TRUE(second.ok) << second.message;
  }
}

TEST(Recorded, AGradientThatNothingVariesOverIsExpanded) {
  for (bool recorded : {false, true}) {
    SCOPED_TRACE(recorded);
    TrackedTensor g = gradient(
        {.create_graph = recorded},
        [](const TrackedTensor& x) { return sum(x * 3.0); }, numbers({4, 3}));
    EXPECT_EQ(g.shape(), (Shape{4, 3}));
    EXPECT_EQ(g.to_host<double>(), Doubles(12, 3));
  }
}

TEST(Recorded, TheDerivativeOfALinearFunctionsGradientIsAnError) {
  TrackedTensor x = f64({1, 2});
  auto linear = [](const TrackedTensor& v) { return sum(v * 2.0); };
  EXPECT_THROW(
      gradient([&](const TrackedTensor& v) { return sum(gradient(linear, v)); },
               x),
      GraphError);
}

TEST(Levels, AnExceptionInsideLeavesTheThreadAsItWas) {
  EXPECT_THROW(gradient(
                   [](const TrackedTensor&) -> TrackedTensor {
                     throw std::runtime_error("inside");
                   },
                   f64({1})),
               std::runtime_error);
  EXPECT_TRUE(is_grad_enabled());
  TrackedTensor g =
      gradient([](const TrackedTensor& v) { return v * v; }, f64({1}));
  EXPECT_FALSE(g.is_tracked());
}

TEST(Levels, GradientUnderNoGradIsRecordedInsideOnly) {
  NoGrad off;
  TrackedTensor g =
      gradient([](const TrackedTensor& v) { return v * v; }, f64({3}));
  EXPECT_EQ(g.to_host<double>(), (Doubles{6}));
  EXPECT_FALSE(g.is_tracked());
  EXPECT_FALSE(is_grad_enabled());
}

TEST(Levels, ARootThatIsAnArgument) {
  TrackedTensor x = param(f64({3}));
  EXPECT_EQ(
      gradient([](const TrackedTensor& v) { return v; }, x).to_host<double>(),
      (Doubles{1}));
  backward(x);
  EXPECT_EQ(grad_of(x), (Doubles{1}));
}

TEST(Levels, ALeafThatIsArgumentAndCaptureIsConstantWhereCaptured) {
  TrackedTensor x = param(f64({3}));
  TrackedTensor g = gradient([&](const TrackedTensor& v) { return v * x; }, x);
  EXPECT_EQ(g.to_host<double>(), (Doubles{3}));
  EXPECT_FALSE(x.grad().defined());
}

TEST(Levels, TheInnerOfTwoFreesNothingThatTheOuterNeeds) {
  TrackedTensor g = gradient(
      [](const TrackedTensor& x) {
        TrackedTensor h = materialize(x * x);
        TrackedTensor inner =
            gradient([&](const TrackedTensor& t) { return t * t * h; }, h);
        return inner * h;  // 2h·h·h
      },
      f64({2}));
  // d/dx 2x⁶ = 12x⁵
  EXPECT_EQ(g.to_host<double>(), (Doubles{12 * 32}));
}

TEST(HalfTypes, AccumulateInFloat32AcrossManyUses) {
  TrackedTensor x = param(cast(f64({1}), DType::bfloat16).data());
  TrackedTensor y = cast(x, DType::float32) * 256.0;
  for (int i = 0; i < 64; ++i) y = y + materialize(cast(x, DType::float32));
  backward(sum(y));
  EXPECT_EQ(x.grad().dtype(), DType::bfloat16);
  EXPECT_EQ(x.grad().to_host<float>(), (std::vector<float>{320}));
}

}  // namespace
}  // namespace jacquard
