// Indices of several kinds at once: reading, writing and adding, as in NumPy.
#include <gtest/gtest.h>

#include "jacquard/gradient.h"
#include "jacquard/index_ops.h"
#include "jacquard/launch_log.h"
#include "jacquard/pointwise.h"
#include "jacquard/reduce.h"
#include "jacquard/shape_ops.h"
#include "tests/core/ops/reference_array.h"

namespace jacquard {
namespace {

using namespace jacquard::testing;
using In = const std::vector<TrackedTensor>&;
using Indices = std::vector<Index>;

const Slice kAll{};

// The flat place that index() reads at each place of its result, and so which
// elements the others write.
struct Case {
  std::string name;
  Shape shape;
  Indices indices;
  Shape result;
  std::vector<std::int64_t> places;
};

std::vector<Case> cases() {
  const TrackedTensor twice = indices({1, 1}, {2});
  const TrackedTensor mixed = tensor<std::int32_t>({-1, 0});
  const TrackedTensor mask = tensor({true, false, true});
  return {
      {"nothing", {2, 2}, {}, {2, 2}, {0, 1, 2, 3}},
      {"an integer", {2, 3}, {-1}, {3}, {3, 4, 5}},
      {"all integers", {2, 3}, {1, 0}, {}, {3}},
      {"a slice", {2, 3}, {kAll, Slice{0, 3, 2}}, {2, 2}, {0, 2, 3, 5}},
      {"backwards", {3}, {Slice{{}, {}, -1}}, {3}, {2, 1, 0}},
      {"integer and slice", {2, 3}, {1, Slice{1, {}}}, {2}, {4, 5}},
      {"empty slice", {2, 3}, {kAll, Slice{2, 1}}, {2, 0}, {}},
      {"repeated rows", {3, 2}, {twice, kAll}, {2, 2}, {2, 3, 2, 3}},
      {"columns", {2, 3}, {kAll, mixed}, {2, 2}, {2, 0, 5, 3}},
      {"columns of a row", {2, 3}, {1, mixed}, {2}, {5, 3}},
      {"columns of rows", {3, 2}, {Slice{1, 3}, mixed}, {2, 2}, {3, 2, 5, 4}},
      {"columns backwards",
       {2, 2},
       {Slice{{}, {}, -1}, mixed},
       {2, 2},
       {3, 2, 1, 0}},
      {"pairs", {2, 3}, {twice, mixed}, {2}, {5, 3}},
      {"an outer product",
       {2, 3},
       {indices({0, 1}, {2, 1}), mixed},
       {2, 2},
       {2, 0, 5, 3}},
      {"pairs inside",
       {2, 2, 2, 1},
       {kAll, twice, mixed},
       {2, 2, 1},
       {3, 2, 7, 6}},
      {"pairs apart",
       {2, 3, 2},
       {twice, kAll, mixed},
       {2, 3},
       {7, 9, 11, 6, 8, 10}},
      {"three apart",
       {2, 2, 2, 2},
       {twice, mixed, kAll, twice},
       {2, 2},
       {13, 15, 9, 11}},
      {"integer before", {2, 3, 2}, {0, twice, mixed}, {2}, {3, 2}},
      {"integer between", {2, 3, 2}, {twice, 2, mixed}, {2}, {11, 10}},
      {"an index of rank 2",
       {3},
       {indices({0, 1, 2, 0}, {2, 2})},
       {2, 2},
       {0, 1, 2, 0}},
      {"an index of rank 0", {2, 2}, {indices({1}, {}), kAll}, {2}, {2, 3}},
      {"an empty index", {2, 2}, {indices({}, {0})}, {0, 2}, {}},
      {"a mask", {3, 2}, {mask}, {2, 2}, {0, 1, 4, 5}},
      {"a mask of columns", {2, 3}, {kAll, mask}, {2, 2}, {0, 2, 3, 5}},
      {"a mask of rank 2",
       {2, 3, 1},
       {tensor({{true, false, false}, {false, true, true}})},
       {3, 1},
       {0, 4, 5}},
      {"a mask of nothing", {2}, {tensor({false, false})}, {0}, {}},
      {"a mask with an index", {2, 3}, {twice, mask}, {2}, {3, 5}},
      {"a mask apart from an index",
       {3, 2, 2},
       {mask, kAll, mixed},
       {2, 2},
       {1, 3, 8, 10}},
  };
}

TEST(Index, ReadsWhatTheIndicesName) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    const TrackedTensor x = random_tensor(c.shape);
    const Array values(x);
    Array expected(c.result);
    ASSERT_EQ(expected.values.size(), c.places.size());
    for (std::size_t i = 0; i < c.places.size(); ++i)
      expected.values[i] = values.values[static_cast<std::size_t>(c.places[i])];
    EXPECT_TRUE(is_near(index(x, c.indices), expected, 0));
  }
}

TEST(Index, PutsAndAddsWhereItReads) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    const TrackedTensor x = random_tensor(c.shape);
    const TrackedTensor v = random_tensor(c.result, 2);
    Array put(x), added(x);
    const Array values(v);
    for (std::size_t i = 0; i < c.places.size(); ++i) {
      put.values[static_cast<std::size_t>(c.places[i])] = values.values[i];
      added.values[static_cast<std::size_t>(c.places[i])] += values.values[i];
    }
    EXPECT_TRUE(is_near(index_put(x, c.indices, v), put, 0));
    EXPECT_TRUE(is_near(index_add(x, c.indices, v), added));
    Array filled(x);
    for (const std::int64_t place : c.places)
      filled.values[static_cast<std::size_t>(place)] = 7;
    EXPECT_TRUE(is_near(index_put(x, c.indices, 7), filled, 0));
  }
}

TEST(Index, HasGradientsOfFirstAndSecondOrder) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    const TrackedTensor x = random_tensor(c.shape);
    const TrackedTensor v = random_tensor(c.result, 2);
    if (v.numel() == 0) continue;
    expect_gradients([&](In in) { return index(in[0], c.indices); }, {x});
    expect_gradients([&](In in) { return index_put(in[0], c.indices, in[1]); },
                     {x, v});
    expect_gradients([&](In in) { return index_add(in[0], c.indices, in[1]); },
                     {x, v});
  }
}

TEST(Index, RepeatedRowsOfAMatrixAddUpTheirGradients) {
  // x[[1, 1], :] in the systems that this one follows lost one of the two.
  const TrackedTensor w = tensor({{1.0, 2.0}, {3.0, 4.0}});
  const TrackedTensor g = gradient(
      [&](const TrackedTensor& x) {
        return sum(w * index(x, {indices({1, 1}, {2}), kAll}));
      },
      zeros({2, 2}, {DType::float64}));
  EXPECT_TRUE(is_exactly(g, {2, 2}, {0, 0, 4, 6}));
}

TEST(Index, OverwrittenValuesHaveNoGradient) {
  const TrackedTensor x = random_tensor({3}), v = random_tensor({3}, 2);
  const auto [gx, gv] = gradient(
      [](const TrackedTensor& a, const TrackedTensor& b) {
        return sum(index_put(a, {indices({1, 0, 1}, {3})}, b) *
                   tensor({2.0, 3.0, 5.0}));
      },
      x, v);
  EXPECT_TRUE(is_exactly(gx, {3}, {0, 0, 5}));
  EXPECT_TRUE(is_exactly(gv, {3}, {0, 2, 3}));
  const auto added = gradient(
      [](const TrackedTensor& a, const TrackedTensor& b) {
        return sum(index_add(a, {indices({1, 0, 1}, {3})}, b) *
                   tensor({2.0, 3.0, 5.0}));
      },
      x, v);
  EXPECT_TRUE(is_exactly(std::get<0>(added), {3}, {2, 3, 5}));
  EXPECT_TRUE(is_exactly(std::get<1>(added), {3}, {3, 2, 3}));
}

TEST(Index, AMaskedPutOfOneValueReadsNothingOnTheHost) {
  const TrackedTensor x = tensor({{1.0, -2.0}, {-3.0, 4.0}});
  const TrackedTensor mask = materialize(x < 0);
  LaunchLog log;
  const TrackedTensor y = materialize(index_put(x, {mask}, 0.0));
  const TrackedTensor rows = materialize(
      index_add(x, {materialize(tensor({true, false}))}, tensor({10.0, 20.0})));
  EXPECT_EQ(log.host_reads(), 0U);
  EXPECT_TRUE(is_exactly(y, {2, 2}, {1, 0, 0, 4}));
  EXPECT_TRUE(is_exactly(rows, {2, 2}, {11, 18, -3, 4}));
}

TEST(Index, OfIntegersAndSlicesAloneIsAView) {
  const TrackedTensor x = random_tensor({4, 5});
  const TrackedTensor y = index(x, {1, Slice{0, 5, 2}});
  EXPECT_EQ(y.data().strides(), (Strides{2}));
  EXPECT_EQ(&y.data().storage(), &x.data().storage());
}

TEST(Index, TakesAnyLayoutAndDtype) {
  const TrackedTensor x = transpose(tensor({{1, 2}, {3, 4}}));
  EXPECT_TRUE(
      is_exactly(index(x, {indices({1}, {1}), indices({0}, {1})}), {1}, {2}));
  EXPECT_EQ(index_put(x, {0}, true).dtype(), x.dtype());
  EXPECT_TRUE(
      is_exactly(index_put(tensor({true, true}), {0}, false), {2}, {0, 1}));
}

TEST(Index, SaysWhatDoesNotFit) {
  const TrackedTensor x = zeros({2, 3});
  expect_error<IndexError>(
      [&] {
        index(x, {0, 3});
      },
      "index: index 3 is out of range for axis 1 of [2, 3]");
  expect_error<ShapeError>(
      [&] {
        index_put(x, {0, 0, 0}, 1.0);
      },
      "index_put: [2, 3] has fewer axes than the indices stand for");
  expect_error<ShapeError>(
      [&] {
        index(x, {tensor({true, false, true})});
      },
      "index: a bool index of [3] from axis 0 of [2, 3]: a mask must have the "
      "extents of the axes it stands for");
  expect_error<DTypeError>([&] { index(x, {tensor({1.0})}); },
                           "index: an index is int64, int32 or bool, not "
                           "float64");
  EXPECT_THROW(index(x, {TrackedTensor()}), GraphError);
  EXPECT_THROW(index(x, {Slice{0, 2, 0}}), IndexError);
  EXPECT_THROW(index_put(x, {0}, zeros({4})), ShapeError);
  EXPECT_THROW(index_put(x, {tensor({true, false})}, zeros({4})), ShapeError);
  EXPECT_THROW(index_put(x, {indices({0}, {1})}, zeros({4})), ShapeError);
  EXPECT_THROW(index_put(tensor({1}), {0}, 0.5), DTypeError);
  EXPECT_THROW(index_add(tensor({true}), {0}, true), DTypeError);
  EXPECT_THROW(index(x, {indices({0, 1}, {2}), indices({0, 1, 2}, {3})}),
               ShapeError);
  EXPECT_THROW(
      {
        materialize(index(x, {indices({2}, {1}), indices({0}, {1})}));
        synchronize(x.device());
      },
      IndexError);
}

TEST(Compare, EqualIsAboutShapesAndAllElements) {
  EXPECT_TRUE(equal(square(param(2)), param(4)));
  EXPECT_TRUE(equal(square(param(2)), 4));
  EXPECT_TRUE(equal(4, square(param(2))));
  const TrackedTensor x = param({1.0, 2.0, 3.0});
  EXPECT_TRUE(equal(square(x), tensor({1.0, 4.0, 9.0})));
  EXPECT_FALSE(equal(square(x), tensor({1.0, 4.0, 8.0})));
  EXPECT_FALSE(equal(tensor({1, 1}), tensor({1})));
  EXPECT_FALSE(equal(tensor({NAN}), tensor({NAN})));
  EXPECT_TRUE(equal(zeros({0}), zeros({0})));
  EXPECT_TRUE(is_exactly(x < 2, {3}, {1, 0, 0}));
  EXPECT_TRUE(is_exactly(x <= 2, {3}, {1, 1, 0}));
  EXPECT_TRUE(is_exactly(2 > x, {3}, {1, 0, 0}));
  EXPECT_TRUE(is_exactly(2 >= x, {3}, {1, 1, 0}));
  EXPECT_FALSE((x < 2).is_tracked());
}

TEST(Compare, AllcloseHasTolerancesAndKnowsInfinities) {
  EXPECT_TRUE(allclose(tensor({1.0, 1e-9}), tensor({1.000001, 0.0})));
  EXPECT_FALSE(allclose(tensor({1.0}), tensor({1.0001})));
  EXPECT_TRUE(allclose(tensor({1.0}), tensor({1.0001}), 0, 1e-3));
  EXPECT_TRUE(allclose(ones({2, 2}), 1));
  EXPECT_TRUE(allclose(tensor({INFINITY}), tensor({INFINITY})));
  EXPECT_FALSE(allclose(tensor({1.0}), tensor({INFINITY})));
  EXPECT_FALSE(allclose(tensor({-INFINITY}), tensor({INFINITY})));
  EXPECT_FALSE(allclose(tensor({NAN}), tensor({NAN})));
  EXPECT_TRUE(allclose(tensor({NAN}), tensor({NAN}), 0, 0, true));
  EXPECT_TRUE(allclose(tensor({1, 2}), tensor({1, 2})));
}

}  // namespace
}  // namespace jacquard
