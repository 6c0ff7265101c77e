// Allocation of device and host memory.
#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstring>

#include "memory/device_memory.h"
#include "runtime/allocations.h"
#include "runtime/host_access.h"
#include "runtime/status.h"
#include "runtime/streams.h"

namespace ptx_emulator {
namespace {

// Bytes of a row of cudaMallocPitch are rounded up to this.
constexpr std::size_t kPitch = 512;

Address to_address(const void* pointer) {
  return reinterpret_cast<Address>(pointer);
}

cudaError_t allocate_device(void** pointer, std::size_t bytes,
                            const char* label) {
  if (pointer == nullptr) return cudaErrorInvalidValue;
  *pointer = nullptr;
  if (const cudaError_t status = Streams::instance().admit_unsafe_call())
    return status;
  if (bytes == 0) return cudaSuccess;
  explain_host_accesses();
  DeviceMemory& memory = DeviceMemory::instance();
  Address address = memory.allocate(bytes, label);
  if (address == 0) {
    // Memory may come back from work that has not run.
    Streams::instance().scheduler().finish_device(-1);
    address = memory.allocate(bytes, label);
  }
  if (address == 0) return cudaErrorMemoryAllocation;
  *pointer = reinterpret_cast<void*>(address);
  Allocations::instance().add(
      {address, bytes, AllocationKind::kDevice, current_device()});
  return cudaSuccess;
}

cudaError_t allocate_host(void** pointer, std::size_t bytes, unsigned flags) {
  if (pointer == nullptr) return cudaErrorInvalidValue;
  constexpr unsigned kKnown =
      cudaHostAllocPortable | cudaHostAllocMapped | cudaHostAllocWriteCombined;
  if ((flags & ~kKnown) != 0) return cudaErrorInvalidValue;
  *pointer = nullptr;
  if (const cudaError_t status = Streams::instance().admit_unsafe_call())
    return status;
  if (bytes == 0) return cudaSuccess;
  void* memory = DeviceMemory::instance().allocate_host(bytes, "cudaHostAlloc");
  if (memory == nullptr) return cudaErrorMemoryAllocation;
  *pointer = memory;
  Allocations::instance().add({to_address(memory), bytes, AllocationKind::kHost,
                               current_device(), flags});
  return cudaSuccess;
}

cudaError_t free_device(void* pointer) {
  if (pointer == nullptr) return cudaSuccess;
  Streams& streams = Streams::instance();
  if (const cudaError_t status = streams.admit_unsafe_call()) return status;
  Allocations& allocations = Allocations::instance();
  const auto found = allocations.find(pointer);
  if (!found || found->base != to_address(pointer) || found->is_host() ||
      found->kind == AllocationKind::kGraph) {
    std::fprintf(
        stderr, "ptx_emulator: cudaFree(%p): %s\n", pointer,
        DeviceMemory::instance().describe(to_address(pointer), 1).c_str());
    return cudaErrorInvalidValue;
  }
  // "This API will not perform any implicit synchronization when the pointer
  // was allocated with cudaMallocAsync"; for others it does.
  if (found->kind != AllocationKind::kStreamOrdered)
    streams.scheduler().finish_device(found->device);
  allocations.remove(pointer);
  if (found->pool != nullptr) found->pool->used -= found->bytes;
  if (found->kind == AllocationKind::kManaged)
    DeviceMemory::instance().free_host(pointer);
  else
    DeviceMemory::instance().free(found->base);
  return broken_status();
}

cudaError_t free_host(void* pointer, AllocationKind kind) {
  if (pointer == nullptr)
    return kind == AllocationKind::kHost ? cudaSuccess : cudaErrorInvalidValue;
  Streams& streams = Streams::instance();
  if (const cudaError_t status = streams.admit_unsafe_call()) return status;
  const auto found = Allocations::instance().find(pointer);
  if (!found || found->base != to_address(pointer) || found->kind != kind)
    return kind == AllocationKind::kHost ? cudaErrorInvalidValue
                                         : cudaErrorHostMemoryNotRegistered;
  streams.scheduler().finish_device(-1);
  Allocations::instance().remove(pointer);
  if (kind == AllocationKind::kHost)
    DeviceMemory::instance().free_host(pointer);
  else
    DeviceMemory::instance().unregister_host(pointer);
  return broken_status();
}

cudaMemoryType memory_type(const Allocation& allocation) {
  if (allocation.is_host()) return cudaMemoryTypeHost;
  return allocation.kind == AllocationKind::kManaged ? cudaMemoryTypeManaged
                                                     : cudaMemoryTypeDevice;
}

}  // namespace
}  // namespace ptx_emulator

using namespace ptx_emulator;

#pragma GCC visibility push(default)
extern "C" {

cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  return PTX_EMULATOR_CALL(
      { return allocate_device(pointer, bytes, "cudaMalloc"); });
}

cudaError_t cudaMallocPitch(void** pointer, size_t* pitch, size_t width,
                            size_t height) {
  return PTX_EMULATOR_CALL({
    if (pitch == nullptr) return cudaErrorInvalidValue;
    *pitch = (width + kPitch - 1) / kPitch * kPitch;
    return allocate_device(pointer, *pitch * height, "cudaMallocPitch");
  });
}

cudaError_t cudaMallocManaged(void** pointer, size_t bytes, unsigned flags) {
  return PTX_EMULATOR_CALL({
    if (pointer == nullptr || bytes == 0) return cudaErrorInvalidValue;
    if (flags != cudaMemAttachGlobal && flags != cudaMemAttachHost)
      return cudaErrorInvalidValue;
    if (const cudaError_t status = Streams::instance().admit_unsafe_call())
      return status;
    *pointer =
        DeviceMemory::instance().allocate_host(bytes, "cudaMallocManaged");
    if (*pointer == nullptr) return cudaErrorMemoryAllocation;
    Allocations::instance().add({to_address(*pointer), bytes,
                                 AllocationKind::kManaged, current_device(),
                                 flags});
    return cudaSuccess;
  });
}

cudaError_t cudaFree(void* pointer) {
  return PTX_EMULATOR_CALL({ return free_device(pointer); });
}

cudaError_t cudaHostAlloc(void** pointer, size_t bytes, unsigned flags) {
  return PTX_EMULATOR_CALL({ return allocate_host(pointer, bytes, flags); });
}

cudaError_t cudaMallocHost(void** pointer, size_t bytes) {
  return PTX_EMULATOR_CALL({ return allocate_host(pointer, bytes, 0); });
}

cudaError_t cudaFreeHost(void* pointer) {
  return PTX_EMULATOR_CALL(
      { return free_host(pointer, AllocationKind::kHost); });
}

cudaError_t cudaHostRegister(void* pointer, size_t bytes, unsigned flags) {
  return PTX_EMULATOR_CALL({
    if (pointer == nullptr || bytes == 0) return cudaErrorInvalidValue;
    if (const cudaError_t status = Streams::instance().admit_unsafe_call())
      return status;
    if (!DeviceMemory::instance().register_host(pointer, bytes,
                                                "cudaHostRegister"))
      return cudaErrorHostMemoryAlreadyRegistered;
    Allocations::instance().add({to_address(pointer), bytes,
                                 AllocationKind::kRegistered, current_device(),
                                 flags});
    return cudaSuccess;
  });
}

cudaError_t cudaHostUnregister(void* pointer) {
  return PTX_EMULATOR_CALL(
      { return free_host(pointer, AllocationKind::kRegistered); });
}

cudaError_t cudaHostGetDevicePointer(void** device, void* host,
                                     unsigned flags) {
  return PTX_EMULATOR_CALL({
    if (device == nullptr || flags != 0) return cudaErrorInvalidValue;
    const auto found = Allocations::instance().find(host);
    if (!found || !found->is_host()) return cudaErrorInvalidValue;
    *device = host;
    return cudaSuccess;
  });
}

cudaError_t cudaHostGetFlags(unsigned* flags, void* host) {
  return PTX_EMULATOR_CALL({
    const auto found = Allocations::instance().find(host);
    if (flags == nullptr || !found || found->kind != AllocationKind::kHost)
      return cudaErrorInvalidValue;
    *flags = found->flags | cudaHostAllocMapped;
    return cudaSuccess;
  });
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  return PTX_EMULATOR_CALL({
    if (free == nullptr || total == nullptr) return cudaErrorInvalidValue;
    const DeviceMemory::Usage usage = DeviceMemory::instance().usage();
    *total = usage.capacity;
    *free = usage.capacity - usage.in_use;
    return cudaSuccess;
  });
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes,
                                     const void* pointer) {
  return PTX_EMULATOR_CALL({
    if (attributes == nullptr) return cudaErrorInvalidValue;
    *attributes = {};
    attributes->type = cudaMemoryTypeUnregistered;
    attributes->device = cudaInvalidDeviceId;
    attributes->hostPointer = const_cast<void*>(pointer);
    const auto found = Allocations::instance().find(pointer);
    if (found) {
      attributes->type = memory_type(*found);
      attributes->device = found->device;
      attributes->devicePointer = const_cast<void*>(pointer);
      if (attributes->type == cudaMemoryTypeDevice)
        attributes->hostPointer = nullptr;
    } else if (DeviceMemory::instance().find(to_address(pointer))) {
      attributes->type = cudaMemoryTypeDevice;  // a variable of a module
      attributes->device = 0;
      attributes->devicePointer = const_cast<void*>(pointer);
      attributes->hostPointer = nullptr;
    }
    return cudaSuccess;
  });
}

}  // extern "C"
#pragma GCC visibility pop
