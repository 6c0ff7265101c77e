// Indices in range, or an error.
#pragma once

#include "core/backend/backend.h"

namespace jacquard::cpu_fallback {

// IndexError that names the operation, the first index out of
// [-extent, extent) and the extent.
void check_indices(const backend::IndexLaunch& launch);

// The position that an index which passed the check names.
inline std::int64_t position(std::int64_t index, std::int64_t extent) {
  return index < 0 ? index + extent : index;
}

}  // namespace jacquard::cpu_fallback
