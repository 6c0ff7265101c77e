// Checked accesses of warps to global memory.
#pragma once

#include <array>
#include <cstdint>

#include "memory/address.h"
#include "memory/counters.h"
#include "memory/device_memory.h"

namespace ptx_emulator {

// One for each host thread that runs blocks: it remembers which blocks of
// memory the instructions touched last. Not thread-safe itself.
class GlobalAccess {
 public:
  // Counts into `counters` (which may be null).
  GlobalAccess(DeviceMemory& memory, LaunchCounters* counters);

  // Checks one warp instruction: `bytes` (1, 2, 4, 8, 16 or 32) at address[l]
  // for each lane l of `mask`, which is not empty. On return address[l] is
  // where the host finds the bytes; the inactive lanes hold the address of an
  // active one. `site` names the instruction: any number, best its index.
  // Alignment must be that of `bytes`. Bytes that are read must have been
  // written; bytes that are stored count as written from now on; atomics do
  // both. AccessFault with the first lane at fault; no byte is marked then.
  Pattern load(unsigned site, LaneMask mask, unsigned bytes, Address* address);
  Pattern store(unsigned site, LaneMask mask, unsigned bytes, Address* address);
  Pattern atomic(unsigned site, LaneMask mask, unsigned bytes,
                 Address* address);

 private:
  static constexpr unsigned kCachedExtents = 16;

  template <AccessKind kKind>
  Pattern check(unsigned site, LaneMask mask, unsigned bytes, Address* address);
  template <AccessKind kKind>
  void check_lanes(LaneMask mask, unsigned bytes, Address* address);
  template <AccessKind kKind>
  void check_written(LaneMask mask, unsigned bytes, const Address* address,
                     Address lowest, Address end);
  template <AccessKind kKind>
  void check_order(LaneMask mask, unsigned bytes, const Address* address);
  // The extent that contains the range, or null.
  const Extent* extent(unsigned site, Address address, Address bytes);
  template <AccessKind kKind>
  void count(unsigned lanes, unsigned bytes, std::uint64_t sectors);

  DeviceMemory& memory_;
  LaunchCounters* counters_;
  std::uint64_t generation_ = 0;
  std::array<Extent, kCachedExtents> extents_{};
};

// How many distinct 32-byte sectors the lanes' addresses lie in; each access
// must lie in one. Inactive lanes must repeat the address of an active one.
unsigned count_sectors(const Address* address, Address lowest, Address highest);

}  // namespace ptx_emulator
