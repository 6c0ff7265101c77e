#include "execute/instructions/memory_operations.h"

#include <algorithm>
#include <bit>

#include "execute/lanes.h"

namespace ptx_emulator {
namespace {

template <AccessKind kKind>
Pattern locate_global(Warp& warp, const Instruction& i, LaneMask lanes,
                      unsigned bytes, Address* address) {
  GlobalAccess& global = warp.thread().global;
  if constexpr (kKind == AccessKind::kRead) {
    return global.load(i.site, lanes, bytes, address);
  } else if constexpr (kKind == AccessKind::kWrite) {
    return global.store(i.site, lanes, bytes, address);
  } else {
    return global.atomic(i.site, lanes, bytes, address);
  }
}

template <AccessKind kKind>
Pattern locate_shared(Warp& warp, LaneMask lanes, unsigned bytes, bool strong,
                      Address* address) {
  SharedAccess& shared = warp.thread().shared;
  if constexpr (kKind == AccessKind::kRead) {
    return shared.load(warp.index(), lanes, bytes, address, strong);
  } else if constexpr (kKind == AccessKind::kWrite) {
    return shared.store(warp.index(), lanes, bytes, address, strong);
  } else {
    return shared.atomic(warp.index(), lanes, bytes, address);
  }
}

// Local memory is a thread's own: atomics need no more than both checks.
template <AccessKind kKind>
Pattern locate_local(Warp& warp, LaneMask lanes, unsigned bytes,
                     Address* address) {
  if constexpr (kKind == AccessKind::kRead) {
    warp.local().load(lanes, bytes, address);
  } else if constexpr (kKind == AccessKind::kWrite) {
    warp.local().store(lanes, bytes, address);
  } else {
    Address copy[kWarpSize];
    std::copy_n(address, kWarpSize, copy);
    warp.local().load(lanes, bytes, copy);
    warp.local().store(lanes, bytes, address);
  }
  return Pattern::kScattered;
}

template <AccessKind kKind>
Pattern locate_parameters(Warp& warp, LaneMask lanes, unsigned bytes,
                          Address* address) {
  if (kKind != AccessKind::kRead) {
    throw AccessFault(FaultKind::kIllegalAddress,
                      "a write to the kernel's parameters",
                      std::countr_zero(lanes));
  }
  for (int l = 0; l < kWarpSize; ++l) address[l] &= kWindowOffset;
  check_parameters(warp.thread().parameters, warp.thread().parameter_bytes,
                   lanes, bytes, address);
  return Pattern::kScattered;
}

// Moves the count of a generic access from global to where it went.
void recount(Warp& warp, LaneMask lanes, InstructionClass where) {
  const auto count = static_cast<std::uint64_t>(std::popcount(lanes));
  LaunchCounters& counters = warp.thread().counters;
  counters.instructions(InstructionClass::kGlobal) -= count;
  counters.instructions(where) += count;
}

template <AccessKind kKind>
Pattern locate_in_window(Warp& warp, const Instruction& i, Address window,
                         LaneMask lanes, unsigned bytes, bool strong,
                         Address* address) {
  const bool moves = i.cls == InstructionClass::kGlobal;
  switch (window) {
    case kSharedWindow >> 56:
      if (moves) recount(warp, lanes, InstructionClass::kShared);
      return locate_shared<kKind>(warp, lanes, bytes, strong, address);
    case kLocalWindow >> 56:
      if (moves) recount(warp, lanes, InstructionClass::kLocal);
      return locate_local<kKind>(warp, lanes, bytes, address);
    case kParameterWindow >> 56:
      if (moves) recount(warp, lanes, InstructionClass::kMove);
      return locate_parameters<kKind>(warp, lanes, bytes, address);
    default:
      return locate_global<kKind>(warp, i, lanes, bytes, address);
  }
}

// Lanes may point into several windows: each gets its own access.
template <AccessKind kKind>
Pattern locate_generic(Warp& warp, const Instruction& i, LaneMask lanes,
                       unsigned bytes, bool strong, Address* address) {
  const int first = std::countr_zero(lanes);
  LaneMask left = lanes;
  Address all[kWarpSize];
  for (;;) {
    const Address window = address[std::countr_zero(left)] >> 56;
    LaneMask part = 0;
    for (int l = 0; l < kWarpSize; ++l) {
      part |= static_cast<LaneMask>(address[l] >> 56 == window) << l;
    }
    part &= left;
    if (part == lanes) {
      return locate_in_window<kKind>(warp, i, window, lanes, bytes, strong,
                                     address);
    }
    Address copy[kWarpSize];
    std::copy_n(address, kWarpSize, copy);
    locate_in_window<kKind>(warp, i, window, part, bytes, strong, copy);
    for_each_lane(part, [&](int l) { all[l] = copy[l]; });
    left &= ~part;
    if (left == 0) break;
  }
  for (int l = 0; l < kWarpSize; ++l) {
    address[l] = all[(lanes >> l & 1) != 0 ? l : first];
  }
  return Pattern::kScattered;
}

}  // namespace

template <AccessKind kKind>
Pattern locate(Warp& warp, const Instruction& i, AddressSpace space,
               LaneMask lanes, unsigned bytes, bool strong, Address* address) {
  return warp.checked(i, [&] {
    switch (space) {
      case AddressSpace::kGlobal:
        return locate_global<kKind>(warp, i, lanes, bytes, address);
      case AddressSpace::kShared:
        return locate_shared<kKind>(warp, lanes, bytes, strong, address);
      case AddressSpace::kLocal:
        return locate_local<kKind>(warp, lanes, bytes, address);
      case AddressSpace::kGeneric:
        break;
    }
    return locate_generic<kKind>(warp, i, lanes, bytes, strong, address);
  });
}

template Pattern locate<AccessKind::kRead>(Warp&, const Instruction&,
                                           AddressSpace, LaneMask, unsigned,
                                           bool, Address*);
template Pattern locate<AccessKind::kWrite>(Warp&, const Instruction&,
                                            AddressSpace, LaneMask, unsigned,
                                            bool, Address*);
template Pattern locate<AccessKind::kAtomic>(Warp&, const Instruction&,
                                             AddressSpace, LaneMask, unsigned,
                                             bool, Address*);

const std::byte* locate_bytes(Warp& warp, const Instruction& i, int lane,
                              Address address, unsigned bytes) {
  Address all[kWarpSize];
  const std::byte* first = nullptr;
  for (unsigned k = 0; k < bytes; ++k) {
    std::fill_n(all, kWarpSize, address + k);
    locate<AccessKind::kRead>(warp, i, AddressSpace::kGeneric, 1u << lane, 1,
                              false, all);
    if (k == 0) first = reinterpret_cast<const std::byte*>(all[lane]);
  }
  return first;
}

}  // namespace ptx_emulator
