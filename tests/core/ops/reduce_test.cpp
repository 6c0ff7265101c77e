#include "jacquard/reduce.h"

#include <algorithm>
#include <limits>

#include "jacquard/gradient.h"
#include "jacquard/pointwise.h"
#include "jacquard/shape_ops.h"
#include "tests/core/ops/reference_array.h"

namespace jacquard {
namespace {

using namespace jacquard::testing;

constexpr double inf = std::numeric_limits<double>::infinity();
const double nan = std::numeric_limits<double>::quiet_NaN();

// Folds the elements of x over the axes of `mask`, in row-major order.
Array folded(const Array& x, unsigned mask, bool keepdims, double start,
             const std::function<double(double, double)>& f) {
  const auto reduced = [&](const Shape& place, bool keep) {
    Shape result;
    for (int i = 0; i < place.rank(); ++i) {
      if ((mask >> i & 1u) == 0)
        result.push_back(place[i]);
      else if (keep)
        result.push_back(0);
    }
    return result;
  };
  Shape shape = reduced(x.shape, keepdims);
  for (int i = 0; keepdims && i < shape.rank(); ++i)
    if ((mask >> i & 1u) != 0) shape[i] = 1;
  Array result(shape, start);
  for_each_place(x.shape, [&](const Shape& place) {
    double& r = result[reduced(place, keepdims)];
    r = f(r, x[place]);
  });
  return result;
}

Axes axes_of(unsigned mask) {
  switch (mask) {
    case 1:
      return {0};
    case 2:
      return {-2};
    case 3:
      return {0, 1};
    case 4:
      return {2};
    case 5:
      return {2, 0};
    case 6:
      return {1, 2};
    default:
      return {};
  }
}

TEST(Reduce, AgreesWithAReferenceOverAnyAxes) {
  const TrackedTensor x = random_tensor({3, 5, 7});
  const Array values(x);
  for (unsigned mask = 1; mask < 8; ++mask) {
    for (const bool keep : {false, true}) {
      SCOPED_TRACE("mask " + std::to_string(mask));
      const Axes axes = axes_of(mask);
      const Array total = folded(values, mask, keep, 0, std::plus<>());
      EXPECT_TRUE(is_near(sum(x, axes, keep), total));
      EXPECT_TRUE(is_near(prod(x, axes, keep),
                          folded(values, mask, keep, 1, std::multiplies<>())));
      EXPECT_TRUE(
          is_near(max(x, axes, keep),
                  folded(values, mask, keep, -inf,
                         [](double a, double b) { return std::max(a, b); }),
                  0));
      EXPECT_TRUE(
          is_near(min(x, axes, keep),
                  folded(values, mask, keep, inf,
                         [](double a, double b) { return std::min(a, b); }),
                  0));
      const double n = 105.0 / static_cast<double>(total.values.size());
      Array average = total;
      for (double& v : average.values) v /= n;
      EXPECT_TRUE(is_near(mean(x, axes, keep), average));
      Array log_total = folded(values, mask, keep, 0, [](double a, double b) {
        return a + std::exp(b);
      });
      for (double& v : log_total.values) v = std::log(v);
      EXPECT_TRUE(is_near(logsumexp(x, axes, keep), log_total));
    }
  }
}

TEST(Reduce, ReadsStridedAndBroadcastViews) {
  const TrackedTensor x = random_tensor({4, 6});
  const TrackedTensor view = slice(transpose(x), {{5, {}, -2}, {1, 4, 1}});
  const Array values(view);
  EXPECT_TRUE(
      is_near(sum(view, 0), folded(values, 1, false, 0, std::plus<>())));
  EXPECT_TRUE(is_near(max(view, 1),
                      folded(values, 2, false, -inf,
                             [](double a, double b) { return std::max(a, b); }),
                      0));
  EXPECT_TRUE(
      is_exactly(sum(expand(tensor({1.0, 2.0}), {3, 2}), 0), {2}, {3, 6}));
}

TEST(Reduce, TakesAPendingOperand) {
  const TrackedTensor x = random_tensor({6, 9});
  const Array squares = [&] {
    Array a(x);
    for (double& v : a.values) v *= v;
    return a;
  }();
  EXPECT_TRUE(
      is_near(sum(x * x, 1), folded(squares, 2, false, 0, std::plus<>())));
  EXPECT_TRUE(is_near(
      max(x * x), folded(squares, 3, false, 0,
                         [](double a, double b) { return std::max(a, b); })));
}

TEST(Reduce, OfRankZeroIsTheElement) {
  const TrackedTensor x = scalar(-2.5, {DType::float64});
  EXPECT_TRUE(is_exactly(sum(x), {}, {-2.5}));
  EXPECT_TRUE(is_exactly(mean(x), {}, {-2.5}));
  EXPECT_TRUE(is_exactly(prod(x), {}, {-2.5}));
  EXPECT_TRUE(is_exactly(max(x), {}, {-2.5}));
  EXPECT_TRUE(is_exactly(min(x, Axes{}), {}, {-2.5}));
  EXPECT_TRUE(is_exactly(argmax(x), {}, {0}));
  EXPECT_TRUE(is_exactly(norm(x), {}, {2.5}));
  EXPECT_TRUE(is_exactly(any(x), {}, {1}));
  EXPECT_TRUE(is_exactly(sum(2.5), {}, {2.5}));
}

TEST(Reduce, OfNothingIsTheNeutralElementOrAnError) {
  const TrackedTensor x = zeros({2, 0, 3}, {DType::float64});
  EXPECT_TRUE(is_exactly(sum(x), {}, {0}));
  EXPECT_TRUE(is_exactly(sum(x, 1), {2, 3}, {0, 0, 0, 0, 0, 0}));
  EXPECT_TRUE(is_exactly(sum(x, 0), {0, 3}, {}));
  EXPECT_TRUE(is_exactly(prod(x), {}, {1}));
  EXPECT_TRUE(is_exactly(mean(x), {}, {nan}));
  EXPECT_TRUE(is_exactly(mean(x, 1), {2, 3}, {nan, nan, nan, nan, nan, nan}));
  EXPECT_TRUE(is_exactly(any(x), {}, {0}));
  EXPECT_TRUE(is_exactly(all(x), {}, {1}));
  EXPECT_TRUE(is_exactly(logsumexp(x), {}, {-inf}));
  EXPECT_TRUE(is_exactly(norm(x), {}, {0}));
  EXPECT_TRUE(is_exactly(max(x, 0), {0, 3}, {}));
  EXPECT_TRUE(is_exactly(argmax(x, 2), {2, 0}, {}));
  expect_error<ShapeError>(
      [&] { max(x, 1); },
      "max: [2, 0, 3]: nothing to reduce, and no value stands for that");
  EXPECT_THROW(min(x), ShapeError);
  EXPECT_THROW(argmax(x), ShapeError);
  EXPECT_THROW(argmin(x, 1), ShapeError);
  EXPECT_THROW(norm(x, {}, false, inf), ShapeError);
}

TEST(Reduce, RefusesAxesThatAreNotThere) {
  const TrackedTensor x = zeros({2, 3});
  EXPECT_THROW(sum(x, 2), IndexError);
  EXPECT_THROW(sum(x, -3), IndexError);
  EXPECT_THROW(argmax(x, 2), IndexError);
  expect_error<IndexError>(
      [&] {
        sum(x, {1, -1});
      },
      "sum: axis 1 of [2, 3] is named twice");
}

TEST(Reduce, PromotesIntegersAndBools) {
  const TrackedTensor i = tensor<std::int32_t>({1 << 30, 1 << 30, 1 << 30});
  EXPECT_EQ(sum(i).dtype(), DType::int64);
  EXPECT_EQ(sum(i).item<std::int64_t>(), std::int64_t{3} << 30);
  EXPECT_EQ(prod(i, 0).item<std::int64_t>(), 0);  // 2⁹⁰ wraps
  EXPECT_EQ(mean(i).dtype(), default_dtype());
  EXPECT_FLOAT_EQ(mean(i).item<float>(), 1073741824.0f);
  EXPECT_EQ(max(i).dtype(), DType::int32);
  const TrackedTensor b = tensor({true, false, true});
  EXPECT_EQ(sum(b).dtype(), DType::int64);
  EXPECT_EQ(sum(b).item<std::int64_t>(), 2);
  EXPECT_FLOAT_EQ(mean(b).item<float>(), 2.0f / 3);
  EXPECT_EQ(max(b).dtype(), DType::bool_);
  EXPECT_EQ(norm(tensor<std::int64_t>({3, 4})).dtype(), default_dtype());
  EXPECT_FLOAT_EQ(norm(tensor<std::int64_t>({3, 4})).item<float>(), 5);
}

TEST(Reduce, OfHalfTypesAccumulatesInFloat32) {
  const TrackedTensor x = cast(full({4096}, 1), DType::float16);
  EXPECT_EQ(sum(x).dtype(), DType::float16);
  EXPECT_EQ(sum(x).item<float>(), 4096);
  const TrackedTensor large = cast(full({4}, 300), DType::float16);
  EXPECT_EQ(norm(large).dtype(), DType::float16);
  EXPECT_EQ(norm(large).item<float>(), 600);
  EXPECT_EQ(var(large, {}, false, 0).item<float>(), 0);
}

TEST(Reduce, LetsNaNWin) {
  const TrackedTensor x = tensor({{1.0, nan, 3.0}, {4.0, 5.0, 6.0}});
  EXPECT_TRUE(is_exactly(max(x, 1), {2}, {nan, 6}));
  EXPECT_TRUE(is_exactly(min(x, 1), {2}, {nan, 4}));
  EXPECT_TRUE(is_exactly(argmax(x, 1), {2}, {1, 2}));
  EXPECT_TRUE(is_exactly(argmin(x, 1), {2}, {1, 0}));
  EXPECT_TRUE(is_exactly(any(x, 1), {2}, {1, 1}));
}

TEST(Reduce, FindsTheFirstOfEquals) {
  const TrackedTensor x = tensor({{1.0, 7.0, 7.0, 0.0}, {0.0, 7.0, 0.0, 2.0}});
  EXPECT_EQ(argmax(x).dtype(), DType::int64);
  EXPECT_TRUE(is_exactly(argmax(x), {}, {1}));
  EXPECT_TRUE(is_exactly(argmin(x), {}, {3}));
  EXPECT_TRUE(is_exactly(argmax(x, 1), {2}, {1, 1}));
  EXPECT_TRUE(is_exactly(argmax(x, 0), {4}, {0, 0, 0, 1}));
  EXPECT_TRUE(is_exactly(argmax(x, 0, true), {1, 4}, {0, 0, 0, 1}));
  EXPECT_TRUE(is_exactly(argmin(x, -1, true), {2, 1}, {3, 0}));
  EXPECT_TRUE(is_exactly(argmax(tensor({false, true, true})), {}, {1}));
  EXPECT_FALSE(argmax(param(x), 0).is_tracked());
  EXPECT_TRUE(is_exactly(argmax(-1.0 * x, 1), {2}, {3, 0}));
  const TrackedTensor y = random_tensor({3, 4, 5});
  EXPECT_TRUE(
      is_near(argmax(y, 1), Array(argmax(permute(y, {0, 2, 1}), 2)), 0));
}

TEST(Reduce, AnyAndAllCompareWithZero) {
  const TrackedTensor x = tensor({{0.0, 0.5}, {0.0, 0.0}, {-1.0, nan}});
  EXPECT_EQ(any(x).dtype(), DType::bool_);
  EXPECT_TRUE(is_exactly(any(x, 1), {3}, {1, 0, 1}));
  EXPECT_TRUE(is_exactly(all(x, 1), {3}, {0, 0, 1}));
  EXPECT_TRUE(is_exactly(all(x > -2.0), {}, {0}));
  EXPECT_TRUE(is_exactly(any(tensor<std::int64_t>({0, 256})), {}, {1}));
  EXPECT_FALSE(any(param(x)).is_tracked());
}

TEST(Reduce, VarianceAndDeviation) {
  const TrackedTensor x = tensor({{1.0, 2.0, 6.0}, {4.0, 4.0, 4.0}});
  EXPECT_TRUE(is_near(var(x, 1), Array(tensor({7.0, 0.0}))));
  EXPECT_TRUE(is_near(var(x, 1, true, 0), Array(tensor({{14.0 / 3}, {0.0}}))));
  EXPECT_TRUE(is_near(std_dev(x, 1), Array(tensor({std::sqrt(7.0), 0.0}))));
  EXPECT_TRUE(is_exactly(var(tensor({3.0})), {}, {nan}));
  EXPECT_TRUE(is_exactly(var(tensor({1.0, 3.0}), {}, false, 3), {}, {inf}));
  EXPECT_TRUE(is_exactly(
      gradient([](const TrackedTensor& y) { return sum(std_dev(y, 1)); },
               tensor({{4.0, 4.0}})),
      {1, 2}, {0, 0}));
}

TEST(Reduce, Norms) {
  const TrackedTensor x = tensor({{3.0, -4.0, 0.0}, {0.0, 0.0, 0.0}});
  EXPECT_TRUE(is_exactly(norm(x, 1), {2}, {5, 0}));
  EXPECT_TRUE(is_exactly(norm(x, 1, false, 0), {2}, {2, 0}));
  EXPECT_TRUE(is_exactly(norm(x, 1, false, 1), {2}, {7, 0}));
  EXPECT_TRUE(is_exactly(norm(x, 1, true, inf), {2, 1}, {4, 0}));
  EXPECT_TRUE(
      is_near(norm(x, 1, false, 3), Array(tensor({std::cbrt(91.0), 0.0}))));
  EXPECT_TRUE(is_near(norm(x, 1, false, 0.5),
                      Array(tensor({7 + 2 * std::sqrt(12.0), 0.0})), 1e-10));
  EXPECT_TRUE(is_exactly(norm(tensor({inf, 1.0})), {}, {inf}));
  EXPECT_TRUE(is_exactly(norm(tensor({nan, 1.0})), {}, {nan}));
  EXPECT_THROW(norm(x, {}, false, -1), Error);
  EXPECT_THROW(norm(x, {}, false, nan), Error);
}

TEST(Reduce, NormIsFlatAtZero) {
  for (const double p : {0.5, 1.0, 1.5, 2.0, 3.0, inf}) {
    SCOPED_TRACE(p);
    const auto total = [p](const TrackedTensor& x) {
      return sum(norm(x, 1, false, p));
    };
    const TrackedTensor x = tensor({{0.0, 0.0}, {0.0, 2.0}});
    EXPECT_TRUE(
        is_near(gradient(total, x), Array(tensor({{0.0, 0.0}, {0.0, 1.0}}))));
    const auto twice = [&](const TrackedTensor& y) {
      return sum(gradient(total, y) * tensor({{1.0, 1.0}, {1.0, 1.0}}));
    };
    const TrackedTensor second = gradient(
        [&](const TrackedTensor& y) { return twice(y) + sum(y * 0.0); }, x);
    EXPECT_TRUE(is_exactly(all(is_finite(second)), {}, {1}));
  }
}

TEST(Reduce, LogsumexpOfInfinities) {
  const TrackedTensor x =
      tensor({{-inf, -inf}, {-inf, 1.0}, {inf, 1.0}, {1e4, 1e4}});
  EXPECT_TRUE(is_near(logsumexp(x, 1),
                      Array(tensor({-inf, 1.0, inf, 1e4 + std::log(2.0)}))));
  const TrackedTensor rows = slice(x, 0, {0, 2});
  EXPECT_TRUE(is_exactly(
      gradient([](const TrackedTensor& y) { return sum(logsumexp(y, 1)); },
               rows),
      {2, 2}, {0, 0, 0, 1}));
}

TEST(Reduce, GradientsOfExtremaAreSharedAmongTies) {
  const TrackedTensor x = tensor({{2.0, 5.0, 5.0}, {nan, 1.0, nan}});
  const auto weights = tensor({6.0, 4.0});
  EXPECT_TRUE(is_exactly(
      gradient([&](const TrackedTensor& y) { return sum(max(y, 1) * weights); },
               x),
      {2, 3}, {0, 3, 3, 2, 0, 2}));
  EXPECT_TRUE(is_exactly(
      gradient(
          [&](const TrackedTensor& y) { return sum(min(y, 1, true) * 6.0); },
          x),
      {2, 3}, {6, 0, 0, 3, 0, 3}));
}

TEST(Reduce, GradientsAgreeWithFiniteDifferences) {
  const std::vector<TrackedTensor> x{random_tensor({3, 4, 2}, 5)};
  using Reduction = TrackedTensor (*)(Operand, Axes, bool);
  for (const Reduction f :
       {Reduction(sum), Reduction(mean), Reduction(prod), Reduction(max),
        Reduction(min), Reduction(logsumexp)}) {
    for (const unsigned mask : {1u, 5u, 6u, 7u}) {
      SCOPED_TRACE("mask " + std::to_string(mask));
      expect_gradients(
          [&](const std::vector<TrackedTensor>& in) {
            return f(in[0], axes_of(mask), mask == 5);
          },
          x);
    }
  }
  expect_gradients(
      [](const std::vector<TrackedTensor>& in) { return var(in[0], 1); }, x);
  expect_gradients(
      [](const std::vector<TrackedTensor>& in) {
        return std_dev(in[0], {0, 2}, true, 0);
      },
      x);
  for (const double p : {1.0, 2.0, 2.5, inf}) {
    SCOPED_TRACE(p);
    expect_gradients(
        [p](const std::vector<TrackedTensor>& in) {
          return norm(in[0], {0, 1}, false, p);
        },
        x);
  }
}

TEST(Reduce, ProductIsDifferentiatedExactlyThroughZeros) {
  const auto f = [](const std::vector<TrackedTensor>& in) {
    return prod(in[0], 1);
  };
  // No, one, two and three zeros; an odd number of factors.
  expect_gradients(f, {tensor({{2.0, 3.0, -1.0, 0.5, 4.0},
                               {2.0, 0.0, -1.0, 0.5, 4.0},
                               {2.0, 0.0, -1.0, 0.0, 4.0},
                               {0.0, 0.0, -1.0, 0.0, 4.0}})});
  const TrackedTensor x = tensor({3.0, 0.0, 2.0});
  EXPECT_TRUE(
      is_exactly(gradient([](const TrackedTensor& y) { return prod(y); }, x),
                 {3}, {0, 6, 0}));
  EXPECT_TRUE(is_exactly(
      gradient(
          [](const TrackedTensor& y) {
            const TrackedTensor g =
                gradient([](const TrackedTensor& z) { return prod(z); }, y);
            return sum(g * tensor({1.0, 10.0, 100.0}));
          },
          tensor({0.0, 0.0, 2.0})),
      {3}, {20, 2, 0}));
  EXPECT_TRUE(is_exactly(
      gradient([](const TrackedTensor& y) { return prod(y); }, tensor({7.0})),
      {1}, {1}));
  EXPECT_TRUE(is_exactly(
      gradient([](const TrackedTensor& y) { return sum(prod(y, 1)) + sum(y); },
               zeros({2, 0}, {DType::float64})),
      {2, 0}, {}));
}

TEST(Reduce, GradientsOfHalfTypesHaveTheirDtype) {
  const TrackedTensor x = cast(tensor({1.0, 2.0, 4.0}), DType::bfloat16);
  for (const auto f : {+[](const TrackedTensor& y) { return prod(y); },
                       +[](const TrackedTensor& y) { return max(y); },
                       +[](const TrackedTensor& y) { return norm(y); }}) {
    const TrackedTensor g = gradient(f, x);
    EXPECT_EQ(g.dtype(), DType::bfloat16);
  }
  EXPECT_TRUE(
      is_exactly(gradient([](const TrackedTensor& y) { return prod(y); }, x),
                 {3}, {8, 4, 2}));
}

}  // namespace
}  // namespace jacquard
