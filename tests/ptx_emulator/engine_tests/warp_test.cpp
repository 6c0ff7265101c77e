// Instructions that a warp's lanes execute together.
#include <gtest/gtest.h>

#include <numeric>

#include "engine_tests/run_ptx.h"

namespace ptx_emulator {
namespace {

Words lanes() {
  Words x(32);
  std::iota(x.begin(), x.end(), 0);
  return x;
}

TEST(Warp, ShufflesInAllModes) {
  Words x;
  for (std::uint64_t l = 0; l < 32; ++l) x.push_back(100 + l);
  const auto run = [&](const std::string& mode, const std::string& operands) {
    return evaluate(
        "shfl.sync." + mode + ".b32 %w, %w0, " + operands + ", 0xffffffff;",
        'w', {x});
  };
  const Words up = run("up", "3, 0"), down = run("down", "5, 31"),
              cross = run("bfly", "9, 31"), index = run("idx", "7, 31"),
              segments = run("down", "2, 0x181f");  // width 8
  for (std::uint64_t l = 0; l < 32; ++l) {
    EXPECT_EQ(up[l], 100 + (l >= 3 ? l - 3 : l));
    EXPECT_EQ(down[l], 100 + (l + 5 < 32 ? l + 5 : l));
    EXPECT_EQ(cross[l], 100 + (l ^ 9));
    EXPECT_EQ(index[l], 107u);
    EXPECT_EQ(segments[l], 100 + (l % 8 < 6 ? l + 2 : l));
  }
}

TEST(Warp, ShufflesTellWhatIsInRange) {
  const Words got =
      evaluate("shfl.sync.up.b32 _|%p, %w0, 4, 0, 0xffffffff;", 'p', {lanes()});
  for (std::uint64_t l = 0; l < 32; ++l) EXPECT_EQ(got[l] != 0, l >= 4);
}

TEST(Warp, VotesMatchesAndReductions) {
  Words x = lanes();
  const std::string odd = "and.b32 %t0, %w0, 1;\nsetp.ne.b32 %p0, %t0, 0;\n";
  EXPECT_EQ(evaluate(odd + "vote.sync.ballot.b32 %w, %p0, -1;", 'w', {x})[4],
            0xaaaaaaaau);
  EXPECT_EQ(evaluate(odd + "vote.sync.any.pred %p, !%p0, -1;", 'p', {x})[5],
            1u);
  EXPECT_EQ(evaluate(odd + "vote.sync.all.pred %p, %p0, -1;", 'p', {x})[5], 0u);
  EXPECT_EQ(evaluate(odd + "vote.sync.uni.pred %p, %p0, -1;", 'p', {x})[5], 0u);
  EXPECT_EQ(evaluate("and.b32 %t0, %w0, 3;\n"
                     "match.any.sync.b32 %w, %t0, 0xffffffff;",
                     'w', {x})[6],
            0x44444444u);
  EXPECT_EQ(evaluate("match.all.sync.b64 %w|%p, %d0, 0xffffffff;", 'p',
                     {Words(32, 1ull << 40)})[6],
            1u);
  EXPECT_EQ(evaluate("redux.sync.add.s32 %w, %w0, -1;", 'w', {x})[0], 496u);
  EXPECT_EQ(evaluate("sub.s32 %t0, %w0, 9;\n"
                     "redux.sync.min.s32 %w, %t0, -1;",
                     'w', {x})[0],
            static_cast<std::uint32_t>(-9));
  EXPECT_EQ(evaluate("sub.s32 %t0, %w0, 9;\n"
                     "redux.sync.max.u32 %w, %t0, -1;",
                     'w', {x})[0],
            0xffffffffu);
  EXPECT_EQ(evaluate("redux.sync.xor.b32 %w, %w0, -1;", 'w', {x})[0], 0u);
}

TEST(Warp, PartsOfAWarpSynchroniseByThemselves) {
  // The halves take different branches and meet in their own masks.
  const Words got = evaluate(
      "setp.lt.u32 %p0, %w0, 16;\n@%p0 bra low;\n"
      "redux.sync.add.u32 %w, %w0, 0xffff0000;\nbra done;\n"
      "low:\nredux.sync.add.u32 %w, %w0, 0x0000ffff;\n"
      "done:\nactivemask.b32 %t0;\nadd.u32 %w, %w, %t0;",
      'w', {lanes()});
  for (std::uint64_t l = 0; l < 32; ++l) {
    const std::uint64_t sum = l < 16 ? 120 : 376;
    EXPECT_EQ(got[l], (sum + 0xffffffffu) & 0xffffffffu) << l;
  }
}

TEST(Warp, OneInstructionMayServeSeveralMasks) {
  // All lanes arrive together, each pair with a mask of its own.
  const Words got = evaluate(
      "and.b32 %t0, %w0, 30;\nshl.b32 %t1, 3, %t0;\n"
      "redux.sync.add.u32 %w, %w0, %t1;",
      'w', {lanes()});
  for (std::uint64_t l = 0; l < 32; ++l) {
    EXPECT_EQ(got[l], 2 * (l & ~1ull) + 1);
  }
}

TEST(Warp, LanesThatComeLaterAreWaitedFor) {
  // Lanes leave the loop at different turns and meet at the vote.
  const Words got = evaluate(
      "mov.u32 %t0, 0;\n"
      "loop:\nadd.u32 %t0, %t0, 1;\nsetp.le.u32 %p0, %t0, %w0;\n"
      "@%p0 bra loop;\n"
      "setp.ge.u32 %p1, %t0, 5;\n"
      "vote.sync.ballot.b32 %w, %p1, 0xffffffff;",
      'w', {lanes()});
  for (std::uint64_t l = 0; l < 32; ++l) EXPECT_EQ(got[l], 0xfffffff0u);
}

TEST(Warp, ElectsItsFirstLane) {
  const Words got = evaluate(
      "setp.ge.u32 %p0, %w0, 7;\nmov.u32 %w, 99;\n"
      "@%p0 elect.sync %w|%p1, 0xffffff80;\n"
      "and.pred %p1, %p0, %p1;\n@%p1 add.u32 %w, %w, 100;",
      'w', {lanes()});
  EXPECT_EQ(got[6], 99u);
  EXPECT_EQ(got[7], 107u);
  EXPECT_EQ(got[31], 7u);
}

TEST(Warp, MultipliesMatrices) {
  // a: 16 x 8 with a[r][c] = r + c, b: the 8 x 8 unit matrix, c: ones.
  const auto half = [](unsigned x) -> std::uint64_t {
    const Words got = evaluate("cvt.rn.f16.u32 %h, %w0;", 'h', {Words(32, x)});
    return got[0];
  };
  Words a0(32), a1(32), b(32);
  for (unsigned l = 0; l < 32; ++l) {
    const unsigned group = l / 4, member = l % 4;
    a0[l] = half(group + 2 * member) | half(group + 2 * member + 1) << 16;
    a1[l] = half(group + 8 + 2 * member) | half(group + 9 + 2 * member) << 16;
    b[l] = (group == 2 * member ? half(1) : 0) |
           (group == 2 * member + 1 ? half(1) << 16 : 0);
  }
  for (const unsigned part : {0u, 1u, 2u, 3u}) {
    const Words got = evaluate(
        "mov.b32 %t4, 0x3f800000;\n"
        "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 "
        "{%t0, %t1, %t2, %t3}, {%w0, %w1}, {%w2}, {%t4, %t4, %t4, %t4};\n"
        "mov.b32 %w, %t" +
            std::to_string(part) + ";",
        'w', {a0, a1, b});
    for (unsigned l = 0; l < 32; ++l) {
      const unsigned row = l / 4 + (part >= 2 ? 8 : 0);
      const unsigned column = 2 * (l % 4) + part % 2;
      EXPECT_EQ(as_float(got[l]), static_cast<float>(row + column + 1));
    }
  }
}

}  // namespace
}  // namespace ptx_emulator
