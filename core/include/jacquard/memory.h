// What the allocator of a device has handed out.
#pragma once

#include <cstddef>
#include <cstdint>

#include "jacquard/device.h"
#include "jacquard/export.h"

namespace jacquard {

struct MemoryStats {
  std::size_t in_use = 0;  // bytes handed out now
  std::size_t peak = 0;    // the most since the start or reset_peak_memory()
  // Calls that went to the system; constant in a steady training loop.
  std::uint64_t system_allocations = 0;
};

// DeviceError if the device is absent.
JACQUARD_API MemoryStats memory_stats(Device device);
// From now on the peak is that of what follows.
JACQUARD_API void reset_peak_memory(Device device);

}  // namespace jacquard
