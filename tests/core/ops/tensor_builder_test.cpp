#include "jacquard/tensor_builder.h"

#include <gtest/gtest.h>

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
using In = const std::vector<TrackedTensor>&;

const TensorOptions kDouble{DType::float64};
const Slice kAll{};

TEST(TensorBuilder, IsWrittenAndFrozen) {
  TensorBuilder b({2, 3});
  EXPECT_EQ(b.shape(), (Shape{2, 3}));
  EXPECT_EQ(b.dtype(), DType::float32);
  b.write({0}, tensor<float>({1, 2, 3}));
  b.write({1, Slice{1, 3}}, 5);
  EXPECT_FALSE(b.is_frozen());
  const TrackedTensor t = b.freeze();
  EXPECT_TRUE(b.is_frozen());
  EXPECT_TRUE(is_exactly(t, {2, 3}, {1, 2, 3, 0, 5, 5}));
  EXPECT_EQ(t.dtype(), DType::float32);
  EXPECT_FALSE(t.is_tracked());
  EXPECT_TRUE(is_exactly(b.freeze(), {2, 3}, {1, 2, 3, 0, 5, 5}));
  EXPECT_TRUE(is_exactly(b.read({1}), {3}, {0, 5, 5}));
}

TEST(TensorBuilder, StartsFromATensorThatItDoesNotChange) {
  const TrackedTensor x = tensor({1.0, 2.0, 3.0});
  TensorBuilder b(x);
  EXPECT_TRUE(is_exactly(b.freeze(), {3}, {1, 2, 3}));
  TensorBuilder c(x);
  c.write({-1}, 9.0);
  EXPECT_TRUE(is_exactly(c.freeze(), {3}, {1, 2, 9}));
  EXPECT_TRUE(is_exactly(x, {3}, {1, 2, 3}));
}

TEST(TensorBuilder, SaysThatAFrozenOneCannotChange) {
  TensorBuilder b({2});
  b.freeze();
  expect_error<GraphError>(
      [&] { b.write({0}, 1.0); },
      "TensorBuilder: write after freeze(): the tensor that it gave, [2], "
      "can't change; make a new builder of it");
  EXPECT_THROW(b.push(1.0), GraphError);
  EXPECT_THROW(b.erase(0), GraphError);
  EXPECT_TRUE(is_exactly(b.read(), {2}, {0, 0}));
}

TEST(TensorBuilder, PushGrowsTheFirstAxis) {
  TensorBuilder b({0, 2}, kDouble);
  for (int i = 0; i < 3; ++i) b.push(tensor({i + 0.0, i + 0.5}));
  EXPECT_EQ(b.shape(), (Shape{3, 2}));
  b.write({1}, 7.0);
  b.push(8.0);
  EXPECT_TRUE(is_exactly(b.read({3, 0}), {}, {8}));
  EXPECT_TRUE(is_exactly(b.freeze(), {4, 2}, {0, 0.5, 7, 7, 2, 2.5, 8, 8}));
  TensorBuilder scalars(tensor({1.0}));
  scalars.push(2.0);
  EXPECT_TRUE(is_exactly(scalars.freeze(), {2}, {1, 2}));
}

TEST(TensorBuilder, EraseRemovesARow) {
  TensorBuilder b(tensor({{1.0, 2.0}, {3.0, 4.0}, {5.0, 6.0}}));
  b.write({0, 0}, 9.0);
  b.erase(-2);
  b.push(7.0);
  b.erase(0);
  EXPECT_TRUE(is_exactly(b.freeze(), {2, 2}, {5, 6, 7, 7}));
  EXPECT_THROW(TensorBuilder({2}).erase(2), IndexError);
}

TEST(TensorBuilder, ReadsWhatIsThereNow) {
  TensorBuilder b(tensor({{1.0, 2.0, 3.0}, {4.0, 5.0, 6.0}}));
  EXPECT_TRUE(is_exactly(b.read({0}), {3}, {1, 2, 3}));
  b.write({0}, tensor({7.0, 8.0, 9.0}));
  EXPECT_TRUE(is_exactly(b.read({0}), {3}, {7, 8, 9}));
  EXPECT_TRUE(is_exactly(b.read({0, Slice{{}, {}, -2}}), {2}, {9, 7}));
  EXPECT_TRUE(is_exactly(b.read({0, 1}), {}, {8}));
  EXPECT_TRUE(is_exactly(b.read({1}), {3}, {4, 5, 6}));
  EXPECT_TRUE(is_exactly(b.read({kAll, 2}), {2}, {9, 6}));
  b.write({kAll, Slice{0, 3, 2}}, 0.0);
  EXPECT_TRUE(is_exactly(b.read({0}), {3}, {0, 8, 0}));
  EXPECT_TRUE(is_exactly(b.read({kAll, 1}), {2}, {8, 5}));
  EXPECT_TRUE(is_exactly(b.read({tensor({false, true})}), {1, 3}, {0, 5, 0}));
  EXPECT_TRUE(is_exactly(b.read(), {2, 3}, {0, 8, 0, 0, 5, 0}));
}

TEST(TensorBuilder, IndexTensorsAndMasksWriteToo) {
  TensorBuilder b(zeros({3}, kDouble));
  b.write({0}, 1.0);
  b.write({indices({1, 2, 1}, {3})}, tensor({4.0, 5.0, 6.0}));
  b.write({tensor({false, false, true})}, 7.0);
  EXPECT_TRUE(is_exactly(b.freeze(), {3}, {1, 6, 7}));
}

TEST(TensorBuilder, TheLastOfOverlappingWritesWins) {
  TensorBuilder b({4}, kDouble);
  b.write({Slice{0, 3}}, 1.0);
  b.write({Slice{1, 4}}, 2.0);
  b.write({Slice{0, 4, 3}}, 3.0);
  EXPECT_TRUE(is_exactly(b.freeze(), {4}, {3, 2, 2, 3}));
}

TEST(TensorBuilder, HoldsAnyRank) {
  TensorBuilder scalar_builder(param(2.0, kDouble));
  scalar_builder.write({}, 5.0);
  EXPECT_EQ(scalar_builder.freeze().item<double>(), 5);
  TensorBuilder empty({0}, kDouble);
  empty.write({kAll}, 1.0);
  EXPECT_TRUE(is_exactly(empty.freeze(), {0}, {}));
  TensorBuilder whole({2, 2});
  whole.write({}, tensor<float>({1, 2}));
  EXPECT_TRUE(is_exactly(whole.freeze(), {2, 2}, {1, 2, 1, 2}));
}

TEST(TensorBuilder, SaysWhatDoesNotFit) {
  TensorBuilder b({2, 3});
  EXPECT_THROW(b.write({2}, 1.0), IndexError);
  EXPECT_THROW(b.write({0, 0, 0}, 1.0), ShapeError);
  EXPECT_THROW(b.write({0}, zeros({2})), ShapeError);
  EXPECT_THROW(b.write({0}, zeros({1, 3})), ShapeError);
  EXPECT_THROW(b.push(zeros({2})), ShapeError);
  EXPECT_THROW(TensorBuilder(tensor({1})).write({0}, 0.5), DTypeError);
  EXPECT_THROW(TensorBuilder(Shape{}).push(0.5), ShapeError);
  EXPECT_THROW(TensorBuilder({-1}), ShapeError);
  EXPECT_TRUE(is_exactly(b.freeze(), {2, 3}, {0, 0, 0, 0, 0, 0}));
}

// Gradients ---------------------------------------------------------------

TEST(TensorBuilder, OverwrittenValuesHaveNoGradient) {
  const auto [gx, ga, gb] = gradient(
      [](const TrackedTensor& x, const TrackedTensor& a,
         const TrackedTensor& b) {
        TensorBuilder t(x);
        t.write({0}, a);
        t.write({1}, a);
        t.write({0}, b);
        return sum(t.freeze() * tensor({2.0, 3.0, 5.0}));
      },
      tensor({1.0, 1.0, 1.0}), scalar(1, kDouble), scalar(1, kDouble));
  EXPECT_TRUE(is_exactly(gx, {3}, {0, 0, 5}));
  EXPECT_TRUE(is_exactly(ga, {}, {3}));
  EXPECT_TRUE(is_exactly(gb, {}, {2}));
}

TEST(TensorBuilder, AValueWrittenAndReadAndOverwrittenKeepsItsGradient) {
  // b[1] = x; b[1] = b[1]·b[1]; the slot's gradient must not stay behind.
  const auto power = [](const TrackedTensor& x) {
    TensorBuilder b({1}, kDouble);
    b.write({0}, x);
    for (int i = 0; i < 2; ++i) b.write({0}, b.read({0}) * b.read({0}));
    return sum(b.freeze());
  };
  const TrackedTensor x = scalar(3, kDouble);
  EXPECT_TRUE(is_exactly(gradient(power, x), {}, {4 * 27}));
  EXPECT_TRUE(is_exactly(
      gradient([&](const TrackedTensor& y) { return gradient(power, y); }, x),
      {}, {12 * 9}));
}

TEST(TensorBuilder, AReadBetweenWritesHasTheGradientOfItsMoment) {
  // The loop of a recurrence, with reads of more than was just written.
  const auto f = [](In in) {
    TensorBuilder b(in[0]);
    for (int i = 1; i < 4; ++i)
      b.write({i}, sum(b.read({Slice{0, i + 1}}) * in[1]) + b.read({i - 1}));
    return b.freeze();
  };
  expect_gradients(f, {random_tensor({4}), random_tensor({}, 2)});
}

TEST(TensorBuilder, WritesOfAllKindsHaveGradients) {
  const TrackedTensor x = random_tensor({4, 3}), row = random_tensor({3}, 2),
                      part = random_tensor({2, 2}, 3);
  const auto f = [](In in) {
    TensorBuilder b(in[0]);
    b.write({0}, in[1]);
    b.write({Slice{1, 3}, Slice{0, 2}}, in[2]);
    b.write({Slice{{}, {}, -3}, 2}, sum(in[2]));
    b.push(in[1] * in[1]);
    b.write({-1, Slice{0, 2}}, index(in[2], {0}));
    b.write({indices({3, 3}, {2}), 1}, index(in[1], {Slice{0, 2}}));
    b.erase(2);
    b.write({1}, b.read({0}) * b.read({1}));
    return b.freeze();
  };
  expect_gradients(f, {x, row, part});
}

TEST(TensorBuilder, OverlappingWritesHaveGradients) {
  const auto windows = [](In in) {
    TensorBuilder b(in[0]);
    for (std::int64_t i = 0; i + 3 <= 6; ++i)
      b.write({Slice{i, i + 3}}, in[1] * static_cast<double>(i + 1));
    b.write({Slice{0, 6, 4}}, index(in[1], {Slice{0, 2}}));
    return b.freeze();
  };
  expect_gradients(windows, {random_tensor({7}), random_tensor({3}, 2)});
}

TEST(TensorBuilder, InterlacedWritesAreTakenForOverlapping) {
  TensorBuilder b({9}, kDouble);
  b.write({Slice{0, 9, 4}}, 1.0);
  b.write({Slice{1, 9, 4}}, 2.0);
  b.write({Slice{2, 9, 3}}, 3.0);
  EXPECT_TRUE(is_exactly(b.freeze(), {9}, {1, 2, 3, 0, 1, 3, 0, 0, 3}));
}

TEST(TensorBuilder, ParametersAreReadWhenTheyAreWritten) {
  const TrackedTensor w = param(tensor({1.0, 2.0}));
  TensorBuilder b({2, 2}, kDouble);
  b.write({0}, w);
  w.assign(tensor({5.0, 6.0}).data());
  b.write({1}, w);
  const TrackedTensor t = b.freeze();
  EXPECT_TRUE(is_exactly(t, {2, 2}, {1, 2, 5, 6}));
  backward(sum(t * tensor({{1.0, 2.0}, {3.0, 4.0}})));
  EXPECT_TRUE(is_exactly(w.grad(), {2}, {4, 6}));
}

TEST(TensorBuilder, TheWriteDecidesWhatIsRecorded) {
  const TrackedTensor w = param(tensor({1.0}));
  TensorBuilder b({2}, kDouble);
  {
    const NoGrad off;
    b.write({0}, sum(w));
  }
  b.write({1}, sum(w));
  TrackedTensor t;
  {
    const NoGrad off;
    t = b.freeze();
  }
  EXPECT_TRUE(t.is_tracked());
  backward(sum(t));
  EXPECT_TRUE(is_exactly(w.grad(), {1}, {1}));
}

TEST(TensorBuilder, AThousandRowsAreOneNodeWithoutTheOldContents) {
  const std::int64_t n = 1000;
  const TrackedTensor w = param(ones({n, 4}, kDouble));
  TensorBuilder b({n, 4}, kDouble);
  LaunchLog log;
  for (std::int64_t i = 0; i < n; ++i) b.write({i}, index(w, {i}));
  EXPECT_EQ(log.launches(), 0U);
  const TrackedTensor t = b.freeze();
  // One launch, in which each row is read and written once: no zeros below, no
  // copies of the whole.
  EXPECT_EQ(log.launches(), 1U);
  EXPECT_EQ(log.bytes_written(), static_cast<std::size_t>(n) * 32);
  backward(sum(t * t));
  EXPECT_EQ(w.grad().to_host<double>(),
            std::vector<double>(static_cast<std::size_t>(n) * 4, 2));
}

TEST(TensorBuilder, ARecurrenceNeverMakesTheWholeArray) {
  const std::int64_t n = 50;
  const TrackedTensor x = param(ones({8}, kDouble));
  TensorBuilder b({n, 8}, kDouble);
  b.write({0}, x);
  LaunchLog log;
  for (std::int64_t i = 1; i < n; ++i) b.write({i}, b.read({i - 1}) * 0.5);
  const TrackedTensor t = b.freeze();
  EXPECT_LE(log.bytes_written(), 3U * n * 64);
  backward(sum(t));
  EXPECT_TRUE(allclose(x.grad(), 2.0));
}

TEST(TensorBuilder, AThrowLeavesTheBuilderAsItWas) {
  TensorBuilder b(tensor({1.0, 2.0}));
  b.write({0}, 5.0);
  EXPECT_THROW(b.write({1}, tensor({1.0, 2.0, 3.0})), ShapeError);
  EXPECT_THROW(b.write({tensor({1.0})}, 1.0), DTypeError);
  EXPECT_TRUE(is_exactly(b.read(), {2}, {5, 2}));
}

}  // namespace
}  // namespace jacquard
