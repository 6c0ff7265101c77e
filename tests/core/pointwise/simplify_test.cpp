// simplify against the reference interpreter on random programs.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "core/pointwise/program.h"
#include "tests/core/pointwise/interpreter.h"

namespace jacquard::pointwise {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kSpecial[] = {0.0,
                               -0.0,
                               1,
                               -1,
                               2,
                               0.1f,
                               -3.5,
                               1e30f,
                               kInf,
                               -kInf,
                               std::numeric_limits<double>::quiet_NaN()};
constexpr DType kTypes[] = {DType::bool_, DType::int32, DType::float16,
                            DType::float32, DType::float64};

// Makes code without a builder, which would simplify as it goes.
class RandomCode {
 public:
  explicit RandomCode(unsigned seed) : random_(seed) {}

  Code make() {
    for (DType t : kTypes) {
      Leaf leaf;
      leaf.dtype = t;
      code_.leaves.push_back(leaf);
      push({Op::load, t, static_cast<std::uint16_t>(code_.leaves.size() - 1)});
    }
    for (int i = 0; i < 40; ++i) add_one();
    for (int i = 0; i < 4; ++i)
      code_.outputs.push_back({static_cast<Ref>(pick(code_.instrs.size()))});
    code_.outputs.push_back({static_cast<Ref>(code_.instrs.size() - 1)});
    return code_;
  }

 private:
  std::size_t pick(std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_);
  }
  void push(Instr i) { code_.instrs.push_back(i); }
  // One of the last instructions of the dtype.
  Ref operand(DType t) {
    std::vector<Ref> fit;
    for (std::size_t i = 0; i < code_.instrs.size(); ++i)
      if (code_.instrs[i].dtype == t) fit.push_back(static_cast<Ref>(i));
    const std::size_t n = std::min<std::size_t>(fit.size(), 5);
    return fit[fit.size() - 1 - pick(n)];
  }
  void add_one() {
    const DType t = kTypes[pick(5)];
    switch (pick(5)) {
      case 0:
        return add_constant(t);
      case 1: {
        const Ref a = operand(kTypes[pick(5)]);
        if (code_.instrs[a].dtype != t) push({Op::cast, t, 0, {a}});
        return;
      }
      case 2:
        return push(
            {Op::where, t, 0, {operand(DType::bool_), operand(t), operand(t)}});
      default:
        break;
    }
    if (t == DType::bool_) return add_logic();
    constexpr Op ops[] = {Op::add,  Op::sub, Op::neg,  Op::abs, Op::mul,
                          Op::mulz, Op::div, Op::sqrt, Op::exp};
    const Op op = ops[pick(is_floating(t) ? 9 : 4)];
    const Ref b = info(op).arity == 2 ? operand(t) : kNoRef;
    push({op, t, 0, {operand(t), b}});
  }
  void add_logic() {
    constexpr Op ops[] = {Op::logical_and, Op::logical_or, Op::logical_xor,
                          Op::logical_not, Op::eq,         Op::ne,
                          Op::lt,          Op::ge};
    const Op op = ops[pick(8)];
    const DType t =
        info(op).cls == OpClass::l ? DType::bool_ : kTypes[1 + pick(4)];
    const Ref b = info(op).arity == 2 ? operand(t) : kNoRef;
    push({op, DType::bool_, 0, {operand(t), b}});
  }
  void add_constant(DType t) {
    Literal l;
    if (t == DType::bool_)
      l.i = static_cast<std::int64_t>(pick(2));
    else if (t == DType::int32)
      l.i = static_cast<std::int64_t>(pick(3)) - 1;
    else
      l.f = kSpecial[pick(t == DType::float16 ? 5 : 11)];
    code_.constants.push_back(l);
    push({Op::constant, t,
          static_cast<std::uint16_t>(code_.constants.size() - 1)});
  }

  std::mt19937 random_;
  Code code_;
};

Inputs special_inputs() {
  Inputs in;
  in.cols = 11 * 11;
  for (std::size_t leaf = 0; leaf < 5; ++leaf) {
    in.leaves.emplace_back();
    for (int e = 0; e < in.cols; ++e) {
      const double v = kSpecial[leaf % 2 ? e / 11 : e % 11];
      in.leaves.back().push_back(
          kTypes[leaf] == DType::bool_     ? e % 2
          : kTypes[leaf] == DType::int32   ? e * 17000000 - 3
          : kTypes[leaf] == DType::float16 ? (std::fabs(v) == 1e30f ? 3 : v)
                                           : v);
    }
  }
  return in;
}

bool same(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) ||
         std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

TEST(Simplify, KeepsTheValueForEveryInput) {
  const Inputs in = special_inputs();
  std::size_t before = 0, after = 0;
  for (unsigned seed = 0; seed < 400; ++seed) {
    const Code raw = RandomCode(seed).make();
    const Code simple = simplify(raw);
    before += raw.instrs.size();
    after += simple.instrs.size();
    const auto want = evaluate(raw, in);
    const auto got = evaluate(simple, in);
    for (std::size_t o = 0; o < want.size(); ++o)
      for (std::size_t e = 0; e < want[o].size(); ++e)
        ASSERT_TRUE(same(want[o][e], got[o][e]))
            << "seed " << seed << " output " << o << " element " << e << ": "
            << want[o][e] << " became " << got[o][e] << "\n"
            << Program::intern(raw)->to_string();
  }
  EXPECT_LT(after, before);
}

TEST(Simplify, IsDoneAfterOneCall) {
  for (unsigned seed = 0; seed < 400; ++seed) {
    const Code once = simplify(RandomCode(seed).make());
    ASSERT_TRUE(simplify(once) == once) << seed;
  }
}

}  // namespace
}  // namespace jacquard::pointwise
