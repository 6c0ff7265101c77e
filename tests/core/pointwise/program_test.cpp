#include "core/pointwise/program.h"

#include <gtest/gtest.h>

#include <limits>
#include <thread>

#include "core/pointwise/expr.h"
#include "jacquard/error.h"

namespace jacquard::pointwise {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr DType kF32 = DType::float32;

struct Source {
  Builder b;
  Expr leaf(DType t = DType::float32) {
    Leaf l;
    l.dtype = t;
    return {&b, b.leaf(l)};
  }
  Expr constant(double v, DType t = DType::float32) {
    return {&b, b.constant(v, t)};
  }
  ProgramPtr program(std::initializer_list<Expr> outputs) {
    for (Expr e : outputs) b.output({e.ref});
    return Program::intern(b.take());
  }
};

TEST(Program, PrintsOneInstructionALine) {
  Source s;
  const Expr x = s.leaf(), y = s.leaf();
  const Expr k{&s.b, s.b.slot(kF32)};
  s.b.output({(x * y + 0.5).ref});
  s.b.output({(y * k).ref, Reduction::mean});
  EXPECT_EQ(Program::intern(s.b.take())->to_string(),
            "%0:f32 = load @0\n"
            "%1:f32 = load @1\n"
            "%2:f32 = slot $0\n"
            "%3:f32 = mul %0 %1\n"
            "%4:f32 = constant 0.5\n"
            "%5:f32 = add %3 %4\n"
            "%6:f32 = mul %1 %2\n"
            "store %5\n"
            "mean %6\n");
}

TEST(Program, IsOneObjectForEqualContents) {
  const auto make = [](double c) {
    Source s;
    return s.program({s.leaf() * c});
  };
  EXPECT_EQ(make(2), make(2));
  EXPECT_NE(make(2), make(3));
  EXPECT_NE(make(0.0), make(-0.0));
  EXPECT_EQ(make(2)->hash(), hash_of(make(2)->code()));
}

TEST(Program, IsOneObjectForWhatSimplifiesToTheSame) {
  Source a;
  const Expr x = a.leaf();
  exp(x);  // dead
  const ProgramPtr p = a.program({-(-(x * 1.0)) + x});
  Source b;
  const Expr y = b.leaf();
  EXPECT_EQ(p, b.program({y + y}));
}

TEST(Program, TellsLeavesApartByEveryField) {
  const auto make = [](Leaf leaf) {
    Builder b;
    b.slot(DType::int64);
    b.slot(DType::int64);
    b.output({b.leaf(leaf)});
    return Program::intern(b.take());
  };
  const Leaf plain;
  Leaf per_row, half, seeded, random;
  per_row.per_row = true;
  half.dtype = DType::float16;
  random.op = seeded.op = Op::uniform;
  seeded.seed_slot = 1;
  EXPECT_EQ(make(plain), make(plain));
  EXPECT_NE(make(plain), make(per_row));
  EXPECT_NE(make(plain), make(half));
  EXPECT_NE(make(plain), make(random));
  EXPECT_NE(make(random), make(seeded));
}

TEST(Program, KeepsTheNumbersOfLeavesThatNothingReads) {
  Source s;
  s.leaf();
  const ProgramPtr p = s.program({exp(s.leaf())});
  ASSERT_EQ(p->leaves().size(), 2u);
  EXPECT_FALSE(p->reads_leaf(0));
  EXPECT_TRUE(p->reads_leaf(1));
  EXPECT_EQ(p->to_string(), "%0:f32 = load @1\n%1:f32 = exp %0\nstore %1\n");
}

TEST(Program, IsInternedOnceByManyThreads) {
  std::vector<ProgramPtr> seen(8);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < seen.size(); ++t)
    threads.emplace_back([&seen, t] {
      for (int i = 0; i < 200; ++i) {
        Source s;
        seen[t] = s.program({sin(s.leaf() + (1e6 + i))});
        seen[t]->reverse(1, 1);
      }
    });
  for (std::thread& t : threads) t.join();
  for (const ProgramPtr& p : seen) EXPECT_EQ(p, seen[0]);
}

TEST(Program, KnowsWhatIsTheSameAlongARow) {
  Source s;
  const Expr x = s.leaf();
  Leaf per_row;
  per_row.per_row = true;
  const Expr b{&s.b, s.b.leaf(per_row)};
  const Expr k{&s.b, s.b.slot(kF32)};
  const Expr r = row_sum(x);
  const ProgramPtr p = s.program({x, b, k, r, r * b * k, r * x, b + x});
  EXPECT_TRUE(p->has_row_ops());
  const bool same[] = {false, true, true, true, true, false, false};
  for (std::size_t i = 0; i < 7; ++i)
    EXPECT_EQ(p->row_constant(p->outputs()[i].value), same[i]) << i;
}

TEST(Program, WithoutRowsHasNoRowConstants) {
  Source s;
  Leaf per_row;
  per_row.per_row = true;
  const Expr b{&s.b, s.b.leaf(per_row)};
  const ProgramPtr p = s.program({b * 2.0});
  EXPECT_FALSE(p->has_row_ops());
  EXPECT_FALSE(p->row_constant(p->outputs()[0].value));
}

TEST(Program, ThatStoresOnceARowHasRows) {
  Builder b;
  Leaf per_row;
  per_row.per_row = true;
  b.output({b.leaf(per_row), Reduction::store, true});
  EXPECT_TRUE(Program::intern(b.take())->has_row_ops());
}

TEST(Builder, MergesEqualInstructions) {
  Source s;
  const Expr x = s.leaf(), y = s.leaf();
  EXPECT_EQ((x * y).ref, (x * y).ref);
  EXPECT_EQ(s.constant(2).ref, s.constant(2).ref);
  EXPECT_NE((x * y).ref, (y * x).ref);
  EXPECT_NE(s.constant(0.0).ref, s.constant(-0.0).ref);
}

TEST(Builder, MergesEqualInstructionsInLongPrograms) {
  Source s;
  Expr x = s.leaf();
  const Expr first = x;
  for (int i = 0; i < 1000; ++i) x = x + first;
  const std::size_t n = s.b.code().instrs.size();
  x = first;
  for (int i = 0; i < 1000; ++i) x = x + first;
  EXPECT_EQ(s.b.code().instrs.size(), n);
}

TEST(Builder, RejectsOperandsThatDoNotFit) {
  Source s;
  const Expr f = s.leaf(), d = s.leaf(DType::float64);
  const Expr i = s.leaf(DType::int32), q = s.leaf(DType::bool_);
  EXPECT_THROW(f + d, DTypeError);
  EXPECT_THROW(exp(i), DTypeError);
  EXPECT_THROW(i / i, DTypeError);
  EXPECT_THROW(q + q, DTypeError);
  EXPECT_THROW(logical_and(f, q), DTypeError);
  EXPECT_THROW(where(f, f, f), DTypeError);
  EXPECT_THROW(where(q, f, d), DTypeError);
  EXPECT_THROW(apply(Op::row_pick, f, i), DTypeError);
  try {
    f + d;
  } catch (const DTypeError& e) {
    EXPECT_STREQ(e.what(),
                 "add: operands differ in dtype (float32 and float64)");
  }
}

TEST(Builder, GivesResultsTheirDtype) {
  Source s;
  const Expr x = s.leaf(), i = s.leaf(DType::int64);
  EXPECT_EQ((x < x).dtype(), DType::bool_);
  EXPECT_EQ(where(x < x, i, i).dtype(), DType::int64);
  EXPECT_EQ(apply(Op::row_argmax, x).dtype(), DType::int64);
  EXPECT_EQ(apply(Op::row_pick, x, i).dtype(), kF32);
  EXPECT_EQ(s.b.dtype(s.b.row_index()), DType::int64);
  EXPECT_EQ(s.b.dtype(s.b.row_length(DType::float64)), DType::float64);
  EXPECT_EQ(apply(Op::is_nan, x).dtype(), DType::bool_);
}

// What a program that stores e is after simplification.
std::string text(Source& s, Expr e) { return s.program({e})->to_string(); }

TEST(Folding, RoundsAsTheDtypeDoes) {
  Source s;
  EXPECT_EQ(text(s, s.constant(0.1) + s.constant(0.2)),
            "%0:f32 = constant 0.30000001192092896\nstore %0\n");
  Source d;
  EXPECT_EQ(text(d, d.constant(0.1, DType::float64) +
                        d.constant(0.2, DType::float64)),
            "%0:f64 = constant 0.30000000000000004\nstore %0\n");
  Source h;
  const Expr one = h.constant(1, DType::float16);
  EXPECT_EQ(text(h, h.constant(2048, DType::float16) + one + one),
            "%0:f16 = constant 2048\nstore %0\n");
}

TEST(Folding, KeepsSpecialValues) {
  Source s;
  EXPECT_EQ(text(s, s.constant(1) / s.constant(-0.0)),
            "%0:f32 = constant -inf\nstore %0\n");
  Source n;
  EXPECT_EQ(text(n, apply(Op::sqrt, n.constant(-1)) == n.constant(kInf)),
            "%0:bool = constant 0\nstore %0\n");
}

TEST(Folding, WrapsIntegers) {
  Source s;
  const Expr big{&s.b, s.b.constant_int(INT32_MAX, DType::int32)};
  const Expr one{&s.b, s.b.constant_int(1, DType::int32)};
  EXPECT_EQ(text(s, big + one), "%0:i32 = constant -2147483648\nstore %0\n");
  Source l;
  const Expr min{&l.b, l.b.constant_int(INT64_MIN, DType::int64)};
  EXPECT_EQ(text(l, -min),
            "%0:i64 = constant -9223372036854775808\nstore %0\n");
}

TEST(Folding, CastsOnlyWhatIsCertain) {
  Source s;
  EXPECT_EQ(text(s, s.constant(-2.7).cast(DType::int32)),
            "%0:i32 = constant -2\nstore %0\n");
  Source big;
  EXPECT_EQ(text(big, big.constant(3e9).cast(DType::int32)),
            "%0:f32 = constant 3e+09\n%1:i32 = cast %0\nstore %1\n");
  Source half;
  EXPECT_EQ(text(half, half.constant(0.1, DType::float64).cast(DType::float16)),
            "%0:f64 = constant 0.1\n%1:f16 = cast %0\nstore %1\n");
  Source exact;
  EXPECT_EQ(text(exact, exact.constant(0.25).cast(DType::bfloat16)),
            "%0:bf16 = constant 0.25\nstore %0\n");
}

TEST(Folding, LeavesTranscendentalFunctionsToTheRuntime) {
  Source s;
  EXPECT_EQ(text(s, exp(s.constant(0))),
            "%0:f32 = constant 0\n%1:f32 = exp %0\nstore %1\n");
}

TEST(Simplify, RemovesWhatChangesNothing) {
  const auto same = [](auto rewrite, DType t = DType::float32) {
    Source s;
    const Expr x = s.leaf(t);
    EXPECT_EQ(rewrite(s, x).ref, x.ref);
  };
  same([](Source&, Expr x) { return x * 1.0; });
  same([](Source&, Expr x) { return 1.0 * x; });
  same([](Source&, Expr x) { return x / 1.0; });
  same([](Source&, Expr x) { return mulz(x.like(1), x); });
  same([](Source&, Expr x) { return -(-x); });
  same([](Source&, Expr x) { return x.cast(DType::float64).cast(kF32); });
  same([](Source& s, Expr x) { return where(s.leaf(DType::bool_), x, x); });
  same([](Source& s, Expr x) {
    return where(s.constant(1) < s.constant(2), x, 0.0);
  });
  same([](Source&,
          Expr x) { return apply(Op::logical_not, apply(Op::logical_not, x)); },
       DType::bool_);
  same([](Source&, Expr x) { return x.cast(kF32).cast(DType::float16); },
       DType::float16);
}

TEST(Simplify, JoinsSignsIntoSumsAndCasts) {
  Source s;
  const Expr x = s.leaf(), y = s.leaf(), h = s.leaf(DType::float16);
  EXPECT_EQ((x + -y).ref, (x - y).ref);
  EXPECT_EQ((-x + y).ref, (y - x).ref);
  EXPECT_EQ((x - -y).ref, (x + y).ref);
  EXPECT_EQ(h.cast(kF32).cast(DType::float64).ref, h.cast(DType::float64).ref);
}

TEST(Simplify, KeepsWhatMattersForSomeInput) {
  const auto kept = [](auto make) {
    Source s;
    const Expr x = s.leaf();
    const Expr e = make(x);
    EXPECT_NE(e.ref, x.ref);
    EXPECT_NE(s.b.code().instrs[e.ref].op, Op::constant);
  };
  kept([](Expr x) { return x * 0.0; });
  kept([](Expr x) { return x - x; });
  kept([](Expr x) { return x + 0.0; });
  kept([](Expr x) { return x / x; });
  kept([](Expr x) { return mulz(x, x.like(1)); });  // −0 becomes 0
  kept([](Expr x) { return x.cast(DType::float16).cast(kF32); });
  kept([](Expr x) { return apply(Op::pow, x, x.like(1)); });
  kept([](Expr x) { return x == x; });
}

TEST(Simplify, DoesNotSeeThroughStopGradient) {
  Source s;
  const Expr x = s.leaf();
  const Expr stopped = apply(Op::stop_gradient, x);
  EXPECT_NE(stopped.ref, x.ref);
  EXPECT_EQ(text(s, -apply(Op::stop_gradient, -stopped)),
            "%0:f32 = load @0\n"
            "%1:f32 = stop_gradient %0\n"
            "%2:f32 = neg %1\n"
            "%3:f32 = stop_gradient %2\n"
            "%4:f32 = neg %3\n"
            "store %4\n");
}

TEST(Simplify, KeepsLeavesWithDifferentNumbersApart) {
  Source s;
  const Expr x = s.leaf(), y = s.leaf();
  const ProgramPtr p = s.program({exp(x) - exp(y)});
  EXPECT_EQ(p->instrs().size(), 5u);
}

}  // namespace
}  // namespace jacquard::pointwise
