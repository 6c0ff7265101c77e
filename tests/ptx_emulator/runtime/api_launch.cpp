// Launches, kernel attributes and occupancy.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "runtime/device_properties.h"
#include "runtime/launch.h"
#include "runtime/modules.h"
#include "runtime/status.h"
#include "runtime/streams.h"

using namespace ptx_emulator;

namespace {

struct CallConfiguration {
  dim3 grid, block;
  std::size_t shared = 0;
  cudaStream_t stream = nullptr;
};
thread_local std::vector<CallConfiguration> call_configurations;

cudaError_t launch(const void* function, dim3 grid, dim3 block,
                   void** arguments, std::size_t shared, cudaStream_t stream) {
  const KernelHandle* kernel = find_kernel(function);
  if (kernel == nullptr) return cudaErrorInvalidDeviceFunction;
  return launch_kernel(*kernel, grid, block, arguments, shared, stream);
}

// Attributes of a launch that change nothing here: hints, and permissions to
// overlap that need not be used.
cudaError_t check_attribute(const cudaLaunchAttribute& attribute) {
  switch (attribute.id) {
    case cudaLaunchAttributeIgnore:
    case cudaLaunchAttributeAccessPolicyWindow:
    case cudaLaunchAttributeProgrammaticStreamSerialization:
    case cudaLaunchAttributePriority:
    case cudaLaunchAttributeMemSyncDomainMap:
    case cudaLaunchAttributeMemSyncDomain:
    case cudaLaunchAttributePreferredSharedMemoryCarveout:
      return cudaSuccess;
    case cudaLaunchAttributeClusterDimension:
      if (attribute.val.clusterDim.x * attribute.val.clusterDim.y *
              attribute.val.clusterDim.z <=
          1)
        return cudaSuccess;
      break;
    case cudaLaunchAttributeCooperative:
      if (attribute.val.cooperative == 0) return cudaSuccess;
      break;
    default:
      break;
  }
  std::fprintf(stderr, "ptx_emulator: launch attribute %d is not emulated\n",
               static_cast<int>(attribute.id));
  return cudaErrorNotSupported;
}

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared,
                                     CUstream_st* stream) {
  call_configurations.push_back({grid, block, shared, stream});
  return 0;
}

cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* shared,
                                       void* stream) {
  if (call_configurations.empty()) return cudaErrorMissingConfiguration;
  const CallConfiguration& top = call_configurations.back();
  *grid = top.grid;
  *block = top.block;
  *shared = top.shared;
  *static_cast<cudaStream_t*>(stream) = top.stream;
  call_configurations.pop_back();
  return cudaSuccess;
}

// The caller keeps the handle for all devices and ever, so it is made even if
// there is no device now.
cudaError_t __cudaGetKernel(cudaKernel_t* handle, const void* function) {
  KernelHandle* kernel = find_kernel(function);
  *handle = reinterpret_cast<cudaKernel_t>(kernel);
  return kernel == nullptr ? remember(cudaErrorInvalidDeviceFunction)
                           : cudaSuccess;
}

cudaError_t cudaGetKernel(cudaKernel_t* handle, const void* function) {
  return PTX_EMULATOR_CALL({
    if (handle == nullptr) return cudaErrorInvalidValue;
    KernelHandle* kernel = find_kernel(function);
    if (kernel == nullptr) return cudaErrorInvalidDeviceFunction;
    *handle = reinterpret_cast<cudaKernel_t>(kernel);
    return cudaSuccess;
  });
}

cudaError_t cudaGetFuncBySymbol(cudaFunction_t* handle, const void* symbol) {
  return PTX_EMULATOR_CALL({
    if (handle == nullptr) return cudaErrorInvalidValue;
    KernelHandle* kernel = find_kernel(symbol);
    if (kernel == nullptr) return cudaErrorInvalidDeviceFunction;
    *handle = reinterpret_cast<cudaFunction_t>(kernel);
    return cudaSuccess;
  });
}

cudaError_t cudaLaunchKernel(const void* function, dim3 grid, dim3 block,
                             void** arguments, size_t shared,
                             cudaStream_t stream) {
  return PTX_EMULATOR_CALL(
      { return launch(function, grid, block, arguments, shared, stream); });
}

cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block,
                               void** arguments, size_t shared,
                               cudaStream_t stream) {
  static CallCounter& counter = call_counter("cudaLaunchKernel");
  return api_call(counter, [&] {
    return launch(kernel, grid, block, arguments, shared, stream);
  });
}

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config,
                                const void* function, void** arguments) {
  return PTX_EMULATOR_CALL({
    if (config == nullptr) return cudaErrorInvalidValue;
    for (unsigned i = 0; i < config->numAttrs; ++i)
      if (const cudaError_t status = check_attribute(config->attrs[i]))
        return status;
    return launch(function, config->gridDim, config->blockDim, arguments,
                  config->dynamicSmemBytes, config->stream);
  });
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes,
                                  const void* function) {
  return PTX_EMULATOR_CALL({
    const KernelHandle* handle = find_kernel(function);
    if (attributes == nullptr) return cudaErrorInvalidValue;
    if (handle == nullptr) return cudaErrorInvalidDeviceFunction;
    const KernelAttributes& kernel =
        handle->on_device(current_device()).attributes();
    *attributes = {};
    attributes->sharedSizeBytes = kernel.static_shared_bytes;
    attributes->constSizeBytes = kernel.constant_bytes;
    attributes->localSizeBytes = kernel.local_bytes;
    attributes->maxThreadsPerBlock =
        static_cast<int>(kernel.max_threads_per_block);
    attributes->numRegs = static_cast<int>(kernel.registers);
    attributes->ptxVersion = kernel.ptx_version;
    attributes->binaryVersion = kernel.binary_version;
    attributes->maxDynamicSharedSizeBytes =
        static_cast<int>(dynamic_shared_limit(*handle));
    attributes->preferredShmemCarveout = handle->carveout;
    return cudaSuccess;
  });
}

cudaError_t cudaFuncSetAttribute(const void* function,
                                 cudaFuncAttribute attribute, int value) {
  return PTX_EMULATOR_CALL({
    KernelHandle* handle = find_kernel(function);
    if (handle == nullptr) return cudaErrorInvalidDeviceFunction;
    return set_attribute(*handle, attribute, value);
  });
}

cudaError_t cudaKernelSetAttributeForDevice(cudaKernel_t kernel,
                                            cudaFuncAttribute attribute,
                                            int value, int) {
  return PTX_EMULATOR_CALL({
    KernelHandle* handle = find_kernel(kernel);
    if (handle == nullptr) return cudaErrorInvalidResourceHandle;
    return set_attribute(*handle, attribute, value);
  });
}

cudaError_t cudaFuncSetCacheConfig(const void* function, cudaFuncCache) {
  return PTX_EMULATOR_CALL({
    return find_kernel(function) == nullptr ? cudaErrorInvalidDeviceFunction
                                            : cudaSuccess;
  });
}

cudaError_t cudaFuncGetName(const char** name, const void* function) {
  return PTX_EMULATOR_CALL({
    const KernelHandle* handle = find_kernel(function);
    if (name == nullptr) return cudaErrorInvalidValue;
    if (handle == nullptr) return cudaErrorInvalidDeviceFunction;
    *name = handle->name.c_str();
    return cudaSuccess;
  });
}

cudaError_t cudaFuncGetParamInfo(const void* function, size_t index,
                                 size_t* offset, size_t* size) {
  return PTX_EMULATOR_CALL({
    const KernelHandle* handle = find_kernel(function);
    if (handle == nullptr) return cudaErrorInvalidDeviceFunction;
    const auto& parameters = handle->on_device(current_device()).parameters();
    if (index >= parameters.size() || offset == nullptr)
      return cudaErrorInvalidValue;
    *offset = parameters[index].offset;
    if (size != nullptr) *size = parameters[index].size;
    return cudaSuccess;
  });
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
    int* blocks, const void* function, int threads, size_t dynamic_shared,
    unsigned) {
  return PTX_EMULATOR_CALL({
    const KernelHandle* handle = find_kernel(function);
    if (blocks == nullptr || threads < 1) return cudaErrorInvalidValue;
    if (handle == nullptr) return cudaErrorInvalidDeviceFunction;
    *blocks = resident_blocks(*handle, threads, dynamic_shared);
    return cudaSuccess;
  });
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(
    int* blocks, const void* function, int threads, size_t dynamic_shared) {
  return PTX_EMULATOR_CALL({
    const KernelHandle* handle = find_kernel(function);
    if (blocks == nullptr || threads < 1) return cudaErrorInvalidValue;
    if (handle == nullptr) return cudaErrorInvalidDeviceFunction;
    *blocks = resident_blocks(*handle, threads, dynamic_shared);
    return cudaSuccess;
  });
}

cudaError_t cudaOccupancyAvailableDynamicSMemPerBlock(size_t* bytes,
                                                      const void* function,
                                                      int blocks, int threads) {
  return PTX_EMULATOR_CALL({
    const KernelHandle* handle = find_kernel(function);
    if (bytes == nullptr || blocks < 1 || threads < 1)
      return cudaErrorInvalidValue;
    if (handle == nullptr) return cudaErrorInvalidDeviceFunction;
    const int used = static_cast<int>(handle->on_device(current_device())
                                          .attributes()
                                          .static_shared_bytes) +
                     kReservedSharedPerBlock;
    const int each = device_limits().shared_per_multiprocessor / blocks - used;
    *bytes = static_cast<std::size_t>(
        std::clamp(each, 0, static_cast<int>(dynamic_shared_limit(*handle))));
    return cudaSuccess;
  });
}

cudaError_t cudaGetSymbolAddress(void** address, const void* symbol) {
  return PTX_EMULATOR_CALL({
    if (address == nullptr) return cudaErrorInvalidValue;
    std::size_t bytes = 0;
    return symbol_address(symbol, address, &bytes);
  });
}

cudaError_t cudaGetSymbolSize(size_t* bytes, const void* symbol) {
  return PTX_EMULATOR_CALL({
    if (bytes == nullptr) return cudaErrorInvalidValue;
    void* address = nullptr;
    return symbol_address(symbol, &address, bytes);
  });
}

}  // extern "C"
#pragma GCC visibility pop
