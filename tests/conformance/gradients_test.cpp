// Every operation's first and second derivatives, in every layout and shape,
// against finite differences.
#include <cmath>

#include "tests/conformance/op_case.h"

namespace jacquard::conformance {
namespace {

class Gradients : public OperationTest {};
class Constants : public OperationTest {};

// Of the operands that are floating.
Values real_ones(const Values& values) {
  Values out;
  for (const TrackedTensor& v : values)
    if (is_floating(v.dtype())) out.push_back(v);
  return out;
}

TEST_P(Gradients, AgreeWithFiniteDifferences) {
  const OpCase& c = GetParam();
  Generator g = generator_for(c);
  for (const Variant& v : variants_of(c)) {
    SCOPED_TRACE(v.name);
    const Values inputs = draw(c, v, DType::float64, g);
    const GradcheckResult result = gradcheck(
        [&](const Values& x) { return call(c, v, x); }, inputs, c.check);
    EXPECT_TRUE(result.ok) << result.message;
  }
}

TEST_P(Gradients, OfGradientsAgreeWithFiniteDifferences) {
  const OpCase& c = GetParam();
  Generator g = generator_for(c);
  for (const Variant& v : variants_of(c)) {
    SCOPED_TRACE(v.name);
    const Values inputs = draw(c, v, DType::float64, g);
    const GradcheckResult result = gradgradcheck(
        [&](const Values& x) { return call(c, v, x); }, inputs, c.check);
    EXPECT_TRUE(result.ok) << result.message;
  }
}

// Comparisons, positions and their like have gradient zero, and no error.
TEST_P(Constants, HaveGradientZero) {
  const OpCase& c = GetParam();
  Generator g = generator_for(c);
  for (const Variant& v : variants_of(c)) {
    SCOPED_TRACE(v.name);
    const Values inputs = draw(c, v, DType::float64, g);
    if (real_ones(inputs).empty()) continue;
    const Values grads = gradient(
        [&](const Values& x) {
          TrackedTensor total = sum(cast(call(c, v, x), DType::float64));
          for (const TrackedTensor& t : real_ones(x)) total += sum(t * t);
          return total;
        },
        inputs);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (!is_floating(inputs[i].dtype())) continue;
      EXPECT_TRUE(same_bits(grads[i], inputs[i] * 2.0));
    }
  }
}

// Each floating operand of its own dtype has a gradient of that dtype and of
// its shape, whatever the others are.
TEST_P(Gradients, HaveDTypeAndShapeOfTheirPrimal) {
  const OpCase& c = GetParam();
  Generator g = generator_for(c);
  constexpr DType types[] = {DType::float16, DType::bfloat16, DType::float32,
                             DType::float64};
  for (int first = 0; first < 4; ++first) {
    const Variant v = dense_variant(c, {2, 3});
    Values inputs = draw(c, v, DType::float64, g);
    DType result = DType::bool_;
    int next = first;
    for (TrackedTensor& x : inputs) {
      if (!is_floating(x.dtype())) continue;
      x = materialize(cast(x, types[next++ % 4]));
      if (!c.first_decides || !is_floating(result))
        result = promote(result, x.dtype());
    }
    auto [y, pull] =
        pullback([&](const Values& x) { return call(c, v, x); }, inputs);
    EXPECT_EQ(name_of(y.dtype()), name_of(result));
    const Values grads = pull(ones_like(y));
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (!is_floating(inputs[i].dtype())) continue;
      EXPECT_EQ(name_of(grads[i].dtype()), name_of(inputs[i].dtype()));
      EXPECT_EQ(grads[i].shape(), inputs[i].shape());
      EXPECT_EQ(grads[i].device(), default_device());
      EXPECT_FALSE(grads[i].is_tracked());
    }
  }
}

// Operands that need no gradient get none, and the others the same one.
TEST_P(Gradients, OfOneOperandDoNotDependOnTheOthersBeingTracked) {
  const OpCase& c = GetParam();
  Generator g = generator_for(c);
  const Variant v = dense_variant(c, {2, 3});
  const Values inputs = draw(c, v, DType::float64, g);
  const Values together = gradient(
      [&](const Values& x) {
        TrackedTensor total = sum(call(c, v, x));
        for (const TrackedTensor& t : real_ones(x)) total += sum(t);
        return total;
      },
      inputs);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!is_floating(inputs[i].dtype())) continue;
    const TrackedTensor alone = gradient(
        [&](const TrackedTensor& x) {
          Values all = inputs;
          all[i] = x;
          return sum(call(c, v, all)) + sum(x);
        },
        inputs[i]);
    const auto a = alone.to_host<double>(), b = together[i].to_host<double>();
    for (std::size_t k = 0; k < a.size(); ++k)
      EXPECT_NEAR(a[k], b[k], 1e-12 * (1 + std::abs(b[k]))) << "operand " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Operations, Gradients,
                         ::testing::ValuesIn(cases_where([](const OpCase& c) {
                           return c.differentiable;
                         })),
                         test_name);
INSTANTIATE_TEST_SUITE_P(Operations, Constants,
                         ::testing::ValuesIn(cases_where([](const OpCase& c) {
                           return !c.differentiable;
                         })),
                         test_name);

}  // namespace
}  // namespace jacquard::conformance
