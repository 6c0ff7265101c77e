// How wide an access a launch may use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace jacquard::cuda_backend {

// The largest power of two up to 16 that divides the bytes of a row and every
// address.
inline std::size_t widest_access(std::size_t row_bytes,
                                 std::initializer_list<const void*> pointers) {
  std::size_t all = row_bytes | 16;
  for (const void* p : pointers) all |= reinterpret_cast<std::uintptr_t>(p);
  return all & (~all + 1);
}

}  // namespace jacquard::cuda_backend
