// Logic and bit fields, against loops over single bits.
#include <gtest/gtest.h>

#include <bit>

#include "engine_tests/run_ptx.h"

namespace ptx_emulator {
namespace {

bool bit(std::uint64_t word, std::uint64_t at) { return (word >> at & 1) != 0; }

Words counting(std::uint64_t step) {
  Words result;
  for (std::uint64_t l = 0; l < 32; ++l) result.push_back(l * step);
  return result;
}

TEST(Bits, LogicOfAllWidths) {
  const Words a = interesting_integers(64, 1), b = interesting_integers(64, 2);
  const Words x = evaluate("xor.b64 %d, %d0, %d1;", 'd', {a, b});
  const Words o = evaluate("or.b32 %w, %w0, %w1;", 'w', {a, b});
  const Words n = evaluate("not.b16 %h, %h0;", 'h', {a});
  const Words z = evaluate("cnot.b32 %w, %w0;", 'w', {a});
  for (std::size_t l = 0; l < 32; ++l) {
    EXPECT_EQ(x[l], a[l] ^ b[l]);
    EXPECT_EQ(o[l], (a[l] | b[l]) & 0xffffffff);
    EXPECT_EQ(n[l], ~a[l] & 0xffff);
    EXPECT_EQ(z[l], static_cast<std::uint32_t>(a[l]) == 0 ? 1u : 0u);
  }
}

TEST(Bits, ThreeOperandLogicFollowsItsTable) {
  const Words a = interesting_integers(32, 1), b = interesting_integers(32, 2),
              c = interesting_integers(32, 3);
  for (const unsigned table : {0x00u, 0x80u, 0x96u, 0xe8u, 0x1bu, 0xffu}) {
    const Words got =
        evaluate("lop3.b32 %w, %w0, %w1, %w2, " + std::to_string(table) + ";",
                 'w', {a, b, c});
    for (std::size_t l = 0; l < 32; ++l) {
      std::uint32_t expected = 0;
      for (unsigned k = 0; k < 32; ++k) {
        const unsigned row =
            4u * bit(a[l], k) + 2u * bit(b[l], k) + bit(c[l], k);
        expected |= (table >> row & 1) << k;
      }
      EXPECT_EQ(got[l], expected) << table;
    }
  }
}

// The pseudo code of the PTX ISA's bfe, bit for bit.
std::uint64_t extracted(std::uint64_t a, std::uint64_t b, std::uint64_t c,
                        std::uint64_t bits, bool is_signed) {
  const std::uint64_t pos = b & 255, len = c & 255, msb = bits - 1;
  const bool sign =
      is_signed && len != 0 && bit(a, std::min(pos + len - 1, msb));
  std::uint64_t d = 0;
  for (std::uint64_t k = 0; k <= msb; ++k) {
    const bool value = k < len && pos + k <= msb ? bit(a, pos + k) : sign;
    d |= std::uint64_t{value} << k;
  }
  return d;
}

TEST(Bits, ExtractsFields) {
  const Words a = interesting_integers(64, 1), b = counting(3);
  for (const std::uint64_t length : {0u, 1u, 5u, 31u, 32u, 40u, 64u, 255u}) {
    const std::string end = ", " + std::to_string(length) + ";";
    const Words u32 = evaluate("bfe.u32 %w, %w0, %w1" + end, 'w', {a, b});
    const Words s32 = evaluate("bfe.s32 %w, %w0, %w1" + end, 'w', {a, b});
    const Words u64 = evaluate("bfe.u64 %d, %d0, %w1" + end, 'd', {a, b});
    const Words s64 = evaluate("bfe.s64 %d, %d0, %w1" + end, 'd', {a, b});
    for (std::size_t l = 0; l < 32; ++l) {
      const std::uint64_t word = a[l] & 0xffffffff;
      EXPECT_EQ(u32[l], extracted(word, b[l], length, 32, false));
      EXPECT_EQ(s32[l], extracted(word, b[l], length, 32, true));
      EXPECT_EQ(u64[l], extracted(a[l], b[l], length, 64, false));
      EXPECT_EQ(s64[l], extracted(a[l], b[l], length, 64, true));
    }
  }
}

TEST(Bits, InsertsFields) {
  const Words a = interesting_integers(64, 1), b = interesting_integers(64, 2),
              position = counting(2);
  for (const std::uint64_t length : {0u, 1u, 7u, 32u, 64u, 200u}) {
    const std::string end = ", " + std::to_string(length) + ";";
    const Words w =
        evaluate("bfi.b32 %w, %w0, %w1, %w2" + end, 'w', {a, b, position});
    const Words d =
        evaluate("bfi.b64 %d, %d0, %d1, %w2" + end, 'd', {a, b, position});
    const auto inserted = [&](std::size_t l, std::uint64_t bits) {
      std::uint64_t f = b[l];
      for (std::uint64_t k = 0; k < length && position[l] + k < bits; ++k) {
        const std::uint64_t at = std::uint64_t{1} << (position[l] + k);
        f = bit(a[l], k) ? f | at : f & ~at;
      }
      return f;
    };
    for (std::size_t l = 0; l < 32; ++l) {
      EXPECT_EQ(w[l], inserted(l, 32) & 0xffffffff) << length << " " << l;
      EXPECT_EQ(d[l], inserted(l, 64)) << length << " " << l;
    }
  }
}

TEST(Bits, FindsTheLeadingBit) {
  const Words a = interesting_integers(32, 5);
  const Words u = evaluate("bfind.u32 %w, %w0;", 'w', {a});
  const Words s = evaluate("bfind.s32 %w, %w0;", 'w', {a});
  const Words shift = evaluate("bfind.shiftamt.u32 %w, %w0;", 'w', {a});
  for (std::size_t l = 0; l < 32; ++l) {
    const auto word = static_cast<std::uint32_t>(a[l]);
    const std::uint32_t size = word >> 31 ? ~word : word;
    EXPECT_EQ(u[l], word == 0
                        ? 0xffffffffu
                        : 31u - static_cast<unsigned>(std::countl_zero(word)));
    EXPECT_EQ(s[l], size == 0
                        ? 0xffffffffu
                        : 31u - static_cast<unsigned>(std::countl_zero(size)));
    EXPECT_EQ(shift[l], word == 0
                            ? 0xffffffffu
                            : static_cast<unsigned>(std::countl_zero(word)));
  }
}

TEST(Bits, CountsAndReverses) {
  const Words a = interesting_integers(64, 1);
  const Words population = evaluate("popc.b64 %w, %d0;", 'w', {a});
  const Words zeros = evaluate("clz.b32 %w, %w0;", 'w', {a});
  const Words reversed = evaluate("brev.b64 %d, %d0;", 'd', {a});
  for (std::size_t l = 0; l < 32; ++l) {
    EXPECT_EQ(population[l], static_cast<unsigned>(std::popcount(a[l])));
    EXPECT_EQ(zeros[l], static_cast<unsigned>(std::countl_zero(
                            static_cast<std::uint32_t>(a[l]))));
    for (unsigned k = 0; k < 64; ++k) {
      EXPECT_EQ(bit(reversed[l], k), bit(a[l], 63 - k));
    }
  }
}

TEST(Bits, PermutesBytes) {
  const Words a(32, 0x83828180), b(32, 0x07060504);
  Words selector(32, 0);
  selector[1] = 0x3210;
  selector[2] = 0x7654;
  selector[3] = 0x0123;
  selector[4] = 0x888c;  // signs of bytes 0, 0, 0 and 4
  const Words got =
      evaluate("prmt.b32 %w, %w0, %w1, %w2;", 'w', {a, b, selector});
  EXPECT_EQ(got[0], 0x80808080u);
  EXPECT_EQ(got[1], 0x83828180u);
  EXPECT_EQ(got[2], 0x07060504u);
  EXPECT_EQ(got[3], 0x80818283u);
  EXPECT_EQ(got[4], 0xffffff00u);
  EXPECT_EQ(evaluate("prmt.b32.f4e %w, %w0, %w1, 1;", 'w', {a, b})[0],
            0x04838281u);
  EXPECT_EQ(evaluate("prmt.b32.b4e %w, %w0, %w1, 1;", 'w', {a, b})[0],
            0x06078081u);
}

TEST(Bits, FunnelShifts) {
  const Words a = interesting_integers(32, 1), b = interesting_integers(32, 2),
              n = counting(2);
  const auto run = [&](const std::string& form) {
    return evaluate("shf." + form + ".b32 %w, %w0, %w1, %w2;", 'w', {a, b, n});
  };
  const Words lw = run("l.wrap"), lc = run("l.clamp"), rw = run("r.wrap"),
              rc = run("r.clamp");
  for (std::size_t l = 0; l < 32; ++l) {
    const std::uint64_t both = b[l] << 32 | a[l];
    const std::uint64_t wrapped = n[l] & 31,
                        clamped = std::min<std::uint64_t>(n[l], 32);
    EXPECT_EQ(lw[l], both << wrapped >> 32);
    EXPECT_EQ(lc[l], both << clamped >> 32);
    EXPECT_EQ(rw[l], both >> wrapped & 0xffffffff);
    EXPECT_EQ(rc[l], both >> clamped & 0xffffffff);
  }
}

TEST(Bits, MasksAndExtensions) {
  const Words n = counting(3);
  const Words mask = evaluate("bmsk.clamp.b32 %w, 4, %w0;", 'w', {n});
  const Words sign = evaluate("szext.clamp.s32 %w, %w0, 4;", 'w', {n});
  for (std::size_t l = 0; l < 32; ++l) {
    const std::uint64_t ones =
        n[l] >= 32 ? 0xffffffff : (std::uint64_t{1} << n[l]) - 1;
    EXPECT_EQ(mask[l], ones << 4 & 0xffffffff);
    const std::uint64_t low = n[l] & 15;
    EXPECT_EQ(sign[l], low < 8 ? low : 0xfffffff0 | low);
  }
}

}  // namespace
}  // namespace ptx_emulator
