// compile(f) does what f does.
#include "jacquard/compile.h"

#include <gtest/gtest.h>

#include "jacquard/create.h"
#include "jacquard/gradient.h"
#include "jacquard/launch_log.h"
#include "jacquard/linalg.h"
#include "jacquard/pointwise.h"
#include "jacquard/reduce.h"

namespace jacquard {
namespace {

TrackedTensor numbers(std::vector<float> v) {
  return Tensor::from_host(std::span<const float>(v),
                           {static_cast<std::int64_t>(v.size())});
}
using Floats = std::vector<float>;

TEST(Compile, RunsTheLaunchesAgainOnOtherInputs) {
  auto f = compile([](const TrackedTensor& x) { return sum(x * x) + 1.0; });
  EXPECT_EQ(f(numbers({1, 2})).item<float>(), 6);
  EXPECT_EQ(f(numbers({3, 4})).item<float>(), 26);
  EXPECT_EQ(f(numbers({5, 6})).item<float>(), 62);
  EXPECT_EQ(f.stats().planned, 1u);
  EXPECT_EQ(f.stats().replayed, 2u);
}

TEST(Compile, ResultsThatAreHeldKeepTheirValues) {
  auto f = compile([](const TrackedTensor& x) { return x * 2.0; });
  std::vector<TrackedTensor> all;
  for (float i = 0; i < 5; ++i) all.push_back(f(numbers({i, i + 1})));
  for (float i = 0; i < 5; ++i)
    EXPECT_EQ(all[static_cast<std::size_t>(i)].to_host<float>(),
              Floats({2 * i, 2 * i + 2}));
  EXPECT_EQ(f.stats().replayed, 4u);
}

TEST(Compile, PassesHostScalarsOn) {
  double rate = 1;
  auto f = compile([&](const TrackedTensor& x) {
    rate /= 2;
    return x * rate + full({2}, rate * 10);
  });
  EXPECT_EQ(f(numbers({1, 2})).to_host<float>(), Floats({5.5, 6}));
  EXPECT_EQ(f(numbers({1, 2})).to_host<float>(), Floats({2.75, 3}));
  EXPECT_EQ(f(numbers({1, 2})).to_host<float>(), Floats({1.375, 1.5}));
}

TEST(Compile, TakesBranches) {
  int call = 0;
  auto f = compile([&](const TrackedTensor& x) {
    const TrackedTensor y = x + 1.0;
    return ++call % 3 == 0 ? exp(y) : y * y;
  });
  for (int i = 1; i < 20; ++i) {
    const auto x = numbers({0.5f * static_cast<float>(i), 1});
    const auto y = x + 1.0;
    EXPECT_EQ(f(x).to_host<float>(),
              (i % 3 == 0 ? exp(y) : y * y).to_host<float>());
  }
  EXPECT_EQ(f.stats().planned, 2u);
  EXPECT_EQ(f.stats().replayed, 17u);
}

TEST(Compile, LeavesGradientsInLeaves) {
  const TrackedTensor w = param(numbers({1, 2}));
  auto f = compile([&](const TrackedTensor& x) {
    w.clear_grad();
    const TrackedTensor y = sum(w * w * x);
    backward(y);
    return y;
  });
  for (float i = 1; i < 5; ++i) {
    const TrackedTensor y = f(numbers({i, 1}));
    EXPECT_EQ(y.item<float>(), i + 4);
    EXPECT_TRUE(y.is_tracked());
    EXPECT_THROW(backward(y), GraphError);
    EXPECT_EQ(w.grad().to_host<float>(), Floats({2 * i, 4}));
  }
  EXPECT_GE(f.stats().replayed, 2u);
}

TEST(Compile, DrawsRandomNumbersAsUncompiled) {
  const auto work = [](const TrackedTensor& x) {
    return dropout(x, 0.5) + rand({4});
  };
  auto f = compile(work);
  const auto x = numbers({1, 2, 3, 4});
  manual_seed(3);
  std::vector<Floats> wanted, got;
  for (int i = 0; i < 4; ++i) wanted.push_back(work(x).to_host<float>());
  manual_seed(3);
  for (int i = 0; i < 4; ++i) got.push_back(f(x).to_host<float>());
  EXPECT_EQ(got, wanted);
  EXPECT_EQ(f.stats().replayed, 3u);
}

}  // namespace
}  // namespace jacquard
