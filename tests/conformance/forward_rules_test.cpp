// Every operation's forward rule: against its reverse, against finite
// differences, and for several tangents at once.
#include <cmath>

#include "tests/conformance/op_case.h"

namespace jacquard::conformance {
namespace {

class ForwardRules : public OperationTest {};

Values directions_for(const Values& inputs, Generator& g) {
  std::normal_distribution<double> normal;
  Values out;
  for (const TrackedTensor& x : inputs) {
    if (!is_floating(x.dtype())) {
      out.emplace_back();
      continue;
    }
    std::vector<double> v(static_cast<std::size_t>(x.numel()));
    for (double& e : v) e = normal(g);
    out.push_back(laid_out(v, x.shape(), x.dtype(), Layout::dense));
  }
  return out;
}

Values moved(const Values& inputs, const Values& directions, double by) {
  Values out = inputs;
  for (std::size_t i = 0; i < out.size(); ++i)
    if (directions[i].defined()) out[i] = out[i] + directions[i] * by;
  return out;
}

TEST_P(ForwardRules, AreTheTransposesOfTheReverse) {
  const OpCase& c = GetParam();
  Generator g = generator_for(c);
  for (const Variant& v : variants_of(c)) {
    SCOPED_TRACE(v.name);
    const Values inputs = draw(c, v, DType::float64, g);
    const GradcheckResult result =
        check_vjp_jvp([&](const Values& x) { return call(c, v, x); }, inputs);
    EXPECT_TRUE(result.ok) << result.message;
  }
}

TEST_P(ForwardRules, AgreeWithFiniteDifferences) {
  const OpCase& c = GetParam();
  Generator g = generator_for(c);
  const Variant v = dense_variant(c, {2, 3});
  const Values inputs = draw(c, v, DType::float64, g);
  const Values along = directions_for(inputs, g);
  auto f = [&](const Values& x) { return call(c, v, x); };
  const auto [y, tangent] = jvp(f, inputs, along);
  ASSERT_EQ(tangent.shape(), y.shape());
  EXPECT_EQ(name_of(tangent.dtype()), name_of(y.dtype()));
  const double h = c.check.eps;
  const auto above = f(moved(inputs, along, h)).to_host<double>();
  const auto below = f(moved(inputs, along, -h)).to_host<double>();
  const auto t = tangent.to_host<double>();
  for (std::size_t i = 0; i < t.size(); ++i) {
    // The value of nothing may be infinite or NaN, and never moves.
    const bool still = above[i] == below[i] || std::isnan(above[i]);
    const double due = still ? 0 : (above[i] - below[i]) / (2 * h);
    EXPECT_NEAR(t[i], due, 10 * (c.check.atol + c.check.rtol * std::abs(due)))
        << "element " << i;
  }
}

TEST_P(ForwardRules, TakeSeveralTangentsAtOnce) {
  const OpCase& c = GetParam();
  Generator g = generator_for(c);
  const Variant v = dense_variant(c, {2, 2});
  const Values inputs = draw(c, v, DType::float64, g);
  // Vectors, so that the matrices have few axes.
  Values vectors;
  for (const TrackedTensor& x : inputs)
    vectors.push_back(is_floating(x.dtype()) ? reshape(x, {x.numel()}) : x);
  auto f = [&](const Values& x) {
    Values own;
    for (std::size_t i = 0; i < x.size(); ++i)
      own.push_back(is_floating(x[i].dtype()) ? reshape(x[i], inputs[i].shape())
                                              : x[i]);
    const TrackedTensor y = call(c, v, own);
    return reshape(y, {y.numel()});
  };
  JacobianOptions options{DerivativeMode::forward, true};
  const Values columns = jacobian(options, f, vectors);
  options.mode = DerivativeMode::reverse;
  const Values rows = jacobian(options, f, vectors);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!is_floating(inputs[i].dtype())) continue;
    const auto a = columns[i].to_host<double>(), b = rows[i].to_host<double>();
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t k = 0; k < a.size(); ++k)
      EXPECT_NEAR(a[k], b[k], 1e-9 * (1 + std::abs(b[k]))) << "operand " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Operations, ForwardRules,
                         ::testing::ValuesIn(cases_where([](const OpCase& c) {
                           return c.differentiable;
                         })),
                         test_name);

}  // namespace
}  // namespace jacquard::conformance
