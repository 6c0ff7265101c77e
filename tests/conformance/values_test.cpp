// Every operation's values against a float64 reference.
#include <cmath>
#include <limits>

#include "tests/conformance/op_case.h"

namespace jacquard::conformance {
namespace {

class ValuesOf : public OperationTest {};
class ElementwiseValues : public OperationTest {};
class SpecialElements : public OperationTest {};
class SpecialArrays : public OperationTest {};

TEST_P(ValuesOf, FollowTheReferenceInEveryShapeAndLayout) {
  const OpCase& c = GetParam();
  Generator g = generator_for(c);
  for (const DType t : {DType::float64, DType::float32})
    for (const Variant& v : variants_of(c)) {
      SCOPED_TRACE(v.name);
      const Values inputs = draw(c, v, t, g);
      EXPECT_TRUE(agrees(c, call(c, v, inputs), expected(c, v, inputs)));
    }
}

// Half types compute in float32 and round: a few roundings in compositions.
TEST_P(ValuesOf, FollowTheReferenceInHalfTypes) {
  const OpCase& c = GetParam();
  Generator g = generator_for(c);
  OpCase loose = c;
  loose.tolerance = loose.slack = 6 * 0x1p-52;
  loose.signed_zeros = false;
  for (const DType t : {DType::float16, DType::bfloat16}) {
    const Variant v = dense_variant(c, {2, 3});
    const Values inputs = draw(c, v, t, g);
    EXPECT_TRUE(agrees(loose, call(c, v, inputs), expected(c, v, inputs)));
  }
}

// Positions at which a dtype's numbers end.
std::vector<double> special_values(DType t, bool few) {
  const bool wide = t == DType::float64;
  const double inf = std::numeric_limits<double>::infinity();
  const double largest = wide ? std::numeric_limits<double>::max()
                              : std::numeric_limits<float>::max();
  const double normal = wide ? std::numeric_limits<double>::min()
                             : std::numeric_limits<float>::min();
  const double denormal = wide ? std::numeric_limits<double>::denorm_min()
                               : std::numeric_limits<float>::denorm_min();
  std::vector<double> out{0, -0.0, 1,       -1,      inf, -inf, std::nan(""),
                          2, -2.5, largest, denormal};
  if (few) return out;
  for (const double x :
       {-largest, normal, -normal, -denormal, 3 * denormal, 0.5, -0.5, 1.5,
        -1.5, 2.5, -3.0, 10.0, -10.0, 0x1p23, -0x1p23, 0x1p52})
    out.push_back(x);
  return out;
}

TEST_P(SpecialElements, FollowTheReference) {
  const OpCase& c = GetParam();
  const std::size_t arity = c.inputs.size();
  for (const DType t : {DType::float64, DType::float32}) {
    const std::vector<double> all = special_values(t, arity > 1);
    std::size_t n = 1;
    for (std::size_t k = 0; k < arity; ++k) n *= all.size();
    std::vector<std::vector<double>> operands(arity, std::vector<double>(n));
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t k = 0, rest = i; k < arity; ++k, rest /= all.size())
        operands[k][i] = all[rest % all.size()];
    Values inputs;
    const Variant v = dense_variant(c, {static_cast<std::int64_t>(n)});
    for (const auto& o : operands)
      inputs.push_back(laid_out(o, v.shapes[0], t, Layout::dense));
    const TrackedTensor y = call(c, v, inputs);
    const HostArray want = expected(c, v, inputs);
    // One at a time, to name the operands.
    for (std::size_t i = 0; i < n; ++i) {
      const auto at = static_cast<std::int64_t>(i);
      std::string where;
      for (const auto& o : operands)
        where += " " + ::testing::PrintToString(o[i]);
      EXPECT_TRUE(
          agrees(c, slice(y, 0, {at, at + 1, 1}), {{1}, {want.data[i]}}))
          << "at" << where;
    }
  }
}

TEST_P(SpecialArrays, FollowTheReference) {
  const OpCase& c = GetParam();
  Generator g = generator_for(c);
  const double inf = std::numeric_limits<double>::infinity();
  const double special[] = {std::nan(""), inf, -inf};
  for (int round = 0; round < 12; ++round) {
    const Variant v = dense_variant(c, {});
    Values inputs = draw(c, v, DType::float64, g);
    // Of one kind, and of all.
    for (TrackedTensor& x : inputs) {
      if (x.dtype() != DType::float64) continue;
      std::vector<double> values = x.to_host<double>();
      for (double& e : values)
        if (g() % 4 == 0) e = special[round < 9 ? round / 3 : g() % 3];
      x = laid_out(values, x.shape(), DType::float64, Layout::dense);
    }
    EXPECT_TRUE(agrees(c, call(c, v, inputs), expected(c, v, inputs)));
  }
}

// Integers and bools promote as in PyTorch.
TEST_P(ElementwiseValues, OfIntegersFollowTheReference) {
  const OpCase& c = GetParam();
  if (c.integers == OnIntegers::skipped) return;
  Generator g = generator_for(c);
  OpCase loose = c;
  loose.tolerance = std::max(c.tolerance, 2e-15);
  loose.signed_zeros = false;
  for (const DType t : {DType::int32, DType::int64, DType::bool_}) {
    SCOPED_TRACE(name_of(t));
    Values inputs;
    for (const Input& input : c.inputs) {
      if (input.kind != Kind::real) return;
      const auto low = static_cast<std::int64_t>(
          std::ceil(t == DType::bool_ ? std::max(0.0, input.low) : input.low));
      const auto high = static_cast<std::int64_t>(std::floor(
          t == DType::bool_ ? std::min(1.0, input.high) : input.high));
      if (low > high) return;
      std::vector<double> values;
      for (int i = 0; i < 12; ++i)
        values.push_back(static_cast<double>(
            low + static_cast<std::int64_t>(
                      g() % static_cast<std::uint64_t>(high - low + 1))));
      inputs.push_back(laid_out(values, {12}, t, Layout::dense));
    }
    const Variant v = dense_variant(c, {12});
    const TrackedTensor y = call(c, v, inputs);
    EXPECT_TRUE(agrees(loose, y, expected(c, v, inputs)));
    EXPECT_FALSE(y.is_tracked());
    if (c.integers == OnIntegers::floating) {
      EXPECT_EQ(y.dtype(), DType::float32);
    } else if (c.integers == OnIntegers::kept && t != DType::bool_) {
      EXPECT_EQ(y.dtype(), t);
    }
  }
}

// An element has the same bits however its operands lie in memory.
TEST_P(ElementwiseValues, DoNotDependOnTheLayout) {
  const OpCase& c = GetParam();
  Generator g = generator_for(c);
  for (const DType t : {DType::float64, DType::float32, DType::float16}) {
    Variant v = dense_variant(c, {5, 37});
    const Values inputs = draw(c, v, t, g);
    const TrackedTensor dense = call(c, v, inputs);
    for (const Layout layout :
         {Layout::transposed, Layout::stepped, Layout::reversed}) {
      Values moved;
      for (const TrackedTensor& x : inputs)
        moved.push_back(
            laid_out(x.to_host<double>(), x.shape(), x.dtype(), layout));
      EXPECT_TRUE(same_bits(call(c, v, moved), dense))
          << "layout " << static_cast<int>(layout);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Operations, ValuesOf, ::testing::ValuesIn(all_cases()),
                         test_name);
INSTANTIATE_TEST_SUITE_P(Operations, ElementwiseValues,
                         ::testing::ValuesIn(cases_where([](const OpCase& c) {
                           return c.elementwise();
                         })),
                         test_name);
INSTANTIATE_TEST_SUITE_P(Operations, SpecialElements,
                         ::testing::ValuesIn(cases_where([](const OpCase& c) {
                           return c.specials && c.elementwise();
                         })),
                         test_name);
INSTANTIATE_TEST_SUITE_P(Operations, SpecialArrays,
                         ::testing::ValuesIn(cases_where([](const OpCase& c) {
                           return c.specials && !c.elementwise();
                         })),
                         test_name);

}  // namespace
}  // namespace jacquard::conformance
