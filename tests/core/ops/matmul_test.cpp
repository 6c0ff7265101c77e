#include "jacquard/gradient.h"
#include "jacquard/launch_log.h"
#include "jacquard/linalg.h"
#include "jacquard/pointwise.h"
#include "jacquard/reduce.h"
#include "jacquard/shape_ops.h"
#include "tests/core/ops/reference_array.h"

namespace jacquard {
namespace {

using namespace jacquard::testing;

// Of operands with at least two axes.
Array product(const Array& a, const Array& b) {
  const auto batch = [](const Array& x) {
    Shape shape = x.shape;
    shape.erase(shape.rank() - 1);
    shape.erase(shape.rank() - 1);
    return shape;
  };
  Shape shape = broadcast(batch(a), batch(b), "reference");
  shape.push_back(a.shape[a.shape.rank() - 2]);
  shape.push_back(b.shape[b.shape.rank() - 1]);
  const int last = shape.rank() - 1;
  const std::int64_t inner = a.shape[a.shape.rank() - 1];
  return array_of(shape, [&](const Shape& p) {
    double total = 0;
    for (std::int64_t k = 0; k < inner; ++k) {
      Shape left = p, right = p;
      left[last] = k;
      right[last - 1] = k;
      // Matrix axes of extent 1 are indexed by 0 anyway.
      total += a.broadcast_at(left) * b.broadcast_at(right);
    }
    return total;
  });
}

TEST(Matmul, AgreesWithAReference) {
  const struct {
    Shape a, b;
  } cases[] = {
      {{1, 1}, {1, 1}},       {{3, 5}, {5, 7}},    {{17, 33}, {33, 9}},
      {{1, 9}, {9, 4}},       {{4, 9}, {9, 1}},    {{2, 3, 4}, {2, 4, 5}},
      {{2, 3, 4}, {4, 5}},    {{3, 4}, {2, 4, 5}}, {{2, 1, 3, 4}, {6, 4, 2}},
      {{1, 3, 4}, {5, 4, 2}}, {{0, 3}, {3, 2}},    {{2, 0}, {0, 3}},
      {{0, 2, 3}, {3, 4}},    {{2, 3}, {3, 0}},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(to_string(c.a) + " × " + to_string(c.b));
    const TrackedTensor a = random_tensor(c.a, 1), b = random_tensor(c.b, 2);
    const Array expected = product(Array(a), Array(b));
    EXPECT_TRUE(is_near(matmul(a, b), expected));
    EXPECT_TRUE(
        is_near(matmul(cast(a, DType::float32), cast(b, DType::float32)),
                expected, 1e-5));
  }
}

void expect_any_layout(DType dtype, double tolerance) {
  const auto random = [dtype](const Shape& shape) {
    return materialize(cast(random_tensor(shape), dtype));
  };
  const auto expect = [&](const TrackedTensor& a, const TrackedTensor& b) {
    EXPECT_TRUE(is_near(matmul(a, b), product(Array(a), Array(b)), tolerance));
  };
  const TrackedTensor a = random({6, 10}), b = random({10, 8});
  const std::vector<TrackedTensor> lefts{
      a,
      transpose(random({10, 6})),
      slice(random({6, 20}), 1, {0, 10}),
      slice(random({6, 20}), 1, {0, 20, 2}),
      slice(a, {{{}, {}, -1}, {{}, {}, -1}}),
      expand(slice(a, 0, {0, 1}), {6, 10}),
      expand(slice(a, 1, {0, 1}), {6, 10}),
      slice(transpose(random({12, 6})), 1, {1, 11}),
      random({20}).data().view({6, 10}, {2, 1}, 0),  // rows overlap
  };
  for (std::size_t i = 0; i < lefts.size(); ++i) {
    SCOPED_TRACE(i);
    expect(lefts[i], b);
    expect(transpose(b), transpose(lefts[i]));
  }
  const TrackedTensor batch = permute(random({6, 3, 10}), {1, 0, 2});
  expect(batch, b);
  expect(batch, permute(batch, {0, 2, 1}));
}

TEST(Matmul, ReadsAnyLayout) {
  expect_any_layout(DType::float64, 1e-12);
  expect_any_layout(DType::float32, 1e-5);
}

TEST(Matmul, OfTransposedOperandsIsOneLaunch) {
  const TrackedTensor a = random_tensor({6, 10}), b = random_tensor({8, 6});
  LaunchLog log;
  matmul(transpose(a), transpose(b)).data();
  EXPECT_EQ(log.records().size(), 1u);
}

TEST(Matmul, TakesVectors) {
  const TrackedTensor v = tensor({1.0, 2.0}), w = tensor({3.0, 4.0});
  const TrackedTensor m = tensor({{1.0, 2.0, 3.0}, {4.0, 5.0, 6.0}});
  EXPECT_TRUE(is_exactly(matmul(v, w), {}, {11}));
  EXPECT_TRUE(is_exactly(matmul(v, m), {3}, {9, 12, 15}));
  EXPECT_TRUE(is_exactly(matmul(transpose(m), v), {3}, {9, 12, 15}));
  EXPECT_TRUE(is_exactly(matmul(expand(m, {2, 2, 3}), tensor({1.0, 0.0, 1.0})),
                         {2, 2}, {4, 10, 4, 10}));
  EXPECT_TRUE(is_exactly(matmul(v, expand(m, {2, 2, 3})), {2, 3},
                         {9, 12, 15, 9, 12, 15}));
  EXPECT_TRUE(is_exactly(dot(v, w), {}, {11}));
  EXPECT_TRUE(is_exactly(outer(v, w), {2, 2}, {3, 4, 6, 8}));
  EXPECT_TRUE(is_exactly(matmul(zeros({0}), zeros({0})), {}, {0}));
}

TEST(Matmul, PromotesAndTakesIntegers) {
  const TrackedTensor i = tensor<std::int32_t>({{1, 2}, {3, 4}});
  EXPECT_EQ(matmul(i, i).dtype(), DType::int32);
  EXPECT_TRUE(is_exactly(matmul(i, i), {2, 2}, {7, 10, 15, 22}));
  EXPECT_TRUE(is_exactly(matmul(i, cast(i, DType::float64) * 0.5), {2, 2},
                         {3.5, 5, 7.5, 11}));
  const TrackedTensor b = cast(i - 1, DType::bool_);
  EXPECT_EQ(matmul(b, b).dtype(), DType::int64);
  EXPECT_TRUE(is_exactly(matmul(b, b), {2, 2}, {1, 1, 1, 2}));
  const TrackedTensor h = cast(i, DType::float16);
  EXPECT_EQ(matmul(h, cast(i, DType::bfloat16)).dtype(), DType::float32);
  EXPECT_EQ(dot(tensor<std::int32_t>({2}), tensor<std::int32_t>({3})).dtype(),
            DType::int32);
}

TEST(Matmul, OfHalfTypesAccumulatesInFloat32) {
  for (const DType t : {DType::float16, DType::bfloat16}) {
    const TrackedTensor a = cast(ones({2, 300}), t);
    EXPECT_EQ(matmul(a, transpose(a)).dtype(), t);
    EXPECT_TRUE(
        is_exactly(matmul(a, transpose(a)), {2, 2}, {300, 300, 300, 300}));
    const TrackedTensor v = cast(ones({300}), t);
    EXPECT_TRUE(is_exactly(dot(v, v), {}, {300}));
  }
}

TEST(Matmul, SaysWhatDoesNotFit) {
  expect_error<ShapeError>(
      [] {
        matmul(zeros({128, 784}), zeros({512, 10}));
      },
      "matmul: [128, 784] × [512, 10]: inner dimensions differ (784 and 512)");
  expect_error<ShapeError>(
      [] {
        matmul(zeros({2, 3, 4}), zeros({3, 4, 5}));
      },
      "matmul: [2, 3, 4] × [3, 4, 5]: batch dimensions do not broadcast ([2] "
      "and [3])");
  expect_error<ShapeError>(
      [] { matmul(zeros({3}), 2.0); },
      "matmul: [3] × []: both operands need at least one axis");
  expect_error<ShapeError>([] { dot(zeros({3}), zeros({4})); },
                           "dot: [3] × [4]: extents differ");
  EXPECT_THROW(outer(zeros({3}), zeros({1, 4})), ShapeError);
  EXPECT_THROW(matmul(zeros({3}), zeros({2, 4, 5})), ShapeError);
}

TEST(Matmul, GradientsAgreeWithFiniteDifferences) {
  const struct {
    Shape a, b;
  } cases[] = {
      {{3, 4}, {4, 2}},          {{2, 3, 4}, {4, 5}},
      {{3, 4}, {2, 4, 2}},       {{2, 3, 4}, {2, 4, 2}},
      {{2, 1, 3, 2}, {3, 2, 2}}, {{4}, {4, 2}},
      {{2, 3, 4}, {4}},          {{4}, {4}},
      {{2, 2, 3, 2}, {2, 3}},    {{1, 3, 4}, {4, 2}},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(to_string(c.a) + " × " + to_string(c.b));
    const TrackedTensor a = random_tensor(c.a, 3), b = random_tensor(c.b, 4);
    using In = const std::vector<TrackedTensor>&;
    expect_gradients([](In in) { return matmul(in[0], in[1]); }, {a, b});
    expect_gradients([&](In in) { return matmul(in[0], b); }, {a});
    expect_gradients([&](In in) { return matmul(a, in[0]); }, {b});
  }
}

TEST(Matmul, GradientsOfViewsAndOfSquares) {
  using In = const std::vector<TrackedTensor>&;
  const TrackedTensor a = random_tensor({3, 3}, 3);
  expect_gradients([](In in) { return matmul(in[0], in[0]); }, {a});
  expect_gradients([](In in) { return matmul(in[0], transpose(in[0])); }, {a});
  expect_gradients(
      [](In in) {
        return matmul(permute(in[0], {1, 0, 2}), transpose(in[1]));
      },
      {random_tensor({2, 3, 4}), random_tensor({5, 4})});
  expect_gradients([](In in) { return dot(in[0], in[1]); },
                   {random_tensor({4}), random_tensor({4}, 2)});
  expect_gradients([](In in) { return outer(in[0], in[1]); },
                   {random_tensor({4}), random_tensor({3}, 2)});
}

TEST(Matmul, GradientsOfEmptyOperandsAreZeroOrEmpty) {
  const auto total = [](const TrackedTensor& a, const TrackedTensor& b) {
    return sum(matmul(a, b)) + 0.0 * (sum(a) + sum(b));
  };
  const auto [ga, gb] = gradient(total, zeros({2, 0}, {DType::float64}),
                                 zeros({0, 3}, {DType::float64}));
  EXPECT_TRUE(is_exactly(ga, {2, 0}, {}));
  EXPECT_TRUE(is_exactly(gb, {0, 3}, {}));
  const auto [gc, gd] = gradient(total, zeros({0, 2, 3}, {DType::float64}),
                                 zeros({3, 1}, {DType::float64}));
  EXPECT_TRUE(is_exactly(gc, {0, 2, 3}, {}));
  EXPECT_TRUE(is_exactly(gd, {3, 1}, {0, 0, 0}));
}

TEST(Matmul, GradientOfASharedWeightIsOneProductAStep) {
  const TrackedTensor x = random_tensor({4, 6}), w = random_tensor({6, 6}, 2);
  constexpr int steps = 5;
  LaunchLog log;
  gradient(
      [&](const TrackedTensor& weight) {
        TrackedTensor h = x;
        for (int i = 0; i < steps; ++i) h = matmul(h, weight);
        return sum(h);
      },
      w);
  int products = 0, others = 0;
  for (const LaunchRecord& r : log.records())
    ++(std::string(r.kind) == "matmul" ? products : others);
  // Forward, the weight's gradient, and that of h but for the first.
  EXPECT_EQ(products, 3 * steps - 1);
  // The sum and its reverse: gradients of the weight are not added up apart.
  EXPECT_LE(others, 3);
}

TEST(Matmul, BatchTimesWeightIsOneProductEachWay) {
  const TrackedTensor x = random_tensor({4, 5, 6}), w = random_tensor({6, 3});
  LaunchLog log;
  gradient([](const TrackedTensor& a,
              const TrackedTensor& b) { return sum(matmul(a, b)); },
           x, w);
  EXPECT_EQ(log.count("matmul"), 3u);
  // And the sum, and its cotangent as an array: no sum over the batch.
  EXPECT_EQ(log.launches(), 5u);
}

TEST(Matmul, GradientsOfHalfTypesHaveTheirDtype) {
  const TrackedTensor a = cast(random_tensor({3, 4}), DType::bfloat16);
  const TrackedTensor b = cast(random_tensor({4, 2}), DType::bfloat16);
  const auto [ga, gb] = gradient(
      [](const TrackedTensor& x, const TrackedTensor& y) {
        return sum(cast(matmul(x, y), DType::float32));
      },
      a, b);
  EXPECT_EQ(ga.dtype(), DType::bfloat16);
  EXPECT_EQ(gb.dtype(), DType::bfloat16);
  const Array columns(sum(cast(a, DType::float64), 0));
  EXPECT_TRUE(is_near(
      gb, array_of({4, 2}, [&](const Shape& p) { return columns[{p[0]}]; }),
      0.01));
}

}  // namespace
}  // namespace jacquard
