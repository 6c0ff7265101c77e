// cvt between all types and in all rounding modes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cfenv>
#include <cmath>
#include <limits>

#include "engine_tests/run_ptx.h"

namespace ptx_emulator {
namespace {

__extension__ typedef __int128 Wide;

struct IntegerType {
  std::string name;
  int bits;
  bool is_signed;
  char letter() const { return bits == 16 ? 'h' : bits == 64 ? 'd' : 'w'; }
  Wide value(std::uint64_t word) const {
    const int unused = 64 - bits;
    if (is_signed) return static_cast<std::int64_t>(word << unused) >> unused;
    return word << unused >> unused;
  }
  Wide low() const { return is_signed ? -(Wide{1} << (bits - 1)) : Wide{0}; }
  Wide high() const { return (Wide{1} << (bits - is_signed)) - 1; }
};

const std::vector<IntegerType> kTypes = {{"u8", 8, false},   {"s8", 8, true},
                                         {"u16", 16, false}, {"s16", 16, true},
                                         {"u32", 32, false}, {"s32", 32, true},
                                         {"u64", 64, false}, {"s64", 64, true}};

std::uint64_t mask_of(char letter) {
  return letter == 'h' ? 0xffff : letter == 'w' ? 0xffffffff : ~0ull;
}

TEST(Conversion, BetweenIntegersExtendsCutsAndSaturates) {
  for (const IntegerType& from : kTypes) {
    const Words x = interesting_integers(64, 3);
    for (const IntegerType& to : kTypes) {
      for (const bool saturates : {false, true}) {
        const std::string text = "cvt." + std::string(saturates ? "sat." : "") +
                                 to.name + "." + from.name + " %" +
                                 to.letter() + ", %" + from.letter() + "0;";
        const Words got = evaluate(text, to.letter(), {x});
        for (std::size_t l = 0; l < 32; ++l) {
          Wide value = from.value(x[l]);
          if (saturates) value = std::clamp(value, to.low(), to.high());
          const Wide cut = to.value(static_cast<std::uint64_t>(value));
          EXPECT_EQ(got[l],
                    static_cast<std::uint64_t>(cut) & mask_of(to.letter()))
              << text << " lane " << l;
        }
      }
    }
  }
}

double rounded_integral(double x, const std::string& mode) {
  if (mode == "rni") return std::nearbyint(x);
  if (mode == "rzi") return std::trunc(x);
  return mode == "rmi" ? std::floor(x) : std::ceil(x);
}

TEST(Conversion, FromFloatsRoundsAndSaturates) {
  Words singles = interesting_floats(2), doubles = interesting_doubles(2);
  for (std::size_t l = 0; l < 12; ++l) {  // near integers and limits
    const double x = (static_cast<double>(l) - 6) * 0.5;
    singles[31 - l] = bits_of(static_cast<float>(x));
    doubles[31 - l] = bits_of(x * 1e9);
  }
  for (const IntegerType& to : kTypes) {
    if (to.bits == 8) continue;
    for (const std::string mode : {"rni", "rzi", "rmi", "rpi"}) {
      for (const bool wide : {false, true}) {
        const std::string text = "cvt." + mode + "." + to.name +
                                 (wide ? ".f64 %" : ".f32 %") + to.letter() +
                                 (wide ? ", %d0;" : ", %w0;");
        const Words& x = wide ? doubles : singles;
        const Words got = evaluate(text, to.letter(), {x});
        for (std::size_t l = 0; l < 32; ++l) {
          const double value =
              wide ? as_double(x[l]) : static_cast<double>(as_float(x[l]));
          Wide expected = 0;
          if (value != value) {
            const bool lowest = wide || to.bits == 64;
            expected = lowest ? Wide{1} << (to.bits - 1) : 0;
          } else {
            const double whole = rounded_integral(value, mode);
            expected = whole <= static_cast<double>(to.low()) ? to.low()
                       : whole >= static_cast<double>(to.high())
                           ? to.high()
                           : static_cast<Wide>(whole);
          }
          const std::uint64_t bits =
              static_cast<std::uint64_t>(expected) & mask_of(to.letter());
          EXPECT_EQ(got[l], bits) << text << " of " << value;
        }
      }
    }
  }
}

TEST(Conversion, FromIntegersRoundsInEveryMode) {
  const std::pair<std::string, int> kModes[] = {{"rn", FE_TONEAREST},
                                                {"rz", FE_TOWARDZERO},
                                                {"rm", FE_DOWNWARD},
                                                {"rp", FE_UPWARD}};
  const Words x = interesting_integers(64, 4);
  for (const IntegerType& from : kTypes) {
    if (from.bits < 32) continue;
    for (const auto& [name, mode] : kModes) {
      const std::string end = "." + from.name;
      const std::string source = std::string(", %") + from.letter() + "0;";
      const Words single =
          evaluate("cvt." + name + ".f32" + end + " %w" + source, 'w', {x});
      const Words wide =
          evaluate("cvt." + name + ".f64" + end + " %d" + source, 'd', {x});
      for (std::size_t l = 0; l < 32; ++l) {
        volatile std::int64_t s = static_cast<std::int64_t>(from.value(x[l]));
        volatile std::uint64_t u = static_cast<std::uint64_t>(from.value(x[l]));
        std::fesetround(mode);
        volatile float f =
            from.is_signed ? static_cast<float>(s) : static_cast<float>(u);
        volatile double d =
            from.is_signed ? static_cast<double>(s) : static_cast<double>(u);
        std::fesetround(FE_TONEAREST);
        EXPECT_EQ(single[l], bits_of(float{f})) << name << end;
        EXPECT_EQ(wide[l], bits_of(double{d})) << name << end;
      }
    }
  }
}

TEST(Conversion, DoublesToSinglesInEveryMode) {
  const double third = 1.0 / 3;
  const auto run = [&](const std::string& mode, double x) {
    return as_float(evaluate("cvt." + mode + ".f32.f64 %w, %d0;", 'w',
                             {Words(32, bits_of(x))})[0]);
  };
  const float down = std::nextafter(static_cast<float>(third), 0.0f);
  EXPECT_EQ(run("rn", third), static_cast<float>(third));
  EXPECT_EQ(run("rz", third), down);
  EXPECT_EQ(run("rm", -third), -static_cast<float>(third));
  EXPECT_EQ(run("rp", third), static_cast<float>(third));
  EXPECT_EQ(run("rn", 1e60), std::numeric_limits<float>::infinity());
  EXPECT_EQ(run("rz", 1e60), std::numeric_limits<float>::max());
}

std::uint64_t half_from(const std::string& form, const char* source,
                        std::uint64_t bits) {
  return evaluate("cvt." + form + " %h, " + source + ";", 'h',
                  {Words(32, bits)})[7];
}

TEST(Conversion, HalvesRoundOnceFromEveryType) {
  // One f16 unit at 2048 is 2: a double just above the tie rounds up although
  // its f32 is the tie.
  EXPECT_EQ(half_from("rn.f16.f64", "%d0", bits_of(2049.0000000001)), 0x6801u);
  EXPECT_EQ(half_from("rn.f16.f64", "%d0", bits_of(2049.0)), 0x6800u);
  EXPECT_EQ(half_from("rn.f16.f32", "%w0", bits_of(65519.0f)), 0x7bffu);
  EXPECT_EQ(half_from("rn.f16.f32", "%w0", bits_of(65520.0f)), 0x7c00u);
  EXPECT_EQ(half_from("rz.f16.f32", "%w0", bits_of(1e9f)), 0x7bffu);
  EXPECT_EQ(half_from("rn.f16.f32", "%w0", bits_of(0x1p-25f)), 0x0000u);
  EXPECT_EQ(half_from("rn.f16.f32", "%w0", bits_of(0x1.8p-25f)), 0x0001u);
  EXPECT_EQ(half_from("rn.f16.f32", "%w0", 0x7fc00000), 0x7fffu);
  EXPECT_EQ(half_from("rn.f16.s32", "%w0", static_cast<std::uint32_t>(-2049)),
            0xe800u);
  EXPECT_EQ(half_from("rn.f16.u64", "%d0", 2051), 0x6802u);
  EXPECT_EQ(half_from("rn.bf16.f32", "%w0", bits_of(1.00390625f)), 0x3f80u);
  EXPECT_EQ(half_from("rn.bf16.f32", "%w0", bits_of(1.00390637f)), 0x3f81u);
  EXPECT_EQ(half_from("rz.bf16.f32", "%w0", bits_of(-1.99f)), 0xbffeu);
  // 2^62 + 2^54 is a tie in bf16; one more unit of s64 breaks it upwards.
  EXPECT_EQ(half_from("rn.bf16.s64", "%d0", (1ull << 62) + (1ull << 54)),
            0x5e80u);
  EXPECT_EQ(half_from("rn.bf16.s64", "%d0", (1ull << 62) + (1ull << 54) + 1),
            0x5e81u);
}

TEST(Conversion, FromHalvesIsExact) {
  const Words x = interesting_halves(1);
  const Words half = evaluate("cvt.f32.f16 %w, %h0;", 'w', {x});
  const Words brain = evaluate("cvt.f32.bf16 %w, %h0;", 'w', {x});
  const Words wide = evaluate("cvt.f64.f16 %d, %h0;", 'd', {x});
  const Words whole = evaluate("cvt.rzi.s32.f16 %w, %h0;", 'w', {x});
  for (std::size_t l = 0; l < 32; ++l) {
    const auto exponent = static_cast<int>(x[l] >> 10 & 31);
    const double fraction = static_cast<double>(x[l] & 1023);
    double value = exponent == 0 ? std::ldexp(fraction, -24)
                                 : std::ldexp(fraction + 1024, exponent - 25);
    if (exponent == 31) value = fraction == 0 ? INFINITY : NAN;
    if ((x[l] & 0x8000) != 0) value = -value;
    if (value != value) {
      EXPECT_EQ(half[l], 0x7fffffffu);
      EXPECT_EQ(whole[l], 0u);
      continue;
    }
    EXPECT_EQ(half[l], bits_of(static_cast<float>(value)));
    EXPECT_EQ(wide[l], bits_of(value));
    if (std::fabs(value) < 1e6) {
      EXPECT_EQ(whole[l],
                static_cast<std::uint32_t>(static_cast<std::int32_t>(value)));
    }
    if ((x[l] & 0x7fff) <= 0x7f80) {
      EXPECT_EQ(brain[l], x[l] << 16);
    }
  }
}

TEST(Conversion, PacksTwoFloats) {
  const Words a(32, bits_of(1.5f)), b(32, bits_of(-2.0f));
  EXPECT_EQ(evaluate("cvt.rn.f16x2.f32 %w, %w0, %w1;", 'w', {a, b})[0],
            0x3e00c000u);
  EXPECT_EQ(evaluate("cvt.rn.bf16x2.f32 %w, %w0, %w1;", 'w', {a, b})[0],
            0x3fc0c000u);
  EXPECT_EQ(evaluate("cvt.rn.relu.bf16x2.f32 %w, %w0, %w1;", 'w', {a, b})[0],
            0x3fc00000u);
  EXPECT_EQ(evaluate("cvt.pack.sat.u8.s32.b32 %w, %w0, %w1, %w2;", 'w',
                     {Words(32, 300), Words(32, static_cast<std::uint32_t>(-5)),
                      Words(32, 0x1234)})[0],
            0x1234ff00u);
}

TEST(Conversion, RoundsToIntegralFloats) {
  Words x;
  for (int l = 0; l < 32; ++l) {
    x.push_back(bits_of(static_cast<float>(l - 16) * 0.5f + 0.25f * (l % 2)));
  }
  for (const std::string mode : {"rni", "rzi", "rmi", "rpi"}) {
    const Words got = evaluate("cvt." + mode + ".f32.f32 %w, %w0;", 'w', {x});
    for (std::size_t l = 0; l < 32; ++l) {
      const auto expected = static_cast<float>(
          rounded_integral(static_cast<double>(as_float(x[l])), mode));
      EXPECT_EQ(got[l], bits_of(expected)) << mode;
    }
  }
}

TEST(Conversion, SaturatesAndFlushes) {
  EXPECT_EQ(
      evaluate("cvt.sat.f32.f32 %w, %w0;", 'w', {Words(32, bits_of(3.0f))})[0],
      bits_of(1.0f));
  EXPECT_EQ(evaluate("cvt.rn.ftz.f32.f64 %w, %d0;", 'w',
                     {Words(32, bits_of(-1e-40))})[0],
            0x80000000u);
  EXPECT_EQ(
      evaluate("cvt.rna.tf32.f32 %w, %w0;", 'w', {Words(32, 0x3f801000)})[0],
      0x3f802000u);
}

}  // namespace
}  // namespace ptx_emulator
