// The limits and attributes of the device that the emulator poses as.
#pragma once

#include <cuda_runtime_api.h>

#include <optional>

namespace ptx_emulator {

// Bytes of shared memory that a block may use without asking.
inline constexpr unsigned kSharedWithoutOptIn = 48 * 1024;
inline constexpr int kReservedSharedPerBlock = 1024;
// Few, so that grids sized by occupancy are quick to emulate.
inline constexpr int kMultiprocessors = 4;

// What differs between compute capabilities: table "Technical Specifications
// per Compute Capability" of the CUDA programming guide.
struct DeviceLimits {
  int threads_per_multiprocessor = 2048;
  int blocks_per_multiprocessor = 32;
  int shared_per_multiprocessor = 164 * 1024;
  int shared_per_block_optin = 163 * 1024;
};
const DeviceLimits& device_limits();

// Nothing if the attribute is not known.
std::optional<int> device_attribute(cudaDeviceAttr attribute);
cudaDeviceProp device_properties(int device);

}  // namespace ptx_emulator
