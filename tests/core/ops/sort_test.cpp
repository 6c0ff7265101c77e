#include "jacquard/sort.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "jacquard/jacquard.h"

namespace jacquard {
namespace {

using Positions = std::vector<std::int64_t>;

TrackedTensor array(const std::vector<double>& values, const Shape& shape,
                    DType dtype = DType::float64) {
  return Tensor::from_host(std::span<const double>(values), shape,
                           default_device())
      .to(dtype);
}

Positions order(const TrackedTensor& x, bool descending = false) {
  return argsort(x, -1, descending).to_host<std::int64_t>();
}

TEST(Sort, IsStableInBothDirections) {
  for (const DType dtype : {DType::int32, DType::int64, DType::float16,
                            DType::bfloat16, DType::float32, DType::float64}) {
    const TrackedTensor x = array({2, 1, 2, -3, 1}, {5}, dtype);
    EXPECT_EQ(order(x), (Positions{3, 1, 4, 0, 2})) << name_of(dtype);
    EXPECT_EQ(order(x, true), (Positions{0, 2, 1, 4, 3})) << name_of(dtype);
  }
  EXPECT_EQ(order(array({1, 0, 1, 0}, {4}, DType::bool_)),
            (Positions{1, 3, 0, 2}));
}

TEST(Sort, NaNIsGreatestAndZerosAreEqual) {
  const double nan = std::nan(""),
               inf = std::numeric_limits<double>::infinity();
  for (const DType dtype :
       {DType::float16, DType::bfloat16, DType::float32, DType::float64}) {
    const TrackedTensor x =
        array({nan, 0.0, -inf, -0.0, inf, -nan}, {6}, dtype);
    EXPECT_EQ(order(x), (Positions{2, 1, 3, 4, 0, 5})) << name_of(dtype);
    EXPECT_EQ(order(x, true), (Positions{0, 5, 4, 1, 3, 2})) << name_of(dtype);
  }
}

// 32-bit keys with and without a row, keys that fill a word, two passes.
TEST(Sort, OfManyRowsSortsEachRow) {
  std::mt19937 random(1);
  for (const DType dtype : {DType::int32, DType::int64, DType::float16,
                            DType::float32, DType::float64}) {
    for (const Shape& shape : {Shape{1, 700}, Shape{7, 100}}) {
      std::vector<double> values;
      for (int i = 0; i < 700; ++i)
        values.push_back(static_cast<double>(random() % 50) - 25);
      const auto got =
          argsort(array(values, shape, dtype)).to_host<std::int64_t>();
      for (std::int64_t row = 0; row < shape[0]; ++row) {
        const double* x = &values[static_cast<std::size_t>(row * shape[1])];
        Positions expected(static_cast<std::size_t>(shape[1]));
        std::iota(expected.begin(), expected.end(), 0);
        std::stable_sort(expected.begin(), expected.end(),
                         [&](auto i, auto j) { return x[i] < x[j]; });
        const auto* first = &got[static_cast<std::size_t>(row * shape[1])];
        ASSERT_EQ(Positions(first, first + shape[1]), expected)
            << name_of(dtype) << to_string(shape);
      }
    }
  }
}

TEST(Sort, OfALongRowIsInOrder) {
  std::vector<double> values;
  std::mt19937 random(2);
  for (int i = 0; i < 70000; ++i)
    values.push_back(static_cast<double>(random() % 1000));
  const Sorted s = sort(array(values, {70000}, DType::float32), 0);
  std::stable_sort(values.begin(), values.end());
  EXPECT_EQ(s.values.to_host<double>(), values);
}

TEST(Sort, GradientGoesBackToWhereValuesCameFrom) {
  const TrackedTensor x = array({3, 1, 2, 1}, {4});
  const TrackedTensor weight = array({1, 10, 100, 1000}, {4});
  const TrackedTensor g = gradient(
      [&](const TrackedTensor& t) { return sum(sort(t).values * weight); }, x);
  EXPECT_EQ(g.to_host<double>(), (std::vector<double>{1000, 1, 100, 10}));
  const TrackedTensor top = gradient(
      [](const TrackedTensor& t) { return sum(topk(t, 2).values); }, x);
  EXPECT_EQ(top.to_host<double>(), (std::vector<double>{1, 0, 1, 0}));
}

TEST(Sort, OfRankZeroIsItself) {
  const Sorted s = sort(array({5}, {}));
  EXPECT_EQ(s.values.item<double>(), 5);
  EXPECT_EQ(s.positions.item<std::int64_t>(), 0);
  EXPECT_EQ(s.values.rank(), 0);
}

TEST(Sort, ErrorsNameOperationAndShape) {
  const TrackedTensor x = array({1, 2, 3}, {3});
  EXPECT_THROW(sort(x, 1), IndexError);
  try {
    topk(x, 4);
    FAIL();
  } catch (const ShapeError& e) {
    EXPECT_EQ(std::string(e.what()), "topk: 4 along axis 0 of [3]");
  }
}

}  // namespace
}  // namespace jacquard
