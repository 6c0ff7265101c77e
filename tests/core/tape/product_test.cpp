// A matmul that waits: what its launch carries, and that nobody can tell.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "core/tape/modes.h"
#include "jacquard/jacquard.h"

namespace jacquard {
namespace {

constexpr std::int64_t kRows = 70, kInner = 33, kCols = 40;

TrackedTensor leaf(const Shape& shape, DType dtype = DType::float32) {
  return param(materialize(randn(shape, {dtype, default_device()})));
}

std::vector<double> values(const TrackedTensor& t) {
  return t.data().to_host<double>();
}

// relu is no epilogue of cuBLASLt.
bool carries_relu() { return default_device().type == DeviceType::cpu; }

class Product : public testing::Test {
 protected:
  void SetUp() override {
    if (!fusion_enabled()) GTEST_SKIP() << "nothing waits";
    tape::set_epilogues(true);
  }
  void TearDown() override { tape::set_epilogues(before_); }

  bool before_ = tape::epilogues_enabled();
  TrackedTensor x = leaf({kRows, kInner}), w = leaf({kInner, kCols}),
                b = leaf({kCols});
};

TEST_F(Product, WaitsForItsFirstUse) {
  LaunchLog log;
  const TrackedTensor h = matmul(x, w);
  EXPECT_TRUE(h.is_pending());
  EXPECT_TRUE(h.is_tracked());
  EXPECT_EQ(log.launches(), 0u) << log.to_string();
  materialize(h);
  EXPECT_FALSE(h.is_pending());
  EXPECT_EQ(log.launches(), 1u) << log.to_string();
}

TEST_F(Product, CarriesTheBias) {
  for (const bool bias_first : {false, true}) {
    LaunchLog log;
    const TrackedTensor y =
        materialize(bias_first ? b + matmul(x, w) : matmul(x, w) + b);
    EXPECT_EQ(log.launches(), 1u) << log.to_string();
    const TrackedTensor h = materialize(matmul(x, w));
    EXPECT_EQ(values(y), values(h + b));
  }
}

TEST_F(Product, CarriesTheReluWhereTheBackendKeepsNan) {
  const TrackedTensor h = materialize(matmul(x, w));
  LaunchLog log;
  const TrackedTensor y = materialize(relu(matmul(x, w) + b));
  EXPECT_EQ(log.launches(), carries_relu() ? 1u : 2u) << log.to_string();
  EXPECT_EQ(values(y), values(relu(h + b)));
}

TEST_F(Product, OfABatchWithOneMatrixCarriesTheBias) {
  const TrackedTensor batch = leaf({3, kRows, kInner});
  LaunchLog log;
  const TrackedTensor y = materialize(matmul(batch, w) + b);
  EXPECT_EQ(log.launches(), 1u) << log.to_string();
  const TrackedTensor h = materialize(matmul(batch, w));
  EXPECT_EQ(values(y), values(h + b));
}

TEST_F(Product, KeepsNan) {
  std::vector<float> bias(kCols, 0.5f);
  bias[3] = std::numeric_limits<float>::quiet_NaN();
  const TrackedTensor c = Tensor::from_host(std::span<const float>(bias),
                                            {kCols}, default_device());
  const auto y = values(relu(matmul(x, w) + c));
  EXPECT_TRUE(std::isnan(y[3]));
  EXPECT_FALSE(std::isnan(y[4]));
}

TEST_F(Product, ThatSomebodyHoldsIsWrittenByItself) {
  const TrackedTensor h = matmul(x, w);
  LaunchLog log;
  const TrackedTensor y = materialize(relu(h + b));
  EXPECT_EQ(log.launches(), 2u) << log.to_string();
  EXPECT_FALSE(h.is_pending());
  log.clear();
  materialize(h * 2.0);
  EXPECT_EQ(log.launches(), 1u) << log.to_string();
}

TEST_F(Product, IsNotMultipliedTwiceForASumThatSomebodyHolds) {
  for (const bool tracked : {true, false}) {
    TrackedTensor z, y;
    const auto make = [&] {
      z = matmul(x, w) + b;
      y = relu(z);
    };
    if (tracked) {
      make();
    } else {
      const NoGrad constant;
      make();
    }
    LaunchLog log;
    materialize(y);
    materialize(z);
    int products = 0;
    for (const LaunchRecord& r : log.records())
      products += std::string(r.kind) == "matmul";
    EXPECT_EQ(products, 1) << log.to_string();
  }
}

TEST_F(Product, OfHalvesRoundsBeforeTheBias) {
  const TrackedTensor u = leaf({kRows, kInner}, DType::bfloat16),
                      v = leaf({kInner, kCols}, DType::bfloat16),
                      c = leaf({kCols}, DType::bfloat16);
  const TrackedTensor h = materialize(matmul(u, v));
  EXPECT_EQ(values(matmul(u, v) + c), values(h + c));
}

TEST_F(Product, OfNothingIsTheBias) {
  const TrackedTensor none = leaf({kRows, 0}), of = leaf({0, kCols});
  const auto y = values(matmul(none, of) + b), expected = values(b);
  for (std::size_t i = 0; i < y.size(); ++i)
    EXPECT_EQ(y[i], expected[i % static_cast<std::size_t>(kCols)]);
  EXPECT_EQ(values(matmul(leaf({0, kInner}), w) + b).size(), 0u);
}

TEST_F(Product, ReadsTheBiasThroughItsStride) {
  const TrackedTensor wide = leaf({kCols, 2});
  const TrackedTensor c = slice(wide, 1, {0, 1});
  const TrackedTensor h = materialize(matmul(x, w));
  EXPECT_EQ(values(matmul(x, w) + reshape(c, {kCols})),
            values(h + reshape(c, {kCols})));
  const TrackedTensor column = leaf({kRows, 1});
  EXPECT_EQ(values(matmul(x, w) + column), values(h + column));
}

TEST_F(Product, HasTheSameGradientsOfAnyOrder) {
  const auto loss = [](const TrackedTensor& x, const TrackedTensor& w,
                       const TrackedTensor& b) {
    return sum(square(relu(matmul(x, w) + b))) + sum(matmul(x, w) + b);
  };
  const auto both = [&] {
    const auto first = gradient(loss, x, w, b);
    const auto second = gradient(
        [&](const TrackedTensor& x, const TrackedTensor& w,
            const TrackedTensor& b) {
          const auto [gx, gw, gb] = gradient(loss, x, w, b);
          return sum(square(gx)) + sum(square(gw)) + sum(square(gb));
        },
        x, w, b);
    std::vector<std::vector<double>> all;
    std::apply([&](const auto&... g) { (all.push_back(values(g)), ...); },
               first);
    std::apply([&](const auto&... g) { (all.push_back(values(g)), ...); },
               second);
    return all;
  };
  const auto with = both();
  tape::set_epilogues(false);
  EXPECT_EQ(with, both());
}

TEST_F(Product, ThatWasCarriedLeadsToItsOperands) {
  TrackedTensor y = relu(matmul(square(x), w) + b);
  materialize(y);
  backward(sum(y));
  EXPECT_TRUE(x.grad().defined());
  EXPECT_TRUE(w.grad().defined());
  EXPECT_TRUE(b.grad().defined());
}

TEST_F(Product, ThatWaitsHasHooksAndAKeptGradient) {
  const TrackedTensor h = matmul(x, w);
  const TrackedTensor y = sum(relu(h + b));
  h.retain_grad();
  backward(y);
  ASSERT_TRUE(h.grad().defined());
  EXPECT_EQ(h.grad().shape(), (Shape{kRows, kCols}));
}

TEST_F(Product, ThatIsNeverUsedIsNeverLaunched) {
  LaunchLog log;
  { const TrackedTensor h = matmul(x, w) + b; }
  EXPECT_EQ(log.launches(), 0u) << log.to_string();
}

}  // namespace
}  // namespace jacquard
