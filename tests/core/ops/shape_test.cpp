#include <limits>

#include "jacquard/gradient.h"
#include "jacquard/launch_log.h"
#include "jacquard/pointwise.h"
#include "jacquard/shape_ops.h"
#include "tests/core/ops/reference_array.h"

namespace jacquard {
namespace {

using namespace jacquard::testing;

TrackedTensor counted(const Shape& shape) {
  return materialize(reshape(
      arange(0, static_cast<double>(shape.numel()), 1, {DType::float64}),
      shape));
}

TEST(ShapeOps, ReshapeKeepsTheOrderAndViewsWhereItCan) {
  const TrackedTensor x = counted({2, 3, 4});
  EXPECT_TRUE(is_near(reshape(x, {6, -1}), Array(counted({6, 4})), 0));
  EXPECT_EQ(reshape(x, {-1}).data().data_ptr(), x.data().data_ptr());
  const TrackedTensor t = transpose(counted({2, 3}));
  EXPECT_TRUE(is_exactly(reshape(t, {2, 3}), {2, 3}, {0, 3, 1, 4, 2, 5}));
  EXPECT_TRUE(is_exactly(reshape(zeros({0, 3}), {3, 0, 2}), {3, 0, 2}, {}));
  EXPECT_TRUE(is_exactly(reshape(tensor({5.0}), {}), {}, {5}));
  expect_error<ShapeError>(
      [&] {
        reshape(x, {5, 5});
      },
      "reshape: [2, 3, 4] to [5, 5]: 24 elements do not "
      "make 25");
  EXPECT_THROW(reshape(x, {-1, -1}), ShapeError);
  EXPECT_THROW(reshape(x, {5, -1}), ShapeError);
}

TEST(ShapeOps, FlattenSqueezeUnsqueeze) {
  const TrackedTensor x = zeros({2, 1, 3, 1});
  EXPECT_EQ(flatten(x).shape(), Shape({6}));
  EXPECT_EQ(flatten(x, 1, 2).shape(), Shape({2, 3, 1}));
  EXPECT_EQ(flatten(x, -2).shape(), Shape({2, 1, 3}));
  EXPECT_EQ(flatten(scalar(1)).shape(), Shape({1}));
  EXPECT_EQ(squeeze(x).shape(), Shape({2, 3}));
  EXPECT_EQ(squeeze(x, -1).shape(), Shape({2, 1, 3}));
  EXPECT_EQ(unsqueeze(x, 0).shape(), Shape({1, 2, 1, 3, 1}));
  EXPECT_EQ(unsqueeze(x, -1).shape(), Shape({2, 1, 3, 1, 1}));
  expect_error<ShapeError>([&] { squeeze(x, 2); },
                           "squeeze: axis 2 of [2, 1, 3, 1] has extent 3, not "
                           "1");
  EXPECT_THROW(flatten(x, 2, 1), ShapeError);
  EXPECT_THROW(unsqueeze(x, 5), IndexError);
  EXPECT_THROW(unsqueeze(x, -6), IndexError);
  EXPECT_THROW(squeeze(x, 4), IndexError);
}

TEST(ShapeOps, PermuteAndTransposeAreViews) {
  const TrackedTensor x = random_tensor({2, 3, 5});
  const Array values(x);
  const TrackedTensor y = permute(x, {2, 0, -2});
  EXPECT_TRUE(is_near(y,
                      array_of({5, 2, 3},
                               [&](const Shape& p) {
                                 return values[{p[1], p[2], p[0]}];
                               }),
                      0));
  EXPECT_EQ(y.data().data_ptr(), x.data().data_ptr());
  EXPECT_TRUE(is_near(transpose(x),
                      array_of({2, 5, 3},
                               [&](const Shape& p) {
                                 return values[{p[0], p[2], p[1]}];
                               }),
                      0));
  EXPECT_EQ(transpose(x, 0, 2).shape(), Shape({5, 3, 2}));
  expect_error<ShapeError>(
      [&] {
        permute(x, {0, 1, 1});
      },
      "permute: (0, 1, 1) does not name each axis of "
      "[2, 3, 5] once");
  EXPECT_THROW(permute(x, {0, 1}), ShapeError);
  EXPECT_THROW(permute(x, {0, 1, 3}), IndexError);
  EXPECT_THROW(transpose(tensor({1.0})), IndexError);
}

TEST(ShapeOps, ExpandRepeatsWithoutACopy) {
  const TrackedTensor x = tensor({{1.0}, {2.0}});
  const TrackedTensor y = expand(x, {2, 2, 3});
  EXPECT_TRUE(is_exactly(y, {2, 2, 3}, {1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2}));
  EXPECT_EQ(y.data().data_ptr(), x.data().data_ptr());
  EXPECT_EQ(expand(x, {4, -1, 3}).shape(), Shape({4, 2, 3}));
  EXPECT_EQ(expand(x, {-1, 0}).shape(), Shape({2, 0}));
  EXPECT_THROW(expand(x, {3, 3}), ShapeError);
  EXPECT_THROW(expand(x, {-1, 2, 1}), ShapeError);
  EXPECT_THROW(expand(x, {2}), ShapeError);
}

// What Python's range(*slice(start, stop, step).indices(n)) lists.
TEST(ShapeOps, SlicesAreThoseOfPython) {
  const TrackedTensor x = counted({5});
  const auto values = [&](Slice s) { return slice(x, 0, s).to_host<double>(); };
  using List = std::vector<double>;
  EXPECT_EQ(values({}), (List{0, 1, 2, 3, 4}));
  EXPECT_EQ(values({1, 4, 1}), (List{1, 2, 3}));
  EXPECT_EQ(values({-2, {}, 1}), (List{3, 4}));
  EXPECT_EQ(values({-9, 9, 2}), (List{0, 2, 4}));
  EXPECT_EQ(values({3, 1, 1}), List{});
  EXPECT_EQ(values({{}, {}, -1}), (List{4, 3, 2, 1, 0}));
  EXPECT_EQ(values({{}, {}, -2}), (List{4, 2, 0}));
  EXPECT_EQ(values({3, 0, -1}), (List{3, 2, 1}));
  EXPECT_EQ(values({9, -9, -3}), (List{4, 1}));
  EXPECT_EQ(values({0, 3, -1}), List{});
  EXPECT_EQ(values({-9, {}, -1}), List{});
  EXPECT_EQ(values({9, {}, 1}), List{});
  constexpr auto low = std::numeric_limits<std::int64_t>::min();
  constexpr auto high = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(values({low, high, high}), (List{0}));
  EXPECT_EQ(values({high, low, low}), (List{4}));
  EXPECT_THROW(values({0, 1, 0}), IndexError);
  EXPECT_THROW(slice(x, 1, {}), IndexError);
  expect_error<ShapeError>(
      [&] {
        slice(x, std::vector<Slice>{{}, {}});
      },
      "slice: 2 slices for [5]");
}

TEST(ShapeOps, SlicesOfManyAxesAreViews) {
  const TrackedTensor x = random_tensor({4, 5, 6});
  const Array values(x);
  const TrackedTensor y = slice(x, {{1, 4, 2}, {{}, {}, -2}});
  EXPECT_TRUE(
      is_near(y,
              array_of({2, 3, 6},
                       [&](const Shape& p) {
                         return values[{1 + 2 * p[0], 4 - 2 * p[1], p[2]}];
                       }),
              0));
  EXPECT_EQ(&y.data().storage(), &x.data().storage());
  EXPECT_TRUE(is_near(select(x, 1, -1),
                      array_of({4, 6},
                               [&](const Shape& p) {
                                 return values[{p[0], 4, p[1]}];
                               }),
                      0));
  EXPECT_TRUE(is_near(flip(x, {0, -1}),
                      array_of({4, 5, 6},
                               [&](const Shape& p) {
                                 return values[{3 - p[0], p[1], 5 - p[2]}];
                               }),
                      0));
  EXPECT_TRUE(is_exactly(flip(tensor({{1.0, 2.0}, {3.0, 4.0}}), {}), {2, 2},
                         {4, 3, 2, 1}));
  EXPECT_TRUE(is_exactly(flip(zeros({0, 2}), 0), {0, 2}, {}));
  expect_error<IndexError>(
      [&] { select(x, 0, 4); },
      "select: index 4 is out of range for axis 0 of [4, 5, 6]");
  EXPECT_THROW(flip(x, {1, 1}), IndexError);
}

TEST(ShapeOps, SplitGivesThePiecesInOrder) {
  const TrackedTensor x = counted({2, 5});
  const auto pieces = split(x, 2, 1);
  ASSERT_EQ(pieces.size(), 3u);
  EXPECT_TRUE(is_exactly(pieces[0], {2, 2}, {0, 1, 5, 6}));
  EXPECT_TRUE(is_exactly(pieces[2], {2, 1}, {4, 9}));
  EXPECT_EQ(split(zeros({0, 3}), 2).size(), 1u);
  EXPECT_THROW(split(x, 0), ShapeError);
  EXPECT_THROW(split(x, 1, 2), IndexError);
}

TEST(ShapeOps, CatJoinsAndPromotes) {
  const TrackedTensor a = tensor({{1.0, 2.0}}),
                      b = tensor({{3.0, 4.0}, {5.0, 6.0}});
  EXPECT_TRUE(is_exactly(cat({a, b, a}), {4, 2}, {1, 2, 3, 4, 5, 6, 1, 2}));
  EXPECT_TRUE(is_exactly(cat({transpose(a), transpose(b)}, -1), {2, 3},
                         {1, 3, 5, 2, 4, 6}));
  EXPECT_TRUE(is_exactly(cat({a * 2.0, zeros({0, 2}, {DType::float64})}),
                         {1, 2}, {2, 4}));
  const TrackedTensor mixed = cat({tensor<std::int64_t>({1}), tensor({2.5f})});
  EXPECT_EQ(mixed.dtype(), DType::float32);
  EXPECT_TRUE(is_exactly(mixed, {2}, {1, 2.5}));
  expect_error<ShapeError>(
      [&] {
        cat({a, b, tensor({{1.0}})});
      },
      "cat: piece 2, [1, 1], does not fit piece 0, [1, 2]: extents must agree "
      "but on axis 0");
  EXPECT_THROW(cat({a, tensor({1.0})}), ShapeError);
  EXPECT_THROW(cat({}), ShapeError);
  EXPECT_THROW(cat({scalar(1), scalar(2)}), ShapeError);
  EXPECT_THROW(cat({a, a}, 2), IndexError);
}

TEST(ShapeOps, StackMakesAnAxis) {
  const TrackedTensor a = tensor({1.0, 2.0}), b = tensor({3.0, 4.0});
  EXPECT_TRUE(is_exactly(stack({a, b, a}), {3, 2}, {1, 2, 3, 4, 1, 2}));
  EXPECT_TRUE(is_exactly(stack({a, b}, -1), {2, 2}, {1, 3, 2, 4}));
  EXPECT_TRUE(is_exactly(stack({scalar(1), scalar(2)}), {2}, {1, 2}));
  EXPECT_THROW(stack({a, tensor({1.0})}), ShapeError);
  EXPECT_THROW(stack({a}, 2), IndexError);
}

TEST(ShapeOps, PadFillsTheBorder) {
  const TrackedTensor x = tensor({{1.0, 2.0}, {3.0, 4.0}});
  EXPECT_TRUE(
      is_exactly(pad(x, {{1, 2}}, 9), {2, 5}, {9, 1, 2, 9, 9, 9, 3, 4, 9, 9}));
  EXPECT_TRUE(is_exactly(pad(x * 2.0, {{1, 0}, {0, 1}}), {3, 3},
                         {0, 0, 0, 2, 4, 0, 6, 8, 0}));
  EXPECT_TRUE(is_exactly(pad(zeros({0}), {{1, 1}}, 3), {2}, {3, 3}));
  EXPECT_TRUE(
      is_exactly(pad(tensor<std::int64_t>({5}), {{1, 0}}, -7), {2}, {-7, 5}));
  EXPECT_THROW(pad(tensor<std::int64_t>({5}), {{1, 0}}, 0.5), DTypeError);
  EXPECT_THROW(pad(x, {{-1, 0}}), ShapeError);
  EXPECT_THROW(pad(x, {{0, 0}, {0, 0}, {0, 0}}), ShapeError);
}

TEST(ShapeOps, SlicePutReplacesAPart) {
  const TrackedTensor x = tensor({{1.0, 2.0, 3.0}, {4.0, 5.0, 6.0}});
  EXPECT_TRUE(is_exactly(slice_put(x, {{}, {{}, {}, -2}}, tensor({10.0, 20.0})),
                         {2, 3}, {20, 2, 10, 20, 5, 10}));
  EXPECT_TRUE(
      is_exactly(slice_put(x, {{1, 2}}, 0), {2, 3}, {1, 2, 3, 0, 0, 0}));
  EXPECT_TRUE(
      is_exactly(slice_put(x, {}, x * 2.0), {2, 3}, {2, 4, 6, 8, 10, 12}));
  EXPECT_TRUE(
      is_exactly(slice_put(x, {{0, 0}}, 9.0), {2, 3}, {1, 2, 3, 4, 5, 6}));
  EXPECT_TRUE(is_exactly(x, {2, 3}, {1, 2, 3, 4, 5, 6}));
  const TrackedTensor ints = tensor<std::int32_t>({1, 2});
  EXPECT_EQ(slice_put(ints, {{0, 1}}, tensor<std::int64_t>({7})).dtype(),
            DType::int32);
  expect_error<DTypeError>(
      [&] {
        slice_put(ints, {{0, 1}}, 1.5);
      },
      "slice_put: floating values do not fit an array of "
      "int32; cast one of them");
  EXPECT_THROW(slice_put(x, {{0, 1}}, tensor({1.0, 2.0})), ShapeError);
}

TEST(ShapeOps, GradientsAgreeWithFiniteDifferences) {
  const TrackedTensor x = random_tensor({3, 4, 5}, 3);
  const TrackedTensor v = random_tensor({2, 1}, 4);
  using In = const std::vector<TrackedTensor>&;
  const std::vector<TensorFunctionN> functions{
      [](In in) {
        return reshape(transpose(in[0], 0, 1), {6, -1});
      },
      [](In in) {
        return permute(in[0], {2, 0, 1});
      },
      [](In in) {
        return expand(unsqueeze(in[0], 1), {2, 3, 2, 4, 5});
      },
      [](In in) {
        return expand(select(in[0], 2, 1), {2, -1, 4});
      },
      [](In in) {
        return slice(in[0], {{{}, {}, -2}, {1, 3, 1}});
      },
      [](In in) {
        return flip(in[0], {0, 2});
      },
      [](In in) {
        return cat({in[0], in[0] * 2.0, flip(in[0], 0)}, 1);
      },
      [](In in) {
        return stack({in[0], exp(in[0])}, 2);
      },
      [](In in) {
        return pad(in[0], {{1, 2}, {0, 1}}, 3.0);
      },
      [](In in) {
        return flatten(squeeze(slice(in[0], 1, {1, 2, 1})), 0, 1);
      },
      [](In in) {
        const auto p = split(in[0], 2, 2);
        return p[0] * p[1] +
               select(p[2], 2, 0).shape()[0] * 1.0 * expand(p[2], {3, 4, 2});
      },
  };
  for (std::size_t i = 0; i < functions.size(); ++i) {
    SCOPED_TRACE(i);
    expect_gradients(functions[i], {x});
  }
  expect_gradients(
      [](In in) {
        return slice_put(in[0], {{}, {0, 3, 2}, {1, 3, 1}}, in[1]);
      },
      {x, v});
  expect_gradients([](In in) { return slice_put(in[0], {}, in[1] * in[1]); },
                   {random_tensor({2, 3}), v});
}

TEST(ShapeOps, AllSlicesOfAValueShareOneCotangent) {
  const TrackedTensor x = random_tensor({50, 3});
  LaunchLog log;
  const TrackedTensor g = gradient(
      [](const TrackedTensor& y) {
        TrackedTensor total = scalar(0, {DType::float64});
        for (int i = 0; i < 50; ++i)
          total = total + sum(select(y, 0, i)) * static_cast<double>(i);
        return total;
      },
      x);
  // Not an array of x's size for each slice.
  EXPECT_LT(log.bytes_written(), 8 * x.data().bytes());
  EXPECT_TRUE(is_near(g, array_of({50, 3}, [](const Shape& p) {
                        return static_cast<double>(p[0]);
                      })));
}

TEST(ShapeOps, ViewsOfHalfTypesHaveGradientsOfTheirDtype) {
  const TrackedTensor x = cast(random_tensor({4, 4}), DType::float16);
  const TrackedTensor g = gradient(
      [](const TrackedTensor& y) {
        return sum(
            cat({slice(y, 0, {0, 2}), transpose(slice(y, 1, {2, {}, 1}))}, 1));
      },
      x);
  EXPECT_EQ(g.dtype(), DType::float16);
  EXPECT_TRUE(is_exactly(g, {4, 4},
                         {1, 1, 2, 2, 1, 1, 2, 2,  //
                          0, 0, 1, 1, 0, 0, 1, 1}));
}

}  // namespace
}  // namespace jacquard
