// Loads, stores, address spaces, atomics and asynchronous copies.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "engine_tests/run_ptx.h"

namespace ptx_emulator {
namespace {

Words lanes() {
  Words x(32);
  std::iota(x.begin(), x.end(), 0);
  return x;
}

TEST(Memory, NarrowLoadsExtendAndNarrowStoresCut) {
  const DeviceArray<std::uint64_t> data(Words(32, 0x80818283'84858687));
  const Words address(32, data.address());
  EXPECT_EQ(evaluate("ld.global.s8 %w, [%d0+3];", 'w', {address})[3],
            0xffffff84u);
  EXPECT_EQ(evaluate("ld.global.u8 %h, [%d0+3];", 'h', {address})[3], 0x84u);
  EXPECT_EQ(evaluate("ld.global.s16 %d, [%d0+6];", 'd', {address})[3],
            0xffffffff'ffff8081u);
  EXPECT_EQ(evaluate("mov.b32 %t0, 0x12345678;\nst.global.u8 [%d0+1], %t0;\n"
                     "ld.global.b32 %w, [%d0];",
                     'w', {address})[9],
            0x84857887u);
}

TEST(Memory, VectorsMoveSeveralRegisters) {
  const Words x = interesting_integers(64, 1);
  const DeviceArray<std::uint64_t> in(x);
  const DeviceArray<std::uint64_t> out(Words(32));
  // 16 lanes move 16 bytes each.
  evaluate(
      "setp.lt.u32 %p0, %w0, 16;\n"
      "mad.wide.u32 %u0, %w0, 16, %d1;\nmad.wide.u32 %u1, %w0, 16, %d2;\n"
      "@%p0 ld.global.v4.b32 {%t0, %t1, %t2, %t3}, [%u0];\n"
      "@%p0 st.global.v2.b32 [%u1], {%t2, %t3};\n"
      "@%p0 st.global.v2.b32 [%u1+8], {%t0, %t1};",
      'd', {lanes(), Words(32, in.address()), Words(32, out.address())});
  for (std::size_t l = 0; l < 32; ++l) {
    EXPECT_EQ(out.values()[l], x[l ^ 1]);
  }
}

TEST(Memory, GenericAddressesReachEverySpace) {
  const std::string declarations =
      ".shared .align 8 .b8 block[256];\n.global .align 8 .u64 variable = "
      "77;\n";
  const Words got = evaluate(
      ".local .align 8 .b8 own[8];\n"
      // lanes 0-9 point to shared memory, 10-19 to local, the rest to global
      "mov.u64 %u0, block;\ncvta.shared.u64 %u0, %u0;\n"
      "mad.wide.u32 %u0, %w0, 8, %u0;\n"
      "mov.u64 %u1, own;\ncvta.local.u64 %u1, %u1;\n"
      "mov.u64 %u2, variable;\ncvta.global.u64 %u2, %u2;\n"
      "add.u64 %u3, %d0, 100;\nst.b64 [%u0], %u3;\n"
      "add.u64 %u3, %d0, 200;\nst.b64 [%u1], %u3;\n"
      "setp.lt.u32 %p0, %w0, 10;\nsetp.lt.u32 %p1, %w0, 20;\n"
      "selp.u64 %u4, %u1, %u2, %p1;\nselp.u64 %u4, %u0, %u4, %p0;\n"
      "ld.b64 %d, [%u4];\n"
      "isspacep.shared %p2, %u4;\n@%p2 add.u64 %d, %d, 1000;\n"
      "isspacep.local %p2, %u4;\n@%p2 add.u64 %d, %d, 2000;\n"
      "isspacep.global %p2, %u4;\n@%p2 add.u64 %d, %d, 3000;",
      'd', {lanes()}, declarations);
  for (std::uint64_t l = 0; l < 32; ++l) {
    EXPECT_EQ(got[l], l < 10 ? 1100 + l : l < 20 ? 2200 + l : 3077);
  }
}

TEST(Memory, SharedMemoryCarriesValuesAcrossWarps) {
  const DeviceArray<std::uint32_t> out(std::vector<std::uint32_t>(256));
  const auto module = load_ptx(R"(
.extern .shared .align 16 .b8 dynamic[];
.visible .entry kernel(.param .u64 out)
{
  .shared .align 4 .b8 fixed[1024];
  .reg .b32 %r<9>;
  .reg .b64 %rd<5>;
  mov.u32 %r0, %tid.x;
  shl.b32 %r1, %r0, 2;
  mov.u32 %r2, fixed;
  add.u32 %r2, %r2, %r1;
  st.shared.b32 [%r2], %r0;
  mov.u32 %r3, dynamic;
  add.u32 %r4, %r3, %r1;
  mul.lo.u32 %r5, %r0, 1000;
  st.shared.b32 [%r4], %r5;
  bar.sync 0;
  xor.b32 %r6, %r1, 1020;
  mov.u32 %r2, fixed;
  add.u32 %r2, %r2, %r6;
  ld.shared.b32 %r7, [%r2];
  add.u32 %r4, %r3, %r6;
  ld.shared.b32 %r8, [%r4];
  add.u32 %r7, %r7, %r8;
  ld.param.u64 %rd0, [out];
  mad.wide.u32 %rd0, %r0, 4, %rd0;
  st.global.b32 [%rd0], %r7;
  ret;
})");
  const LaunchCounters counters =
      launch(*module, 1, 256, {out.address()}, 1024);
  for (std::uint32_t t = 0; t < 256; ++t) {
    EXPECT_EQ(out.values()[t], 1001 * (255 - t));
  }
  EXPECT_EQ(counters.threads, 256u);
  EXPECT_EQ(counters.barriers, 1u);
  EXPECT_EQ(counters.instructions(InstructionClass::kShared), 4u * 256);
  EXPECT_EQ(counters.stores.sectors, 32u);
  EXPECT_EQ(module->find_kernel("kernel")->attributes().static_shared_bytes,
            1024u);
}

// Warp 0 hands a value to warp 1 through a flag in shared memory.
std::shared_ptr<Module> handing_over(const std::string& store,
                                     const std::string& load) {
  return load_ptx(R"(
.visible .entry kernel()
{
  .shared .align 4 .b8 flag[4];
  .shared .align 4 .b8 value[4];
  .reg .b32 %r<4>;
  .reg .pred %p<3>;
  mov.u32 %r0, %tid.x;
  setp.eq.u32 %p0, %r0, 0;
  @%p0 st.shared.u32 [flag], 0;
  bar.sync 0;
  setp.eq.u32 %p1, %r0, 32;
  @%p1 bra consume;
  @!%p0 ret;
  st.shared.u32 [value], 5;
  )" + store + R"( [flag], 1;
  ret;
consume:
  )" + load + R"( %r1, [flag];
  setp.eq.u32 %p2, %r1, 0;
  @%p2 bra consume;
  ld.shared.u32 %r2, [value];
  ret;
})");
}

TEST(Memory, AcquireAndReleaseOrderOtherAccesses) {
  EXPECT_NO_THROW(launch(
      *handing_over("st.release.cta.shared.u32", "ld.acquire.cta.shared.u32"),
      1, 64, {}));
  try {
    launch(
        *handing_over("st.relaxed.cta.shared.u32", "ld.relaxed.cta.shared.u32"),
        1, 64, {});
    FAIL() << "no race was reported";
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.kind(), FaultKind::kSharedMemoryRace);
  }
}

TEST(Memory, AtomicsOfManyBlocksLoseNothing) {
  const DeviceArray<std::uint64_t> cells(Words{0, 0, ~0ull, 0, 0, 0, 0, 0});
  const auto module = load_ptx(R"(
.visible .entry kernel(.param .u64 cells)
{
  .reg .b32 %r<9>;
  .reg .b64 %rd<9>;
  .reg .f64 %f<3>;
  ld.param.u64 %rd0, [cells];
  mov.u32 %r0, %tid.x;
  mov.u32 %r1, %ctaid.x;
  mad.lo.u32 %r2, %r1, 128, %r0;
  cvt.u64.u32 %rd1, %r2;
  atom.global.add.u64 %rd2, [%rd0], %rd1;
  red.global.max.u64 [%rd0+8], %rd1;
  atom.global.min.u64 %rd3, [%rd0+16], %rd1;
  mov.f64 %f0, 0d3FE0000000000000;
  red.global.add.f64 [%rd0+24], %f0;
  atom.global.inc.u32 %r3, [%rd0+32], 99;
  atom.global.or.b32 %r4, [%rd0+40], %r2;
  mov.b32 %r5, 0x3f800000;
  red.global.add.f32 [%rd0+48], %r5;
  mov.b32 %r6, 0x3c004000;
  atom.global.add.noftz.f16x2 %r7, [%rd0+56], %r6;
  ret;
})");
  launch(*module, 10, 128, {cells.address()});
  const Words got = cells.values();
  EXPECT_EQ(got[0], 1280u * 1279 / 2);
  EXPECT_EQ(got[1], 1279u);
  EXPECT_EQ(got[2], 0u);
  EXPECT_EQ(as_double(got[3]), 640.0);
  EXPECT_EQ(got[4], 80u);  // 1280 modulo 100
  EXPECT_EQ(got[5], 2047u);
  EXPECT_EQ(as_float(got[6]), 1280.0f);
  EXPECT_EQ(got[7], 0x65006900u);  // 1280 and 2560
}

TEST(Memory, CompareAndSwapGivesTheOldValue) {
  const DeviceArray<std::uint32_t> cell(std::vector<std::uint32_t>{5, 0});
  const Words got = evaluate("atom.global.cas.b32 %w, [%d0], 5, %w1;", 'w',
                             {Words(32, cell.address()), Words(32, 9)});
  EXPECT_EQ(std::count(got.begin(), got.end(), 5u), 1);
  EXPECT_EQ(std::count(got.begin(), got.end(), 9u), 31);
  EXPECT_EQ(cell.values()[0], 9u);
}

TEST(Memory, AsynchronousCopiesFillTheRestWithZeros) {
  const DeviceArray<std::uint64_t> source(interesting_integers(64, 2));
  const Words got = evaluate(
      "mov.u32 %t0, block;\nmad.lo.u32 %t0, %w0, 8, %t0;\n"
      "mad.wide.u32 %u0, %w0, 8, %d1;\n"
      "and.b32 %t1, %w0, 7;\n"
      "cp.async.ca.shared.global [%t0], [%u0], 8, %t1;\n"
      "cp.async.commit_group;\ncp.async.wait_group 0;\n"
      "ld.shared.b64 %d, [%t0];",
      'd', {lanes(), Words(32, source.address())},
      ".shared .align 16 .b8 block[256];\n");
  const Words x = source.values();
  for (std::size_t l = 0; l < 32; ++l) {
    const std::uint64_t bytes = l % 8;
    EXPECT_EQ(got[l], x[l] & ((1ull << (8 * bytes)) - 1)) << l;
  }
}

TEST(Memory, ModuleVariablesHoldTheirInitialValues) {
  const auto module = load_ptx(R"(
.global .align 4 .b8 bytes[6] = {1, 2, 3, 0xff};
.const .align 4 .f32 numbers[2] = {0f3F800000, 0f40000000};
.global .align 8 .u64 pointer = generic(bytes) + 2;
.global .align 8 .b8 parts[8] = {0xFF(bytes), 0xFF00(bytes), 0, 0, 0, 0, 0, 9};
.visible .entry kernel(.param .u64 out)
{
  .reg .b32 %r<4>;
  .reg .b64 %rd<4>;
  ld.global.u64 %rd0, [pointer];
  ld.u8 %r0, [%rd0+1];
  ld.const.b32 %r1, [numbers+4];
  ld.param.u64 %rd1, [out];
  st.global.v2.b32 [%rd1], {%r0, %r1};
  ret;
})");
  const DeviceArray<std::uint32_t> out(std::vector<std::uint32_t>(2));
  launch(*module, 1, 1, {out.address()});
  EXPECT_EQ(out.values()[0], 0xffu);
  EXPECT_EQ(out.values()[1], 0x40000000u);
  const Variable* bytes = module->find_variable("bytes");
  const Variable* parts = module->find_variable("parts");
  ASSERT_NE(bytes, nullptr);
  ASSERT_NE(parts, nullptr);
  EXPECT_EQ(bytes->bytes, 6u);
  EXPECT_TRUE(module->find_variable("numbers")->constant);
  std::uint8_t stored[8];
  DeviceMemory::instance().copy(reinterpret_cast<Address>(stored),
                                parts->address, 8, "test");
  EXPECT_EQ(stored[0], bytes->address & 0xff);
  EXPECT_EQ(stored[1], bytes->address >> 8 & 0xff);
  EXPECT_EQ(stored[7], 9);
}

TEST(Memory, ParametersOfEverySizeAndAddress) {
  const auto module = load_ptx(R"(
.visible .entry kernel(.param .u64 out, .param .align 8 .b8 pack[24])
{
  .reg .b16 %h<2>;
  .reg .b32 %r<6>;
  .reg .b64 %rd<6>;
  ld.param.s8 %h0, [pack];
  cvt.s32.s16 %r0, %h0;
  ld.param.v2.u32 {%r1, %r2}, [pack+8];
  mov.b64 %rd0, pack;
  ld.param.u32 %r3, [%rd0+16];
  cvta.param.u64 %rd1, %rd0;
  ld.u32 %r4, [%rd1+20];
  add.u32 %r3, %r3, %r4;
  ld.param.u64 %rd2, [out];
  st.global.v4.b32 [%rd2], {%r0, %r1, %r2, %r3};
  ret;
})");
  const DeviceArray<std::uint32_t> out(std::vector<std::uint32_t>(4));
  const auto& layout = module->find_kernel("kernel")->parameters();
  ASSERT_EQ(layout.size(), 2u);
  EXPECT_EQ(layout[1].offset, 8u);
  EXPECT_EQ(layout[1].size, 24u);
  launch(*module, 1, 1,
         {out.address(), 0xfe, 0x00000007'00000005, 0x00000020'00000010});
  EXPECT_EQ(out.values(), (std::vector<std::uint32_t>{0xfffffffe, 5, 7, 0x30}));
}

}  // namespace
}  // namespace ptx_emulator
