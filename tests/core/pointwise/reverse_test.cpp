// The structure of reverse programs: what they read and what they compute.
#include <gtest/gtest.h>

#include "core/pointwise/expr.h"
#include "core/pointwise/program.h"
#include "jacquard/error.h"

namespace jacquard::pointwise {
namespace {

constexpr int kY = Reverse::kOutput;
constexpr int kG = Reverse::kCotangent;

struct Source {
  Builder b;
  Expr leaf(DType t = DType::float32, bool per_row = false) {
    Leaf l;
    l.dtype = t;
    l.per_row = per_row;
    return {&b, b.leaf(l)};
  }
  ProgramPtr program(Expr e, Reduction r = Reduction::store,
                     bool once_a_row = false) {
    b.output({e.ref, r, once_a_row});
    return Program::intern(b.take());
  }
};

const Reverse& reverse_of(const ProgramPtr& p, std::uint64_t tracked) {
  return p->reverse(tracked, tracked);
}

using Sources = std::vector<int>;
using Leaves = std::vector<std::uint16_t>;

TEST(Reverse, OfASumPassesTheCotangentOn) {
  Source s;
  const Expr a = s.leaf(), b = s.leaf();
  const Reverse& r = reverse_of(s.program(a + b), 0b11);
  EXPECT_EQ(r.sources, Sources({kG}));
  EXPECT_EQ(r.wanted, Leaves({0, 1}));
  EXPECT_EQ(r.program->to_string(), "%0:f32 = load @0\nstore %0\nstore %0\n");
}

TEST(Reverse, OfReluReadsTheOutputAlone) {
  Source s;
  const Expr h = s.leaf(), b = s.leaf();
  const Reverse& r = reverse_of(s.program(apply(Op::relu, h + b)), 0b11);
  EXPECT_EQ(r.sources, Sources({kY, kG}));
  EXPECT_EQ(r.program->to_string(),
            "%0:f32 = load @0\n"
            "%1:f32 = load @1\n"
            "%2:f32 = constant 0\n"
            "%3:bool = le %0 %2\n"
            "%4:f32 = where %3 %2 %1\n"
            "store %4\n"
            "store %4\n");
}

TEST(Reverse, OfTheBenchmarkChainReadsTheInputs) {
  Source s;
  const Expr a = s.leaf(), x = s.leaf(), b = s.leaf(), c = s.leaf();
  const Expr y = apply(Op::tanh, a * x + b) * apply(Op::sigmoid, c);
  const Reverse& r = reverse_of(s.program(y), 0b1111);
  EXPECT_EQ(r.sources, Sources({0, 1, 2, 3, kG}));
  EXPECT_EQ(r.wanted, Leaves({0, 1, 2, 3}));
}

TEST(Reverse, OfFunctionsOfTheirOutputReadsTheOutput) {
  for (Op op : {Op::exp, Op::tanh, Op::sigmoid, Op::sqrt, Op::rsqrt, Op::relu,
                Op::row_softmax, Op::row_log_softmax}) {
    Source s;
    const Expr a = s.leaf(), b = s.leaf();
    const Reverse& r = reverse_of(s.program(apply(op, a + b)), 0b11);
    EXPECT_EQ(r.sources, Sources({kY, kG})) << info(op).name;
  }
}

TEST(Reverse, OfExpm1IsTakenFromTheInput) {
  Source s;
  const Reverse& r = reverse_of(s.program(apply(Op::expm1, s.leaf())), 1);
  EXPECT_EQ(r.sources, Sources({0, kG}));
}

TEST(Reverse, OfReciprocalsReadsTheDenominator) {
  Source s;
  const Expr a = s.leaf(), b = s.leaf();
  const Reverse& r = reverse_of(s.program(a / b), 0b01);
  EXPECT_EQ(r.sources, Sources({1, kG}));
}

TEST(Reverse, ChoosesForAllTrackedLeavesOnce) {
  // Read from the inputs because ∂a needs b; ∂b alone would do with y.
  Source s;
  const Expr a = s.leaf(), b = s.leaf();
  const ProgramPtr p = s.program(a * exp(b));
  EXPECT_EQ(p->reverse(0b11, 0b11).sources, Sources({0, 1, kG}));
  EXPECT_EQ(p->reverse(0b11, 0b10).sources, Sources({0, 1, kG}));
  EXPECT_EQ(p->reverse(0b11, 0b01).sources, Sources({1, kG}));
  EXPECT_EQ(p->reverse(0b11, 0b01).wanted, Leaves({0}));
}

TEST(Reverse, IsCached) {
  Source s;
  const ProgramPtr p = s.program(exp(s.leaf()));
  EXPECT_EQ(&p->reverse(1, 1), &p->reverse(1, 1));
}

TEST(Reverse, LeavesStructuralZerosOut) {
  Source s;
  const Expr x = s.leaf(), y = s.leaf(), z = s.leaf();
  const Expr i = s.leaf(DType::int32);
  const ProgramPtr p =
      s.program(where(x < y, floor(y) * sign(y), apply(Op::stop_gradient, z)) +
                z * i.cast(DType::float32));
  EXPECT_EQ(reverse_of(p, 0b1111).wanted, Leaves({2}));
}

TEST(Reverse, OfDropoutDrawsTheNumbersAgain) {
  Source s;
  const Expr x = s.leaf();
  s.b.slot(DType::int64);
  s.b.slot(DType::int64);
  Leaf random{Op::uniform};
  random.offset_slot = 1;
  const Expr u{&s.b, s.b.leaf(random)};
  const Reverse& r = reverse_of(s.program(where(u < 0.5, x * 2.0, 0.0)), 0b11);
  EXPECT_EQ(r.sources, Sources({1, kG}));
  EXPECT_EQ(r.wanted, Leaves({0}));
  EXPECT_EQ(r.program->leaves()[0], random);
  EXPECT_EQ(r.program->code().slots.size(), 2u);
}

TEST(Reverse, OfHalvesComputesInFloat32) {
  Source s;
  const Expr a = s.leaf(DType::float16), b = s.leaf(DType::float16);
  const Reverse& r = reverse_of(s.program(a * b + b), 0b11);
  EXPECT_EQ(r.program->to_string(),
            "%0:f16 = load @0\n"
            "%1:f16 = load @1\n"
            "%2:f32 = load @2\n"
            "%3:f32 = cast %1\n"
            "%4:f32 = cast %0\n"
            "%5:f32 = mul %2 %3\n"
            "%6:f32 = mul %2 %4\n"
            "%7:f32 = add %2 %6\n"
            "store %5\n"
            "store %7\n");
}

TEST(Reverse, RecomputesHalvesWithTheirRounding) {
  Source s;
  const Expr a = s.leaf(DType::float16), b = s.leaf(DType::float16);
  const Reverse& r = reverse_of(s.program(sin(a * b), Reduction::sum), 0b01);
  EXPECT_NE(r.program->to_string().find(":f16 = mul"), std::string::npos);
  EXPECT_EQ(r.program->to_string().find(":f16 = cos"), std::string::npos);
}

TEST(Reverse, OfASumReadsNoOutput) {
  Source s;
  const Expr d = s.leaf() - s.leaf();
  const Reverse& r = reverse_of(s.program(d * d, Reduction::sum), 0b11);
  EXPECT_EQ(r.sources, Sources({0, 1, kG}));
}

TEST(Reverse, OfAMeanTakesTheInverseCountAsASlot) {
  Source s;
  const Expr x = s.leaf();
  const Expr k{&s.b, s.b.slot(DType::float32)};
  const Reverse& r = reverse_of(s.program(x * k, Reduction::mean), 1);
  EXPECT_EQ(r.means, Leaves({0}));
  EXPECT_EQ(r.program->code().slots.size(), 2u);
  EXPECT_EQ(r.program->to_string(),
            "%0:f32 = slot $0\n"
            "%1:f32 = load @0\n"
            "%2:f32 = slot $1\n"
            "%3:f32 = mul %1 %2\n"
            "%4:f32 = mul %3 %0\n"
            "store %4\n");
}

TEST(Reverse, OfAProductOverAnAxisIsRefused) {
  for (Reduction reduction :
       {Reduction::prod, Reduction::max, Reduction::min}) {
    Source s;
    const ProgramPtr p = s.program(exp(s.leaf()), reduction);
    EXPECT_THROW(p->reverse(1, 1), GraphError);
    EXPECT_TRUE(p->reverse(0, 0).wanted.empty());
  }
}

TEST(Reverse, NamesThePrimitiveThatHasNoDerivative) {
  Source s;
  const Expr n = s.leaf(), x = s.leaf();
  const ProgramPtr p = s.program(apply(Op::polygamma, n, x));
  EXPECT_EQ(p->reverse(0b10, 0b10).wanted, Leaves({1}));
  try {
    p->reverse(0b11, 0b11);
    ADD_FAILURE();
  } catch (const GraphError& e) {
    EXPECT_EQ(std::string(e.what()).find("polygamma"), 0u);
  }
}

TEST(Reverse, SumsOverTheRowWhatComesFromEveryPlace) {
  Source s;
  const Expr x = s.leaf();
  const Reverse& r = reverse_of(s.program(x - row_sum(x)), 1);
  EXPECT_EQ(r.program->to_string(),
            "%0:f32 = load @0\n"
            "%1:f32 = neg %0\n"
            "%2:f32 = row_sum %1\n"
            "%3:f32 = add %0 %2\n"
            "store %3\n");
}

TEST(Reverse, DoesNotSumWhatComesOnceARow) {
  Source s;
  const Expr x = s.leaf();
  const ProgramPtr p =
      s.program(-row_sum(x), Reduction::store, /*once_a_row=*/true);
  const Reverse& r = reverse_of(p, 1);
  EXPECT_TRUE(r.program->leaves()[0].per_row);
  EXPECT_EQ(r.program->to_string(),
            "%0:f32 = load @0 per row\n%1:f32 = neg %0\nstore %1\n");
}

TEST(Reverse, GivesAPerRowLeafOneValueARow) {
  Source s;
  const Expr x = s.leaf();
  const Expr b = s.leaf(DType::float32, /*per_row=*/true);
  const ProgramPtr p = s.program((row_sum(x) + b) * x);
  const Reverse& r = reverse_of(p, 0b11);
  ASSERT_EQ(r.wanted, Leaves({0, 1}));
  EXPECT_FALSE(r.program->outputs()[0].once_a_row);
  EXPECT_TRUE(r.program->outputs()[1].once_a_row);
}

TEST(Reverse, OfSavedRowResultsReadsThemOnceARow) {
  Source s;
  const Expr x = s.leaf(), y = s.leaf();
  const ProgramPtr p = s.program(exp(row_sum(x + y)), Reduction::store, true);
  const Reverse& r = reverse_of(p, 0b11);
  EXPECT_EQ(r.sources, Sources({kY, kG}));
  EXPECT_TRUE(r.program->leaves()[0].per_row);
}

TEST(Reverse, OfManyOutputsChoosesAmongThem) {
  Source s;
  const Expr a = s.leaf(), b = s.leaf(), c = s.leaf();
  s.b.output({apply(Op::tanh, a + b).ref});
  s.b.output({sin(c).ref});
  const Reverse& r = reverse_of(Program::intern(s.b.take()), 0b111);
  EXPECT_EQ(r.sources, Sources({2, kY, kG, kG - 1}));
}

}  // namespace
}  // namespace jacquard::pointwise
