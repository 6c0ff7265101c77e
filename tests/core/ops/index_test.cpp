#include "jacquard/gradient.h"
#include "jacquard/index_ops.h"
#include "jacquard/pointwise.h"
#include "jacquard/reduce.h"
#include "jacquard/shape_ops.h"
#include "tests/core/ops/reference_array.h"

namespace jacquard {
namespace {

using namespace jacquard::testing;

TEST(IndexOps, IndexSelectReadsRowsOfAnyAxis) {
  const TrackedTensor x = random_tensor({3, 4, 5});
  const Array values(x);
  const std::vector<std::int64_t> rows{2, 0, -1, 2, 1, 1};
  for (int axis = 0; axis < 3; ++axis) {
    SCOPED_TRACE(axis);
    Shape shape = x.shape();
    shape[axis] = 2;
    shape.insert(axis + 1, 3);
    const TrackedTensor y = index_select(x, axis - 3, indices(rows, {2, 3}));
    EXPECT_TRUE(is_near(
        y,
        array_of(
            shape,
            [&](const Shape& p) {
              Shape from = p;
              const std::int64_t row =
                  rows[static_cast<std::size_t>(3 * p[axis] + p[axis + 1])];
              from.erase(axis + 1);
              from[axis] = row < 0 ? row + x.shape()[axis] : row;
              return values[from];
            }),
        0));
  }
}

TEST(IndexOps, IndexSelectTakesAnyLayoutAndIndexType) {
  const TrackedTensor x = tensor({{1.0, 2.0}, {3.0, 4.0}, {5.0, 6.0}});
  EXPECT_TRUE(
      is_exactly(index_select(transpose(x), 1, tensor<std::int32_t>({2, 0})),
                 {2, 2}, {5, 1, 6, 2}));
  EXPECT_TRUE(is_exactly(index_select(x, 0, 1), {2}, {3, 4}));
  EXPECT_TRUE(is_exactly(index_select(x, 0, indices({}, {0})), {0, 2}, {}));
  EXPECT_TRUE(is_exactly(index_select(zeros({3, 0}), 0, indices({1, 2}, {2})),
                         {2, 0}, {}));
  const TrackedTensor strided = slice(indices({0, 9, 2, 9}, {4}), 0, {0, 4, 2});
  EXPECT_TRUE(is_exactly(index_select(x, 0, strided), {2, 2}, {1, 2, 5, 6}));
  EXPECT_TRUE(is_exactly(
      index_select(tensor({true, false}), 0, indices({1, 0, 0}, {3})), {3},
      {0, 1, 1}));
}

// Where an index is checked by the kernel, waiting reports it.
template <class F>
void expect_out_of_range(F f) {
  EXPECT_THROW(
      {
        materialize(f());
        synchronize(default_device());
      },
      IndexError);
}

TEST(IndexOps, RefusesBadIndices) {
  const TrackedTensor x = random_tensor({3, 4});
  expect_out_of_range([&] { return index_select(x, 0, indices({3}, {1})); });
  expect_out_of_range([&] { return index_select(x, 1, indices({-5}, {1})); });
  EXPECT_THROW(index_select(x, 2, indices({0}, {1})), IndexError);
  expect_out_of_range([&] { return index_add(x, 0, indices({3}, {1}), 1); });
  expect_out_of_range([&] { return index_put(x, 0, indices({3}, {1}), 1); });
  expect_out_of_range([&] { return gather(x, 0, indices({3}, {1, 1})); });
  expect_error<DTypeError>(
      [&] { index_select(x, 0, tensor({1.0f})); },
      "index_select: an index is int64 or int32, not float32");
  expect_error<ShapeError>(
      [&] {
        gather(x, 0, indices({0, 0}, {2}));
      },
      "gather: index of [2] for [3, 4]: ranks must be equal, and extents at "
      "most those of the array except on axis 0");
  EXPECT_THROW(gather(x, 0, indices(std::vector<std::int64_t>(5), {1, 5})),
               ShapeError);
  EXPECT_THROW(index_add(x, 0, indices({0}, {1}), tensor({1.0, 2.0})),
               ShapeError);
  EXPECT_THROW(index_add(tensor({true}), 0, indices({0}, {1}), true),
               DTypeError);
  EXPECT_THROW(index_put(tensor<std::int64_t>({1}), 0, indices({0}, {1}), 0.5),
               DTypeError);
}

TEST(IndexOps, GatherAndScatterAddFollowEachElement) {
  const TrackedTensor x = random_tensor({4, 3, 5});
  const Array values(x);
  for (int axis = 0; axis < 3; ++axis) {
    SCOPED_TRACE(axis);
    Shape shape{3, 2, 4};
    shape[axis] = 6;  // more than x has
    Array index(shape);
    for (std::size_t i = 0; i < index.values.size(); ++i)
      index.values[i] = static_cast<double>(
          static_cast<std::int64_t>(i * 7 %
                                    static_cast<std::size_t>(x.shape()[axis])) -
          (i % 3 == 0 ? x.shape()[axis] : 0));
    const auto place = [&](const Shape& p) {
      Shape from = p;
      const auto at = static_cast<std::int64_t>(index[p]);
      from[axis] = at < 0 ? at + x.shape()[axis] : at;
      return from;
    };
    std::vector<std::int64_t> flat(index.values.begin(), index.values.end());
    const TrackedTensor i = indices(flat, shape);
    EXPECT_TRUE(is_near(
        gather(x, axis, i),
        array_of(shape, [&](const Shape& p) { return values[place(p)]; }), 0));
    const TrackedTensor v = random_tensor(shape, 2);
    const Array added(v);
    Array expected = values;
    for_each_place(shape,
                   [&](const Shape& p) { expected[place(p)] += added[p]; });
    EXPECT_TRUE(is_near(scatter_add(x, axis, i, v), expected));
  }
}

TEST(IndexOps, IndexAddAccumulatesAndIndexPutKeepsTheLast) {
  const TrackedTensor x = tensor({{1.0, 2.0}, {3.0, 4.0}, {5.0, 6.0}});
  const TrackedTensor i = indices({2, 0, 2}, {3});
  const TrackedTensor v = tensor({{10.0, 20.0}, {30.0, 40.0}, {50.0, 60.0}});
  EXPECT_TRUE(
      is_exactly(index_add(x, 0, i, v), {3, 2}, {31, 42, 3, 4, 65, 86}));
  EXPECT_TRUE(
      is_exactly(index_put(x, 0, i, v), {3, 2}, {30, 40, 3, 4, 50, 60}));
  EXPECT_TRUE(is_exactly(index_add(x, 1, indices({1, 1}, {2}), 1), {3, 2},
                         {1, 4, 3, 6, 5, 8}));
  EXPECT_TRUE(is_exactly(index_put(x, 0, -1, tensor({7.0, 8.0})), {3, 2},
                         {1, 2, 3, 4, 7, 8}));
  EXPECT_TRUE(is_exactly(index_put(x, 0, indices({}, {0}), 1), {3, 2},
                         {1, 2, 3, 4, 5, 6}));
  EXPECT_TRUE(is_exactly(x, {3, 2}, {1, 2, 3, 4, 5, 6}));
  EXPECT_TRUE(is_exactly(
      index_add(tensor<std::int32_t>({1, 2}), 0, indices({1, 1}, {2}), 5), {2},
      {1, 12}));
}

TEST(IndexOps, OneHot) {
  const TrackedTensor y = one_hot(indices({1, 0, -1}, {3}), 3);
  EXPECT_EQ(y.dtype(), default_dtype());
  EXPECT_TRUE(is_exactly(y, {3, 3}, {0, 1, 0, 1, 0, 0, 0, 0, 1}));
  EXPECT_TRUE(is_exactly(one_hot(indices({1, 0}, {1, 2}), 2, DType::int64),
                         {1, 2, 2}, {0, 1, 1, 0}));
  EXPECT_TRUE(is_exactly(one_hot(indices({}, {0}), 0), {0, 0}, {}));
  expect_out_of_range([&] { return one_hot(indices({3}, {1}), 3); });
  EXPECT_THROW(one_hot(tensor({1.0}), 3), DTypeError);
  EXPECT_THROW(one_hot(indices({0}, {1}), -1), ShapeError);
}

TEST(IndexOps, GradientsAgreeWithFiniteDifferences) {
  using In = const std::vector<TrackedTensor>&;
  const TrackedTensor x = random_tensor({3, 4}, 7);
  const TrackedTensor rows = indices({2, 0, 2, -3}, {2, 2});
  expect_gradients([&](In in) { return index_select(in[0], 0, rows); }, {x});
  expect_gradients([&](In in) { return index_select(exp(in[0]), 1, rows); },
                   {x});
  const TrackedTensor v = random_tensor({2, 2, 4}, 8);
  using AlongAxis = TrackedTensor(Operand, int, Operand, Operand);
  for (AlongAxis* const f : {static_cast<AlongAxis*>(index_add),
                             static_cast<AlongAxis*>(index_put)}) {
    expect_gradients([&](In in) { return f(in[0], 0, rows, in[1]); }, {x, v});
    expect_gradients([&](In in) { return f(x, 0, rows, in[0]); }, {v});
    expect_gradients([&](In in) { return f(in[0], 0, rows, in[1]); },
                     {x, random_tensor({1, 4}, 9)});
  }
  const TrackedTensor all = indices({2, 0, 1, 1, 0, 0, 2, 2}, {2, 4});
  const TrackedTensor few = indices({2, 0, 2, 1, 1, 1}, {2, 3});
  for (const TrackedTensor& i : {all, few}) {
    expect_gradients([&](In in) { return gather(in[0], 0, i); }, {x});
    expect_gradients([&](In in) { return scatter_add(in[0], 0, i, in[1]); },
                     {x, random_tensor(i.shape(), 10)});
  }
}

TEST(IndexOps, OfRepeatedIndicesOnlyTheLastPutHasAGradient) {
  const TrackedTensor x = zeros({3}, {DType::float64});
  const auto [gx, gv] = gradient(
      [](const TrackedTensor& y, const TrackedTensor& v) {
        return sum(index_put(y, 0, indices({1, 0, 1}, {3}), v) *
                   tensor({2.0, 3.0, 4.0}));
      },
      x, tensor({1.0, 1.0, 1.0}));
  EXPECT_TRUE(is_exactly(gx, {3}, {0, 0, 4}));
  EXPECT_TRUE(is_exactly(gv, {3}, {0, 2, 3}));
}

TEST(IndexOps, CotangentsOfTwoReadersAreAdded) {
  const TrackedTensor x = tensor({1.0, 2.0, 3.0});
  const TrackedTensor g = gradient(
      [](const TrackedTensor& y) {
        return sum(index_select(y, 0, indices({0, 0}, {2}))) +
               sum(index_select(y, 0, indices({2, 0}, {2}))) * 10.0 + sum(y);
      },
      x);
  EXPECT_TRUE(is_exactly(g, {3}, {13, 1, 11}));
}

TEST(IndexOps, GradientsOfHalfTypesAccumulateInFloat32) {
  const TrackedTensor x = cast(zeros({2, 1}), DType::bfloat16);
  const TrackedTensor i = indices(std::vector<std::int64_t>(384, 1), {384});
  const TrackedTensor g = gradient(
      [&](const TrackedTensor& y) {
        return sum(cast(index_select(y, 0, i), DType::float32));
      },
      x);
  EXPECT_EQ(g.dtype(), DType::bfloat16);
  // Added one by one in bfloat16 it would stop at 256.
  EXPECT_TRUE(is_exactly(g, {2, 1}, {0, 384}));
}

}  // namespace
}  // namespace jacquard
