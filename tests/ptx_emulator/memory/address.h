// Addresses as emulated programs see them.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace ptx_emulator {

// A 64-bit address of the emulated device. In the generic space, global
// addresses are themselves; shared and local memory lie in windows above all
// addresses of the host.
using Address = std::uint64_t;

using LaneMask = std::uint32_t;
inline constexpr int kWarpSize = 32;
inline constexpr LaneMask kAllLanes = 0xffffffffu;

inline constexpr Address kSharedWindow = Address{1} << 56;
inline constexpr Address kLocalWindow = Address{2} << 56;
inline constexpr Address kWindowOffset = kSharedWindow - 1;  // offset's bits

enum class Window { kGlobal = 0, kShared = 1, kLocal = 2, kNone = 3 };

// Which space a generic address belongs to; kNone above all windows.
inline Window window_of(Address address) {
  const Address tag = address >> 56;
  return tag < 3 ? static_cast<Window>(tag) : Window::kNone;
}

// Gives the inactive lanes the value of an active one; mask isn't empty.
inline void repeat_active_lane(LaneMask mask, Address* address) {
  if (mask == kAllLanes) return;
  const Address active = address[std::countr_zero(mask)];
  for (int l = 0; l < kWarpSize; ++l) {
    address[l] = (mask >> l & 1) != 0 ? address[l] : active;
  }
}

enum class AccessKind { kRead, kWrite, kAtomic };

// What the active lanes' addresses look like, for the caller's own fast path.
enum class Pattern {
  kContiguous,  // all 32 lanes active, lane i at the address of lane 0 + i *
                // bytes
  kScattered,
};

}  // namespace ptx_emulator
