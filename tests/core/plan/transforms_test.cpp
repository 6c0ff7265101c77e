// Every transform gives inside a compiled function what it gives outside.
#include <gtest/gtest.h>

#include "jacquard/jacquard.h"

namespace jacquard {
namespace {

using Numbers = std::vector<double>;

TrackedTensor numbers(const Numbers& v) {
  return Tensor::from_host(std::span<const double>(v),
                           {static_cast<std::int64_t>(v.size())});
}

// Calls f, compiled and not, on several inputs; gives the compiled calls that
// were replayed.
template <class F>
std::uint64_t compare(F f) {
  auto fast = compile(f);
  ::testing::internal::CaptureStderr();
  for (int i = 0; i < 5; ++i) {
    const auto x = numbers({0.5 + i, 1.25, -0.75 * i});
    EXPECT_EQ(fast(x).template to_host<double>(),
              f(x).template to_host<double>())
        << i;
  }
  ::testing::internal::GetCapturedStderr();
  return fast.stats().replayed;
}

const auto kCube = [](const TrackedTensor& x) { return sum(x * x * x); };
const auto kMany = [](const TrackedTensor& x) { return tanh(x) * sum(x); };

TEST(CompiledTransforms, Jvp) {
  compare([](const TrackedTensor& x) {
    return stop_gradient(jvp(kMany, x, x * 0.5).tangent);
  });
}

TEST(CompiledTransforms, Jacobian) {
  compare([](const TrackedTensor& x) { return jacobian(kMany, x); });
}

TEST(CompiledTransforms, Hessian) {
  compare([](const TrackedTensor& x) { return hessian(kCube, x); });
}

TEST(CompiledTransforms, HessianVectorProduct) {
  compare([](const TrackedTensor& x) { return hvp(kCube, x, x); });
}

TEST(CompiledTransforms, NestedGradients) {
  EXPECT_EQ(compare([](const TrackedTensor& x) {
              return gradient(
                  [](auto y) { return sum(square(gradient(kCube, y))); }, x);
            }),
            4u);
}

TEST(CompiledTransforms, Pullback) {
  EXPECT_EQ(compare([](const TrackedTensor& x) {
              const auto [y, back] = pullback(kMany, x);
              return back(stop_gradient(y));
            }),
            4u);
}

TEST(CompiledTransforms, ImplicitParameters) {
  const TrackedTensor w = param(numbers({1, 2, 3}));
  EXPECT_GE(compare([&](const TrackedTensor& x) {
              const Params ps{w};
              return gradient(ps, [&] { return sum(w * w * x); })[w];
            }),
            3u);
}

TEST(CompiledTransforms, Checkpoint) {
  const TrackedTensor w = param(numbers({1, 2, 3}));
  compare([&](const TrackedTensor& x) {
    return gradient(
        [&](auto p) {
          return sum(
              checkpoint([](const TrackedTensor& a,
                            const TrackedTensor& b) { return exp(a * b); },
                         p, x * 0.1));
        },
        w);
  });
}

TEST(CompiledTransforms, CustomRules) {
  double scale = 1;
  const auto twice =
      custom_vjp([](const TrackedTensor& x) { return x * 2.0; },
                 [&](const TrackedTensor&, const TrackedTensor&,
                     const TrackedTensor& dy) { return dy * (scale += 0.5); });
  auto fast = compile([&](const TrackedTensor& x) {
    return gradient([&](auto y) { return sum(twice(y)); }, x);
  });
  ::testing::internal::CaptureStderr();
  for (int i = 1; i < 5; ++i)
    EXPECT_EQ(fast(numbers({1})).to_host<double>(), Numbers({1 + 0.5 * i}));
  ::testing::internal::GetCapturedStderr();
}

}  // namespace
}  // namespace jacquard
