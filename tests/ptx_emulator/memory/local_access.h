// Checked accesses to the private memory of threads: local memory and
// parameters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "memory/address.h"

namespace ptx_emulator {

// The local memory of one warp. A thread sees bytes 0 to bytes() - 1; lane l's
// lie at data() + l * pitch(). Not thread-safe.
class LocalAccess {
 public:
  // A new warp: contents uninitialised.
  void begin_warp(std::size_t bytes_per_thread);

  std::byte* data() { return data_.data(); }
  std::size_t bytes() const { return bytes_; }
  std::size_t pitch() const { return pitch_; }

  // One warp instruction, as GlobalAccess does it; addresses may carry the tag
  // of the local window. A read faults if none of its bytes was written:
  // compilers copy structures as words, with the holes between their members.
  void load(LaneMask mask, unsigned bytes, Address* address);
  void store(LaneMask mask, unsigned bytes, Address* address);

 private:
  template <AccessKind kKind>
  void check(LaneMask mask, unsigned bytes, Address* address);

  std::size_t bytes_ = 0, pitch_ = 0;
  std::vector<std::byte> data_;
  std::vector<std::uint8_t> written_;  // one bit a byte of data_
};

// Checks accesses of a warp to a parameter block of `size` bytes (addresses are
// offsets into it) and turns them into host addresses. AccessFault.
void check_parameters(const std::byte* block, std::size_t size, LaneMask mask,
                      unsigned bytes, Address* address);

}  // namespace ptx_emulator
