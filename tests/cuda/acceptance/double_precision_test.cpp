// A kernel of float32 or smaller executes no float64 instruction: most GPUs do
// 64 times fewer of them a second.
#include <functional>
#include <utility>
#include <vector>

#include "tests/cuda/acceptance/emulator.h"

namespace jacquard::acceptance {
namespace {

class DoublePrecision : public OnEmulator {};

using Unary = std::function<TrackedTensor(const TrackedTensor&)>;
#define JACQUARD_UNARY(name)                              \
  {                                                       \
    #name, [](const TrackedTensor& x) { return name(x); } \
  }

// The slow paths of sin, cos, tan and pow are exempt. polygamma, the derivative
// of digamma, sums its series in float64 (core/pointwise/scalar_functions.h).
const std::vector<std::pair<const char*, Unary>>& functions() {
  static const std::vector<std::pair<const char*, Unary>> all = {
      JACQUARD_UNARY(abs),
      JACQUARD_UNARY(sign),
      JACQUARD_UNARY(floor),
      JACQUARD_UNARY(ceil),
      JACQUARD_UNARY(trunc),
      JACQUARD_UNARY(round),
      JACQUARD_UNARY(exp),
      JACQUARD_UNARY(expm1),
      JACQUARD_UNARY(log),
      JACQUARD_UNARY(log1p),
      JACQUARD_UNARY(sqrt),
      JACQUARD_UNARY(rsqrt),
      JACQUARD_UNARY(cbrt),
      JACQUARD_UNARY(asin),
      JACQUARD_UNARY(acos),
      JACQUARD_UNARY(atan),
      JACQUARD_UNARY(sinh),
      JACQUARD_UNARY(cosh),
      JACQUARD_UNARY(tanh),
      JACQUARD_UNARY(asinh),
      JACQUARD_UNARY(acosh),
      JACQUARD_UNARY(atanh),
      JACQUARD_UNARY(sigmoid),
      JACQUARD_UNARY(erf),
      JACQUARD_UNARY(erfc),
      JACQUARD_UNARY(erfinv),
      JACQUARD_UNARY(lgamma),
      JACQUARD_UNARY(digamma),
      JACQUARD_UNARY(softplus),
      JACQUARD_UNARY(logsigmoid),
      JACQUARD_UNARY(silu),
      JACQUARD_UNARY(softsign),
      JACQUARD_UNARY(mish),
      JACQUARD_UNARY(tanhshrink),
      JACQUARD_UNARY(hardsigmoid),
      JACQUARD_UNARY(hardswish),
      JACQUARD_UNARY(selu),
      JACQUARD_UNARY(log2),
      JACQUARD_UNARY(log10),
      JACQUARD_UNARY(exp2),
      JACQUARD_UNARY(leaky_relu),
      JACQUARD_UNARY(elu),
      JACQUARD_UNARY(gelu),
      {"gelu, tanh",
       [](const TrackedTensor& x) { return gelu(x, Gelu::tanh); }},
      {"atan2", [](const TrackedTensor& x) { return atan2(x, x + 1.0); }},
      {"fmod", [](const TrackedTensor& x) { return fmod(x, 0.3); }},
      {"remainder", [](const TrackedTensor& x) { return remainder(x, 0.3); }},
      {"hypot", [](const TrackedTensor& x) { return hypot(x, x + 1.0); }},
      {"logaddexp", [](const TrackedTensor& x) { return logaddexp(x, 0.5); }},
      {"xlogy", [](const TrackedTensor& x) { return xlogy(x, x); }},
      {"dropout", [](const TrackedTensor& x) { return dropout(x, 0.3); }},
      {"clamp", [](const TrackedTensor& x) { return clamp(x, 0.1, 0.7); }},
      {"division", [](const TrackedTensor& x) { return x / (x + 0.25); }},
  };
  return all;
}
#undef JACQUARD_UNARY

void expect_none(const Counters& c, const std::string& what) {
  ASSERT_FALSE(c.launches().empty()) << what;
  EXPECT_EQ(c.f64_instructions(), 0u) << what << "\n" << c.to_string();
}

// Forward and, if asked for, backward.
Counters of_both_ways(const Unary& f, const TrackedTensor& x, bool backwards) {
  x.clear_grad();
  Counters c;
  const TrackedTensor y = materialize(f(x));
  if (backwards && y.is_tracked()) {
    backward(y, ones_like(y));
    if (x.grad().defined()) materialize(x.grad());
  }
  c.stop();
  return c;
}

TEST_F(DoublePrecision, IsNotUsedByFunctionsOfSingleOrHalf) {
  // Small, usual and large arguments, of both signs.
  std::vector<float> numbers;
  for (const float size : {1e-30f, 1e-6f, 0.3f, 0.9f, 2.5f, 40.f, 1e4f, 1e30f})
    for (const float sign : {-1.f, 1.f}) numbers.push_back(sign * size);
  const auto of = [&](DType t) {
    return param(materialize(
        cast(Tensor::from_host<float>(
                 numbers, {static_cast<std::int64_t>(numbers.size())}, cuda()),
             t)));
  };
  const TrackedTensor single = of(DType::float32);
  for (const auto& [name, f] : functions())
    expect_none(of_both_ways(f, single, name != std::string("digamma")), name);
  // Halves compute as float32 does; of them, the conversions count.
  for (const DType t : {DType::float16, DType::bfloat16}) {
    const TrackedTensor half = of(t);
    for (const auto& [name, f] : functions())
      if (name[0] == 'e' || name[0] == 'd')
        expect_none(of_both_ways(f, half, name != std::string("digamma")),
                    std::string(name) + ", " + std::string(name_of(t)));
  }
}

TEST_F(DoublePrecision, IsNotUsedByReductionsAndRows) {
  for (const DType t : {DType::float32, DType::float16, DType::bfloat16}) {
    const TrackedTensor x = leaf({40, 96}, t), w = leaf({96}, t);
    const TrackedTensor labels = materialize(randint(0, 96, {40}));
    const std::vector<std::function<TrackedTensor()>> all = {
        [&] { return sum(x); },
        [&] { return mean(square(x), {0}); },
        [&] { return max(x, {1}); },
        [&] { return prod(x, {1}); },
        [&] { return std_dev(x); },
        [&] { return var(x, {0}); },
        [&] { return norm(x); },
        [&] { return logsumexp(x, {1}); },
        [&] { return softmax(x); },
        [&] { return log_softmax(x); },
        [&] { return layer_norm(x, w, w); },
        [&] { return cross_entropy(x, labels); }};
    for (std::size_t i = 0; i < all.size(); ++i) {
      for (const TrackedTensor& leaf : {x, w}) leaf.clear_grad();
      Counters c;
      const TrackedTensor y = materialize(all[i]());
      backward(y, ones_like(y));
      if (x.grad().defined()) materialize(x.grad());
      c.stop();
      expect_none(
          c, "reduction " + std::to_string(i) + ", " + std::string(name_of(t)));
    }
  }
}

TEST_F(DoublePrecision, IsNotUsedByRandomNumbers) {
  for (const DType t : {DType::float32, DType::float16, DType::bfloat16}) {
    Counters c;
    materialize(rand({999}, {t, cuda()}));
    materialize(randn({999}, {t, cuda()}));
    c.stop();
    expect_none(c, std::string(name_of(t)));
  }
}

TEST_F(DoublePrecision, IsCountedWhereItIsUsed) {
  Counters c;
  materialize(exp(values({64}, DType::float64)));
  c.stop();
  EXPECT_GT(c.f64_instructions(), 0u);
}

}  // namespace
}  // namespace jacquard::acceptance
