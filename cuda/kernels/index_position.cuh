// What an index names, in device code.
#pragma once

#include <cstdint>

#include "cuda/runtime/stream.h"

namespace jacquard::cuda_backend {

// The position, or -1 after leaving a report if the index is out of range.
inline __device__ std::int64_t position(std::int64_t index, std::int64_t extent,
                                        const IndexCheck& check) {
  const std::int64_t at = index < 0 ? index + extent : index;
  if (at >= 0 && at < extent) return at;
  if (atomicCAS(&check.word[0], 0ull, check.id) == 0)
    check.word[1] = static_cast<unsigned long long>(index);
  return -1;
}

}  // namespace jacquard::cuda_backend
