#include <set>
#include <thread>

#include "jacquard/create.h"
#include "tests/core/ops/elementwise_testing.h"

namespace jacquard::testing {
namespace {

TEST(Random, ASeedGivesTheSameNumbersAgain) {
  manual_seed(7);
  const Doubles a = rand({100}).to_host<double>();
  const Doubles b = rand({100}).to_host<double>();
  manual_seed(7);
  EXPECT_EQ(rand({100}).to_host<double>(), a);
  EXPECT_EQ(rand({100}).to_host<double>(), b);
  EXPECT_NE(a, b);
  manual_seed(8);
  EXPECT_NE(rand({100}).to_host<double>(), a);
}

TEST(Random, EachCallTakesTheNextOffset) {
  manual_seed(3);
  EXPECT_EQ(generator_state().offset, 0u);
  const TrackedTensor first = randn({4});
  rand({0});
  randint(0, 5, {2});
  EXPECT_EQ(generator_state().seed, 3u);
  EXPECT_EQ(generator_state().offset, 3u);
  set_generator_state({3, 0});
  EXPECT_EQ(randn({4}).to_host<double>(), first.to_host<double>());
}

TEST(Random, ARejectedCallTakesNoOffset) {
  manual_seed(3);
  EXPECT_THROW(rand({2}, {DType::int64, default_device()}), DTypeError);
  EXPECT_THROW(rand({-2}), ShapeError);
  EXPECT_EQ(generator_state().offset, 0u);
}

TEST(Random, ThreadsHaveGeneratorsOfTheirOwn) {
  manual_seed(11);
  std::thread([] { manual_seed(99); }).join();
  EXPECT_EQ(generator_state().seed, 11u);
  GeneratorState one, two;
  std::thread([&] { one = generator_state(); }).join();
  std::thread([&] { two = generator_state(); }).join();
  EXPECT_NE(one.seed, two.seed);
}

TEST(Random, UniformAndNormalHaveTheirMoments) {
  manual_seed(1);
  for (const DType t : {DType::float32, DType::float64}) {
    const int n = 100000;
    const Doubles u = rand({n}, {t, default_device()}).to_host<double>();
    const Doubles z = randn({n}, {t, default_device()}).to_host<double>();
    double mean_u = 0, mean_z = 0, var_z = 0, corr = 0;
    for (int i = 0; i < n; ++i) {
      ASSERT_TRUE(u[i] >= 0 && u[i] < 1);
      mean_u += u[i] / n;
      mean_z += z[i] / n;
      var_z += z[i] * z[i] / n;
      if (i > 0) corr += z[i] * z[i - 1] / n;
    }
    EXPECT_NEAR(mean_u, 0.5, 0.005);
    EXPECT_NEAR(mean_z, 0, 0.015);
    EXPECT_NEAR(var_z, 1, 0.02);
    EXPECT_NEAR(corr, 0, 0.015);
  }
}

TEST(Random, RandintCoversItsRange) {
  manual_seed(5);
  const auto x = randint(-2, 3, {1000});
  EXPECT_EQ(x.dtype(), DType::int64);
  const auto host = x.to_host<std::int64_t>();
  EXPECT_EQ(std::set<std::int64_t>(host.begin(), host.end()),
            (std::set<std::int64_t>{-2, -1, 0, 1, 2}));
  EXPECT_EQ(randint(4, 5, {3}).to_host<std::int64_t>(),
            (std::vector<std::int64_t>{4, 4, 4}));
  const std::string empty = message_of<Error>([] { randint(5, 5, {1}); });
  EXPECT_NE(empty.find("[5, 5)"), std::string::npos) << empty;
  const std::int64_t least = std::numeric_limits<std::int64_t>::min();
  EXPECT_THROW(randint(least, -(least + 1), {1}), Error);
  const std::int64_t far = std::int64_t{1} << 60;
  for (const std::int64_t v :
       randint(far, far + 3, {64}).to_host<std::int64_t>())
    EXPECT_TRUE(v >= far && v < far + 3);
}

TEST(Random, DropoutKeepsTheExpectationAndMasksTheGradientAlike) {
  manual_seed(2);
  const TrackedTensor x =
      param(ones({10000}, {DType::float64, default_device()}));
  const TrackedTensor y = dropout(x, 0.25);
  const Doubles values = y.to_host<double>();
  double mean = 0;
  for (const double v : values) {
    ASSERT_TRUE(v == 0 || v == 1 / 0.75);
    mean += v / 10000;
  }
  EXPECT_NEAR(mean, 1, 0.03);
  backward(y, ones_like(y));
  EXPECT_EQ(x.grad().to_host<double>(), values);
}

TEST(Random, DropoutIsTheSameWhetherFusedOrRead) {
  const TrackedTensor x = f32(std::vector<float>(257, 2.0f));
  manual_seed(4);
  const TrackedTensor read = materialize(dropout(x, 0.5)) + 1.0;
  manual_seed(4);
  const TrackedTensor fused_in = dropout(x, 0.5) + 1.0;
  EXPECT_EQ(read.to_host<double>(), fused_in.to_host<double>());
}

TEST(Random, DropoutAtItsBounds) {
  const TrackedTensor x = param(f64({1, kInf, kNaN}));
  EXPECT_EQ(dropout(x, 0.0).to_host<double>()[0], 1);
  EXPECT_EQ(dropout(x, 0.5, false).to_host<double>()[0], 1);
  const TrackedTensor none = dropout(x, 1.0);
  EXPECT_EQ(none.to_host<double>(), (Doubles{0, 0, 0}));
  backward(none, ones_like(none));
  EXPECT_EQ(x.grad().to_host<double>(), (Doubles{0, 0, 0}));
  for (const double p : {-0.1, 1.1, kNaN})
    EXPECT_NE(message_of<Error>([&] { dropout(x, p); }).find("dropout"),
              std::string::npos);
}

TEST(Random, UniformHalvesAreCutOffBelowOne) {
  manual_seed(6);
  const Doubles exact = rand({5000}).to_host<double>();
  manual_seed(6);
  const Doubles half =
      rand({5000}, {DType::float16, default_device()}).to_host<double>();
  for (std::size_t i = 0; i < exact.size(); ++i) {
    EXPECT_LT(half[i], 1);
    EXPECT_LE(half[i], exact[i]);
    EXPECT_LE(exact[i] - half[i], std::max(half[i] * 0x1p-10, 0x1p-24));
  }
}

}  // namespace
}  // namespace jacquard::testing
