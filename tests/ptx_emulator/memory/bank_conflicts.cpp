#include <algorithm>
#include <array>
#include <bit>

#include "memory/shared_access.h"

namespace ptx_emulator {
namespace {

// Lanes are served in groups that ask for 128 bytes together. In a group, each
// lane's access, being aligned, fills one slot: as many banks as it has words.
constexpr unsigned kMostSlots = 32;

// The most distinct accesses that fall into one slot.
unsigned deepest_slot(const std::uint32_t* access, unsigned count,
                      unsigned slots) {
  std::uint32_t used = 0;
  for (unsigned i = 0; i < count; ++i) used |= 1u << (access[i] % slots);
  if (static_cast<unsigned>(std::popcount(used)) == count) return 1;
  std::uint32_t in_slot[kMostSlots][kMostSlots];
  std::array<std::uint8_t, kMostSlots> depth{};
  unsigned deepest = 0;
  for (unsigned i = 0; i < count; ++i) {
    const unsigned slot = access[i] % slots;
    const std::uint32_t* const end = in_slot[slot] + depth[slot];
    if (std::find<const std::uint32_t*>(in_slot[slot], end, access[i]) != end) {
      continue;
    }
    in_slot[slot][depth[slot]++] = access[i];
    deepest = std::max<unsigned>(deepest, depth[slot]);
  }
  return deepest;
}

}  // namespace

Wavefronts count_wavefronts(LaneMask mask, unsigned bytes,
                            const std::uint32_t* offset) {
  const unsigned width = std::max(4u, bytes);
  const int shift = std::countr_zero(width);
  const unsigned lanes = kWarpSize * 4 / width;
  Wavefronts result;
  for (unsigned first = 0; first < kWarpSize; first += lanes) {
    std::uint32_t access[kMostSlots];
    unsigned count = 0;
    for (unsigned l = first; l < first + lanes; ++l) {
      access[count] = offset[l] >> shift;
      count += mask >> l & 1;
    }
    if (count == 0) continue;
    ++result.needed;
    result.taken += deepest_slot(access, count, lanes);
  }
  return result;
}

}  // namespace ptx_emulator
