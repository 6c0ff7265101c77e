#include "memory/local_access.h"

#include <gtest/gtest.h>

#include <cstring>

#include "memory_tests/expect_fault.h"

namespace ptx_emulator {
namespace {

TEST(LocalAccess, EachThreadHasItsOwn) {
  LocalAccess local;
  local.begin_warp(40);
  Addresses store(kLocalWindow + 8, 0), load(8, 0);
  local.store(kAllLanes, 4, store);
  for (int l = 0; l < kWarpSize; ++l) {
    std::memcpy(reinterpret_cast<void*>(store.lane[l]), &l, sizeof l);
  }
  local.load(kAllLanes, 4, load);
  for (int l = 0; l < kWarpSize; ++l) {
    int value = -1;
    std::memcpy(&value, reinterpret_cast<void*>(load.lane[l]), sizeof value);
    EXPECT_EQ(value, l);
  }
}

TEST(LocalAccess, ReportsBoundsAlignmentAndUnwrittenBytes) {
  LocalAccess local;
  local.begin_warp(40);
  Addresses end(16, 4), odd(2, 0), fresh(16, 0);
  expect_fault(FaultKind::kIllegalAddress, 6, {"offset 40", "40 bytes"},
               [&] { local.store(kAllLanes, 4, end); });
  expect_fault(FaultKind::kMisalignedAddress, 4, {"aligned to 4"},
               [&] { local.load(0x10, 4, odd); });
  local.begin_warp(40);
  expect_fault(FaultKind::kUninitializedRead, 0, {"nothing wrote"},
               [&] { local.load(kAllLanes, 16, fresh); });
}

TEST(LocalAccess, HolesOfStructuresMayBeCopied) {
  LocalAccess local;
  local.begin_warp(64);
  for (const unsigned bytes : {1u, 4u, 8u, 16u}) {
    Addresses store(32, 0), whole(32, 0), other(48, 0);
    local.begin_warp(64);
    local.store(2, bytes, store);
    EXPECT_NO_THROW(local.load(2, 16, whole));
    EXPECT_THROW(local.load(2, 16, other), AccessFault);
  }
  Addresses inactive(32, 0);
  EXPECT_THROW(local.load(1, 4, inactive), AccessFault);
}

TEST(Parameters, AreCheckedAndFound) {
  alignas(16) const std::byte block[24] = {};
  Addresses addresses(8, 0), end(24, 0), odd(4, 0);
  check_parameters(block, 24, kAllLanes, 16, Addresses(0, 0));
  check_parameters(block, 24, kAllLanes, 8, addresses);
  EXPECT_EQ(addresses.lane[5], reinterpret_cast<Address>(block + 8));
  expect_fault(FaultKind::kIllegalAddress, 0, {"parameter offset 24"},
               [&] { check_parameters(block, 24, kAllLanes, 4, end); });
  expect_fault(FaultKind::kMisalignedAddress, 0, {"aligned to 8"},
               [&] { check_parameters(block, 24, kAllLanes, 8, odd); });
}

}  // namespace
}  // namespace ptx_emulator
