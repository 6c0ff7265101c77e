// Fusing is invisible: an operation between pending ones has the bits, and
// gradients to rounding, of the same operations computed one by one.
#include <algorithm>
#include <cmath>

#include "tests/conformance/op_case.h"

namespace jacquard::conformance {
namespace {

class FusionOf : public OperationTest {};
class FusionOfElementwise : public OperationTest {};

enum class Mode { fused, stepwise, unfused };

struct Outcome {
  TrackedTensor before, value, after;
  Values grads;
};

// A prefix to each operand, the operation, a suffix; then backward.
Outcome evaluate(const OpCase& c, const Variant& v, const Values& inputs,
                 Mode mode) {
  const Fusion fusion(mode != Mode::unfused);
  const auto step = [&](TrackedTensor x) {
    return mode == Mode::stepwise ? materialize(x) : x;
  };
  Values leaves, operands;
  for (const TrackedTensor& x : inputs) {
    if (!is_floating(x.dtype())) {
      operands.push_back(x);
      continue;
    }
    leaves.push_back(param(x));
    operands.push_back(step(step(leaves.back() * 1.25) * 0.8));
  }
  Outcome out;
  out.value = step(call(c, v, operands));
  out.after = is_floating(out.value.dtype())
                  ? step(step(out.value * 2.0) + 1.0)
                  : step(cast(out.value, DType::float64));
  // Asked for late or early, it is the same value.
  if (mode == Mode::fused) materialize(out.after);
  out.before = operands[0];
  if (!out.after.is_tracked()) return out;
  const TrackedTensor weight =
      cast(full(out.after.shape(), 0.75, {DType::float64, default_device()}),
           out.after.dtype());
  backward(out.after, weight);
  for (const TrackedTensor& x : leaves)
    out.grads.push_back(x.grad().defined() ? x.grad() : zeros_like(x));
  return out;
}

void expect_near(const Values& a, const Values& b, DType t) {
  ASSERT_EQ(a.size(), b.size());
  const double unit = 64 * epsilon_of(t);
  for (std::size_t k = 0; k < a.size(); ++k) {
    const auto x = a[k].to_host<double>(), y = b[k].to_host<double>();
    double scale = 1;
    for (const double e : y)
      if (std::isfinite(e)) scale = std::max(scale, std::abs(e));
    for (std::size_t i = 0; i < x.size(); ++i)
      EXPECT_TRUE(std::abs(x[i] - y[i]) <= unit * scale || x[i] == y[i] ||
                  (std::isnan(x[i]) && std::isnan(y[i])))
          << "gradient of operand " << k << ", element " << i << ": " << x[i]
          << " and " << y[i] << ", " << name_of(t);
  }
}

TEST_P(FusionOf, ChangesNoBit) {
  const OpCase& c = GetParam();
  Generator g = generator_for(c);
  for (const DType t :
       {DType::float64, DType::float32, DType::float16, DType::bfloat16}) {
    SCOPED_TRACE(name_of(t));
    const Variant v = dense_variant(c, {3, 37});
    const Values inputs = draw(c, v, t, g);
    const Outcome fused = evaluate(c, v, inputs, Mode::fused);
    for (const Mode mode : {Mode::stepwise, Mode::unfused}) {
      const Outcome other = evaluate(c, v, inputs, mode);
      EXPECT_TRUE(same_bits(fused.before, other.before));
      EXPECT_TRUE(same_bits(fused.value, other.value));
      EXPECT_TRUE(same_bits(fused.after, other.after));
      EXPECT_EQ(fused.value.is_tracked(), other.value.is_tracked());
      expect_near(fused.grads, other.grads, t);
    }
  }
}

// Operands that are broadcast or strided, inside a region.
TEST_P(FusionOfElementwise, OfAnyShapeAndLayoutChangesNoBit) {
  const OpCase& c = GetParam();
  Generator g = generator_for(c);
  for (const Variant& v : variants_of(c)) {
    if (v.repeated) continue;
    SCOPED_TRACE(v.name);
    const Values inputs = draw(c, v, DType::float32, g);
    const Outcome fused = evaluate(c, v, inputs, Mode::fused);
    const Outcome unfused = evaluate(c, v, inputs, Mode::unfused);
    EXPECT_TRUE(same_bits(fused.value, unfused.value));
    EXPECT_TRUE(same_bits(fused.after, unfused.after));
    expect_near(fused.grads, unfused.grads, DType::float32);
  }
}

INSTANTIATE_TEST_SUITE_P(Operations, FusionOf, ::testing::ValuesIn(all_cases()),
                         test_name);
INSTANTIATE_TEST_SUITE_P(Operations, FusionOfElementwise,
                         ::testing::ValuesIn(cases_where([](const OpCase& c) {
                           return c.elementwise();
                         })),
                         test_name);

}  // namespace
}  // namespace jacquard::conformance
