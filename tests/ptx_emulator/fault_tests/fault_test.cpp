// Each kind of report, proved by a kernel with that fault; and that legal
// kernels are not reported. Every case runs in a process of its own.
#include <gtest/gtest.h>

#include <cstdlib>

#include "fault_tests/fault_kernels.h"

namespace ptx_emulator {
namespace {

using testing::ExitedWithCode;

constexpr int kWell = 0, kAtFault = 1;

[[noreturn]] void run(void (*program)()) {
  program();
  std::_Exit(device_is_well() ? kWell : kAtFault);
}

#define EXPECT_FAULT(program, message) \
  EXPECT_EXIT(run(program), ExitedWithCode(kAtFault), message)
#define EXPECT_LEGAL(program) \
  EXPECT_EXIT(run(program), ExitedWithCode(kWell), "^$")

TEST(MemoryFault, WritePastTheEndNamesAllocationKernelBlockAndThread) {
  EXPECT_FAULT(write_past_the_end,
               "write of 4 bytes .* 0 bytes past the end of allocation [0-9]+ "
               "\\(4000 bytes, cudaMalloc");
  EXPECT_FAULT(write_past_the_end, "write_indices");
  EXPECT_FAULT(write_past_the_end, "st\\.global\\.f32|st\\.global\\.b32");
  EXPECT_FAULT(write_past_the_end, "block \\(7, ?0, ?0\\)");
  EXPECT_FAULT(write_past_the_end, "thread \\(104, ?0, ?0\\)");
}

TEST(MemoryFault, ReadBeforeTheStart) {
  EXPECT_FAULT(read_before_the_start,
               "read of 4 bytes .* 8 bytes before the start of allocation");
}

TEST(MemoryFault, VectorLoadAcrossTheEnd) {
  EXPECT_FAULT(vector_load_across_the_end,
               "read of 16 bytes .* runs 8 bytes past the end of allocation");
}

TEST(MemoryFault, MisalignedVectorLoad) {
  EXPECT_FAULT(misaligned_vector_load, "not aligned to 16 bytes");
}

TEST(MemoryFault, UseAfterFree) {
  EXPECT_FAULT(write_after_free,
               "use after free: 0 bytes into allocation .*512 bytes");
}

TEST(MemoryFault, NullPointer) { EXPECT_FAULT(null_pointer, "null pointer"); }

TEST(MemoryFault, HostPointer) {
  EXPECT_FAULT(host_pointer, "host memory that the device can't access");
}

TEST(MemoryFault, ReadOfUnwrittenMemory) {
  EXPECT_FAULT(read_of_unwritten_memory,
               "400 bytes into allocation .*nothing wrote this byte");
  EXPECT_FAULT(read_of_unwritten_memory, "thread \\(100, ?0, ?0\\)");
}

TEST(MemoryFault, CopiesPassUnwrittenMemoryOn) {
  EXPECT_FAULT(read_of_a_copy_of_unwritten_memory, "nothing wrote this byte");
}

TEST(MemoryFault, AtomicOnUnwrittenMemory) {
  EXPECT_FAULT(atomic_on_unwritten_memory,
               "atomic access of 4 bytes .*nothing wrote this byte");
}

TEST(MemoryFault, CopyAndFillPastTheEnd) {
  EXPECT_EXIT(
      {
        copy_past_the_end();
        run(fill_past_the_end);
      },
      ExitedWithCode(kAtFault), "runs 4 bytes past the end");
  EXPECT_FAULT(fill_past_the_end, "runs 1 byte past the end");
}

TEST(MemoryFault, HostAccessToDeviceMemoryEndsTheProgram) {
  EXPECT_EXIT(host_reads_device_memory(), testing::KilledBySignal(SIGSEGV), "");
}

TEST(MemoryFault, BlocksOfAPool) {
  EXPECT_FAULT(write_to_a_freed_block_of_a_pool, "use after free.*pool block");
  EXPECT_FAULT(read_of_a_reused_block_of_a_pool, "nothing wrote this byte");
  EXPECT_FAULT(write_past_a_block_of_a_pool,
               "0 bytes past the end of pool block .*400 bytes");
}

TEST(MemoryFault, LocalMemory) {
  EXPECT_FAULT(local_index_out_of_bounds, "local memory offset .*bounds");
  EXPECT_FAULT(read_of_unwritten_local_memory,
               "local memory .*nothing wrote these bytes");
}

TEST(LegalMemory, IsNotReported) {
  EXPECT_LEGAL(legal_global_memory);
  EXPECT_LEGAL(legal_pinned_memory);
  EXPECT_LEGAL(legal_local_memory);
  EXPECT_LEGAL(legal_pool);
}

TEST(BlockFault, SharedIndexOutOfBounds) {
  EXPECT_FAULT(shared_index_out_of_bounds,
               "shared memory offset 5[0-9]+: out of bounds");
}

TEST(BlockFault, ReadOfUnwrittenSharedMemory) {
  EXPECT_FAULT(read_of_unwritten_shared_memory,
               "shared memory offset 400: nothing wrote");
}

TEST(BlockFault, MissingBarrierAfterAWrite) {
  EXPECT_FAULT(read_before_the_barrier,
               "shared memory race|nothing wrote the word");
}

TEST(BlockFault, MissingBarrierBeforeAWrite) {
  EXPECT_FAULT(write_before_the_barrier,
               "shared memory race: (read|write) of 4 bytes");
}

TEST(BlockFault, MissingBarrierAfterAtomics) {
  EXPECT_FAULT(shared_atomic_without_barrier, "shared memory race");
}

TEST(BlockFault, DivergentBarriers) {
  EXPECT_FAULT(barrier_in_a_branch, "barrier_below");
  EXPECT_FAULT(barrier_that_some_warps_miss, "barrier_below");
}

TEST(BlockFault, ShuffleWithLanesMissing) {
  EXPECT_FAULT(shuffle_with_lanes_missing, "lanes.*never arrive");
}

TEST(BlockFault, AssertionsAndTraps) {
  EXPECT_FAULT(failed_assertion, "threadIdx\\.x.* < limit");
  EXPECT_FAULT(failed_assertion, "thread \\(63, ?0, ?0\\)");
  EXPECT_FAULT(trap, "trap_at");
  EXPECT_FAULT(trap, "thread \\(5, ?0, ?0\\)");
}

TEST(LegalBlocks, AreNotReported) {
  EXPECT_LEGAL(legal_reductions);
  EXPECT_LEGAL(legal_transpose);
  EXPECT_LEGAL(legal_flags_of_warps);
  EXPECT_LEGAL(legal_bytes_of_warps);
  EXPECT_LEGAL(legal_shared_histogram);
}

TEST(StreamFault, MissingEventsAreReportedInAnyOrder) {
  const char* const message =
      "(produce|consume).* used by .*no event or synchronisation";
  EXPECT_FAULT(read_without_an_event, message);
  EXPECT_FAULT(write_over_a_reader_of_another_stream, message);
  EXPECT_FAULT(event_recorded_too_early, message);
  EXPECT_FAULT(copy_without_synchronization, "no event or synchronisation");
}

TEST(LegalStreams, AreNotReported) {
  EXPECT_LEGAL(legal_streams);
  EXPECT_LEGAL(legal_atomics_of_streams);
}

}  // namespace
}  // namespace ptx_emulator
