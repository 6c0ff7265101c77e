// Divergence, calls, barriers, printf.
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

TEST(Control, NestedLoopsOfDifferentLengths) {
  // The sum over i < lane of the steps of the Collatz sequence of i + 1.
  const Words got = evaluate(
      "mov.u32 %w, 0;\nmov.u32 %t0, 0;\n"
      "outer:\nsetp.ge.u32 %p0, %t0, %w0;\n@%p0 bra done;\n"
      "add.u32 %t1, %t0, 1;\nmov.u32 %t0, %t1;\n"
      "inner:\nsetp.eq.u32 %p1, %t1, 1;\n@%p1 bra outer;\n"
      "add.u32 %w, %w, 1;\nand.b32 %t2, %t1, 1;\n"
      "setp.eq.u32 %p2, %t2, 0;\n"
      "@%p2 shr.u32 %t1, %t1, 1;\n@!%p2 mad.lo.u32 %t1, %t1, 3, 1;\n"
      "bra inner;\ndone:",
      'w', {lanes()});
  std::uint64_t sum = 0;
  for (std::uint64_t l = 0; l < 32; ++l) {
    EXPECT_EQ(got[l], sum);
    for (std::uint64_t x = l + 1; x != 1; ++sum) {
      x = x % 2 == 0 ? x / 2 : 3 * x + 1;
    }
  }
}

TEST(Control, ValuesOutliveTheTurnOfALoopThatSetsThem) {
  // %t5 is set in the first turn only; %t7 and %t8 are set after its last use.
  const Words got = evaluate(
      "mov.u32 %w, 0;\nmov.u32 %t0, 0;\n"
      "loop:\nsetp.eq.u32 %p0, %t0, 0;\n@%p0 mov.u32 %t5, 77;\n"
      "add.u32 %w, %w, %t5;\nmov.u32 %t7, 1000;\nadd.u32 %t8, %t7, %t7;\n"
      "add.u32 %w, %w, %t8;\nadd.u32 %t0, %t0, 1;\n"
      "setp.lt.u32 %p1, %t0, 3;\n@%p1 bra loop;",
      'w', {lanes()});
  EXPECT_EQ(got[0], 3u * 2077);
}

TEST(Control, BranchesThroughTables) {
  const Words got = evaluate(
      "and.b32 %t0, %w0, 3;\n"
      "table: .branchtargets a, b, c, a;\n"
      "brx.idx %t0, table;\n"
      "a:\nmov.u32 %w, 10;\nbra done;\n"
      "b:\nmov.u32 %w, 20;\nbra done;\n"
      "c:\nmov.u32 %w, 30;\ndone:",
      'w', {lanes()});
  constexpr std::uint64_t kExpected[] = {10, 20, 30, 10};
  for (std::size_t l = 0; l < 32; ++l) EXPECT_EQ(got[l], kExpected[l % 4]);
}

TEST(Control, LabelsAndRegistersOfNestedScopes) {
  const Words got = evaluate(
      "mov.u32 %w, 0;\n"
      "{\n.reg .pred q;\n.reg .b32 x;\nmov.u32 x, 5;\n"
      "again:\nadd.u32 %w, %w, 1;\nsub.u32 x, x, 1;\n"
      "setp.ne.u32 q, x, 0;\n@q bra again;\n}\n"
      "{\n.reg .pred q;\n.reg.b32 x;\nmov.u32 x, 3;\n"
      "again:\nadd.u32 %w, %w, 100;\nsub.u32 x, x, 1;\n"
      "setp.ne.u32 q, x, 0;\n@q bra again;\n}",
      'w', {lanes()});
  EXPECT_EQ(got[17], 305u);
}

constexpr char kFunctions[] = R"(
.func (.param .b32 result) fibonacci (.param .b32 n)
{
  .reg .b32 %r<5>;
  .reg .pred %p<2>;
  ld.param.b32 %r0, [n];
  setp.lt.u32 %p0, %r0, 2;
  @%p0 bra small;
  sub.u32 %r1, %r0, 1;
  {
  .param .b32 in;
  .param .b32 out;
  st.param.b32 [in], %r1;
  call.uni (out), fibonacci, (in);
  ld.param.b32 %r2, [out];
  }
  sub.u32 %r1, %r0, 2;
  {
  .param .b32 in;
  .param .b32 out;
  st.param.b32 [in], %r1;
  call.uni (out), fibonacci, (in);
  ld.param.b32 %r3, [out];
  }
  add.u32 %r0, %r2, %r3;
small:
  st.param.b32 [result], %r0;
  ret;
}
.func (.param .b32 result) twice (.param .b32 n)
{
  .reg .b32 %r<2>;
  ld.param.b32 %r0, [n];
  add.u32 %r0, %r0, %r0;
  st.param.b32 [result], %r0;
  ret;
}
.func (.param .b32 result) stored (.param .b32 n)
{
  .local .align 4 .b8 own[8];
  .reg .b32 %r<4>;
  .reg .b64 %rd<3>;
  ld.param.b32 %r0, [n];
  mov.u64 %rd0, own;
  st.local.b32 [%rd0+4], %r0;
  bar.sync 0;
  ld.local.b32 %r1, [%rd0+4];
  mad.lo.u32 %r1, %r1, 3, 1;
  st.param.b32 [result], %r1;
  ret;
}
.global .align 8 .u64 functions[2] = {twice, stored};
)";

std::string call(const std::string& target, const std::string& more = "") {
  return "{\n.param .b32 in;\n.param .b32 out;\nst.param.b32 [in], %w0;\n"
         "call.uni (out), " +
         target + ", (in)" + more + ";\nld.param.b32 %w, [out];\n}\n";
}

TEST(Control, FunctionsRecurDifferentlyInEachLane) {
  Words n = lanes();
  for (std::uint64_t& x : n) x %= 13;
  const Words got = evaluate(call("fibonacci"), 'w', {n}, kFunctions);
  std::vector<std::uint64_t> fibonacci{0, 1};
  while (fibonacci.size() < 13) {
    fibonacci.push_back(fibonacci.end()[-1] + fibonacci.end()[-2]);
  }
  for (std::size_t l = 0; l < 32; ++l) EXPECT_EQ(got[l], fibonacci[n[l]]);
}

TEST(Control, LanesMayExitInsideOfAFunction) {
  const DeviceArray<std::uint32_t> out(std::vector<std::uint32_t>(32));
  const auto module = load_ptx(R"(
.func leave_if_odd (.param .b32 lane)
{
  .reg .b32 %r<2>;
  .reg .pred %p<1>;
  ld.param.b32 %r0, [lane];
  and.b32 %r1, %r0, 1;
  setp.ne.u32 %p0, %r1, 0;
  @%p0 exit;
  ret;
}
.visible .entry kernel(.param .u64 out)
{
  .reg .b32 %r<3>;
  .reg .b64 %rd<2>;
  mov.u32 %r0, %tid.x;
  {
  .param .b32 lane;
  st.param.b32 [lane], %r0;
  call.uni leave_if_odd, (lane);
  }
  ld.param.u64 %rd0, [out];
  mad.wide.u32 %rd0, %r0, 4, %rd0;
  mov.u32 %r1, 1;
  st.global.b32 [%rd0], %r1;
  ret;
})");
  launch(*module, 3, 32, {out.address()});
  for (std::size_t l = 0; l < 32; ++l) {
    EXPECT_EQ(out.values()[l], l % 2 == 0 ? 1u : 0u);
  }
}

TEST(Control, FunctionsMayHoldBarriersAndLocalMemory) {
  const Words got = evaluate(call("stored"), 'w', {lanes()}, kFunctions);
  for (std::uint64_t l = 0; l < 32; ++l) EXPECT_EQ(got[l], 3 * l + 1);
}

TEST(Control, CallsThroughPointers) {
  const Words got = evaluate(
      "prototype: .callprototype (.param .b32 _) _ (.param .b32 _);\n"
      "and.b32 %t0, %w0, 1;\nmov.u64 %u0, functions;\n"
      "mad.wide.u32 %u0, %t0, 8, %u0;\nld.global.u64 %u1, [%u0];\n"
      // Odd lanes stay away: the barrier in `stored` would be divergent.
      "mov.u32 %w, 7;\nsetp.eq.u32 %p0, %t0, 0;\n@!%p0 bra skip;\n" +
          call("%u1", ", prototype") + "skip:",
      'w', {lanes()}, kFunctions);
  for (std::uint64_t l = 0; l < 32; ++l) {
    EXPECT_EQ(got[l], l % 2 == 0 ? 2 * l : 7);
  }
}

TEST(Control, BarriersReducePredicates) {
  const DeviceArray<std::uint32_t> out(std::vector<std::uint32_t>(100));
  const auto module = load_ptx(R"(
.visible .entry kernel(.param .u64 out)
{
  .reg .b32 %r<5>;
  .reg .b64 %rd<3>;
  .reg .pred %p<5>;
  mov.u32 %r0, %tid.x;
  setp.lt.u32 %p0, %r0, 70;
  bar.red.popc.u32 %r1, 0, %p0;
  bar.red.and.pred %p1, 0, %p0;
  bar.red.or.pred %p2, 1, !%p0;
  @%p1 add.u32 %r1, %r1, 1000;
  @%p2 add.u32 %r1, %r1, 2000;
  ld.param.u64 %rd0, [out];
  mad.wide.u32 %rd0, %r0, 4, %rd0;
  st.global.b32 [%rd0], %r1;
  ret;
})");
  launch(*module, 1, 100, {out.address()});
  for (const std::uint32_t value : out.values()) EXPECT_EQ(value, 2070u);
}

TEST(Control, ProducersArriveAndConsumersWait) {
  // Warp 1 writes and arrives; warp 0 waits for both.
  const DeviceArray<std::uint32_t> out(std::vector<std::uint32_t>(32));
  const auto module = load_ptx(R"(
.visible .entry kernel(.param .u64 out)
{
  .shared .align 4 .b8 box[128];
  .reg .b32 %r<5>;
  .reg .b64 %rd<3>;
  .reg .pred %p<2>;
  mov.u32 %r0, %tid.x;
  and.b32 %r1, %r0, 31;
  mov.u32 %r2, box;
  mad.lo.u32 %r2, %r1, 4, %r2;
  setp.lt.u32 %p0, %r0, 32;
  @%p0 bra consumer;
  mul.lo.u32 %r3, %r1, 5;
  st.shared.b32 [%r2], %r3;
  barrier.arrive 3, 64;
  ret;
consumer:
  barrier.sync 3, 64;
  ld.shared.b32 %r3, [%r2];
  ld.param.u64 %rd0, [out];
  mad.wide.u32 %rd0, %r1, 4, %rd0;
  st.global.b32 [%rd0], %r3;
  ret;
})");
  launch(*module, 3, 64, {out.address()});
  for (std::uint32_t l = 0; l < 32; ++l) EXPECT_EQ(out.values()[l], 5 * l);
}

TEST(Control, WarpsThatWaitForEachOtherInMemoryTakeTurns) {
  const DeviceArray<std::uint32_t> flag(std::vector<std::uint32_t>{0});
  const auto module = load_ptx(R"(
.visible .entry kernel(.param .u64 flag)
{
  .reg .b32 %r<4>;
  .reg .b64 %rd<2>;
  .reg .pred %p<2>;
  ld.param.u64 %rd0, [flag];
  mov.u32 %r0, %tid.x;
  setp.ge.u32 %p0, %r0, 32;
  @%p0 bra release;
spin:
  ld.acquire.gpu.global.u32 %r1, [%rd0];
  setp.eq.u32 %p1, %r1, 0;
  @%p1 bra spin;
  ret;
release:
  st.release.gpu.global.u32 [%rd0], 1;
  ret;
})");
  launch(*module, 1, 64, {flag.address()});
  EXPECT_EQ(flag.values()[0], 1u);
}

TEST(Control, LanesOfAWarpMayWaitForEachOtherInMemory) {
  // Lane 0 spins at a lower instruction than lane 1, which releases it.
  const DeviceArray<std::uint64_t> flag(Words{0});
  evaluate(
      "setp.eq.u32 %p0, %w0, 1;\n@%p0 bra release;\n"
      "spin:\nld.volatile.global.u64 %d, [%d1];\n"
      "setp.eq.u64 %p1, %d, 0;\n@%p1 bra spin;\nbra done;\n"
      "release:\nmov.u64 %u0, 1;\nst.volatile.global.u64 [%d1], %u0;\n"
      "done:",
      'd', {lanes(), Words(32, flag.address())});
  EXPECT_EQ(flag.values()[0], 1u);
}

TEST(Control, SpecialRegistersDescribeTheLaunch) {
  const DeviceArray<std::uint32_t> out(std::vector<std::uint32_t>(8));
  const auto module = load_ptx(R"(
.visible .entry kernel(.param .u64 out)
{
  .reg .b32 %r<9>;
  .reg .b64 %rd<2>;
  .reg .pred %p<2>;
  mov.u32 %r0, %tid.y;
  mov.u32 %r1, %ctaid.z;
  mov.u32 %r2, %ntid.x;
  mov.u32 %r3, %nctaid.y;
  mov.u32 %r4, %laneid;
  mov.u32 %r5, %warpid;
  mov.u32 %r6, %lanemask_lt;
  mov.u32 %r7, %dynamic_smem_size;
  mov.u32 %r8, %tid.x;
  setp.ne.u32 %p0, %r8, 4;
  setp.ne.or.u32 %p0, %r0, 6, %p0;
  setp.ne.or.u32 %p0, %r1, 1, %p0;
  @%p0 ret;
  ld.param.u64 %rd0, [out];
  st.global.v4.b32 [%rd0], {%r0, %r1, %r2, %r3};
  st.global.v4.b32 [%rd0+16], {%r4, %r5, %r6, %r7};
  ret;
})");
  Launch launch;
  launch.kernel = module->find_kernel("kernel");
  launch.grid[2] = 2;
  launch.block[0] = 5;
  launch.block[1] = 7;
  launch.dynamic_shared = 48;
  launch.parameters.resize(8);
  const std::uint64_t address = out.address();
  std::copy_n(reinterpret_cast<const std::byte*>(&address), 8,
              launch.parameters.data());
  run(launch);
  // Thread 34 is lane 2 of warp 1.
  EXPECT_EQ(out.values(),
            (std::vector<std::uint32_t>{6, 1, 5, 1, 2, 1, 3, 48}));
}

TEST(Control, PrintfFormatsItsArguments) {
  testing::internal::CaptureStdout();
  evaluate(
      ".local .align 8 .b8 arguments[24];\n"
      "setp.ne.u32 %p0, %w0, 3;\n@%p0 bra skip;\n"
      "mov.u64 %u0, arguments;\ncvta.local.u64 %u0, %u0;\n"
      "st.b32 [%u0], -5;\nmov.b64 %u1, 0d3FF8000000000000;\n"
      "st.b64 [%u0+8], %u1;\nmov.u64 %u2, word;\n"
      "cvta.global.u64 %u2, %u2;\nst.b64 [%u0+16], %u2;\n"
      "mov.u64 %u3, format;\ncvta.global.u64 %u3, %u3;\n"
      "{\n.param .b64 a;\n.param .b64 b;\n.param .b32 r;\n"
      "st.param.b64 [a], %u3;\nst.param.b64 [b], %u0;\n"
      "call.uni (r), vprintf, (a, b);\nld.param.b32 %w, [r];\n}\nskip:",
      'w', {lanes()},
      ".extern .func (.param .b32 r) vprintf (.param .b64 f, .param .b64 a);\n"
      // "%d %.2f%% %s\n" and "ok"
      ".global .align 1 .b8 format[14] = {37, 100, 32, 37, 46, 50, 102, 37, "
      "37, 32, 37, 115, 10, 0};\n"
      ".global .align 1 .b8 word[3] = {111, 107, 0};\n");
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "-5 1.50% ok\n");
}

}  // namespace
}  // namespace ptx_emulator
