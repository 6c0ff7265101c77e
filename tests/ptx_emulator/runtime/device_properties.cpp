#include "runtime/device_properties.h"

#include <cstdio>
#include <cstring>

#include "memory/device_memory.h"
#include "runtime/configuration.h"

namespace ptx_emulator {
namespace {

constexpr int kL2Bytes = 4 * 1024 * 1024;

DeviceLimits limits_of(int capability) {
  switch (capability) {
    case 75:
      return {1024, 16, 64 * 1024, 64 * 1024};
    case 80:
    case 87:
      return {2048, 32, 164 * 1024, 163 * 1024};
    case 86:
      return {1536, 16, 100 * 1024, 99 * 1024};
    case 89:
      return {1536, 24, 100 * 1024, 99 * 1024};
    case 120:
    case 121:
      return {1536, 24, 100 * 1024, 99 * 1024};
    default:  // 90, 100, 103, 110
      return {2048, 32, 228 * 1024, 227 * 1024};
  }
}

std::optional<int> limit_attribute(cudaDeviceAttr attribute) {
  const DeviceLimits& limits = device_limits();
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
    case cudaDevAttrMaxBlockDimX:
    case cudaDevAttrMaxBlockDimY:
      return 1024;
    case cudaDevAttrMaxBlockDimZ:
      return 64;
    case cudaDevAttrMaxGridDimX:
      return 2147483647;
    case cudaDevAttrMaxGridDimY:
    case cudaDevAttrMaxGridDimZ:
      return 65535;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      return static_cast<int>(kSharedWithoutOptIn);
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      return limits.shared_per_block_optin;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      return limits.shared_per_multiprocessor;
    case cudaDevAttrReservedSharedMemoryPerBlock:
      return kReservedSharedPerBlock;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      return limits.threads_per_multiprocessor;
    case cudaDevAttrMaxBlocksPerMultiprocessor:
      return limits.blocks_per_multiprocessor;
    case cudaDevAttrMultiProcessorCount:
      return kMultiprocessors;
    case cudaDevAttrWarpSize:
      return 32;
    case cudaDevAttrMaxRegistersPerBlock:
    case cudaDevAttrMaxRegistersPerMultiprocessor:
      return 65536;
    case cudaDevAttrTotalConstantMemory:
      return 65536;
    case cudaDevAttrMaxPitch:
      return 2147483647;
    case cudaDevAttrTextureAlignment:
      return 512;
    case cudaDevAttrTexturePitchAlignment:
      return 32;
    default:
      return std::nullopt;
  }
}

}  // namespace

const DeviceLimits& device_limits() {
  static const DeviceLimits limits = limits_of(configuration().capability);
  return limits;
}

std::optional<int> device_attribute(cudaDeviceAttr attribute) {
  if (const auto limit = limit_attribute(attribute)) return limit;
  switch (attribute) {
    case cudaDevAttrComputeCapabilityMajor:
      return configuration().major();
    case cudaDevAttrComputeCapabilityMinor:
      return configuration().minor();
    case cudaDevAttrClockRate:
      return 1000000;
    case cudaDevAttrMemoryClockRate:
      return 1000000;
    case cudaDevAttrGlobalMemoryBusWidth:
      return 256;
    case cudaDevAttrL2CacheSize:
      return kL2Bytes;
    case cudaDevAttrSingleToDoublePrecisionPerfRatio:
      return 2;
    case cudaDevAttrAsyncEngineCount:
    case cudaDevAttrGpuOverlap:
    case cudaDevAttrConcurrentKernels:
    case cudaDevAttrCanMapHostMemory:
    case cudaDevAttrUnifiedAddressing:
    case cudaDevAttrManagedMemory:
    case cudaDevAttrStreamPrioritiesSupported:
    case cudaDevAttrGlobalL1CacheSupported:
    case cudaDevAttrLocalL1CacheSupported:
    case cudaDevAttrComputePreemptionSupported:
    case cudaDevAttrCanUseHostPointerForRegisteredMem:
    case cudaDevAttrHostRegisterSupported:
    case cudaDevAttrMemoryPoolsSupported:
      return 1;
    case cudaDevAttrHostNumaId:
      return -1;
    default:
      // All others are abilities and texture sizes that the device lacks.
      if (attribute > 0 && attribute < cudaDevAttrMax) return 0;
      return std::nullopt;
  }
}

cudaDeviceProp device_properties(int device) {
  cudaDeviceProp result;
  std::memset(&result, 0, sizeof result);
  const DeviceLimits& limits = device_limits();
  std::snprintf(result.name, sizeof result.name, "PTX emulator (sm_%d)",
                configuration().capability);
  std::memcpy(result.uuid.bytes, "ptx_emulator", 12);
  result.uuid.bytes[15] = static_cast<char>(device);
  result.totalGlobalMem = DeviceMemory::instance().usage().capacity;
  result.sharedMemPerBlock = kSharedWithoutOptIn;
  result.regsPerBlock = result.regsPerMultiprocessor = 65536;
  result.warpSize = 32;
  result.memPitch = 2147483647;
  result.maxThreadsPerBlock = 1024;
  result.maxThreadsDim[0] = result.maxThreadsDim[1] = 1024;
  result.maxThreadsDim[2] = 64;
  result.maxGridSize[0] = 2147483647;
  result.maxGridSize[1] = result.maxGridSize[2] = 65535;
  result.totalConstMem = 65536;
  result.major = configuration().major();
  result.minor = configuration().minor();
  result.textureAlignment = 512;
  result.texturePitchAlignment = 32;
  result.multiProcessorCount = kMultiprocessors;
  result.canMapHostMemory = 1;
  result.surfaceAlignment = 512;
  result.concurrentKernels = 1;
  result.pciBusID = device + 1;
  result.asyncEngineCount = 1;
  result.unifiedAddressing = 1;
  result.memoryBusWidth = 256;
  result.l2CacheSize = kL2Bytes;
  result.maxThreadsPerMultiProcessor = limits.threads_per_multiprocessor;
  result.streamPrioritiesSupported = 1;
  result.globalL1CacheSupported = result.localL1CacheSupported = 1;
  result.sharedMemPerMultiprocessor =
      static_cast<std::size_t>(limits.shared_per_multiprocessor);
  result.managedMemory = 1;
  result.computePreemptionSupported = 1;
  result.canUseHostPointerForRegisteredMem = 1;
  result.sharedMemPerBlockOptin =
      static_cast<std::size_t>(limits.shared_per_block_optin);
  result.maxBlocksPerMultiProcessor = limits.blocks_per_multiprocessor;
  result.reservedSharedMemPerBlock = kReservedSharedPerBlock;
  result.hostRegisterSupported = 1;
  result.memoryPoolsSupported = 1;
  result.hostNumaId = -1;
  return result;
}

}  // namespace ptx_emulator
