#include "memory/device_memory.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <set>
#include <vector>

#include "memory_tests/expect_fault.h"

namespace ptx_emulator {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

Address address_of(const void* p) { return reinterpret_cast<Address>(p); }

TEST(DeviceMemory, GivesAlignedDisjointBlocks) {
  DeviceMemory memory(64 * kMiB);
  Address end = 0;
  for (const std::size_t bytes : {1u, 256u, 100000u, 4000u}) {
    const Address base = memory.allocate(bytes, "test");
    EXPECT_EQ(base % 256, 0u);
    EXPECT_GT(base, end);
    end = base + bytes - 1;
    EXPECT_TRUE(memory.is_device_address(base));
    EXPECT_TRUE(memory.is_device_address(end));
  }
  int on_the_host = 0;
  EXPECT_FALSE(memory.is_device_address(&on_the_host));
}

TEST(DeviceMemory, RefusesWhatDoesNotFitAndRecovers) {
  DeviceMemory memory(4 * kMiB);
  const Address a = memory.allocate(3 * kMiB, "a");
  ASSERT_NE(a, 0u);
  EXPECT_EQ(memory.allocate(2 * kMiB, "b"), 0u);
  EXPECT_EQ(memory.allocate(~std::size_t{0}, "c"), 0u);
  EXPECT_EQ(memory.usage().in_use, 3 * kMiB);
  EXPECT_EQ(memory.free(a), DeviceMemory::FreeResult::kFreed);
  EXPECT_EQ(memory.usage().in_use, 0u);
  EXPECT_NE(memory.allocate(4 * kMiB, "d"), 0u);
  EXPECT_EQ(memory.usage().peak, 4 * kMiB);
  EXPECT_EQ(memory.usage().capacity, 4 * kMiB);
}

TEST(DeviceMemory, TellsWrongFrees) {
  DeviceMemory memory(kMiB);
  const Address a = memory.allocate(1000, "a");
  EXPECT_EQ(memory.free(a + 8), DeviceMemory::FreeResult::kNotABase);
  EXPECT_EQ(memory.free(a), DeviceMemory::FreeResult::kFreed);
  EXPECT_EQ(memory.free(a), DeviceMemory::FreeResult::kAlreadyFreed);
  EXPECT_EQ(memory.usage().in_use, 0u);
}

TEST(DeviceMemory, KeepsFreedAddressesUnusedAsLongAsItCan) {
  DeviceMemory memory(512 * kMiB);
  std::set<Address> seen;
  // The range has room for 7 such blocks.
  for (int i = 0; i < 7; ++i) {
    const Address a = memory.allocate(256 * kMiB, "a");
    ASSERT_NE(a, 0u);
    EXPECT_TRUE(seen.insert(a).second);
    EXPECT_EQ(memory.free(a), DeviceMemory::FreeResult::kFreed);
  }
  for (int i = 0; i < 20; ++i) {
    const Address a = memory.allocate(256 * kMiB, "a");
    ASSERT_NE(a, 0u) << i;
    EXPECT_EQ(memory.first_unwritten(a, 4096), 0u);
    memory.fill(a, 1, 1, 4096, "memset");
    EXPECT_EQ(memory.free(a), DeviceMemory::FreeResult::kFreed);
  }
}

TEST(DeviceMemory, ManySizesComeAndGoWithoutOverlap) {
  DeviceMemory memory(300 * kMiB);
  struct Live {
    Address base;
    std::size_t bytes;
  };
  std::vector<Live> live;
  std::uint32_t random = 7;
  for (int i = 0; i < 3000; ++i) {
    random = random * 1664525 + 1013904223;
    const std::size_t bytes = (random >> 8) % (16 * kMiB) + 1;
    const Address base = memory.allocate(bytes, "x");
    if (base != 0) {
      for (const Live& other : live) {
        ASSERT_TRUE(base >= other.base + other.bytes ||
                    base + bytes <= other.base);
      }
      live.push_back({base, bytes});
    } else {
      ASSERT_FALSE(live.empty());
    }
    if (live.size() > 20 || base == 0) {
      const std::size_t which = random % live.size();
      ASSERT_EQ(memory.free(live[which].base),
                DeviceMemory::FreeResult::kFreed);
      live.erase(live.begin() + static_cast<long>(which));
    }
  }
}

TEST(DeviceMemory, CopiesThroughTheDeviceReturnTheBytes) {
  DeviceMemory memory(kMiB);
  std::vector<char> in(5000), out(5000);
  for (std::size_t i = 0; i < in.size(); ++i) in[i] = static_cast<char>(i * 7);
  const Address a = memory.allocate(in.size(), "a");
  const Address b = memory.allocate(in.size(), "b");
  memory.copy(a, address_of(in.data()), in.size(), "copy");
  memory.copy(b, a, in.size(), "copy");
  memory.copy(address_of(out.data()), b, out.size(), "copy");
  EXPECT_EQ(in, out);
}

TEST(DeviceMemory, TheHostCannotTouchDeviceAddresses) {
  DeviceMemory memory(kMiB);
  const Address a = memory.allocate(4, "a");
  memory.fill(a, 5, 4, 1, "memset");
  EXPECT_DEATH(
      {
        volatile int* p = reinterpret_cast<int*>(a);
        std::exit(*p);
      },
      "");
  EXPECT_EQ(
      *reinterpret_cast<int*>(memory.access(a, 4, AccessKind::kRead, "host")),
      5);
}

TEST(DeviceMemory, DescribesWhereAnAddressLies) {
  DeviceMemory memory(kMiB);
  const Address a = memory.allocate(4000, "cudaMalloc");
  EXPECT_EQ(memory.describe(a + 4012, 4),
            "12 bytes past the end of allocation 1 (4000 bytes, cudaMalloc)");
  EXPECT_EQ(memory.describe(a + 3998, 4),
            "runs 2 bytes past the end of allocation 1 (4000 bytes, "
            "cudaMalloc)");
  EXPECT_EQ(memory.describe(a + 8, 4),
            "8 bytes into allocation 1 (4000 bytes, cudaMalloc)");
  EXPECT_EQ(memory.describe(8, 4), "null pointer");
  const Address b = memory.allocate(100, "b");
  EXPECT_EQ(memory.describe(b - 1, 1),
            "1 byte before the start of allocation 2 (100 bytes, b)");
  memory.free(a);
  EXPECT_EQ(memory.describe(a + 8, 4),
            "use after free: 8 bytes into allocation 1 (4000 bytes, "
            "cudaMalloc), which was freed");
  int host = 0;
  EXPECT_EQ(memory.describe(address_of(&host), 4),
            "host memory that the device can't access");
}

TEST(DeviceMemory, CopiesMustStayInsideTheirBlocks) {
  DeviceMemory memory(kMiB);
  const Address a = memory.allocate(1000, "a");
  std::vector<char> host(2000);
  expect_fault(
      FaultKind::kIllegalAddress, -1,
      {"cudaMemcpy", "write of 1001 bytes", "runs 1 byte past the end",
       "(1000 bytes, a)"},
      [&] { memory.copy(a, address_of(host.data()), 1001, "cudaMemcpy"); });
  memory.copy(a, address_of(host.data()), 1000, "cudaMemcpy");
  expect_fault(FaultKind::kIllegalAddress, -1, {"read of 8 bytes"}, [&] {
    memory.copy(address_of(host.data()), a + 996, 8, "cudaMemcpy");
  });
  expect_fault(FaultKind::kIllegalAddress, -1, {"cudaMemset"},
               [&] { memory.fill(a, 0, 1, 1001, "cudaMemset"); });
  expect_fault(FaultKind::kMisalignedAddress, -1, {"aligned to 4"},
               [&] { memory.fill(a + 2, 0, 4, 1, "cudaMemset"); });
  memory.free(a);
  expect_fault(FaultKind::kIllegalAddress, -1, {"use after free"}, [&] {
    memory.copy(address_of(host.data()), a, 4, "cudaMemcpy");
  });
}

TEST(DeviceMemory, ACopyCarriesAlongWhatWasWritten) {
  DeviceMemory memory(kMiB);
  const Address a = memory.allocate(100, "a");
  const Address b = memory.allocate(100, "b");
  memory.fill(a + 10, 1, 1, 20, "memset");
  memory.fill(b, 1, 1, 100, "memset");
  memory.copy(b + 3, a + 5, 50, "copy");
  EXPECT_EQ(memory.first_unwritten(b, 100), 3u);
  EXPECT_EQ(memory.first_unwritten(b + 8, 92), 20u);
  EXPECT_EQ(memory.first_unwritten(b + 53, 47), 47u);
}

TEST(DeviceMemory, CopiesRowsWithPitches) {
  DeviceMemory memory(kMiB);
  const Address a = memory.allocate(100, "a");
  std::array<char, 12> in{}, out{};
  for (std::size_t i = 0; i < in.size(); ++i) in[i] = static_cast<char>(i + 1);
  memory.copy_rows(a, 20, address_of(in.data()), 4, 4, 3, "copy");
  EXPECT_EQ(memory.first_unwritten(a, 100), 4u);
  EXPECT_EQ(memory.first_unwritten(a + 20, 10), 4u);
  memory.copy_rows(address_of(out.data()), 4, a, 20, 4, 3, "copy");
  EXPECT_EQ(in, out);
  expect_fault(FaultKind::kIllegalAddress, -1, {"runs 4 bytes past"}, [&] {
    memory.copy_rows(a, 20, address_of(in.data()), 0, 4, 6, "copy");
  });
}

TEST(DeviceMemory, FillRepeatsItsValue) {
  DeviceMemory memory(kMiB);
  const Address a = memory.allocate(16, "a");
  memory.fill(a, 0x01020304, 4, 2, "memset");
  memory.fill(a + 8, 0xabcd, 2, 2, "memset");
  memory.fill(a + 12, 0x77, 1, 4, "memset");
  std::array<std::uint32_t, 4> out{};
  memory.copy(address_of(out.data()), a, 16, "copy");
  EXPECT_EQ(out, (std::array<std::uint32_t, 4>{0x01020304u, 0x01020304u,
                                               0xabcdabcdu, 0x77777777u}));
}

TEST(DeviceMemory, LibraryCallsMustReadWrittenBytes) {
  DeviceMemory memory(kMiB);
  const Address a = memory.allocate(400, "a");
  memory.fill(a, 0, 1, 200, "memset");
  EXPECT_NO_THROW(memory.access(a, 200, AccessKind::kRead, "gemm"));
  expect_fault(FaultKind::kUninitializedRead, -1,
               {"gemm", "200 bytes into allocation 1", "nothing wrote"},
               [&] { memory.access(a, 201, AccessKind::kRead, "gemm"); });
  expect_fault(FaultKind::kIllegalAddress, -1, {"runs 1 byte past"},
               [&] { memory.access(a, 401, AccessKind::kWrite, "gemm"); });
  memory.access(a + 200, 1, AccessKind::kWrite, "gemm");
  EXPECT_NO_THROW(memory.access(a, 201, AccessKind::kRead, "gemm"));
  // Rows: what lies between them is not touched.
  const Address b = memory.allocate(400, "b");
  memory.access_rows(b, 4, 8, 100, AccessKind::kWrite, "gemm");
  EXPECT_NO_THROW(memory.access_rows(b, 4, 8, 100, AccessKind::kRead, "gemm"));
  EXPECT_THROW(memory.access_rows(b, 4, 9, 100, AccessKind::kRead, "gemm"),
               AccessFault);
  EXPECT_EQ(memory.first_unwritten(b, 400), 8u);
}

TEST(DeviceMemory, RegisteredHostMemoryHasOneAddress) {
  DeviceMemory memory(kMiB);
  std::vector<char> mine(1000);
  EXPECT_TRUE(memory.register_host(mine.data(), 1000, "cudaHostRegister"));
  EXPECT_FALSE(
      memory.register_host(mine.data() + 500, 1000, "cudaHostRegister"));
  const auto extent = memory.find_extent(address_of(mine.data()), 1000);
  ASSERT_TRUE(extent);
  EXPECT_EQ(extent->to_host, 0);
  EXPECT_FALSE(extent->tracked);
  EXPECT_EQ(reinterpret_cast<char*>(memory.access(address_of(mine.data()), 1000,
                                                  AccessKind::kRead, "gemm")),
            mine.data());
  EXPECT_EQ(memory.describe(address_of(mine.data()) + 1004, 4),
            "4 bytes past the end of allocation 1 (1000 bytes, "
            "cudaHostRegister, host memory)");
  EXPECT_TRUE(memory.unregister_host(mine.data()));
  EXPECT_FALSE(memory.unregister_host(mine.data()));
  EXPECT_FALSE(memory.find_extent(address_of(mine.data()), 4));

  void* pinned = memory.allocate_host(5000, "cudaHostAlloc");
  ASSERT_NE(pinned, nullptr);
  std::memset(pinned, 1, 5000);
  EXPECT_TRUE(memory.find(address_of(pinned) + 4999)->host);
  EXPECT_FALSE(memory.free_host(mine.data()));
  EXPECT_TRUE(memory.free_host(pinned));
  // The address may come again.
  EXPECT_TRUE(memory.register_host(mine.data(), 1000, "again"));
}

TEST(DeviceMemory, AllocatedBlocksOfAPoolAreTheOnlyAccessibleOnes) {
  DeviceMemory memory(kMiB);
  const Address chunk = memory.allocate(10000, "pool");
  memory.fill(chunk, 0, 1, 10000, "memset");
  EXPECT_TRUE(memory.mark_allocated(chunk + 1024, 512));
  EXPECT_TRUE(memory.find_extent(chunk + 1024, 512));
  EXPECT_FALSE(memory.find_extent(chunk + 1024, 513));
  EXPECT_FALSE(memory.find_extent(chunk, 4));
  EXPECT_EQ(memory.first_unwritten(chunk + 1024, 512), 0u);
  EXPECT_EQ(memory.describe(chunk + 1024 + 510, 4),
            "runs 2 bytes past the end of pool block 2 (512 bytes) in "
            "allocation 1 (10000 bytes, pool)");
  EXPECT_EQ(memory.describe(chunk + 1024 + 520, 4),
            "8 bytes past the end of pool block 2 (512 bytes) in allocation 1 "
            "(10000 bytes, pool)");
  EXPECT_NE(memory.describe(chunk, 4).find("has not handed out"),
            std::string::npos);

  EXPECT_TRUE(memory.mark_freed(chunk + 1024, 512));
  EXPECT_FALSE(memory.find_extent(chunk + 1024, 4));
  EXPECT_EQ(memory.describe(chunk + 1028, 4),
            "use after free: 4 bytes into pool block 2 (512 bytes) in "
            "allocation 1 (10000 bytes, pool), which was freed");
  // Handed out anew, in other sizes.
  EXPECT_TRUE(memory.mark_allocated(chunk + 1024, 256));
  EXPECT_TRUE(memory.find_extent(chunk + 1024, 256));
  EXPECT_FALSE(memory.find_extent(chunk + 1024 + 256, 4));
  EXPECT_NE(memory.describe(chunk + 1024 + 300, 4).find("use after free"),
            std::string::npos);

  EXPECT_FALSE(memory.mark_allocated(chunk + 9000, 1001));
  EXPECT_FALSE(memory.mark_freed(chunk + 20000, 4));
  EXPECT_EQ(memory.free(chunk), DeviceMemory::FreeResult::kFreed);
  EXPECT_FALSE(memory.mark_allocated(chunk, 4));
}

TEST(DeviceMemory, BlocksOfAPoolMaySplitAndMerge) {
  DeviceMemory memory(kMiB);
  const Address chunk = memory.allocate(4096, "pool");
  EXPECT_TRUE(memory.mark_freed(chunk, 4096));
  EXPECT_TRUE(memory.mark_allocated(chunk + 1000, 1000));
  EXPECT_NE(memory.describe(chunk + 999, 1).find("use after free"),
            std::string::npos);
  EXPECT_NE(memory.describe(chunk + 2000, 1).find("use after free"),
            std::string::npos);
  EXPECT_TRUE(memory.mark_freed(chunk + 1000, 1000));
  EXPECT_TRUE(memory.mark_allocated(chunk, 4096));
  EXPECT_TRUE(memory.find_extent(chunk, 4096));
}

TEST(DeviceMemory, TheGenerationChangesWithWhatIsTakenAway) {
  DeviceMemory memory(kMiB);
  const Address a = memory.allocate(1000, "a");
  auto before = memory.generation();
  memory.mark_allocated(a, 500);
  EXPECT_NE(memory.generation(), before);
  before = memory.generation();
  memory.mark_freed(a, 500);
  EXPECT_NE(memory.generation(), before);
  before = memory.generation();
  memory.free(a);
  EXPECT_NE(memory.generation(), before);
}

}  // namespace
}  // namespace ptx_emulator
