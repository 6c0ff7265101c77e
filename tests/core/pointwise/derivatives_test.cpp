// Derivatives of all primitives against central differences of the reference
// interpreter, up to the third order, and at the points where they are
// infinite.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <set>

#include "core/pointwise/expr.h"
#include "core/pointwise/program.h"
#include "tests/core/pointwise/interpreter.h"

namespace jacquard::pointwise {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr DType kF64 = DType::float64;

std::mt19937& generator() {
  static std::mt19937 g(7);
  return g;
}

std::vector<double> draw(std::size_t n, double low, double high) {
  std::vector<double> out(n);
  for (double& v : out)
    v = std::uniform_real_distribution(low, high)(generator());
  return out;
}

// Makes the values the same along each row.
std::vector<double> along_rows(std::vector<double> v, int cols) {
  for (std::size_t e = 0; e < v.size(); ++e)
    v[e] = v[e - e % static_cast<std::size_t>(cols)];
  return v;
}

// The program, and values for its leaves.
struct Case {
  ProgramPtr program;
  Inputs in;
};

std::uint64_t floating_leaves(const Program& p) {
  std::uint64_t mask = 0;
  for (std::size_t i = 0; i < p.leaves().size(); ++i)
    if (is_floating(p.leaves()[i].dtype)) mask |= std::uint64_t{1} << i;
  return mask;
}

// The reverse of the program as a program of its own.
Case reversed(const Case& c, const std::vector<std::vector<double>>& cotangents,
              std::uint64_t tracked) {
  const Reverse& r = c.program->reverse(tracked, tracked);
  const auto outputs = evaluate(c.program->code(), c.in);
  Case out{r.program, {c.in.rows, c.in.cols, {}, c.in.slots}};
  for (int s : r.sources)
    out.in.leaves.push_back(
        s >= 0 ? c.in.leaves[static_cast<std::size_t>(s)]
        : s > Reverse::kCotangent
            ? outputs[static_cast<std::size_t>(Reverse::kOutput - s)]
            : cotangents[static_cast<std::size_t>(Reverse::kCotangent - s)]);
  return out;
}

double weighted(const Code& code, const Inputs& in,
                const std::vector<std::vector<double>>& cotangents) {
  const auto outputs = evaluate(code, in);
  double total = 0;
  for (std::size_t o = 0; o < outputs.size(); ++o)
    for (std::size_t e = 0; e < outputs[o].size(); ++e)
      if (!code.outputs[o].once_a_row ||
          e % static_cast<std::size_t>(in.cols) == 0)
        total += outputs[o][e] * cotangents[o][e];
  return total;
}

// Central difference of fourth order, by element e of a leaf or by its row.
double difference(const Case& c, std::size_t leaf, std::size_t e, bool row,
                  const std::vector<std::vector<double>>& cotangents) {
  const double h = 1e-3;
  const auto at = [&](double step) {
    Inputs in = c.in;
    const auto cols = static_cast<std::size_t>(in.cols);
    for (std::size_t i = e; i < (row ? e + cols : e + 1); ++i)
      in.leaves[leaf][i] += step;
    return weighted(c.program->code(), in, cotangents);
  };
  return (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
}

// Compares the gradient of each leaf, then that of the gradient, `order` times.
void check(const Case& c, int order, const std::string& what) {
  const Code& code = c.program->code();
  const auto n = static_cast<std::size_t>(c.in.rows * c.in.cols);
  std::vector<std::vector<double>> cotangents;
  for (const Output& o : code.outputs) {
    cotangents.push_back(draw(n, 0.5, 1.5));
    if (o.once_a_row)
      cotangents.back() = along_rows(cotangents.back(), c.in.cols);
  }
  const std::uint64_t tracked = floating_leaves(*c.program);
  const Reverse& r = c.program->reverse(tracked, tracked);
  const Case next = reversed(c, cotangents, tracked);
  const auto got = evaluate(next.program->code(), next.in);
  for (std::size_t leaf = 0; leaf < c.in.leaves.size(); ++leaf) {
    if (!(tracked >> leaf & 1)) continue;
    const auto at = std::ranges::find(r.wanted, leaf) - r.wanted.begin();
    const bool zero = at == static_cast<std::ptrdiff_t>(r.wanted.size());
    const bool row =
        c.program->has_row_ops() && c.program->leaves()[leaf].per_row;
    if (!zero) {
      EXPECT_EQ(r.program->outputs()[static_cast<std::size_t>(at)].once_a_row,
                row);
    }
    const auto step = static_cast<std::size_t>(row ? c.in.cols : 1);
    for (std::size_t e = 0; e < n; e += step) {
      const double want = difference(c, leaf, e, row, cotangents);
      const double have = zero ? 0 : got[static_cast<std::size_t>(at)][e];
      ASSERT_NEAR(have, want, 2e-6 * (1 + std::fabs(want)))
          << what << ", " << order - 1 << " orders left, leaf " << leaf
          << " element " << e << "\n"
          << c.program->to_string() << "reverse:\n"
          << r.program->to_string();
    }
  }
  if (order > 1) check(next, order - 1, what);
}

struct Domain {
  Op op;
  double low[2];
  double high[2];
};

// Away from kinks and poles.
const Domain kDomains[] = {
    {Op::add, {-2, -2}, {2, 2}},
    {Op::sub, {-2, -2}, {2, 2}},
    {Op::mul, {-2, -2}, {2, 2}},
    {Op::div, {-2, 1}, {2, 2}},
    {Op::mulz, {1, -2}, {2, 2}},
    {Op::fmod, {5.1, 1.1}, {5.9, 1.25}},
    {Op::remainder, {-5.9, 1.1}, {-5.1, 1.25}},
    {Op::minimum, {0, 1.2}, {1, 2}},
    {Op::maximum, {0, 1.2}, {1, 2}},
    {Op::pow, {1, -2}, {2, 2}},
    {Op::atan2, {1, -2}, {2, -1}},
    {Op::neg, {-2}, {2}},
    {Op::abs, {-2}, {-1}},
    {Op::relu, {1}, {2}},
    {Op::exp, {-1}, {1}},
    {Op::expm1, {-1}, {1}},
    {Op::log, {1}, {2}},
    {Op::log1p, {0}, {2}},
    {Op::sqrt, {1}, {2}},
    {Op::rsqrt, {1}, {2}},
    {Op::cbrt, {-2}, {-1}},
    {Op::sin, {-2}, {2}},
    {Op::cos, {-2}, {2}},
    {Op::tan, {-0.7}, {0.7}},
    {Op::asin, {-0.5}, {0.5}},
    {Op::acos, {-0.5}, {0.5}},
    {Op::atan, {-2}, {2}},
    {Op::sinh, {-1}, {1}},
    {Op::cosh, {-1}, {1}},
    {Op::tanh, {-1}, {1}},
    {Op::asinh, {-2}, {2}},
    {Op::acosh, {2}, {3}},
    {Op::atanh, {-0.5}, {0.5}},
    {Op::sigmoid, {-2}, {2}},
    {Op::erf, {-1}, {1}},
    {Op::erfc, {-1}, {1}},
    {Op::erfinv, {-0.5}, {0.5}},
    {Op::lgamma, {1}, {3}},
    {Op::digamma, {1}, {3}},
};

// Those whose gradient is a structural zero: they only stop what is tracked.
const Op kConstant[] = {Op::stop_gradient,
                        Op::sign,
                        Op::floor,
                        Op::ceil,
                        Op::trunc,
                        Op::round,
                        Op::eq,
                        Op::ne,
                        Op::lt,
                        Op::le,
                        Op::gt,
                        Op::ge,
                        Op::is_nan,
                        Op::is_inf,
                        Op::is_finite,
                        Op::logical_and,
                        Op::logical_or,
                        Op::logical_xor,
                        Op::logical_not,
                        Op::row_argmax,
                        Op::row_argmin};

// Those with a test of their own, or that read nothing.
const Op kOther[] = {Op::load,
                     Op::slot,
                     Op::constant,
                     Op::index,
                     Op::uniform,
                     Op::normal,
                     Op::cast,
                     Op::where,
                     Op::attach,
                     Op::polygamma,
                     Op::row_length,
                     Op::row_index,
                     Op::row_sum,
                     Op::row_mean,
                     Op::row_max,
                     Op::row_logsumexp,
                     Op::row_pick,
                     Op::row_softmax,
                     Op::row_log_softmax,
                     Op::row_normalize,
                     Op::row_normalize_vjp};

Leaf double_leaf(bool per_row = false) {
  Leaf l;
  l.dtype = kF64;
  l.per_row = per_row;
  return l;
}

TEST(Derivatives, OfEveryPrimitiveAreTested) {
  std::set<Op> seen;
  for (const Domain& d : kDomains) seen.insert(d.op);
  seen.insert(std::begin(kConstant), std::end(kConstant));
  seen.insert(std::begin(kOther), std::end(kOther));
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(kOpCount));
}

TEST(Derivatives, OfPointwisePrimitivesAreRightThreeTimes) {
  for (const Domain& d : kDomains) {
    Builder b;
    Case c;
    c.in.cols = 3;
    Ref args[2] = {kNoRef, kNoRef};
    for (int k = 0; k < info(d.op).arity; ++k) {
      args[k] = b.leaf(double_leaf());
      c.in.leaves.push_back(draw(3, d.low[k], d.high[k]));
    }
    b.output({b.apply(d.op, args[0], args[1])});
    c.program = Program::intern(b.take());
    check(c, 3, info(d.op).name);
  }
}

TEST(Derivatives, ByOneOperandWithTheOtherALiteralAreRight) {
  for (double p : {-1.5, -1.0, 0.0, 0.5, 1.0, 2.0, 3.0}) {
    Builder b;
    const Expr x{&b, b.leaf(double_leaf())};
    b.output({apply(Op::pow, x, x.like(p)).ref});
    b.output({(x / (p + 5)).ref});
    check({Program::intern(b.take()), {1, 3, {draw(3, 1, 2)}, {}}}, 3,
          "pow to a literal");
  }
}

// x·y with the derivatives of sin(x)·y² attached: what is differentiated is
// what was given, three times, and the value never is.
TEST(Derivatives, OfAttachAreThoseThatWereGiven) {
  Builder b;
  const Expr x{&b, b.leaf(double_leaf())}, y{&b, b.leaf(double_leaf())};
  const Expr value = sin(x) * y * y;
  const Expr by_x =
      apply(Op::attach, apply(Op::stop_gradient, value), x, cos(x) * y * y);
  b.output({apply(Op::attach, by_x, y, 2.0 * sin(x) * y).ref});
  Case c{Program::intern(b.take()),
         {1, 3, {draw(3, -1, 1), draw(3, 1, 2)}, {}}};
  check(c, 3, "attach");

  Builder other;
  const Expr z{&other, other.leaf(double_leaf())};
  other.output(
      {apply(Op::attach, apply(Op::stop_gradient, exp(z)), z, z * z).ref});
  const auto program = Program::intern(other.take());
  const Reverse& reverse = program->reverse(1, 1);
  EXPECT_EQ(reverse.program->to_string(),
            "%0:f64 = load @0\n"
            "%1:f64 = mul %0 %0\n"
            "%2:f64 = load @1\n"
            "%3:f64 = mulz %2 %1\n"
            "store %3\n");
  EXPECT_EQ(program->launched().to_string(),
            "%0:f64 = load @0\n"
            "%1:f64 = exp %0\n"
            "%2:f64 = stop_gradient %1\n"
            "store %2\n");
  EXPECT_EQ(&program->launched(), &program->launched());
}

TEST(Derivatives, OfPolygammaAreRightThreeTimes) {
  Builder b;
  const Expr x{&b, b.leaf(double_leaf())};
  b.output({apply(Op::polygamma, x.like(1), x).ref});
  check({Program::intern(b.take()), {1, 3, {draw(3, 1, 2)}, {}}}, 3,
        "polygamma");
}

TEST(Derivatives, OfWhereAndCastAreRightThreeTimes) {
  Builder b;
  const Expr x{&b, b.leaf(double_leaf())};
  const Expr y{&b, b.leaf(double_leaf())};
  const Expr chosen = where(x < 0.0, x * y, sin(x) * y);
  // Through a type that loses nothing here: differences stay exact.
  b.output({(chosen.cast(DType::float64) * x).ref});
  check({Program::intern(b.take()),
         {1, 4, {{-1.5, -0.5, 0.5, 1.5}, draw(4, 1, 2)}, {}}},
        3, "where");
}

TEST(Derivatives, OfConstantPrimitivesAreStructuralZeros) {
  for (Op op : kConstant) {
    Builder b;
    const bool logical = info(op).cls == OpClass::l;
    const Expr x{&b, b.leaf(double_leaf())};
    const Expr a = logical ? x > 0.5 : x;
    const Expr r = info(op).arity == 2 ? apply(op, a, a) : apply(op, a);
    b.output({(r.cast(kF64) * 2.0).ref});
    const ProgramPtr p = Program::intern(b.take());
    EXPECT_TRUE(p->reverse(1, 1).wanted.empty()) << info(op).name;
  }
}

// op(x) alone; and mixed with a leaf that has one value a row, where its
// result meets full values and row constants.
void check_row_op(Op op, const std::string& name,
                  const std::function<Expr(Expr)>& make, int order) {
  const bool once = is_row_constant(op);
  {
    Builder b;
    const Expr x{&b, b.leaf(double_leaf())};
    b.output({make(x).ref, Reduction::store, once});
    Case c{Program::intern(b.take()), {2, 3, {draw(6, -1, 1)}, {0.1}}};
    check(c, order, name);
  }
  Builder b;
  const Expr x{&b, b.leaf(double_leaf())};
  const Expr s{&b, b.leaf(double_leaf(/*per_row=*/true))};
  const Expr w = make(x * s) * sin(s);
  b.output({(w * x + s).ref});
  b.output({w.ref, Reduction::store, once});
  b.output({w.ref});
  Case c{Program::intern(b.take()),
         {2, 3, {draw(6, -1, 1), along_rows(draw(6, 1, 2), 3)}, {0.1}}};
  check(c, order - 1, name + " mixed");
}

Expr literal_index(Expr like, std::int64_t i) {
  return {like.builder, like.builder->constant_int(i, DType::int64)};
}

TEST(Derivatives, OfRowOperationsAreRightThreeTimes) {
  for (Op op : {Op::row_sum, Op::row_mean, Op::row_max, Op::row_logsumexp,
                Op::row_softmax, Op::row_log_softmax})
    check_row_op(
        op, info(op).name, [op](Expr x) { return apply(op, x); }, 3);
  check_row_op(
      Op::row_pick, "row_pick",
      [](Expr x) { return apply(Op::row_pick, sin(x), literal_index(x, 1)); },
      3);
}

TEST(Derivatives, OfRowNormalizeAreRightThreeTimes) {
  check_row_op(
      Op::row_normalize, "row_normalize",
      [](Expr x) {
        if (x.builder->code().slots.empty()) x.builder->slot(kF64);
        const Expr eps{x.builder, x.builder->read_slot(0)};
        return apply(Op::row_normalize, x, eps);
      },
      3);
}

TEST(Derivatives, OfRowNormalizeByAllOperandsAreRightTwice) {
  Builder b;
  const Expr x{&b, b.leaf(double_leaf())};
  const Expr e{&b, b.leaf(double_leaf(/*per_row=*/true))};
  b.output({apply(Op::row_normalize, x, e).ref});
  check({Program::intern(b.take()),
         {2, 3, {draw(6, -1, 1), along_rows(draw(6, 1, 2), 3)}, {}}},
        2, "row_normalize and epsilon");
}

TEST(Derivatives, OfRowNormalizeByAnEpsilonThatMayDifferSumToTheSame) {
  Builder b;
  const Expr x{&b, b.leaf(double_leaf())};
  const Expr e{&b, b.leaf(double_leaf())};
  b.output({apply(Op::row_normalize, x, e).ref});
  Case c{Program::intern(b.take()),
         {1, 3, {draw(3, -1, 1), {0.5, 0.5, 0.5}}, {}}};
  const std::vector<std::vector<double>> g = {draw(3, 0.5, 1.5)};
  const Case r = reversed(c, g, 0b10);
  const auto got = evaluate(r.program->code(), r.in)[0];
  EXPECT_NEAR(got[0] + got[1] + got[2], difference(c, 1, 0, true, g), 1e-7);
}

TEST(Derivatives, OfRowMaxShareEvenlyAmongTies) {
  Builder b;
  const Expr x{&b, b.leaf(double_leaf())};
  b.output({apply(Op::row_max, x).ref, Reduction::store, true});
  Case c{Program::intern(b.take()), {1, 4, {{2, 3, 3, 1}}, {}}};
  const Case r = reversed(c, {{1, 1, 1, 1}}, 1);
  EXPECT_EQ(evaluate(r.program->code(), r.in)[0],
            std::vector<double>({0, 0.5, 0.5, 0}));
}

// The gradients of op(leaves…), one element each, for a cotangent g.
std::vector<double> gradient(Op op, std::vector<double> at, double g) {
  Builder b;
  Case c;
  Ref args[2] = {kNoRef, kNoRef};
  for (std::size_t k = 0; k < at.size(); ++k) {
    args[k] = b.leaf(double_leaf());
    c.in.leaves.push_back({at[k]});
  }
  b.output({b.apply(op, args[0], args[1])});
  c.program = Program::intern(b.take());
  const Case r = reversed(c, {{g}}, floating_leaves(*c.program));
  std::vector<double> out;
  for (const auto& v : evaluate(r.program->code(), r.in)) out.push_back(v[0]);
  return out;
}

using Values = std::vector<double>;

TEST(Derivatives, AtKinksAreAsDocumented) {
  EXPECT_EQ(gradient(Op::abs, {0}, 1), Values({0}));
  EXPECT_EQ(gradient(Op::relu, {0}, 1), Values({0}));
  EXPECT_EQ(gradient(Op::minimum, {2, 2}, 1), Values({0.5, 0.5}));
  EXPECT_EQ(gradient(Op::maximum, {2, 2}, 1), Values({0.5, 0.5}));
  EXPECT_EQ(gradient(Op::maximum, {2, 3}, 1), Values({0, 1}));
  EXPECT_EQ(gradient(Op::minimum, {2, 3}, 1), Values({1, 0}));
}

TEST(Derivatives, OfPowAtZeroAreAsDocumented) {
  EXPECT_EQ(gradient(Op::pow, {0, 2}, 1), Values({0, 0}));
  EXPECT_EQ(gradient(Op::pow, {0, 1.5}, 1), Values({0, 0}));
  EXPECT_EQ(gradient(Op::pow, {0, 1}, 1), Values({1, 0}));
  EXPECT_EQ(gradient(Op::pow, {0, 0}, 1)[0], 0);
  EXPECT_EQ(gradient(Op::pow, {0, 0.5}, 1), Values({kInf, 0}));
  EXPECT_EQ(gradient(Op::pow, {0, -1}, 1)[0], -kInf);
  const Values negative = gradient(Op::pow, {-2, 2}, 1);
  EXPECT_EQ(negative[0], -4);
  EXPECT_TRUE(std::isnan(negative[1]));
}

struct Pole {
  Op op;
  Values at;
};

const Pole kPoles[] = {
    {Op::sqrt, {0}},     {Op::rsqrt, {0}},     {Op::cbrt, {0}},
    {Op::log, {0}},      {Op::log1p, {-1}},    {Op::pow, {0, 0.5}},
    {Op::pow, {0, -1}},  {Op::pow, {-2, 0.5}}, {Op::asin, {1}},
    {Op::asin, {2}},     {Op::acos, {-1}},     {Op::acosh, {1}},
    {Op::atanh, {1}},    {Op::div, {1, 0}},    {Op::div, {0, 0}},
    {Op::atan2, {0, 0}}, {Op::erfinv, {1}},    {Op::lgamma, {0}},
    {Op::digamma, {0}},  {Op::exp, {1000}},    {Op::expm1, {1000}},
    {Op::sin, {kInf}},   {Op::sinh, {1000}},   {Op::tan, {kInf}},
    {Op::fmod, {1, 0}},  {Op::erf, {kInf}},    {Op::atan, {kInf}},
    {Op::asinh, {kInf}}};

TEST(StrongZero, MakesTheGradientOfAZeroCotangentZero) {
  for (const Pole& p : kPoles)
    for (double g : gradient(p.op, p.at, 0))
      EXPECT_EQ(g, 0) << info(p.op).name << " at " << p.at[0];
}

TEST(StrongZero, HoldsInTheSecondOrder) {
  for (const Pole& p : kPoles) {
    Builder b;
    Case c;
    Ref args[2] = {kNoRef, kNoRef};
    for (std::size_t k = 0; k < p.at.size(); ++k) {
      args[k] = b.leaf(double_leaf());
      c.in.leaves.push_back({p.at[k]});
    }
    b.output({b.apply(p.op, args[0], args[1])});
    c.program = Program::intern(b.take());
    // Cotangent 0 in the first order, then 1 and 0 in the second: by the
    // forward's leaves all is 0, by the cotangent it is the first derivative.
    const Case first = reversed(c, {{0}}, floating_leaves(*c.program));
    const std::size_t outputs = first.program->outputs().size();
    for (double h : {0.0, 1.0}) {
      const std::vector<Values> cotangents(outputs, Values{h});
      const std::uint64_t all = floating_leaves(*first.program);
      const Reverse& r = first.program->reverse(all, all);
      const Case second = reversed(first, cotangents, all);
      const auto got = evaluate(second.program->code(), second.in);
      for (std::size_t o = 0; o < got.size(); ++o) {
        const bool by_cotangent = r.wanted[o] + 1u == first.in.leaves.size();
        if (h == 0 || !by_cotangent) {
          EXPECT_EQ(got[o][0], 0)
              << info(p.op).name << " at " << p.at[0] << " h " << h << " leaf "
              << r.wanted[o] << "\n"
              << first.program->to_string() << second.program->to_string();
        }
      }
    }
  }
}

// ∂²/∂w∂x of w·op(x) at w = 0: op'(x), lost by a `where` of the cotangent.
TEST(StrongZero, KeepsMixedSecondDerivatives) {
  const auto mixed = [](Op op, double at) {
    Builder b;
    const Expr w{&b, b.leaf(double_leaf())};
    const Expr x{&b, b.leaf(double_leaf())};
    b.output({(w * apply(op, x)).ref});
    Case c{Program::intern(b.take()), {1, 1, {{0}, {at}}, {}}};
    const Case first = reversed(c, {{1}}, 0b10);
    // w is leaf 0 of the reverse where it is read at all.
    const Case second = reversed(first, {{1}}, 0b1);
    return evaluate(second.program->code(), second.in)[0][0];
  };
  EXPECT_DOUBLE_EQ(mixed(Op::sqrt, 4), 0.25);
  EXPECT_DOUBLE_EQ(mixed(Op::log, 4), 0.25);
  EXPECT_DOUBLE_EQ(mixed(Op::rsqrt, 4), -1.0 / 16);
  EXPECT_DOUBLE_EQ(mixed(Op::cbrt, 8), 1.0 / 12);
  EXPECT_DOUBLE_EQ(mixed(Op::log1p, 3), 0.25);
  EXPECT_DOUBLE_EQ(mixed(Op::asin, 0.6), 1.25);
  EXPECT_DOUBLE_EQ(mixed(Op::acos, 0.6), -1.25);
  EXPECT_DOUBLE_EQ(mixed(Op::atanh, 0.5), 4.0 / 3);
  EXPECT_NEAR(mixed(Op::acosh, 1.25), 4.0 / 3, 1e-15);
}

TEST(StrongZero, HoldsInFullyMaskedRows) {
  for (Op op : {Op::row_softmax, Op::row_logsumexp}) {
    Builder b;
    const Expr x{&b, b.leaf(double_leaf())};
    b.output({apply(op, x).ref});
    Case c{Program::intern(b.take()), {1, 2, {{-kInf, -kInf}}, {}}};
    const Case r = reversed(c, {{0, 0}}, 1);
    EXPECT_EQ(evaluate(r.program->code(), r.in)[0], Values({0, 0}))
        << info(op).name;
  }
}

}  // namespace
}  // namespace jacquard::pointwise
