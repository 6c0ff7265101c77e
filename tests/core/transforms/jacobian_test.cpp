// jacobian, withjacobian and batches of cotangents.
#include "jacquard/jacobian.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "tests/core/transforms/arrays.h"

namespace jacquard {
namespace {

const JacobianOptions kForward{DerivativeMode::forward};
const JacobianOptions kReverse{DerivativeMode::reverse};

// Tracker's R1.
TEST(Jacobian, OfALinearMapIsItsMatrix) {
  const TrackedTensor a = sample({2, 2}), x = sample({2}, 4);
  auto f = [&](const TrackedTensor& v) { return matmul(a, v); };
  expect_near(jacobian(f, x), a);
  expect_near(jacobian(kForward, f, x), a);
  expect_near(jacobian(kReverse, f, x), a);
}

TEST(Jacobian, HasTheShapesOfResultAndArgument) {
  const TrackedTensor w = sample({4, 3}), x = sample({2, 4}, 5);
  auto f = [](const TrackedTensor& a, const TrackedTensor& b) {
    return tanh(matmul(a, b));
  };
  const auto [by_x, by_w] = jacobian(kForward, f, x, w);
  EXPECT_EQ(by_x.shape(), Shape({2, 3, 2, 4}));
  EXPECT_EQ(by_w.shape(), Shape({2, 3, 4, 3}));
  EXPECT_TRUE(by_x.data().is_contiguous());
  const auto [row_x, row_w] = jacobian(kReverse, f, x, w);
  expect_near(by_x, row_x);
  expect_near(by_w, row_w);
  // One row against the gradient.
  const auto g = gradient(
      [&](const TrackedTensor& a) {
        return index(f(a, w), {1, 2});
      },
      x);
  expect_near(index(by_x, {1, 2}), g);
}

// Zygote's utils.jl.
TEST(Jacobian, OfScalarsAndZeros) {
  const TrackedTensor v = tensor({1.0, 2.0, 3.0});
  expect_near(jacobian([](const TrackedTensor& x) { return 2.0 * x; }, v),
              tensor({{2.0, 0.0, 0.0}, {0.0, 2.0, 0.0}, {0.0, 0.0, 2.0}}));
  expect_near(jacobian([](const TrackedTensor& x) { return sum(x * x); }, v),
              tensor({2.0, 4.0, 6.0}));
  const auto by_number =
      jacobian([&](const TrackedTensor& a) { return a * v; }, 2.0);
  expect_near(by_number, v);
  const auto [by_x, by_y] = jacobian(
      [](const TrackedTensor& x, const TrackedTensor&) { return x * x; }, v,
      tensor({1.0, 1.0}));
  EXPECT_TRUE(by_y.is_structural_zero());
  EXPECT_EQ(by_y.shape(), Shape({3, 2}));
  const auto empty = jacobian([](const TrackedTensor& x) { return x * 1.0; },
                              zeros({0}, kDouble));
  EXPECT_EQ(empty.shape(), Shape({0, 0}));
}

TEST(Jacobian, ThroughEveryKindOfOperation) {
  const TrackedTensor x = sample({3, 4});
  const TrackedTensor places = tensor({2, 0, 2});
  const TrackedTensor column = reshape(tensor({1, 0, 3, 2, 1}), {5, 1});
  auto f = [&](const TrackedTensor& a) {
    const TrackedTensor rows = index_select(a, 0, places);
    const TrackedTensor mixed = cat(
        {softmax(rows, 1), flip(slice(a, 0, {.start = 0, .stop = 2}), 1)}, 0);
    return sum(matmul(mixed, transpose(layer_norm(a, {}, {}))), 1) +
           max(mixed, 1) * prod(slice(a, 1, {.start = 0, .stop = 2})) +
           logsumexp(pad(a, {{1, 0}}, 0.5)) +
           squeeze(gather(mixed, 1, column), 1);
  };
  expect_near(jacobian(kForward, f, x), jacobian(kReverse, f, x));
}

TEST(Jacobian, ThroughOperationsWithoutAForwardRule) {
  auto f = [](const TrackedTensor& x) {
    return checkpoint([](const TrackedTensor& a) { return sin(a) * sum(a); },
                      x);
  };
  const TrackedTensor x = sample({3});
  expect_near(jacobian(kForward, f, x), jacobian(kReverse, f, x));
}

TEST(Jacobian, OfAStructureIsAStructure) {
  struct Layer {
    TrackedTensor weight, bias;
    int size = 2;
  };
  const Layer l{sample({2, 3}), sample({2}, 8)};
  const TrackedTensor x = sample({3}, 9);
  const Layer j =
      jacobian([&](const Layer& m) { return matmul(m.weight, x) + m.bias; }, l);
  EXPECT_EQ(j.weight.shape(), Shape({2, 2, 3}));
  expect_near(j.bias, tensor({{1.0, 0.0}, {0.0, 1.0}}));
  expect_near(index(j.weight, {0, 0}), x);
}

TEST(Jacobian, ShowsATiedWeightsTotalAtEachPlace) {
  const TrackedTensor w = param(tensor({2.0, 3.0}));
  const Values both{w, w};
  for (const auto& options : {kForward, kReverse}) {
    const Values j = jacobian(
        options, [](const Values& v) { return v[0] * v[1]; }, both);
    expect_near(j[0], tensor({{4.0, 0.0}, {0.0, 6.0}}));
    expect_near(j[1], j[0]);
  }
}

TEST(Jacobian, GivesTheValueAlong) {
  const auto [y, j] = withjacobian([](const TrackedTensor& x) { return x * x; },
                                   tensor({1.0, 3.0}));
  expect_near(y, tensor({1.0, 9.0}));
  EXPECT_FALSE(y.is_tracked());
  EXPECT_FALSE(j.is_tracked());
  expect_near(j, tensor({{2.0, 0.0}, {0.0, 6.0}}));
}

TEST(Jacobian, CanBeDifferentiated) {
  const TrackedTensor x = tensor({0.5, -1.5});
  for (const auto& options : {kForward, kReverse}) {
    const auto g = gradient(
        [&](const TrackedTensor& a) {
          return sum(jacobian(
              options, [](const TrackedTensor& v) { return v * v * v; }, a));
        },
        x);
    expect_near(g, 6.0 * x);
  }
}

TEST(Jacobian, OfSeveralBatchesOfColumns) {
  // The largest value on the way leaves room for two columns at a time.
  const TrackedTensor x = tensor({1.0, 2.0, 3.0});
  auto f = [](const TrackedTensor& a) {
    return a * mean(expand(sum(a), {1 << 21}));
  };
  expect_near(jacobian(kForward, f, x), jacobian(kReverse, f, x));
}

TEST(Jacobian, SaysWhatIsWrong) {
  const TrackedTensor deep = zeros({1, 1, 1, 1, 2}, kDouble);
  try {
    jacobian([](const TrackedTensor& x) { return x * x; }, deep);
    FAIL() << "ten axes";
  } catch (const ShapeError& e) {
    EXPECT_NE(std::string(e.what()).find("flatten"), std::string::npos);
  }
  const TrackedTensor x = tensor({1.0});
  auto constant = [&](const TrackedTensor&) { return x; };
  EXPECT_THROW(jacobian(constant, x), GraphError);
  JacobianOptions unused;
  unused.allow_unused = true;
  EXPECT_TRUE(jacobian(unused, constant, x).is_structural_zero());
  EXPECT_THROW(jacobian([](const TrackedTensor& a) { return eq(a, a); }, x),
               GraphError);
}

TEST(Jacobian, TakesWhatHasEightAxes) {
  const TrackedTensor x = tensor({1.0, 2.0});
  auto f = [](const TrackedTensor& a) {
    return sum(reshape(a, {1, 1, 1, 1, 1, 1, 1, 2}) * 3.0,
               {0, 1, 2, 3, 4, 5, 6}, false);
  };
  expect_near(jacobian(kForward, f, x), tensor({{3.0, 0.0}, {0.0, 3.0}}));
}

TEST(PullBatch, StacksTheGradientsOfEachSeed) {
  const TrackedTensor x = sample({3}), w = sample({2, 3}, 6);
  const auto [y, pull] =
      pullback([](const TrackedTensor& a,
                  const TrackedTensor& b) { return matmul(a, b * b); },
               w, x);
  const TrackedTensor seeds = sample({4, 2}, 7);
  const auto [by_w, by_x] = pull_batch(pull, seeds);
  EXPECT_EQ(by_w.shape(), Shape({4, 2, 3}));
  EXPECT_EQ(by_x.shape(), Shape({4, 3}));
  expect_near(by_x, matmul(seeds, w) * 2.0 * x);
  EXPECT_THROW(pull_batch(pull, scalar(1, kDouble)), ShapeError);
}

}  // namespace
}  // namespace jacquard
