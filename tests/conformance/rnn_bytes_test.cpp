// No hidden quadratics: the backward of a recurrent network with shared weights
// over slices of one tensor moves bytes in proportion to its length.
#include <algorithm>

#include "jacquard/memory.h"
#include "tests/conformance/op_case.h"

namespace jacquard::conformance {
namespace {

constexpr std::int64_t kBatch = 4, kIn = 8, kHidden = 64;

TrackedTensor leaf(const Shape& shape) {
  return param(
      materialize(randn(shape, {DType::float32, default_device()}) * 0.1));
}

struct Network {
  TrackedTensor x, w, u, b;

  explicit Network(std::int64_t steps)
      : x(leaf({steps, kBatch, kIn})),
        w(leaf({kIn, kHidden})),
        u(leaf({kHidden, kHidden})),
        b(leaf({kHidden})) {}

  TrackedTensor loss() const {
    TrackedTensor h =
        zeros({kBatch, kHidden}, {DType::float32, default_device()});
    for (std::int64_t t = 0; t < x.shape()[0]; ++t)
      h = tanh(matmul(select(x, 0, t), w) + matmul(h, u) + b);
    return sum(h * h);
  }
};

struct Cost {
  std::size_t launches, bytes;
};

// What backward launches and moves.
Cost cost_of_backward(std::int64_t steps) {
  const Network net(steps);
  const TrackedTensor loss = net.loss();
  loss.item<float>();
  const LaunchLog log;
  backward(loss);
  return {log.launches(), log.bytes()};
}

// The most memory in use at once while f runs, beyond what was there before.
template <class F>
std::size_t peak_of(F&& f) {
  // An earlier peak would hide this one: fill up to it.
  const MemoryStats early = memory_stats(default_device());
  const Tensor ballast =
      Tensor::empty({static_cast<std::int64_t>(early.peak - early.in_use)},
                    DType::bool_, default_device());
  const std::size_t before = memory_stats(default_device()).in_use;
  f();
  synchronize(default_device());
  return memory_stats(default_device()).peak - before;
}

TEST(RecurrentNetwork, BackwardMovesBytesInProportionToItsLength) {
  manual_seed(1);
  const Cost short_one = cost_of_backward(25), middle = cost_of_backward(50),
             long_one = cost_of_backward(100);
  const auto per_step = [](const Cost& a, const Cost& b, double steps) {
    return (static_cast<double>(b.bytes) - static_cast<double>(a.bytes)) /
           steps;
  };
  const double first = per_step(short_one, middle, 25);
  const double second = per_step(middle, long_one, 50);
  EXPECT_NEAR(second, first, 0.01 * first);
  EXPECT_LE(long_one.launches, 4 * short_one.launches + 4);

  // A step reads u for the gradient of h, and reads and writes the total of u;
  // the same of w; and some arrays of the size of h.
  const double weights = 3 * 4.0 * (kHidden * kHidden + kIn * kHidden);
  const double states = 16 * 4.0 * kBatch * kHidden;
  EXPECT_LE(second, weights + states);
}

TEST(RecurrentNetwork, BackwardKeepsAtMostTwoBuffersOfTheWeights) {
  manual_seed(1);
  const Network net(100);
  const TrackedTensor loss = net.loss();
  loss.item<float>();
  const std::size_t states = 8 * 4 * kBatch * kHidden;
  const std::size_t weights = 4 * (kHidden * kHidden + kIn * kHidden);
  const std::size_t inputs = 4 * 100 * kBatch * kIn;
  // What is given up on the way would hide what is taken.
  const std::size_t peak =
      peak_of([&] { backward(loss, {}, {.retain_graph = true}); });
  EXPECT_LE(peak, 2 * weights + inputs + states);
  ASSERT_TRUE(net.u.grad().defined());
  EXPECT_TRUE(net.x.grad().defined());
}

TEST(RecurrentNetwork, GradientIsThatOfFiniteDifferences) {
  manual_seed(3);
  const auto f = [](const Values& v) {
    TrackedTensor h = zeros({2, 3}, {DType::float64, default_device()});
    for (std::int64_t t = 0; t < 4; ++t)
      h = tanh(matmul(select(v[0], 0, t), v[1]) + matmul(h, v[2]) + v[3]);
    return h;
  };
  const auto random = [](const Shape& shape) {
    return materialize(randn(shape, {DType::float64, default_device()}) * 0.5);
  };
  const Values inputs{random({4, 2, 2}), random({2, 3}), random({3, 3}),
                      random({3})};
  const GradcheckResult first = gradcheck(f, inputs);
  EXPECT_TRUE(first.ok) << first.message;
  const GradcheckResult second = gradgradcheck(f, inputs);
  EXPECT_TRUE(second.ok) << second.message;
}

}  // namespace
}  // namespace jacquard::conformance
