// What the engine itself reports, and where it says that it happened.
#include <gtest/gtest.h>

#include "engine_tests/run_ptx.h"

namespace ptx_emulator {
namespace {

// Runs a body of a kernel without parameters and returns its fault.
Fault fault_of(const std::string& body, std::uint32_t threads,
               std::uint32_t blocks = 1) {
  const auto module = load_ptx(
      ".extern .func __assertfail (.param .b64 m, .param .b64 f, .param .b32 "
      "l, .param .b64 n, .param .b64 s);\n"
      ".global .align 1 .b8 text[3] = {120, 49, 0};\n"
      ".visible .entry kernel()\n{\n.reg .b32 %r<9>;\n.reg .b64 %rd<9>;\n"
      ".reg .pred %p<4>;\nmov.u32 %r0, %tid.x;\nmov.u32 %r1, %ctaid.x;\n" +
      body + "\nret;\n}");
  try {
    launch(*module, blocks, threads, {});
  } catch (const Fault& fault) {
    return fault;
  }
  ADD_FAILURE() << "no fault";
  return Fault(FaultKind::kTrap, "none", {});
}

TEST(FaultReport, NamesKernelLineBlockAndThread) {
  const Fault fault = fault_of(
      "setp.ne.u32 %p0, %r0, 37;\nsetp.ne.or.u32 %p0, %r1, 2, %p0;\n"
      "@!%p0 trap;",
      64, 3);
  EXPECT_EQ(fault.kind(), FaultKind::kTrap);
  EXPECT_EQ(fault.place().kernel, "kernel");
  EXPECT_EQ(fault.place().instruction, "trap");
  EXPECT_EQ(fault.place().ptx_line, 15);
  EXPECT_EQ(fault.place().block, (std::array<unsigned, 3>{2, 0, 0}));
  EXPECT_EQ(fault.place().thread, (std::array<unsigned, 3>{37, 0, 0}));
  EXPECT_NE(std::string(fault.what())
                .find("kernel kernel, PTX line 15 [trap], block (2,0,0) "
                      "thread (37,0,0)"),
            std::string::npos)
      << fault.what();
}

TEST(FaultReport, NamesTheSourceLine) {
  const auto module = load_ptx(
      ".file 1 \"softmax.cu\"\n.visible .entry kernel()\n{\n"
      ".loc 1 42 3\ntrap;\nret;\n}");
  try {
    launch(*module, 1, 32, {});
    FAIL() << "no fault";
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.place().source, "softmax.cu:42");
  }
}

TEST(FaultReport, BarrierUnderACondition) {
  const Fault fault = fault_of(
      "and.b32 %r2, %r0, 1;\nsetp.eq.u32 %p0, %r2, 0;\n@%p0 bra even;\n"
      "bar.sync 0;\nbra done;\neven:\nbar.sync 0;\ndone:",
      64);
  EXPECT_EQ(fault.kind(), FaultKind::kDivergentBarrier);
}

TEST(FaultReport, BarrierThatExitedThreadsNeverReach) {
  EXPECT_EQ(
      fault_of("setp.lt.u32 %p0, %r0, 7;\n@%p0 ret;\nbar.sync 0;", 64).kind(),
      FaultKind::kMissingThreads);
  EXPECT_EQ(
      fault_of("setp.ge.u32 %p0, %r0, 32;\n@%p0 ret;\nbar.sync 0;", 64).kind(),
      FaultKind::kMissingThreads);
}

TEST(FaultReport, BarriersThatWaitForEachOther) {
  const Fault fault = fault_of(
      "setp.ge.u32 %p0, %r0, 32;\n@%p0 bra other;\nbar.sync 1;\nbra done;\n"
      "other:\nbar.sync 2;\ndone:",
      64);
  EXPECT_EQ(fault.kind(), FaultKind::kMissingThreads);
  EXPECT_NE(fault.problem().find("32 of 64 threads"), std::string::npos)
      << fault.problem();
}

TEST(FaultReport, WarpOperationsWithoutAllTheirLanes) {
  // Lanes elsewhere, lanes that have exited, a lane outside its own mask.
  EXPECT_EQ(fault_of("setp.lt.u32 %p0, %r0, 16;\n@%p0 bra low;\n"
                     "bar.warp.sync 0xffffffff;\nbra done;\nlow:\n"
                     "vote.sync.any.pred %p1, %p0, 0xffffffff;\ndone:",
                     32)
                .kind(),
            FaultKind::kMissingLanes);
  EXPECT_EQ(fault_of("setp.lt.u32 %p0, %r0, 16;\n@%p0 ret;\n"
                     "vote.sync.any.pred %p1, %p0, 0xffffffff;",
                     32)
                .kind(),
            FaultKind::kMissingLanes);
  EXPECT_EQ(fault_of("bar.warp.sync 0x0000ffff;", 32).kind(),
            FaultKind::kMissingLanes);
}

TEST(FaultReport, ShuffleFromALaneThatTakesNoPart) {
  const Fault fault = fault_of(
      "setp.ge.u32 %p0, %r0, 16;\n@%p0 bra done;\n"
      "shfl.sync.idx.b32 %r2, %r0, 20, 31, 0x0000ffff;\ndone:",
      32);
  EXPECT_EQ(fault.kind(), FaultKind::kMissingLanes);
  EXPECT_NE(fault.problem().find("lane 20"), std::string::npos);
}

TEST(FaultReport, DeviceAssertions) {
  const Fault fault = fault_of(
      "mov.u64 %rd0, text;\ncvta.global.u64 %rd0, %rd0;\n"
      "{\n.param .b64 m;\n.param .b64 f;\n.param .b32 l;\n.param .b64 n;\n"
      ".param .b64 s;\nst.param.b64 [m], %rd0;\nst.param.b64 [f], %rd0;\n"
      "st.param.b32 [l], 12;\nst.param.b64 [n], %rd0;\nst.param.b64 [s], 1;\n"
      "call.uni __assertfail, (m, f, l, n, s);\n}",
      32);
  EXPECT_EQ(fault.kind(), FaultKind::kDeviceAssert);
  EXPECT_EQ(fault.problem(), "x1:12: x1: assertion `x1` failed");
}

TEST(FaultReport, MemoryFaultsGetTheirPlace) {
  const Fault fault = fault_of(
      "mov.u64 %rd0, 16;\nmad.wide.u32 %rd0, %r0, 4, %rd0;\n"
      "ld.global.u32 %r2, [%rd0];",
      32);
  EXPECT_EQ(fault.kind(), FaultKind::kIllegalAddress);
  EXPECT_EQ(fault.place().instruction, "ld.global.u32");
}

TEST(FaultReport, CallsWithoutEnd) {
  const auto module = load_ptx(R"(
.func forever ()
{
  .local .align 8 .b8 own[64];
  call.uni forever;
  ret;
}
.visible .entry kernel()
{
  call.uni forever;
  ret;
})");
  EXPECT_THROW(launch(*module, 1, 32, {}), Fault);
}

TEST(FaultReport, LaunchesOutOfTheirLimits) {
  const auto module =
      load_ptx(".visible .entry kernel() .maxntid 128, 1, 1\n{\nret;\n}");
  EXPECT_THROW(launch(*module, 1, 256, {}), LaunchError);
  EXPECT_THROW(launch(*module, 0, 32, {}), LaunchError);
  EXPECT_THROW(launch(*module, 1, 32, {1}), LaunchError);
  EXPECT_THROW(launch(*module, 1, 32, {}, 300000), LaunchError);
  EXPECT_NO_THROW(launch(*module, 1, 128, {}));
}

}  // namespace
}  // namespace ptx_emulator
