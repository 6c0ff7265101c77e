#include "memory/local_access.h"

#include <algorithm>
#include <bit>
#include <string>

#include "memory/fault.h"

namespace ptx_emulator {
namespace {

constexpr std::size_t kPitchAlignment = 32;  // of the widest access

std::string access_text(AccessKind kind, const char* space, unsigned bytes,
                        Address offset) {
  return std::string(kind == AccessKind::kRead ? "read of " : "write of ") +
         std::to_string(bytes) + (bytes == 1 ? " byte at " : " bytes at ") +
         space + " offset " + std::to_string(offset);
}

void check_bounds(AccessKind kind, const char* space, std::size_t size,
                  unsigned bytes, Address offset, int lane) {
  if (offset % bytes != 0) {
    throw AccessFault(FaultKind::kMisalignedAddress,
                      access_text(kind, space, bytes, offset) +
                          ": not aligned to " + std::to_string(bytes) +
                          " bytes",
                      lane);
  }
  if (bytes > size || offset > size - bytes) {
    throw AccessFault(FaultKind::kIllegalAddress,
                      access_text(kind, space, bytes, offset) +
                          ": out of bounds, there are " + std::to_string(size) +
                          " bytes",
                      lane);
  }
}

}  // namespace

void LocalAccess::begin_warp(std::size_t bytes_per_thread) {
  bytes_ = bytes_per_thread;
  pitch_ = (bytes_ + kPitchAlignment - 1) / kPitchAlignment * kPitchAlignment;
  const std::size_t size = pitch_ * kWarpSize;
  if (data_.size() < size) data_.resize(size);
  written_.assign(size / 8, 0);
}

template <AccessKind kKind>
void LocalAccess::check(LaneMask mask, unsigned bytes, Address* address) {
  const Address base = reinterpret_cast<Address>(data_.data());
  for (LaneMask rest = mask; rest != 0; rest &= rest - 1) {
    const int l = std::countr_zero(rest);
    const Address offset = address[l] & ~kLocalWindow;
    check_bounds(kKind, "local memory", bytes_, bytes, offset, l);
    const std::size_t at = static_cast<std::size_t>(l) * pitch_ + offset;
    std::uint8_t* bits = written_.data() + at / 8;
    const unsigned in_byte = std::min(bytes, 8u);
    const auto some =
        static_cast<std::uint8_t>(((1u << in_byte) - 1) << (at % 8));
    const unsigned count = (bytes + 7) / 8;
    if constexpr (kKind == AccessKind::kRead) {
      bool written = false;
      for (unsigned i = 0; i < count; ++i) written |= (bits[i] & some) != 0;
      if (!written) {
        throw AccessFault(FaultKind::kUninitializedRead,
                          access_text(kKind, "local memory", bytes, offset) +
                              ": nothing wrote these bytes",
                          l);
      }
    } else {
      for (unsigned i = 0; i < count; ++i) bits[i] |= some;
    }
    address[l] = base + at;
  }
  repeat_active_lane(mask, address);
}

void LocalAccess::load(LaneMask mask, unsigned bytes, Address* address) {
  check<AccessKind::kRead>(mask, bytes, address);
}

void LocalAccess::store(LaneMask mask, unsigned bytes, Address* address) {
  check<AccessKind::kWrite>(mask, bytes, address);
}

void check_parameters(const std::byte* block, std::size_t size, LaneMask mask,
                      unsigned bytes, Address* address) {
  repeat_active_lane(mask, address);
  for (int l = 0; l < kWarpSize; ++l) {
    check_bounds(AccessKind::kRead, "parameter", size, bytes, address[l], l);
    address[l] += reinterpret_cast<Address>(block);
  }
}

}  // namespace ptx_emulator
