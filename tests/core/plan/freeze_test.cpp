// freeze(f): what is an argument may change, nothing else.
#include "jacquard/freeze.h"

#include <gtest/gtest.h>

#include <string>

#include "jacquard/create.h"
#include "jacquard/gradient.h"
#include "jacquard/pointwise.h"
#include "jacquard/reduce.h"

namespace jacquard {
namespace {

using Floats = std::vector<float>;
TrackedTensor numbers(const Floats& v) {
  return Tensor::from_host(std::span<const float>(v),
                           {static_cast<std::int64_t>(v.size())});
}

TEST(Freeze, RunsTheFunctionOnceForEachSignature) {
  int runs = 0;
  auto f = freeze([&](const TrackedTensor& x, int power, std::string kind) {
    ++runs;
    const TrackedTensor y = power == 2 ? x * x : x * x * x;
    return kind == "sum" ? sum(y) : mean(y);
  });
  EXPECT_EQ(f(numbers({1, 2}), 2, "sum").item<float>(), 5);
  EXPECT_EQ(f(numbers({2, 3}), 2, "sum").item<float>(), 13);
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(f(numbers({2, 3}), 3, "sum").item<float>(), 35);
  EXPECT_EQ(f(numbers({2, 4}), 2, "mean").item<float>(), 10);
  EXPECT_EQ(f(numbers({1, 2, 3}), 2, "sum").item<float>(), 14);
  EXPECT_EQ(runs, 4);
  EXPECT_EQ(f(numbers({3, 3, 3}), 2, "sum").item<float>(), 27);
  EXPECT_EQ(f(numbers({1, 1}), 3, "sum").item<float>(), 2);
  EXPECT_EQ(runs, 4);
}

TEST(Freeze, PassesScalarsThatTheFunctionTakesAsOperands) {
  int runs = 0;
  auto f = freeze([&](const TrackedTensor& x, Operand a, double b) {
    ++runs;
    return x * a + b;
  });
  EXPECT_EQ(f(numbers({1, 2}), 2.0, 1.0).to_host<float>(), Floats({3, 5}));
  EXPECT_EQ(f(numbers({1, 2}), 3.0, 1.0).to_host<float>(), Floats({4, 7}));
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(f(numbers({1, 2}), 3.0, 2.0).to_host<float>(), Floats({5, 8}));
  EXPECT_EQ(runs, 2);
}

TEST(Freeze, HoldsForTheValueOfAScalarThatTheHostLooksAt) {
  auto f = freeze(
      [](const TrackedTensor& x, Operand p) { return pow(x, std::move(p)); });
  EXPECT_EQ(f(numbers({2, 3}), 2.0).to_host<float>(), Floats({4, 9}));
  EXPECT_EQ(f(numbers({2, 3}), 3.0).to_host<float>(), Floats({8, 27}));
  EXPECT_EQ(f(numbers({2, 3}), 1.0).to_host<float>(), Floats({2, 3}));
  EXPECT_EQ(f(numbers({4, 5}), 2.0).to_host<float>(), Floats({16, 25}));
}

TEST(Freeze, ReadsLeavesAndCapturedTensorsWhereTheyAre) {
  const TrackedTensor w = param(numbers({1, 2})), c = numbers({10, 20});
  auto f = freeze([&](const TrackedTensor& x) {
    return gradient([&](const TrackedTensor& p) { return sum(p * p * x * c); },
                    w);
  });
  EXPECT_EQ(f(numbers({1, 1})).to_host<float>(), Floats({20, 80}));
  w.assign(numbers({3, 4}).data());
  const TrackedTensor held = f(numbers({1, 2}));
  EXPECT_EQ(held.to_host<float>(), Floats({60, 320}));
  EXPECT_EQ(f(numbers({0, 1})).to_host<float>(), Floats({0, 160}));
  EXPECT_EQ(held.to_host<float>(), Floats({60, 320}));
  EXPECT_EQ(f.stats().replayed, 2u);
}

TEST(Freeze, DrawsNewRandomNumbers) {
  auto f = freeze([](const TrackedTensor& x) { return dropout(x, 0.5); });
  const TrackedTensor x = ones({16});
  manual_seed(5);
  std::vector<Floats> got, wanted;
  for (int i = 0; i < 3; ++i) got.push_back(f(x).to_host<float>());
  manual_seed(5);
  for (int i = 0; i < 3; ++i)
    wanted.push_back(dropout(x, 0.5).to_host<float>());
  EXPECT_EQ(got, wanted);
}

TEST(Freeze, GivesBackStructures) {
  struct Pair {
    TrackedTensor sum, product;
    int count = 0;
  };
  auto f = freeze([](const std::vector<TrackedTensor>& x) {
    return Pair{x[0] + x[1], x[0] * x[1], 2};
  });
  f(std::vector{numbers({1}), numbers({2})});
  const Pair p = f(std::vector{numbers({3}), numbers({4})});
  EXPECT_EQ(p.sum.item<float>(), 7);
  EXPECT_EQ(p.product.item<float>(), 12);
  EXPECT_EQ(p.count, 2);
  EXPECT_EQ(f.stats().replayed, 1u);
}

TEST(Freeze, SaysWhatItCannotPlan) {
  int runs = 0;
  auto f = freeze([&](const TrackedTensor& x) {
    ++runs;
    return (x * 2.0).item<float>() > 3 ? x : x * 2.0;
  });
  testing::internal::CaptureStderr();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(f(numbers({1})).item<float>(), 2);
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("read on the host"), std::string::npos) << said;
  EXPECT_EQ(said.find("jacquard:"), said.rfind("jacquard:")) << said;
  EXPECT_EQ(runs, 3);
}

}  // namespace
}  // namespace jacquard
