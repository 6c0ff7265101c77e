#include "memory/shared_access.h"

#include <gtest/gtest.h>

#include "memory_tests/expect_fault.h"

namespace ptx_emulator {
namespace {

constexpr std::uint32_t kAllWarps = 0xf;

class SharedAccessTest : public testing::Test {
 protected:
  SharedAccessTest() { access.begin_block(kBytes, 4); }

  // One lane.
  void read(unsigned warp, Address offset, unsigned bytes = 4,
            bool strong = false) {
    Addresses addresses(offset, 0);
    access.load(warp, 1, bytes, addresses, strong);
  }
  void write(unsigned warp, Address offset, unsigned bytes = 4,
             bool strong = false) {
    Addresses addresses(offset, 0);
    access.store(warp, 1, bytes, addresses, strong);
  }
  void atomic(unsigned warp, Address offset) {
    Addresses addresses(offset, 0);
    access.atomic(warp, 1, 4, addresses);
  }
  // All lanes, side by side.
  void read_row(unsigned warp, Address offset, unsigned bytes = 4) {
    Addresses addresses(offset, bytes);
    EXPECT_EQ(access.load(warp, kAllLanes, bytes, addresses),
              Pattern::kContiguous);
  }
  void write_row(unsigned warp, Address offset, unsigned bytes = 4) {
    Addresses addresses(offset, bytes);
    EXPECT_EQ(access.store(warp, kAllLanes, bytes, addresses),
              Pattern::kContiguous);
  }
  void barrier() { access.barrier(kAllWarps, kAllWarps); }
  template <class Action>
  void expect_race(Action action, int lane = 0) {
    expect_fault(FaultKind::kSharedMemoryRace, lane, {"race", "no barrier"},
                 action);
  }

  static constexpr std::size_t kBytes = 4096;
  LaunchCounters counters;
  SharedAccess access{&counters};
};

TEST_F(SharedAccessTest, GivesTheHostsAddressesOfWindowAndOffset) {
  for (const Address tag : {Address{0}, kSharedWindow}) {
    Addresses addresses(tag + 64, 8);
    access.store(0, kAllLanes, 8, addresses);
    for (int l = 0; l < kWarpSize; ++l) {
      EXPECT_EQ(addresses.lane[l], reinterpret_cast<Address>(access.data()) +
                                       64 + 8 * static_cast<Address>(l));
    }
  }
}

TEST_F(SharedAccessTest, ReportsBoundsAndAlignment) {
  Addresses end(kBytes - 64, 4), odd(2, 4);
  expect_fault(FaultKind::kIllegalAddress, 16,
               {"write of 4 bytes", "offset 4096", "4096 bytes of shared"},
               [&] { access.store(0, kAllLanes, 4, end); });
  expect_fault(FaultKind::kMisalignedAddress, 0, {"aligned to 4"},
               [&] { access.store(0, kAllLanes, 4, odd); });
  access.begin_block(10, 1);
  Addresses last(8, 0);
  expect_fault(FaultKind::kIllegalAddress, 0, {"10 bytes"},
               [&] { access.store(0, 1, 4, last); });
  Addresses fits(8, 0);
  EXPECT_NO_THROW(access.store(0, 1, 2, fits));
  access.begin_block(0, 1);
  Addresses nothing(0, 0);
  EXPECT_THROW(access.store(0, 1, 1, nothing), AccessFault);
}

TEST_F(SharedAccessTest, ReportsReadsOfWordsThatNothingWrote) {
  write(0, 100);
  EXPECT_NO_THROW(read(0, 100));
  expect_fault(FaultKind::kUninitializedRead, 0, {"offset 104"},
               [&] { read(0, 104); });
  expect_fault(FaultKind::kUninitializedRead, 0, {"offset 108"},
               [&] { atomic(0, 108); });
  write_row(0, 1024);
  expect_fault(FaultKind::kUninitializedRead, 31, {"offset 1152"},
               [&] { read_row(0, 1028); });
  // A structure's hole inside a word.
  write(0, 200, 1);
  EXPECT_NO_THROW(read(0, 200, 4));
  EXPECT_THROW(read(0, 202, 2), AccessFault);
  // What an earlier block wrote is gone.
  access.begin_block(kBytes, 4);
  EXPECT_THROW(read(0, 100), AccessFault);
  EXPECT_THROW(read_row(0, 1024), AccessFault);
}

TEST_F(SharedAccessTest, ReadAfterWriteOfAnotherWarpNeedsABarrier) {
  write(0, 0);
  EXPECT_NO_THROW(read(0, 0));
  expect_race([&] { read(1, 0); });
  barrier();
  EXPECT_NO_THROW(read(1, 0));
  write_row(2, 512);
  write_row(3, 384);
  expect_race([&] { read_row(3, 388); }, 31);
}

TEST_F(SharedAccessTest, WriteAfterReadOfAnotherWarpNeedsABarrier) {
  write_row(0, 0);
  barrier();
  read_row(0, 0);
  read_row(1, 0);
  expect_race([&] { write_row(0, 0); });
  expect_race([&] { write(2, 64); });
  barrier();
  EXPECT_NO_THROW(write_row(3, 0));
}

TEST_F(SharedAccessTest, WriteAfterWriteOfAnotherWarpNeedsABarrier) {
  write(0, 0);
  EXPECT_NO_THROW(write(0, 0));
  expect_race([&] { write(1, 0); });
  barrier();
  EXPECT_NO_THROW(write(1, 0));
}

TEST_F(SharedAccessTest, LoopsWithTwoBarriersAreLegal) {
  for (int i = 0; i < 10; ++i) {
    for (unsigned w = 0; w < 4; ++w) write_row(w, w * 128);
    barrier();
    for (unsigned w = 0; w < 4; ++w) {
      for (unsigned q = 0; q < 4; ++q) read_row(w, q * 128);
      read(w, 4 * w);
    }
    barrier();
  }
  for (unsigned w = 0; w < 4; ++w) write_row(w, w * 128);
  expect_race([&] { read_row(0, 128); });
}

TEST_F(SharedAccessTest, TheMissingSecondBarrierOfALoopIsFound) {
  for (unsigned w = 0; w < 4; ++w) write(w, 4 * w);
  barrier();
  for (unsigned q = 0; q < 4; ++q) read(2, 4 * q);
  expect_race([&] { write(0, 0); });
}

TEST_F(SharedAccessTest, BytesOfAWordAreSeparate) {
  for (unsigned w = 0; w < 4; ++w) write(w, 16 + w, 1);
  for (unsigned w = 0; w < 2; ++w) write(w, 32 + 2 * w, 2);
  expect_race([&] { write(2, 17, 1); });
  expect_race([&] { read(2, 32, 4); });
  expect_race([&] { read(2, 34, 2); });
  barrier();
  EXPECT_NO_THROW(read(3, 16));
  EXPECT_NO_THROW(read(3, 32));
  expect_race([&] { write(2, 18, 1); });
  // The next block starts anew.
  access.begin_block(kBytes, 4);
  write(1, 16);
  expect_race([&] { read(2, 16); });
}

TEST_F(SharedAccessTest, BarriersOfSomeWarpsOrderOnlyThose) {
  write(0, 0);
  write(2, 64);
  access.barrier(0x3, 0x3);  // warps 0 and 1
  EXPECT_NO_THROW(read(1, 0));
  expect_race([&] { read(1, 64); });
  expect_race([&] { read(3, 0); });
  // Knowledge is handed on.
  access.barrier(0xa, 0xa);  // warps 1 and 3
  EXPECT_NO_THROW(read(3, 0));
  expect_race([&] { read(3, 64); });
}

TEST_F(SharedAccessTest, ArrivingDoesNotLetTheArrivingWarpRead) {
  write(0, 0);
  write(1, 4);
  access.barrier(0x3, 0x2);  // warp 0 arrives, warp 1 waits
  EXPECT_NO_THROW(read(1, 0));
  expect_race([&] { read(0, 4); });
}

TEST_F(SharedAccessTest, AtomicsDoNotRaceWithEachOther) {
  write(0, 0);
  barrier();
  for (unsigned w = 0; w < 4; ++w) atomic(w, 0);
  atomic(3, 0);
  expect_race([&] { read(3, 0); });
  expect_race([&] { write(3, 0); });
  barrier();
  EXPECT_NO_THROW(read(1, 0));
  expect_race([&] { atomic(2, 0); });
  barrier();
  atomic(0, 0);
  atomic(1, 0);
  access.barrier(0x3, 0x3);
  EXPECT_NO_THROW(read(1, 0)) << "after both that wrote";
  expect_race([&] { read(2, 0); });
}

TEST_F(SharedAccessTest, StrongAccessesAndFencesPassDataOn) {
  write(0, 128, 4, true);  // the flag
  barrier();
  write(0, 0);
  access.fence(0);
  write(0, 128, 4, true);
  // Without a fence of its own the reader may not use the data.
  read(1, 128, 4, true);
  expect_race([&] { read(1, 0); });
  access.fence(1);
  EXPECT_NO_THROW(read(1, 0));
  expect_race([&] { read(2, 0); });
  // Nor what was written after the writer's fence.
  write(0, 4);
  read(1, 128, 4, true);
  access.fence(1);
  expect_race([&] { read(1, 4); });
}

TEST_F(SharedAccessTest, StrongReadsDoNotRaceWithStrongWrites) {
  write(0, 0, 4, true);
  read(1, 0, 4, true);
  EXPECT_NO_THROW(write(2, 0, 4, true));
  expect_race([&] { read(3, 0); });
  read(1, 0, 4, true);
  expect_race([&] { write(3, 0); });
}

TEST_F(SharedAccessTest, TheMessageNamesBothWarps) {
  write(2, 40);
  expect_fault(
      FaultKind::kSharedMemoryRace, 0,
      {"read of 4 bytes at shared memory offset 40 by warp 3 after a write by "
       "warp 2"},
      [&] { read(3, 40); });
  barrier();
  read(1, 40);
  expect_fault(FaultKind::kSharedMemoryRace, 0,
               {"write of 4 bytes", "by warp 0 after a read by warp 1"},
               [&] { write(0, 40); });
}

TEST_F(SharedAccessTest, AFullBlockOfWarpsWorks) {
  access.begin_block(32 * 128, 32);
  for (unsigned w = 0; w < 32; ++w) write_row(w, w * 128);
  access.barrier(~0u, ~0u);
  for (unsigned w = 0; w < 32; ++w) read_row(w, (31 - w) * 128);
  expect_race([&] { write_row(31, 31 * 128); });
}

TEST_F(SharedAccessTest, CountsBankConflicts) {
  const auto conflicts = [&](std::int64_t step, unsigned bytes,
                             LaneMask mask = kAllLanes) {
    const std::uint64_t before = counters.shared.conflicts;
    Addresses addresses(0, step);
    access.store(0, mask, bytes, addresses);
    return counters.shared.conflicts - before;
  };
  EXPECT_EQ(conflicts(4, 4), 0u);
  EXPECT_EQ(conflicts(0, 4), 0u) << "broadcast";
  EXPECT_EQ(conflicts(8, 4), 1u) << "every other bank";
  EXPECT_EQ(conflicts(128, 4), 31u) << "one bank";
  EXPECT_EQ(conflicts(128, 4, 0xff), 7u);
  EXPECT_EQ(conflicts(132 - 128, 4), 0u);
  EXPECT_EQ(conflicts(1, 1), 0u) << "lanes share words";
  EXPECT_EQ(conflicts(8, 8), 0u);
  EXPECT_EQ(conflicts(16, 16), 0u);
  EXPECT_EQ(conflicts(32, 16), 4u) << "2 for each quarter of the warp";
  EXPECT_EQ(counters.shared.requests, 10u);
}

TEST(Wavefronts, CountsWhatTheBanksMustServe) {
  const auto count = [](LaneMask mask, unsigned bytes, std::uint32_t step) {
    std::uint32_t offset[kWarpSize];
    for (std::uint32_t l = 0; l < kWarpSize; ++l) offset[l] = l * step;
    return count_wavefronts(mask, bytes, offset);
  };
  // A column of a matrix, padded to 33 words and not.
  EXPECT_EQ(count(kAllLanes, 4, 132).taken, 1u);
  EXPECT_EQ(count(kAllLanes, 4, 128).taken, 32u);
  EXPECT_EQ(count(kAllLanes, 8, 8).taken, 2u);
  EXPECT_EQ(count(kAllLanes, 8, 8).needed, 2u);
  EXPECT_EQ(count(0x1, 8, 8).needed, 1u);
  EXPECT_EQ(count(kAllLanes, 16, 128).taken, 32u);
  EXPECT_EQ(count(kAllLanes, 2, 2).taken, 1u);
}

}  // namespace
}  // namespace ptx_emulator
