// How instructions reach memory: addresses of a warp's lanes, checked by the
// component memory/ and turned into addresses of the host.
#pragma once

#include <cstdint>

#include "execute/decoder.h"
#include "execute/warp.h"
#include "memory/address.h"

namespace ptx_emulator {

// Generic addresses of kernel parameters (cvta.param).
inline constexpr std::uint64_t kParameterWindow = std::uint64_t{3} << 56;

// The lanes' addresses: row a, of 32- or 64-bit lanes (option2), plus offset.
inline void lane_addresses(Warp& warp, const Instruction& i, Address* address) {
  const auto offset = static_cast<std::uint64_t>(i.offset);
  if (i.option2 != 0) {
    const auto* a = warp.row<std::uint64_t>(i.a);
    for (int l = 0; l < kWarpSize; ++l) address[l] = a[l] + offset;
  } else {
    const auto* a = warp.row<std::uint32_t>(i.a);
    for (int l = 0; l < kWarpSize; ++l) {
      address[l] = static_cast<std::uint32_t>(a[l] + offset);
    }
  }
}

// Checks an access of the active lanes and makes the addresses the host's.
// Inactive lanes receive an active lane's. Generic accesses count in the
// class of the space where they go. Throws Fault.
template <AccessKind kKind>
Pattern locate(Warp& warp, const Instruction& instruction, AddressSpace space,
               LaneMask lanes, unsigned bytes, bool strong, Address* address);

// One byte-wise access of one lane at a generic address, of any length.
const std::byte* locate_bytes(Warp& warp, const Instruction& instruction,
                              int lane, Address address, unsigned bytes);

}  // namespace ptx_emulator
