#include "memory/global_access.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

#include "memory_tests/expect_fault.h"

namespace ptx_emulator {
namespace {

class GlobalAccessTest : public testing::Test {
 protected:
  static constexpr std::size_t kBytes = 4096;

  // Where the host finds a byte of the device.
  Address host_of(Address a) {
    return a + static_cast<Address>(memory.find_extent(a, 1)->to_host);
  }

  DeviceMemory memory{std::size_t{16} << 20};
  LaunchCounters counters;
  GlobalAccess access{memory, &counters};
  Address a = memory.allocate(kBytes, "a");
};

TEST_F(GlobalAccessTest, StoresThenLoadsOfAllWidthsGiveTheHostsAddresses) {
  for (const unsigned bytes : {1u, 2u, 4u, 8u, 16u, 32u}) {
    const Address block = memory.allocate(kBytes, "x");
    for (const Address offset : {Address{0}, Address{bytes}}) {
      Addresses store(block + offset, bytes), load(block + offset, bytes);
      EXPECT_EQ(access.store(1, kAllLanes, bytes, store), Pattern::kContiguous);
      EXPECT_EQ(access.load(2, kAllLanes, bytes, load), Pattern::kContiguous);
      for (int l = 0; l < kWarpSize; ++l) {
        EXPECT_EQ(store.lane[l],
                  host_of(block) + offset + static_cast<Address>(l) * bytes);
        EXPECT_EQ(load.lane[l], store.lane[l]);
      }
    }
    // Exactly the bytes of the stores were marked.
    EXPECT_EQ(memory.first_unwritten(block, kBytes), 33 * bytes);
  }
}

TEST_F(GlobalAccessTest, MarksExactlyTheBytesOfActiveLanes) {
  std::mt19937 random(3);
  for (int trial = 0; trial < 300; ++trial) {
    const unsigned bytes = 1u << random() % 6;
    const Address block = memory.allocate(kBytes, "x");
    Addresses addresses(block, 0);
    LaneMask mask = static_cast<LaneMask>(random()) | 1u << random() % 32;
    if (trial % 3 == 0) mask = kAllLanes;
    std::set<Address> expected;
    for (int l = 0; l < kWarpSize; ++l) {
      addresses.lane[l] = block + random() % (kBytes / bytes) * bytes;
      if ((mask >> l & 1) == 0) {
        addresses.lane[l] = random();
        continue;
      }
      for (unsigned i = 0; i < bytes; ++i) {
        expected.insert(addresses.lane[l] + i);
      }
    }
    Addresses again = addresses, loads = addresses;
    access.store(5, mask, bytes, addresses);
    access.store(5, mask, bytes, again);
    access.load(6, mask, bytes, loads);
    for (Address i = 0; i < kBytes; ++i) {
      ASSERT_EQ(memory.first_unwritten(block + i, 1) == 1,
                expected.count(block + i) != 0);
    }
    memory.free(block);
  }
}

TEST_F(GlobalAccessTest, InactiveLanesGetTheAddressOfAnActiveOne) {
  memory.fill(a, 0, 1, kBytes, "memset");
  Addresses addresses(a, 4);
  addresses.lane[0] = 1;
  addresses.lane[31] = ~Address{0};
  EXPECT_EQ(access.load(0, 0x00000100, 4, addresses), Pattern::kScattered);
  for (int l = 0; l < kWarpSize; ++l) {
    EXPECT_EQ(addresses.lane[l], host_of(a) + 32);
  }
}

TEST_F(GlobalAccessTest, ReportsAccessesPastTheEnd) {
  memory.fill(a, 0, 1, kBytes, "memset");
  Addresses addresses(a + kBytes - 40, 4);
  expect_fault(FaultKind::kIllegalAddress, 10,
               {"read of 4 bytes", "0 bytes past the end of allocation 1",
                "(4096 bytes, a)"},
               [&] { access.load(0, kAllLanes, 4, addresses); });
  Addresses wide(a + kBytes - 8, 0);
  expect_fault(FaultKind::kMisalignedAddress, 0, {"aligned to 16"},
               [&] { access.store(0, kAllLanes, 16, wide); });
  const Address odd = memory.allocate(10, "odd");
  Addresses crossing(odd + 8, 0);
  expect_fault(FaultKind::kIllegalAddress, 3,
               {"write of 4 bytes", "runs 2 bytes past the end"},
               [&] { access.store(0, 0x18, 4, crossing); });
}

TEST_F(GlobalAccessTest, ReportsAccessesBeforeTheStart) {
  const Address b = memory.allocate(kBytes, "b");
  Addresses addresses(b - 8, 4);
  expect_fault(FaultKind::kIllegalAddress, 0,
               {"write of 4 bytes", "8 bytes before the start of allocation 2"},
               [&] { access.store(0, kAllLanes, 4, addresses); });
  EXPECT_EQ(memory.first_unwritten(b, kBytes), 0u) << "a fault marks nothing";
}

TEST_F(GlobalAccessTest, ReportsNullAndHostPointers) {
  Addresses null(16, 4);
  expect_fault(FaultKind::kIllegalAddress, 0, {"null pointer"},
               [&] { access.load(0, kAllLanes, 4, null); });
  std::vector<float> host(32);
  Addresses pageable(reinterpret_cast<Address>(host.data()), 4);
  expect_fault(FaultKind::kIllegalAddress, 0, {"host memory"},
               [&] { access.load(0, kAllLanes, 4, pageable); });
  memory.register_host(host.data(), 32 * sizeof(float), "cudaHostRegister");
  Addresses mapped(reinterpret_cast<Address>(host.data()), 4);
  EXPECT_EQ(access.load(0, kAllLanes, 4, mapped), Pattern::kContiguous);
  EXPECT_EQ(mapped.lane[31], reinterpret_cast<Address>(host.data() + 31));
  memory.unregister_host(host.data());
  Addresses gone(reinterpret_cast<Address>(host.data()), 4);
  expect_fault(FaultKind::kIllegalAddress, 0, {"use after free"},
               [&] { access.load(0, kAllLanes, 4, gone); });
}

TEST_F(GlobalAccessTest, ReportsUseAfterFreeOfACachedBlock) {
  Addresses first(a, 4), second(a, 4);
  access.store(0, kAllLanes, 4, first);
  memory.free(a);
  expect_fault(FaultKind::kIllegalAddress, 0,
               {"use after free", "allocation 1"},
               [&] { access.store(0, kAllLanes, 4, second); });
}

TEST_F(GlobalAccessTest, ReportsFreedBlocksOfAPool) {
  memory.mark_allocated(a, 128);
  memory.mark_allocated(a + 128, 128);
  Addresses store(a, 4), load(a, 4), across(a + 4, 4);
  access.store(0, kAllLanes, 4, store);
  access.load(0, kAllLanes, 4, load);
  expect_fault(FaultKind::kUninitializedRead, 31, {"nothing wrote"},
               [&] { access.load(0, kAllLanes, 4, across); });
  memory.mark_freed(a, 128);
  Addresses freed(a, 4);
  expect_fault(FaultKind::kIllegalAddress, 0, {"use after free", "pool block"},
               [&] { access.load(0, kAllLanes, 4, freed); });
  memory.mark_allocated(a, 128);
  Addresses stale(a, 4);
  expect_fault(FaultKind::kUninitializedRead, 0, {"nothing wrote"},
               [&] { access.load(0, kAllLanes, 4, stale); });
}

TEST_F(GlobalAccessTest, ReportsMisalignedLanes) {
  Addresses addresses(a, 8);
  addresses.lane[7] += 4;
  expect_fault(FaultKind::kMisalignedAddress, 7, {"aligned to 8"},
               [&] { access.store(0, kAllLanes, 8, addresses); });
  Addresses shifted(a + 2, 4);
  expect_fault(FaultKind::kMisalignedAddress, 0, {"aligned to 4"},
               [&] { access.store(0, kAllLanes, 4, shifted); });
}

TEST_F(GlobalAccessTest, ReportsReadsOfBytesThatNothingWrote) {
  memory.fill(a, 0, 1, 60, "memset");
  Addresses contiguous(a, 4), scattered(a, 8), atomics(a + 56, 4);
  expect_fault(FaultKind::kUninitializedRead, 15,
               {"read of 4 bytes", "60 bytes into allocation 1",
                "nothing wrote this byte"},
               [&] { access.load(0, kAllLanes, 4, contiguous); });
  expect_fault(FaultKind::kUninitializedRead, 8, {"64 bytes into"},
               [&] { access.load(0, kAllLanes, 4, scattered); });
  expect_fault(FaultKind::kUninitializedRead, 1, {"atomic access"},
               [&] { access.atomic(0, kAllLanes, 4, atomics); });
  EXPECT_EQ(memory.first_unwritten(a, kBytes), 60u);
  // A half-written word.
  memory.fill(a + 60, 0, 1, 2, "memset");
  Addresses half(a + 60, 0);
  expect_fault(FaultKind::kUninitializedRead, 0, {"62 bytes into"},
               [&] { access.load(0, 1, 4, half); });
  Addresses fine(a + 60, 0);
  EXPECT_NO_THROW(access.load(0, 3, 2, fine));
}

TEST_F(GlobalAccessTest, LanesMayBeInSeveralBlocks) {
  const Address b = memory.allocate(kBytes, "b");
  std::vector<float> host(32);
  memory.register_host(host.data(), 128, "cudaHostRegister");
  const auto mixed = [&] {
    Addresses addresses(a, 4);
    for (int l = 8; l < 16; ++l) {
      addresses.lane[l] = b + 4 * static_cast<Address>(l);
    }
    for (int l = 16; l < 32; ++l) {
      addresses.lane[l] = reinterpret_cast<Address>(host.data() + l);
    }
    return addresses;
  };
  Addresses store = mixed(), load = mixed(), before = mixed();
  EXPECT_EQ(access.store(0, kAllLanes, 4, store), Pattern::kScattered);
  access.load(0, kAllLanes, 4, load);
  EXPECT_EQ(load.lane[0], host_of(a));
  EXPECT_EQ(load.lane[8], host_of(b) + 32);
  EXPECT_EQ(load.lane[16], reinterpret_cast<Address>(host.data() + 16));
  before.lane[9] = b + kBytes;
  expect_fault(FaultKind::kIllegalAddress, 9, {"allocation 2"},
               [&] { access.store(0, kAllLanes, 4, before); });
}

TEST_F(GlobalAccessTest, CountsRequestsBytesAndSectors) {
  memory.fill(a, 0, 1, kBytes, "memset");
  const auto sectors = [&](Address first, std::int64_t step, unsigned bytes,
                           LaneMask mask = kAllLanes) {
    const std::uint64_t before = counters.loads.sectors;
    Addresses addresses(first, step);
    access.load(0, mask, bytes, addresses);
    return counters.loads.sectors - before;
  };
  EXPECT_EQ(sectors(a, 4, 4), 4u);
  EXPECT_EQ(sectors(a + 4, 4, 4), 5u) << "crosses one more sector";
  EXPECT_EQ(sectors(a, 16, 16), 16u);
  EXPECT_EQ(sectors(a, 0, 4), 1u) << "broadcast";
  EXPECT_EQ(sectors(a, 32, 4), 32u) << "strided";
  EXPECT_EQ(sectors(a + 31 * 32, -32, 4), 32u) << "descending";
  EXPECT_EQ(sectors(a + 124, -4, 4), 4u) << "reversed";
  EXPECT_EQ(sectors(a, 4, 4, 0xff), 1u) << "a quarter of the lanes";
  EXPECT_EQ(sectors(a, 1, 1), 1u);
  EXPECT_EQ(counters.loads.requests, 9u);
  EXPECT_EQ(counters.loads.bytes, 128u * 6 + 512u + 32u + 32u);
  EXPECT_EQ(counters.loads.bytes_by_width[0], 32u);
  EXPECT_EQ(counters.loads.bytes_by_width[2], 128u * 6 + 32u);
  EXPECT_EQ(counters.loads.bytes_by_width[4], 512u);
  EXPECT_EQ(counters.stores.requests, 0u);
  Addresses addresses(a, 4);
  access.atomic(0, kAllLanes, 4, addresses);
  EXPECT_EQ(counters.loads.requests, 10u);
  EXPECT_EQ(counters.stores.bytes, 128u);
}

TEST_F(GlobalAccessTest, CountsSectorsOfAnyPattern) {
  std::mt19937 random(5);
  for (int trial = 0; trial < 200; ++trial) {
    Addresses addresses(0, 0);
    std::set<Address> distinct;
    for (Address& lane : addresses.lane) {
      lane = random() % (trial + 1) * 32 + 4;
      distinct.insert(lane / 32);
    }
    ASSERT_EQ(count_sectors(addresses, *distinct.begin() * 32,
                            *distinct.rbegin() * 32 + 31),
              distinct.size());
  }
}

}  // namespace
}  // namespace ptx_emulator
