#include "jacquard/create.h"

#include "tests/core/ops/elementwise_testing.h"

namespace jacquard::testing {
namespace {

using Ints = std::vector<std::int64_t>;

TEST(Create, FillsWithOneValueOfAnyDType) {
  for (const DType t :
       {DType::bool_, DType::int32, DType::int64, DType::float16,
        DType::bfloat16, DType::float32, DType::float64}) {
    const TensorOptions o{t, default_device()};
    EXPECT_EQ(zeros({2, 2}, o).dtype(), t);
    EXPECT_EQ(zeros({2, 2}, o).to_host<double>(), Doubles(4, 0));
    EXPECT_EQ(ones({3}, o).to_host<double>(), Doubles(3, 1));
    EXPECT_EQ(ones_like(zeros({3}, o)).dtype(), t);
  }
  EXPECT_EQ(full({2}, 7.9, {DType::int32, default_device()}).to_host<double>(),
            (Doubles{7, 7}));
  EXPECT_EQ(scalar(2.5).shape(), Shape{});
  EXPECT_EQ(scalar(2.5).item<float>(), 2.5f);
  EXPECT_EQ(zeros({0, 4}).numel(), 0);
  EXPECT_EQ(zeros_like(ones({2, 3})).shape(), (Shape{2, 3}));
}

TEST(Create, AFilledConstantIsRoundedWhetherStoredOrFused) {
  const TrackedTensor x = full({1}, 0.1, {DType::float16, default_device()});
  const double rounded = half_to_float(float_to_half(0.1f));
  EXPECT_EQ(cast(x, DType::float64).item<double>(), rounded);
  EXPECT_EQ(x.item<double>(), rounded);
}

TEST(Create, ArangeCountsHalfOpenIntervals) {
  EXPECT_EQ(arange(4).dtype(), DType::int64);
  EXPECT_EQ(arange(4).to_host<std::int64_t>(), (Ints{0, 1, 2, 3}));
  EXPECT_EQ(arange(0).numel(), 0);
  EXPECT_EQ(arange(-3).numel(), 0);
  EXPECT_EQ(
      arange(1, 2, 0.25, {DType::float64, default_device()}).to_host<double>(),
      (Doubles{1, 1.25, 1.5, 1.75}));
  EXPECT_EQ(arange(3, -2, -2, {DType::int32, default_device()})
                .to_host<std::int64_t>(),
            (Ints{3, 1, -1}));
  EXPECT_EQ(arange(3, 0, 1).numel(), 0);
  const double big = 0x1p52;
  EXPECT_EQ(arange(big, big + 2, 1, {DType::int64, default_device()})
                .to_host<std::int64_t>(),
            (Ints{std::int64_t{1} << 52, (std::int64_t{1} << 52) + 1}));
  EXPECT_NE(message_of<Error>([] { arange(0, 1, 0); }).find("arange"),
            std::string::npos);
  EXPECT_NE(message_of<Error>([] { arange(0, kNaN, 1); }).find("arange"),
            std::string::npos);
}

TEST(Create, LinspaceHitsBothEnds) {
  const TensorOptions o{DType::float64, default_device()};
  EXPECT_EQ(linspace(0, 1, 5, o).to_host<double>(),
            (Doubles{0, 0.25, 0.5, 0.75, 1}));
  // Among them n for which (n − 1)·(1/(n − 1)) is not 1.
  for (std::int64_t n = 2; n < 120; ++n) {
    const Doubles x = linspace(0, 1, n, o).to_host<double>();
    EXPECT_EQ(x.front(), 0);
    EXPECT_EQ(x.back(), 1);
    EXPECT_TRUE(std::is_sorted(x.begin(), x.end()));
  }
  EXPECT_EQ(linspace(3, 9, 1, o).to_host<double>(), Doubles{3});
  EXPECT_EQ(linspace(3, 9, 0, o).numel(), 0);
  EXPECT_THROW(linspace(3, 9, -1, o), ShapeError);
}

TEST(Create, EyeAndTriangles) {
  EXPECT_EQ(eye(3).to_host<double>(), (Doubles{1, 0, 0, 0, 1, 0, 0, 0, 1}));
  EXPECT_EQ(eye(2, {DType::bool_, default_device()}).to_host<bool>(),
            (std::vector<bool>{true, false, false, true}));
  const TrackedTensor m = f64({1, 2, 3, 4, 5, 6}, {2, 3});
  EXPECT_EQ(tril(m).to_host<double>(), (Doubles{1, 0, 0, 4, 5, 0}));
  EXPECT_EQ(triu(m).to_host<double>(), (Doubles{1, 2, 3, 0, 5, 6}));
  EXPECT_EQ(tril(m, 1).to_host<double>(), (Doubles{1, 2, 0, 4, 5, 6}));
  EXPECT_EQ(triu(m, -1).to_host<double>(), (Doubles{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(triu(m, 5).to_host<double>(), Doubles(6, 0));
  const TrackedTensor batch = ones({2, 2, 2});
  EXPECT_EQ(tril(batch).to_host<double>(), (Doubles{1, 0, 1, 1, 1, 0, 1, 1}));
  EXPECT_EQ(tril(tensor<bool>({{true, true}, {true, true}})).dtype(),
            DType::bool_);
}

TEST(Create, TrianglesLetTheGradientThrough) {
  expect_differentiable("tril", [](const auto& in) { return tril(in[0]); },
                        {f64({1, 2, 3, 4}, {2, 2})});
  EXPECT_EQ(slope(
                [](TrackedTensor x) {
                  return triu(reshape(x, {2, 2}), 1);
                },
                {1, kNaN, 3, kInf}),
            (Doubles{0, 1, 0, 0}));
}

TEST(Create, ErrorsNameTheShape) {
  const std::string extent = message_of<ShapeError>([] { zeros({2, -1}); });
  EXPECT_NE(extent.find("[2, -1]"), std::string::npos) << extent;
  const std::string rank = message_of<ShapeError>([] { tril(zeros({3})); });
  EXPECT_NE(rank.find("[3]"), std::string::npos) << rank;
}

TEST(Create, HostListsKeepTheirType) {
  EXPECT_EQ(tensor({1.0f, 2.0f}).dtype(), DType::float32);
  EXPECT_EQ(tensor<std::int64_t>({1, 2}).dtype(), DType::int64);
  EXPECT_EQ(tensor({true, false}).to_host<bool>(),
            (std::vector<bool>{true, false}));
  EXPECT_EQ(tensor<double>({{1, 2}, {3, 4}}).shape(), (Shape{2, 2}));
  EXPECT_THROW(tensor<double>({{1, 2}, {3}}), ShapeError);
}

TEST(Create, ToTheSameDeviceIsTheValueOfTheCall) {
  const TrackedTensor x = param(f64({1.0}));
  const TrackedTensor y = to_device(x, default_device());
  EXPECT_TRUE(y.is_tracked());
  backward(y * 3.0);
  EXPECT_EQ(x.grad().item<double>(), 3);
  x.assign(f64({2.0}).data());
  EXPECT_EQ(y.item<double>(), 1);
}

}  // namespace
}  // namespace jacquard::testing
