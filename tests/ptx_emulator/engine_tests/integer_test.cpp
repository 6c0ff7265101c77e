// Integer instructions against arithmetic of the host in wider types.
#include <gtest/gtest.h>

#include <bit>

#include "engine_tests/run_ptx.h"

namespace ptx_emulator {
namespace {

__extension__ typedef __int128 Wide;

struct IntegerType {
  const char* name;
  int bits;
  bool is_signed;

  Wide value(std::uint64_t word) const {
    const int unused = 64 - bits;
    if (is_signed) return static_cast<std::int64_t>(word << unused) >> unused;
    return word << unused >> unused;
  }
  std::uint64_t cut(Wide value) const {
    const auto word = static_cast<std::uint64_t>(value);
    return bits == 64 ? word : word & ((std::uint64_t{1} << bits) - 1);
  }
  char letter() const { return bits == 16 ? 'h' : bits == 32 ? 'w' : 'd'; }
  // "op.type %r, %r0, %r1, ..." with registers of the type's width.
  std::string statement(const std::string& op, int operands) const {
    std::string text = op + "." + name + " %" + letter();
    for (int k = 0; k < operands; ++k) {
      text += std::string(", %") + letter() + std::to_string(k);
    }
    return text + ";";
  }
};

class EveryIntegerType : public testing::TestWithParam<IntegerType> {
 protected:
  // Compares a statement with a function of the operands' values.
  template <class F>
  void expect(const std::string& op, int operands, F reference) {
    const IntegerType& type = GetParam();
    std::vector<Words> inputs;
    for (int k = 0; k < operands; ++k) {
      inputs.push_back(
          interesting_integers(type.bits, 7 * static_cast<unsigned>(k) + 1));
    }
    const Words got =
        evaluate(type.statement(op, operands), type.letter(), inputs);
    for (std::size_t l = 0; l < 32; ++l) {
      std::vector<Wide> x;
      for (const Words& input : inputs) x.push_back(type.value(input[l]));
      EXPECT_EQ(got[l], type.cut(reference(x))) << op << " lane " << l;
    }
  }
};

TEST_P(EveryIntegerType, AddsSubtractsAndMultipliesModuloItsWidth) {
  expect("add", 2, [](const auto& x) { return x[0] + x[1]; });
  expect("sub", 2, [](const auto& x) { return x[0] - x[1]; });
  expect("mul.lo", 2, [](const auto& x) {
    return static_cast<Wide>(static_cast<std::uint64_t>(x[0]) *
                             static_cast<std::uint64_t>(x[1]));
  });
  expect("mad.lo", 3, [](const auto& x) {
    return static_cast<Wide>(static_cast<std::uint64_t>(x[0]) *
                             static_cast<std::uint64_t>(x[1])) +
           x[2];
  });
}

TEST_P(EveryIntegerType, GivesTheUpperHalfOfProducts) {
  if (GetParam().bits == 64) return;  // WideProductsKeepAllBits
  const int bits = GetParam().bits;
  expect("mul.hi", 2, [=](const auto& x) { return x[0] * x[1] >> bits; });
  expect("mad.hi", 3,
         [=](const auto& x) { return (x[0] * x[1] >> bits) + x[2]; });
}

TEST_P(EveryIntegerType, DividesTowardsZero) {
  expect("div", 2,
         [](const auto& x) { return x[1] == 0 ? Wide{-1} : x[0] / x[1]; });
  expect("rem", 2,
         [](const auto& x) { return x[1] == 0 ? x[0] : x[0] % x[1]; });
}

TEST_P(EveryIntegerType, TakesExtrema) {
  expect("min", 2, [](const auto& x) { return std::min(x[0], x[1]); });
  expect("max", 2, [](const auto& x) { return std::max(x[0], x[1]); });
  expect("sad", 3, [](const auto& x) {
    return x[2] + (x[0] < x[1] ? x[1] - x[0] : x[0] - x[1]);
  });
}

TEST_P(EveryIntegerType, HasSigns) {
  if (!GetParam().is_signed) return;
  expect("neg", 1, [](const auto& x) { return -x[0]; });
  expect("abs", 1, [](const auto& x) { return x[0] < 0 ? -x[0] : x[0]; });
}

TEST_P(EveryIntegerType, ShiftsByTheWidthAndMore) {
  const IntegerType& type = GetParam();
  const Words a = interesting_integers(type.bits, 3);
  Words n;
  for (std::uint64_t l = 0; l < 32; ++l) n.push_back(l * 3);
  const std::string registers =
      std::string(" %") + type.letter() + ", %" + type.letter() + "0, %w1;";
  const Words right = evaluate("shr." + std::string(type.name) + registers,
                               type.letter(), {a, n});
  const Words left = evaluate("shl.b" + std::to_string(type.bits) + registers,
                              type.letter(), {a, n});
  for (std::size_t l = 0; l < 32; ++l) {
    const Wide value = type.value(a[l]);
    EXPECT_EQ(right[l], type.cut(value >> n[l])) << l;
    const bool gone = n[l] >= static_cast<std::uint64_t>(type.bits);
    EXPECT_EQ(left[l], gone ? 0
                            : type.cut(static_cast<Wide>(
                                  static_cast<std::uint64_t>(value) << n[l])))
        << l;
  }
}

INSTANTIATE_TEST_SUITE_P(Types, EveryIntegerType,
                         testing::Values(IntegerType{"u16", 16, false},
                                         IntegerType{"s16", 16, true},
                                         IntegerType{"u32", 32, false},
                                         IntegerType{"s32", 32, true},
                                         IntegerType{"u64", 64, false},
                                         IntegerType{"s64", 64, true}),
                         [](const auto& info) { return info.param.name; });

TEST(Integer, WideProductsKeepAllBits) {
  const Words a = interesting_integers(32, 1), b = interesting_integers(32, 2);
  const Words u = evaluate("mul.wide.u32 %d, %w0, %w1;", 'd', {a, b});
  const Words s = evaluate("mad.wide.s32 %d, %w0, %w1, %d0;", 'd', {a, b});
  const Words high =
      evaluate("mul.hi.u64 %d, %d0, %d1;", 'd',
               {interesting_integers(64, 1), interesting_integers(64, 2)});
  for (std::size_t l = 0; l < 32; ++l) {
    EXPECT_EQ(u[l], a[l] * b[l]);
    EXPECT_EQ(s[l], static_cast<std::uint64_t>(
                        std::int64_t{static_cast<std::int32_t>(a[l])} *
                        static_cast<std::int32_t>(b[l])) +
                        a[l]);
    __extension__ typedef unsigned __int128 UWide;
    EXPECT_EQ(high[l],
              static_cast<std::uint64_t>(UWide{interesting_integers(64, 1)[l]} *
                                             interesting_integers(64, 2)[l] >>
                                         64));
  }
}

TEST(Integer, SaturatingSumsStopAtTheLimits) {
  const Words got = evaluate("add.sat.s32 %w, %w0, %w1;", 'w',
                             {Words(32, 0x7ffffff0), Words(32, 100)});
  EXPECT_EQ(got[0], 0x7fffffffu);
  EXPECT_EQ(evaluate("sub.sat.s32 %w, %w0, %w1;", 'w',
                     {Words(32, 0x80000001), Words(32, 100)})[5],
            0x80000000u);
}

TEST(Integer, CarriesRunThroughWords) {
  // (d0 : 32-bit halves) + d1 and - d1 as two additions with carry.
  const Words a = interesting_integers(64, 4), b = interesting_integers(64, 9);
  const std::string halves =
      "mov.b64 {%t0, %t1}, %d0;\nmov.b64 {%t2, %t3}, %d1;\n";
  const Words sum = evaluate(halves +
                                 "add.cc.u32 %t4, %t0, %t2;\n"
                                 "addc.u32 %t5, %t1, %t3;\n"
                                 "mov.b64 %d, {%t4, %t5};",
                             'd', {a, b});
  const Words difference = evaluate(halves +
                                        "sub.cc.u32 %t4, %t0, %t2;\n"
                                        "subc.u32 %t5, %t1, %t3;\n"
                                        "mov.b64 %d, {%t4, %t5};",
                                    'd', {a, b});
  // The product of 64-bit words from 32-bit ones.
  const Words product = evaluate(halves +
                                     "mul.lo.u32 %t4, %t0, %t2;\n"
                                     "mul.hi.u32 %t5, %t0, %t2;\n"
                                     "mad.lo.cc.u32 %t5, %t0, %t3, %t5;\n"
                                     "madc.hi.u32 %t6, %t0, %t3, 0;\n"
                                     "mad.lo.cc.u32 %t5, %t1, %t2, %t5;\n"
                                     "mov.b64 %d, {%t4, %t5};",
                                 'd', {a, b});
  for (std::size_t l = 0; l < 32; ++l) {
    EXPECT_EQ(sum[l], a[l] + b[l]);
    EXPECT_EQ(difference[l], a[l] - b[l]);
    EXPECT_EQ(product[l], a[l] * b[l]);
  }
}

TEST(Integer, DotProductsOfBytes) {
  const Words a = interesting_integers(32, 1), b = interesting_integers(32, 2),
              c = interesting_integers(32, 3);
  const Words mixed =
      evaluate("dp4a.s32.u32 %w, %w0, %w1, %w2;", 'w', {a, b, c});
  const Words pairs =
      evaluate("dp2a.hi.u32.s32 %w, %w0, %w1, %w2;", 'w', {a, b, c});
  for (std::size_t l = 0; l < 32; ++l) {
    std::int64_t four = static_cast<std::int32_t>(c[l]);
    for (int k = 0; k < 4; ++k) {
      four += static_cast<std::int8_t>(a[l] >> (8 * k)) *
              static_cast<std::int64_t>(b[l] >> (8 * k) & 255);
    }
    EXPECT_EQ(mixed[l], static_cast<std::uint32_t>(four));
    std::int64_t two = static_cast<std::int32_t>(c[l]);
    for (int k = 0; k < 2; ++k) {
      two += static_cast<std::int64_t>(a[l] >> (16 * k) & 0xffff) *
             static_cast<std::int8_t>(b[l] >> (16 + 8 * k));
    }
    EXPECT_EQ(pairs[l], static_cast<std::uint32_t>(two));
  }
}

}  // namespace
}  // namespace ptx_emulator
