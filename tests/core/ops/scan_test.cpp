#include "jacquard/scan.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "jacquard/jacquard.h"

namespace jacquard {
namespace {

TrackedTensor array(const std::vector<double>& values, const Shape& shape,
                    DType dtype = DType::float64) {
  return Tensor::from_host(std::span<const double>(values), shape,
                           default_device())
      .to(dtype);
}

std::vector<double> small_values(std::int64_t n) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < n; ++i)
    values.push_back(static_cast<double>((i * 7919) % 13 - 6));
  return values;
}

// Longer than what any backend scans in one piece, along each kind of axis.
TEST(Scan, OfALongAxisIsExactForIntegersAndSmallWholeNumbers) {
  constexpr std::int64_t n = 20000;
  const std::vector<double> values = small_values(n * 3);
  for (const DType dtype :
       {DType::int32, DType::int64, DType::float32, DType::float64}) {
    for (const Shape& shape : {Shape{3, n}, Shape{n, 3}}) {
      const int axis = shape[0] == n ? 0 : 1;
      const TrackedTensor y = cumsum(array(values, shape, dtype), axis);
      const TrackedTensor back =
          cumsum(array(values, shape, dtype), axis, ScanFrom::last);
      const auto got = y.to_host<double>(), from_last = back.to_host<double>();
      for (std::int64_t line = 0; line < 3; ++line) {
        double total = 0;
        const auto at = [&](std::int64_t i) {
          return static_cast<std::size_t>(axis == 0 ? 3 * i + line
                                                    : line * n + i);
        };
        for (std::int64_t i = 0; i < n; ++i) {
          total += values[at(i)];
          ASSERT_EQ(got[at(i)], total) << i;
        }
        total = 0;
        for (std::int64_t i = n; i-- > 0;) {
          total += values[at(i)];
          ASSERT_EQ(from_last[at(i)], total) << i;
        }
      }
    }
  }
}

TEST(Scan, RecurrenceOverALongAxisFollowsItsDefinition) {
  constexpr std::int64_t n = 9000;
  std::vector<double> a, b;
  for (std::int64_t i = 0; i < n; ++i) {
    a.push_back(std::sin(static_cast<double>(i)));
    b.push_back(std::cos(static_cast<double>(3 * i)));
  }
  for (const Shape& shape : {Shape{n}, Shape{n, 1}, Shape{n / 2, 2}}) {
    const std::int64_t lines = shape.rank() == 2 ? shape[1] : 1;
    const auto h = linear_recurrence(array(a, shape), array(b, shape), 0)
                       .to_host<double>();
    for (std::int64_t line = 0; line < lines; ++line) {
      double before = 0;
      for (std::int64_t i = line; i < n; i += lines) {
        const auto k = static_cast<std::size_t>(i);
        before = a[k] * before + b[k];
        ASSERT_NEAR(h[k], before, 1e-12) << i;
      }
    }
  }
}

// Σ y of y = cumprod(x): each x[i] is a factor of all later ones.
TEST(Scan, GradientOfALongProductIsThatOfItsDefinition) {
  constexpr std::int64_t n = 9000;
  std::vector<double> values;
  for (std::int64_t i = 0; i < n; ++i)
    values.push_back(1 + 1e-3 * std::sin(static_cast<double>(i)));
  values[4000] = 0;
  const TrackedTensor g =
      gradient([](const TrackedTensor& x) { return sum(cumprod(x, 0)); },
               array(values, {n}));
  std::vector<double> y(static_cast<std::size_t>(n)), later(y.size());
  double product = 1, total = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    y[i] = product;
    product *= values[i];
  }
  for (std::size_t i = y.size(); i-- > 0;) {
    total = 1 + (i + 1 < y.size() ? values[i + 1] * total : 0);
    later[i] = total;
  }
  const auto got = g.to_host<double>();
  for (std::size_t i = 0; i < y.size(); ++i)
    ASSERT_NEAR(got[i], y[i] * later[i], 1e-9 * (1 + std::abs(got[i]))) << i;
}

TEST(Scan, FactorsThatOverflowTogetherDoNotMakeNaN) {
  constexpr std::int64_t n = 10000;
  std::vector<double> a(n, 2.0), b(n, 0.0);
  b[n - 1] = 1;
  for (const Shape& shape : {Shape{n}, Shape{n, 1}, Shape{n / 2, 2}})
    for (const double h : linear_recurrence(array(a, shape), array(b, shape), 0)
                              .to_host<double>())
      ASSERT_TRUE(h == 0 || h == 1) << h;
}

TEST(Scan, HalfTypesAreRoundedOnceAnElement) {
  const std::vector<double> ones(600, 1.0);
  const TrackedTensor y = cumsum(array(ones, {600}, DType::bfloat16), 0);
  EXPECT_EQ(y.dtype(), DType::bfloat16);
  // Adding 1 to 256 in bfloat16 would stay at 256.
  EXPECT_EQ(y.to_host<double>().back(), 600.0);
}

TEST(Scan, BoolsAndIntegersAccumulateInInt64) {
  const TrackedTensor y = cumsum(array({1, 0, 1}, {3}, DType::bool_), 0);
  EXPECT_EQ(y.dtype(), DType::int64);
  EXPECT_EQ(y.to_host<std::int64_t>(), (std::vector<std::int64_t>{1, 1, 2}));
}

TEST(Scan, ErrorsNameTheOperation) {
  const TrackedTensor x = array({1, 2}, {2});
  try {
    cumsum(x, 1);
    FAIL();
  } catch (const IndexError& e) {
    EXPECT_NE(std::string(e.what()).find("cumsum"), std::string::npos);
  }
  EXPECT_THROW(linear_recurrence(array({1, 2}, {2}), array({1, 2, 3}, {3}), 0),
               ShapeError);
  EXPECT_THROW(linear_recurrence(array({1, 2}, {2}, DType::int64),
                                 array({1, 2}, {2}, DType::int64), 0),
               DTypeError);
}

}  // namespace
}  // namespace jacquard
