// Comparisons, selections and predicates.
#include <gtest/gtest.h>

#include <cmath>

#include "engine_tests/run_ptx.h"

namespace ptx_emulator {
namespace {

// Whether a comparison holds for two floating-point values.
bool holds(const std::string& name, double a, double b) {
  const bool nan = std::isnan(a) || std::isnan(b);
  if (name == "num") return !nan;
  if (name == "nan") return nan;
  const bool unordered = name.size() == 3;  // "ltu" and the like
  if (nan) return unordered;
  const std::string base = name.substr(0, 2);
  if (base == "eq") return a == b;
  if (base == "ne") return a != b;
  if (base == "lt") return a < b;
  if (base == "le") return a <= b;
  return base == "gt" ? a > b : a >= b;
}

TEST(Comparison, OfFloatsKnowsNan) {
  for (const std::string name :
       {"eq", "ne", "lt", "le", "gt", "ge", "equ", "neu", "ltu", "leu", "gtu",
        "geu", "num", "nan"}) {
    Words a = interesting_floats(1), b = interesting_floats(2);
    for (std::size_t l = 0; l < 8; ++l) b[l] = a[l];  // equal pairs
    const Words single =
        evaluate("setp." + name + ".f32 %p, %w0, %w1;", 'p', {a, b});
    const Words c = interesting_doubles(1), d = interesting_doubles(3);
    const Words wide =
        evaluate("setp." + name + ".f64 %p, %d0, %d1;", 'p', {c, d});
    for (std::size_t l = 0; l < 32; ++l) {
      EXPECT_EQ(single[l] != 0, holds(name, static_cast<double>(as_float(a[l])),
                                      static_cast<double>(as_float(b[l]))))
          << name << " lane " << l;
      EXPECT_EQ(wide[l] != 0, holds(name, as_double(c[l]), as_double(d[l])))
          << name << " lane " << l;
    }
  }
}

TEST(Comparison, OfIntegersKnowsSigns) {
  const Words a = interesting_integers(64, 1), b = interesting_integers(64, 4);
  const Words lo = evaluate("setp.lo.u64 %p, %d0, %d1;", 'p', {a, b});
  const Words lt = evaluate("setp.lt.s64 %p, %d0, %d1;", 'p', {a, b});
  const Words ge = evaluate("setp.ge.s16 %p, %h0, %h1;", 'p', {a, b});
  for (std::size_t l = 0; l < 32; ++l) {
    EXPECT_EQ(lo[l] != 0, a[l] < b[l]);
    EXPECT_EQ(lt[l] != 0, static_cast<std::int64_t>(a[l]) <
                              static_cast<std::int64_t>(b[l]));
    EXPECT_EQ(ge[l] != 0, static_cast<std::int16_t>(a[l]) >=
                              static_cast<std::int16_t>(b[l]));
  }
}

TEST(Comparison, CombinesWithPredicatesAndGivesTheComplement) {
  Words lane;
  for (std::uint64_t l = 0; l < 32; ++l) lane.push_back(l);
  const std::string odd = "and.b32 %t0, %w0, 1;\nsetp.ne.b32 %p0, %t0, 0;\n";
  const auto run = [&](const std::string& combine, const char* result) {
    return evaluate(odd + "setp.lt" + combine +
                        ".u32 %p1|%p2, %w0, 8, !%p0;\nmov.pred %p, " + result +
                        ";",
                    'p', {lane});
  };
  const Words both = run(".and", "%p1"), complement = run(".and", "%p2"),
              either = run(".or", "%p1"), one = run(".xor", "%p1");
  for (std::uint64_t l = 0; l < 32; ++l) {
    const bool below = l < 8, even = l % 2 == 0;
    EXPECT_EQ(both[l] != 0, below && even);
    EXPECT_EQ(complement[l] != 0, !below && even);
    EXPECT_EQ(either[l] != 0, below || even);
    EXPECT_EQ(one[l] != 0, below != even);
  }
}

TEST(Comparison, OfHalvesScalarAndPacked) {
  const Words a = interesting_halves(1), b = interesting_halves(4);
  const auto value = [](std::uint64_t h) {
    return static_cast<double>(
        as_float(evaluate("cvt.f32.f16 %w, %h0;", 'w', {Words(32, h)})[0]));
  };
  const Words lt = evaluate("setp.lt.f16 %p, %h0, %h1;", 'p', {a, b});
  Words packed_a(32), packed_b(32);
  for (std::size_t l = 0; l < 32; ++l) {
    packed_a[l] = b[l] << 16 | a[l];
    packed_b[l] = a[l] << 16 | b[l];
  }
  const Words high =
      evaluate("setp.lt.f16x2 %p0|%p1, %w0, %w1;\nmov.pred %p, %p1;", 'p',
               {packed_a, packed_b});
  const Words ones =
      evaluate("set.lt.f16x2.f16x2 %w, %w0, %w1;", 'w', {packed_a, packed_b});
  const Words masks =
      evaluate("set.lt.u32.f16x2 %w, %w0, %w1;", 'w', {packed_a, packed_b});
  for (std::size_t l = 0; l < 32; ++l) {
    const bool below = value(a[l]) < value(b[l]);
    const bool above = value(b[l]) < value(a[l]);
    EXPECT_EQ(lt[l] != 0, below);
    EXPECT_EQ(high[l] != 0, above);
    EXPECT_EQ(ones[l], (above ? 0x3c000000u : 0u) | (below ? 0x3c00u : 0u));
    EXPECT_EQ(masks[l], (above ? 0xffff0000u : 0u) | (below ? 0xffffu : 0u));
  }
}

TEST(Comparison, FlushesWhereAsked) {
  const Words tiny(32, 1), zero(32, 0);
  EXPECT_EQ(evaluate("setp.gt.f32 %p, %w0, %w1;", 'p', {tiny, zero})[0], 1u);
  EXPECT_EQ(evaluate("setp.gt.ftz.f32 %p, %w0, %w1;", 'p', {tiny, zero})[0],
            0u);
}

TEST(Comparison, SetGivesOnesOrAllBits) {
  const Words a(32, bits_of(1.0f)), b(32, bits_of(2.0f));
  EXPECT_EQ(evaluate("set.lt.f32.f32 %w, %w0, %w1;", 'w', {a, b})[0],
            bits_of(1.0f));
  EXPECT_EQ(evaluate("set.lt.u32.f32 %w, %w0, %w1;", 'w', {a, b})[0],
            0xffffffffu);
  EXPECT_EQ(evaluate("set.gt.s32.s32 %w, %w0, %w1;", 'w', {a, b})[0], 0u);
}

TEST(Selection, ByPredicateAndBySign) {
  Words lane, a, b;
  for (std::uint64_t l = 0; l < 32; ++l) {
    lane.push_back(l);
    a.push_back(1000 + l);
    b.push_back(2000 + l);
  }
  const std::string p = "setp.lt.u32 %p0, %w2, 10;\n";
  const Words by_not =
      evaluate(p + "selp.b64 %d, %d0, %d1, !%p0;", 'd', {a, b, lane});
  const Words by_sign =
      evaluate("sub.s32 %t0, 9, %w2;\nslct.b32.s32 %w, %w0, %w1, %t0;", 'w',
               {a, b, lane});
  for (std::size_t l = 0; l < 32; ++l) {
    EXPECT_EQ(by_not[l], l < 10 ? b[l] : a[l]);
    EXPECT_EQ(by_sign[l], l < 10 ? a[l] : b[l]);
  }
}

TEST(Predicates, LogicAndGuards) {
  Words lane;
  for (std::uint64_t l = 0; l < 32; ++l) lane.push_back(l);
  const Words got = evaluate(
      "setp.lt.u32 %p0, %w0, 16;\nsetp.gt.u32 %p1, %w0, 7;\n"
      "and.pred %p2, %p0, %p1;\nnot.pred %p3, %p2;\n"
      "mov.b32 %w, 1;\n@%p3 mov.b32 %w, 2;\n@!%p0 mov.b32 %w, 3;",
      'w', {lane});
  for (std::size_t l = 0; l < 32; ++l) {
    EXPECT_EQ(got[l], l >= 16 ? 3u : l > 7 ? 1u : 2u);
  }
}

}  // namespace
}  // namespace ptx_emulator
