#include "memory/global_access.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>

#include "memory/fault.h"
#include "memory/written_bits.h"

namespace ptx_emulator {
namespace {

constexpr unsigned kSectorShift = 5;
// Ranges up to this are tested as a whole before lane by lane.
constexpr Address kShortRange = 1024;

bool all_written(const std::uint8_t* bits, std::size_t bytes) {
  std::uint64_t all = ~std::uint64_t{0};
  std::size_t i = 0;
  for (; i + 8 <= bytes; i += 8) {
    std::uint64_t word;
    std::memcpy(&word, bits + i, sizeof word);
    all &= word;
  }
  for (; i < bytes; ++i) all &= bits[i] | ~std::uint64_t{0xff};
  return all == ~std::uint64_t{0};
}

// The bits of an access of at most 8 bytes that doesn't cross 8-byte borders.
unsigned lane_bits(unsigned bytes, Address address) {
  return ((1u << bytes) - 1) << (address & 7);
}

bool lane_written(const std::uint8_t* bits, unsigned bytes, Address address) {
  if (bytes > 8) return all_written(bits, bytes / 8);
  const unsigned mask = lane_bits(bytes, address);
  return (*bits & mask) == mask;
}

void mark_lane(std::uint8_t* bits, unsigned bytes, Address address) {
  if (bytes >= 8) {
    std::memset(bits, 0xff, bytes / 8);
    return;
  }
  const unsigned mask = lane_bits(bytes, address);
  if ((*bits & mask) != mask) {
    __atomic_fetch_or(bits, static_cast<std::uint8_t>(mask), __ATOMIC_RELAXED);
  }
}

[[noreturn]] void fail(FaultKind kind, AccessKind access, unsigned bytes,
                       Address address, int lane, const std::string& problem) {
  throw AccessFault(
      kind, describe_access(access, bytes, address) + ": " + problem, lane);
}

bool contiguous(unsigned bytes, const Address* address) {
  const int shift = std::countr_zero(bytes);
  const Address first = address[0];
  Address differs = 0;
  for (int l = 0; l < kWarpSize; ++l) {
    differs |= address[l] ^ (first + (static_cast<Address>(l) << shift));
  }
  return differs == 0;
}

}  // namespace

unsigned count_sectors(const Address* address, Address lowest,
                       Address highest) {
  const Address first = lowest >> kSectorShift;
  const Address span = (highest >> kSectorShift) - first;
  if (span == 0) return 1;
  if (span < 64) {
    std::uint64_t seen = 0;
    for (int l = 0; l < kWarpSize; ++l) {
      seen |= std::uint64_t{1} << ((address[l] >> kSectorShift) - first);
    }
    return static_cast<unsigned>(std::popcount(seen));
  }
  // Each lane is compared with those before it; the first half of the array
  // equals no sector.
  constexpr Address kNone = ~Address{0};
  Address sector[2 * kWarpSize];
  Address repeated[kWarpSize] = {};
  for (int l = 0; l < kWarpSize; ++l) {
    sector[l] = kNone;
    sector[kWarpSize + l] = address[l] >> kSectorShift;
  }
  for (int back = 1; back < kWarpSize; ++back) {
    for (int l = 0; l < kWarpSize; ++l) {
      repeated[l] |= static_cast<Address>(sector[kWarpSize + l] ==
                                          sector[kWarpSize + l - back]);
    }
  }
  unsigned distinct = kWarpSize;
  for (const Address r : repeated) distinct -= static_cast<unsigned>(r);
  return distinct;
}

GlobalAccess::GlobalAccess(DeviceMemory& memory, LaunchCounters* counters)
    : memory_(memory), counters_(counters) {}

const Extent* GlobalAccess::extent(unsigned site, Address address,
                                   Address bytes) {
  const std::uint64_t generation = memory_.generation();
  if (generation != generation_) {
    extents_.fill({});
    generation_ = generation;
  }
  Extent& cached = extents_[site % kCachedExtents];
  const auto inside = [&](const Extent& e) {
    return address >= e.begin && address < e.end && bytes <= e.end - address;
  };
  if (inside(cached)) return &cached;
  for (const Extent& other : extents_) {
    if (inside(other)) return &(cached = other);
  }
  const auto found = memory_.find_extent(address, bytes);
  if (!found) return nullptr;
  return &(cached = *found);
}

template <AccessKind kKind>
void GlobalAccess::count(unsigned lanes, unsigned bytes,
                         std::uint64_t sectors) {
  if (!counters_) return;
  const auto add = [&](GlobalTraffic& traffic) {
    ++traffic.requests;
    traffic.bytes += lanes * bytes;
    traffic.sectors += sectors;
    traffic.bytes_by_width[static_cast<unsigned>(std::countr_zero(bytes))] +=
        lanes * bytes;
  };
  if constexpr (kKind != AccessKind::kWrite) add(counters_->loads);
  if constexpr (kKind != AccessKind::kRead) add(counters_->stores);
}

template <AccessKind kKind>
Pattern GlobalAccess::check(unsigned site, LaneMask mask, unsigned bytes,
                            Address* address) {
  const unsigned lanes = static_cast<unsigned>(std::popcount(mask));
  const Pattern pattern = mask == kAllLanes && contiguous(bytes, address)
                              ? Pattern::kContiguous
                              : Pattern::kScattered;
  Address lowest, end, low_bits;
  unsigned sectors;
  if (pattern == Pattern::kContiguous) {
    lowest = low_bits = address[0];
    end = lowest + Address{kWarpSize} * bytes;
    sectors = static_cast<unsigned>(((end - 1) >> kSectorShift) -
                                    (lowest >> kSectorShift) + 1);
  } else {
    repeat_active_lane(mask, address);
    Address highest = lowest = low_bits = address[0];
    for (int l = 1; l < kWarpSize; ++l) {
      lowest = std::min(lowest, address[l]);
      highest = std::max(highest, address[l]);
      low_bits |= address[l];
    }
    end = highest + bytes;
    sectors = counters_ ? count_sectors(address, lowest, highest) : 0;
  }
  const Extent* whole = (low_bits & (bytes - 1)) == 0 && end > lowest
                            ? extent(site, lowest, end - lowest)
                            : nullptr;
  if (!whole) {
    // At fault, or in several blocks of memory.
    check_lanes<kKind>(mask, bytes, address);
  } else {
    const Address to_host = static_cast<Address>(whole->to_host);
    if (whole->tracked) {
      check_written<kKind>(mask, bytes, address, lowest, end);
      if (memory_.operation()) [[unlikely]] {
        if (pattern == Pattern::kContiguous) {
          memory_.check_order(kKind, lowest, end - lowest, 0);
        } else {
          check_order<kKind>(mask, bytes, address);
        }
      }
    }
    for (int l = 0; l < kWarpSize; ++l) address[l] += to_host;
  }
  count<kKind>(lanes, bytes, sectors);
  // Blocks of memory that touch on the device may be apart on the host.
  return whole ? pattern : Pattern::kScattered;
}

// All lanes access [lowest, end), which is in one extent.
template <AccessKind kKind>
void GlobalAccess::check_written(LaneMask mask, unsigned bytes,
                                 const Address* address, Address lowest,
                                 Address end) {
  if (end - lowest <= kShortRange) {
    const Address first = lowest & ~Address{7};
    const Address span = (end - first) / 8;
    const std::uint8_t* bits = memory_.written_bits(lowest);
    if (all_written(bits, span) &&
        (end % 8 == 0 ||
         find_clear_bit(memory_.written_bits(end), 0, end % 8) == end % 8)) {
      return;
    }
  }
  if constexpr (kKind != AccessKind::kWrite) {
    for (LaneMask rest = mask; rest != 0; rest &= rest - 1) {
      const int l = std::countr_zero(rest);
      if (lane_written(memory_.written_bits(address[l]), bytes, address[l])) {
        continue;
      }
      const Address at =
          address[l] + memory_.first_unwritten(address[l], bytes);
      fail(FaultKind::kUninitializedRead, kKind, bytes, address[l], l,
           memory_.describe(at, 1) + ": nothing wrote this byte");
    }
  }
  if constexpr (kKind == AccessKind::kWrite) {
    if (end - lowest == Address{kWarpSize} * bytes && mask == kAllLanes &&
        contiguous(bytes, address)) {
      memory_.set_written(lowest, end - lowest, true);
      return;
    }
    for (LaneMask rest = mask; rest != 0; rest &= rest - 1) {
      const Address a = address[std::countr_zero(rest)];
      mark_lane(memory_.written_bits(a), bytes, a);
    }
  }
}

template <AccessKind kKind>
void GlobalAccess::check_order(LaneMask mask, unsigned bytes,
                               const Address* address) {
  Address granule = 0;
  for (LaneMask rest = mask; rest != 0; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    if (address[l] / AccessHistory::kGranule == granule) continue;
    granule = address[l] / AccessHistory::kGranule;
    memory_.check_order(kKind, address[l], bytes, l);
  }
}

// Lanes that are not all in one extent, one by one.
template <AccessKind kKind>
void GlobalAccess::check_lanes(LaneMask mask, unsigned bytes,
                               Address* address) {
  Address host[kWarpSize];
  for (LaneMask rest = mask; rest != 0; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    const Address a = address[l];
    if (a % bytes != 0) {
      fail(FaultKind::kMisalignedAddress, kKind, bytes, a, l,
           "the address is not aligned to " + std::to_string(bytes) +
               " bytes; " + memory_.describe(a, bytes));
    }
    const Extent* e = extent(static_cast<unsigned>(l), a, bytes);
    if (!e) {
      fail(FaultKind::kIllegalAddress, kKind, bytes, a, l,
           memory_.describe(a, bytes));
    }
    if (kKind != AccessKind::kWrite && e->tracked) {
      check_written<AccessKind::kRead>(LaneMask{1} << l, bytes, address, a,
                                       a + bytes);
    }
    if (e->tracked && memory_.operation()) {
      check_order<kKind>(LaneMask{1} << l, bytes, address);
    }
    host[l] = a + static_cast<Address>(e->to_host);
  }
  if constexpr (kKind == AccessKind::kWrite) {
    for (LaneMask rest = mask; rest != 0; rest &= rest - 1) {
      const Address a = address[std::countr_zero(rest)];
      if (!memory_.is_device_address(a)) continue;
      mark_lane(memory_.written_bits(a), bytes, a);
    }
  }
  for (LaneMask rest = mask; rest != 0; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    address[l] = host[l];
  }
  repeat_active_lane(mask, address);
}

Pattern GlobalAccess::load(unsigned site, LaneMask mask, unsigned bytes,
                           Address* address) {
  return check<AccessKind::kRead>(site, mask, bytes, address);
}

Pattern GlobalAccess::store(unsigned site, LaneMask mask, unsigned bytes,
                            Address* address) {
  return check<AccessKind::kWrite>(site, mask, bytes, address);
}

Pattern GlobalAccess::atomic(unsigned site, LaneMask mask, unsigned bytes,
                             Address* address) {
  return check<AccessKind::kAtomic>(site, mask, bytes, address);
}

}  // namespace ptx_emulator
