// f16 and bf16 arithmetic against exact arithmetic in 64 bits, rounded once.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <random>

#include "engine_tests/run_ptx.h"

namespace ptx_emulator {
namespace {

using Exact = long double;

struct Format {
  const char* name;
  int mantissa;  // stored bits
  int bias;

  int exponent_bits() const { return 15 - mantissa; }
  std::uint32_t infinity() const {
    return ((1u << exponent_bits()) - 1) << mantissa;
  }
  bool is_nan(std::uint64_t h) const { return (h & 0x7fff) > infinity(); }

  Exact value(std::uint64_t h) const {
    const auto exponent = static_cast<int>((h & 0x7fff) >> mantissa);
    const auto fraction = static_cast<Exact>(h & ((1u << mantissa) - 1));
    Exact x = 0;
    if (exponent == (1 << exponent_bits()) - 1) {
      x = fraction == 0 ? static_cast<Exact>(INFINITY)
                        : static_cast<Exact>(NAN);
    } else if (exponent == 0) {
      x = std::ldexp(fraction, 1 - bias - mantissa);
    } else {
      x = std::ldexp(fraction + static_cast<Exact>(1u << mantissa),
                     exponent - bias - mantissa);
    }
    return (h & 0x8000) != 0 ? -x : x;
  }

  // x rounded to nearest, ties to even, by counting units in the last place.
  std::uint64_t round(Exact x) const {
    if (x != x) return 0x7fff;
    const std::uint64_t sign = std::signbit(x) ? 0x8000 : 0;
    const Exact size = std::fabs(x);
    if (std::isinf(size)) return sign | infinity();
    if (size == 0) return sign;
    const int exponent = std::max(std::ilogb(size), 1 - bias);
    const Exact units = std::ldexp(size, mantissa - exponent);
    const Exact whole = std::nearbyint(units);  // below 2^(mantissa + 1)
    const auto bits =
        static_cast<std::uint64_t>(whole) +
        (static_cast<std::uint64_t>(exponent + bias - 1) << mantissa);
    return sign | std::min<std::uint64_t>(bits, infinity());
  }
};

// Whether x + y is exact in a long double, for terms of at most `bits` bits.
// bf16 has too wide a range for that to be always so.
bool sum_is_exact(Exact x, Exact y, int bits) {
  if (!std::isnormal(x) || !std::isnormal(y)) return true;
  return std::abs(std::ilogb(x) - std::ilogb(y)) < 63 - bits;
}

constexpr Format kHalf{"f16", 10, 15}, kBrain{"bf16", 7, 127};

Words random_halves(unsigned seed) {
  std::mt19937 random(seed);
  Words x;
  for (int l = 0; l < 32; ++l) x.push_back(random() & 0xffff);
  return x;
}

// Numbers of similar size, whose sums cancel and whose errors are near ties.
Words near_one(const Format& format, unsigned seed) {
  std::mt19937 random(seed);
  Words x;
  for (int l = 0; l < 32; ++l) {
    const std::uint64_t exponent =
        static_cast<std::uint64_t>(format.bias) + random() % 5 - 2;
    x.push_back((random() & 0x8000) | exponent << format.mantissa |
                (random() & ((1u << format.mantissa) - 1)));
  }
  return x;
}

class EveryHalf : public testing::TestWithParam<Format> {};

TEST_P(EveryHalf, RoundsOnce) {
  const Format& format = GetParam();
  const std::string end = std::string(".") + format.name + " %h, %h0, %h1";
  for (unsigned seed = 0; seed < 300; ++seed) {
    const Words a = seed < 16       ? interesting_halves(seed)
                    : seed % 2 != 0 ? random_halves(seed)
                                    : near_one(format, seed);
    const Words b = seed % 2 != 0 ? random_halves(seed + 1000)
                                  : near_one(format, seed + 1000);
    const Words c = seed % 3 != 0 ? random_halves(seed + 2000)
                                  : near_one(format, seed + 2000);
    const Words sum = evaluate("add" + end + ";", 'h', {a, b});
    const Words product = evaluate("mul" + end + ";", 'h', {a, b});
    const Words fma = evaluate("fma.rn" + end + ", %h2;", 'h', {a, b, c});
    for (std::size_t l = 0; l < 32; ++l) {
      const Exact x = format.value(a[l]), y = format.value(b[l]),
                  z = format.value(c[l]);
      EXPECT_EQ(product[l], format.round(x * y)) << a[l] << " * " << b[l];
      if (sum_is_exact(x, y, 11)) {
        EXPECT_EQ(sum[l], format.round(x + y)) << a[l] << " + " << b[l];
      }
      if (sum_is_exact(x * y, z, 22)) {
        EXPECT_EQ(fma[l], format.round(x * y + z))
            << a[l] << " * " << b[l] << " + " << c[l];
      }
    }
  }
}

TEST_P(EveryHalf, PackedFormsAreTwoScalars) {
  const std::string name = GetParam().name;
  const Words a = interesting_integers(32, 1), b = interesting_integers(32, 2),
              c = interesting_integers(32, 3);
  const auto upper = [](const Words& x) {
    Words result;
    for (const std::uint64_t word : x) result.push_back(word >> 16);
    return result;
  };
  for (const std::string op : {"fma.rn", "add", "max"}) {
    const bool three = op == "fma.rn";
    const auto run = [&](const std::string& type, char r,
                         const std::vector<Words>& x) {
      const std::string s(1, r);
      return evaluate(op + "." + type + " %" + s + ", %" + s + "0, %" + s +
                          "1" + (three ? ", %" + s + "2;" : ";"),
                      r, x);
    };
    const Words packed = run(name + "x2", 'w', {a, b, c});
    const Words low = run(name, 'h', {a, b, c});
    const Words high = run(name, 'h', {upper(a), upper(b), upper(c)});
    for (std::size_t l = 0; l < 32; ++l) {
      EXPECT_EQ(packed[l], high[l] << 16 | low[l]) << op << " lane " << l;
    }
  }
}

TEST_P(EveryHalf, ExtremaSignsAndModifiers) {
  const Format& format = GetParam();
  const std::string type = std::string(".") + format.name;
  const std::uint64_t one = format.round(1), two = format.round(2),
                      nan = 0x7fff;
  const Words got = evaluate("min" + type + " %h, %h0, %h1;", 'h',
                             {Words(32, nan), Words(32, two)});
  EXPECT_EQ(got[0], two);
  EXPECT_EQ(evaluate("max.NaN" + type + " %h, %h0, %h1;", 'h',
                     {Words(32, nan), Words(32, two)})[0],
            nan);
  EXPECT_EQ(evaluate("neg" + type + " %h, %h0;", 'h', {Words(32, one)})[0],
            one | 0x8000);
  EXPECT_EQ(
      evaluate("abs" + type + " %h, %h0;", 'h', {Words(32, one | 0x8000)})[0],
      one);
  EXPECT_EQ(evaluate("fma.rn.relu" + type + " %h, %h0, %h1, %h0;", 'h',
                     {Words(32, one | 0x8000), Words(32, two)})[0],
            0u);
}

INSTANTIATE_TEST_SUITE_P(Formats, EveryHalf, testing::Values(kHalf, kBrain),
                         [](const auto& info) { return info.param.name; });

TEST(Half, SumsFlushAndSaturate) {
  EXPECT_EQ(evaluate("add.ftz.f16 %h, %h0, %h1;", 'h',
                     {Words(32, 0x0001), Words(32, 0x0002)})[0],
            0u);
  EXPECT_EQ(evaluate("add.sat.f16 %h, %h0, %h1;", 'h',
                     {Words(32, 0x3c00), Words(32, 0x3c00)})[0],
            0x3c00u);
}

TEST(Half, FmaSeesAddendsFarBelowATie) {
  // 3 * 87 and 3 * 89 lie half way between neighbours in bf16; the addend is
  // too small for even a double to hold the sum.
  const auto fma = [](int a, int b, Exact c) {
    return kBrain.value(
        evaluate("fma.rn.bf16 %h, %h0, %h1, %h2;", 'h',
                 {Words(32, kBrain.round(a)), Words(32, kBrain.round(b)),
                  Words(32, kBrain.round(c))})[0]);
  };
  const Exact tiny = std::ldexp(Exact{1}, -100);
  EXPECT_EQ(fma(3, 87, 0), 260);
  EXPECT_EQ(fma(3, 87, tiny), 262);
  EXPECT_EQ(fma(3, 87, -tiny), 260);
  EXPECT_EQ(fma(3, 89, 0), 268);
  EXPECT_EQ(fma(3, 89, tiny), 268);
  EXPECT_EQ(fma(3, 89, -tiny), 266);
  EXPECT_EQ(fma(-3, 89, tiny), -266);
}

TEST(Half, ApproximateFunctions) {
  Words x;
  for (int l = 0; l < 32; ++l) x.push_back(kHalf.round((l - 16) / 4.0L));
  const Words exp2 = evaluate("ex2.approx.f16 %h, %h0;", 'h', {x});
  const Words tanh = evaluate("tanh.approx.f16 %h, %h0;", 'h', {x});
  for (std::size_t l = 0; l < 32; ++l) {
    const Exact at = kHalf.value(x[l]);
    EXPECT_NEAR(kHalf.value(exp2[l]) / std::exp2(at), 1, std::exp2(-9.9));
    EXPECT_NEAR(kHalf.value(tanh[l]), std::tanh(at), std::exp2(-10.98));
  }
}

}  // namespace
}  // namespace ptx_emulator
