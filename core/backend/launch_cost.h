// The bytes that a launch has to move, as LaunchRecord counts them.
#pragma once

#include <cstddef>
#include <span>

#include "core/backend/backend.h"

namespace jacquard::backend {

struct Traffic {
  std::size_t read = 0;
  std::size_t written = 0;

  Traffic& operator+=(const Traffic& other) {
    read += other.read;
    written += other.written;
    return *this;
  }
};

JACQUARD_API Traffic traffic_of(const ProgramLaunch& work);
// Entries are counted one by one.
JACQUARD_API Traffic traffic_of(std::span<const ProgramLaunch> work);
JACQUARD_API Traffic traffic_of(const MatmulLaunch& work);
// Each array once.
JACQUARD_API Traffic traffic_of(const RawLaunch& work);
// Elements that are gathered or scattered count as often as they are indexed.
JACQUARD_API Traffic gather_traffic(const IndexLaunch& work);
JACQUARD_API Traffic traffic_of(const ScanLaunch& work);
JACQUARD_API Traffic traffic_of(const SortLaunch& work);
JACQUARD_API Traffic scatter_traffic(const IndexLaunch& work, bool accumulate);

}  // namespace jacquard::backend
