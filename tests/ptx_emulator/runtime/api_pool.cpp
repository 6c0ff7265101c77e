// Stream-ordered allocation.
//
// An address is chosen at the call; the memory may be used from the point in
// the stream's order where the allocation stands to that of its release.
#include <cuda_runtime_api.h>

#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "memory/device_memory.h"
#include "runtime/allocations.h"
#include "runtime/configuration.h"
#include "runtime/status.h"
#include "runtime/streams.h"

namespace ptx_emulator {
namespace {

struct Pools {
  std::mutex mutex;
  std::set<std::unique_ptr<MemoryPool>> all;
  std::vector<MemoryPool*> defaults, current;  // of each device

  Pools() {
    for (int device = 0; device < configuration().devices; ++device)
      defaults.push_back(create(device));
    current = defaults;
  }
  MemoryPool* create(int device) {
    auto pool = std::make_unique<MemoryPool>();
    pool->device = device;
    return all.insert(std::move(pool)).first->get();
  }
  MemoryPool* find(cudaMemPool_t handle) {
    for (const auto& pool : all)
      if (static_cast<void*>(pool.get()) == static_cast<void*>(handle))
        return pool.get();
    return nullptr;
  }
};

Pools& pools() {
  static auto* result = new Pools;
  return *result;
}

cudaMemPool_t handle_of(MemoryPool* pool) {
  return reinterpret_cast<cudaMemPool_t>(pool);
}

bool is_device(int device) {
  return device >= 0 && device < configuration().devices;
}

MemoryPool* find_pool(cudaMemPool_t handle) {
  const std::lock_guard<std::mutex> lock(pools().mutex);
  return pools().find(handle);
}

Address reserve(std::size_t bytes, const MemoryPool& pool) {
  if (pool.limit != 0 && pool.used + bytes > pool.limit) return 0;
  return DeviceMemory::instance().allocate(bytes, "cudaMallocAsync");
}

// Memory of a graph: it stays allocated while the graph's nodes exist.
struct GraphMemory {
  Address base = 0;
  explicit GraphMemory(Address address) : base(address) {}
  GraphMemory(const GraphMemory&) = delete;
  GraphMemory& operator=(const GraphMemory&) = delete;
  ~GraphMemory() {
    Allocations::instance().remove(reinterpret_cast<void*>(base));
    DeviceMemory::instance().free(base);
  }
};

cudaError_t allocate(void** pointer, std::size_t bytes, MemoryPool* pool,
                     cudaStream_t handle) {
  Streams& streams = Streams::instance();
  Stream* stream = streams.find(handle);
  if (stream == nullptr) return cudaErrorInvalidResourceHandle;
  if (pointer == nullptr || pool == nullptr) return cudaErrorInvalidValue;
  *pointer = nullptr;
  if (bytes == 0) return cudaSuccess;
  Address address = reserve(bytes, *pool);
  if (address == 0) {
    // Memory may come back from work that has not run.
    streams.scheduler().finish_device(-1);
    address = reserve(bytes, *pool);
  }
  if (address == 0) return cudaErrorMemoryAllocation;
  DeviceMemory& memory = DeviceMemory::instance();
  memory.mark_freed(address, bytes);
  cudaStreamCaptureStatus capturing = cudaStreamCaptureStatusNone;
  streams.capture_status(*stream, &capturing, nullptr);
  const bool in_graph = capturing != cudaStreamCaptureStatusNone;
  std::shared_ptr<GraphMemory> owner;
  if (in_graph) owner = std::make_shared<GraphMemory>(address);
  Allocations::instance().add(
      {address, bytes,
       in_graph ? AllocationKind::kGraph : AllocationKind::kStreamOrdered,
       pool->device, 0, in_graph ? nullptr : pool});
  if (!in_graph) pool->add(bytes);
  *pointer = reinterpret_cast<void*>(address);
  return streams.enqueue(
      *stream,
      {cudaGraphNodeTypeMemAlloc, "cudaMallocAsync", [address, bytes, owner] {
         DeviceMemory::instance().mark_allocated(address, bytes);
       }});
}

cudaError_t release(void* pointer, cudaStream_t handle) {
  Streams& streams = Streams::instance();
  Stream* stream = streams.find(handle);
  if (stream == nullptr) return cudaErrorInvalidResourceHandle;
  if (pointer == nullptr) return cudaSuccess;
  const auto found = Allocations::instance().find(pointer);
  if (!found || found->base != reinterpret_cast<Address>(pointer) ||
      found->is_host() || found->kind == AllocationKind::kManaged)
    return cudaErrorInvalidValue;
  const Address base = found->base;
  const std::size_t bytes = found->bytes;
  if (found->kind == AllocationKind::kGraph)
    return streams.enqueue(
        *stream, {cudaGraphNodeTypeMemFree, "cudaFreeAsync", [base, bytes] {
                    DeviceMemory::instance().mark_freed(base, bytes);
                  }});
  MemoryPool* pool = found->pool;
  Allocations::instance().remove(pointer);
  return streams.enqueue(*stream,
                         {cudaGraphNodeTypeMemFree, "cudaFreeAsync", [=] {
                            if (pool != nullptr) pool->used -= bytes;
                            DeviceMemory::instance().free(base);
                          }});
}

cudaError_t access_attribute(MemoryPool& pool, cudaMemPoolAttr attribute,
                             void* value, bool set) {
  const auto number = [&](auto& member) {
    using T = std::remove_reference_t<decltype(member)>;
    if (set)
      member = *static_cast<T*>(value);
    else
      *static_cast<T*>(value) = member;
    return cudaSuccess;
  };
  const auto high_mark = [&](std::uint64_t now) {
    // "can only be reset to zero"
    if (set && *static_cast<std::uint64_t*>(value) != 0)
      return cudaErrorInvalidValue;
    if (set)
      pool.used_high = now;
    else
      *static_cast<std::uint64_t*>(value) = pool.used_high;
    return cudaSuccess;
  };
  switch (attribute) {
    case cudaMemPoolReuseFollowEventDependencies:
      return number(pool.reuse_follow_event_dependencies);
    case cudaMemPoolReuseAllowOpportunistic:
      return number(pool.reuse_allow_opportunistic);
    case cudaMemPoolReuseAllowInternalDependencies:
      return number(pool.reuse_allow_internal_dependencies);
    case cudaMemPoolAttrReleaseThreshold:
      return number(pool.release_threshold);
    case cudaMemPoolAttrReservedMemCurrent:
    case cudaMemPoolAttrUsedMemCurrent:
      if (set) return cudaErrorInvalidValue;
      *static_cast<std::uint64_t*>(value) = pool.used;
      return cudaSuccess;
    case cudaMemPoolAttrReservedMemHigh:
    case cudaMemPoolAttrUsedMemHigh:
      return high_mark(pool.used);
    default:
      return cudaErrorInvalidValue;
  }
}

}  // namespace
}  // namespace ptx_emulator

using namespace ptx_emulator;

#pragma GCC visibility push(default)
extern "C" {

cudaError_t cudaMallocAsync(void** pointer, size_t bytes, cudaStream_t stream) {
  return PTX_EMULATOR_CALL({
    Streams& streams = Streams::instance();
    const Stream* found = streams.find(stream);
    if (found == nullptr) return cudaErrorInvalidResourceHandle;
    MemoryPool* pool = nullptr;
    {
      const std::lock_guard<std::mutex> lock(pools().mutex);
      pool = pools().current[static_cast<std::size_t>(found->device)];
    }
    return allocate(pointer, bytes, pool, stream);
  });
}

cudaError_t cudaMallocFromPoolAsync(void** pointer, size_t bytes,
                                    cudaMemPool_t pool, cudaStream_t stream) {
  return PTX_EMULATOR_CALL(
      { return allocate(pointer, bytes, find_pool(pool), stream); });
}

cudaError_t cudaFreeAsync(void* pointer, cudaStream_t stream) {
  return PTX_EMULATOR_CALL({ return release(pointer, stream); });
}

cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool,
                              const cudaMemPoolProps* properties) {
  return PTX_EMULATOR_CALL({
    if (pool == nullptr || properties == nullptr ||
        properties->allocType != cudaMemAllocationTypePinned ||
        properties->location.type != cudaMemLocationTypeDevice ||
        !is_device(properties->location.id))
      return cudaErrorInvalidValue;
    if (properties->handleTypes != cudaMemHandleTypeNone)
      return cudaErrorNotSupported;
    const std::lock_guard<std::mutex> lock(pools().mutex);
    MemoryPool* created = pools().create(properties->location.id);
    created->limit = properties->maxSize;
    *pool = handle_of(created);
    return cudaSuccess;
  });
}

cudaError_t cudaMemPoolDestroy(cudaMemPool_t pool) {
  return PTX_EMULATOR_CALL({
    const std::lock_guard<std::mutex> lock(pools().mutex);
    MemoryPool* found = pools().find(pool);
    if (found == nullptr) return cudaErrorInvalidValue;
    for (std::size_t device = 0; device < pools().defaults.size(); ++device) {
      if (pools().defaults[device] == found) return cudaErrorInvalidValue;
      if (pools().current[device] == found)
        pools().current[device] = pools().defaults[device];
    }
    // Its blocks may be in use and count themselves out later, so the object
    // stays.
    return cudaSuccess;
  });
}

cudaError_t cudaMemPoolTrimTo(cudaMemPool_t pool, size_t) {
  return PTX_EMULATOR_CALL({
    return find_pool(pool) == nullptr ? cudaErrorInvalidValue : cudaSuccess;
  });
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool,
                                    cudaMemPoolAttr attribute, void* value) {
  return PTX_EMULATOR_CALL({
    MemoryPool* found = find_pool(pool);
    if (found == nullptr || value == nullptr) return cudaErrorInvalidValue;
    return access_attribute(*found, attribute, value, true);
  });
}

cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool,
                                    cudaMemPoolAttr attribute, void* value) {
  return PTX_EMULATOR_CALL({
    MemoryPool* found = find_pool(pool);
    if (found == nullptr || value == nullptr) return cudaErrorInvalidValue;
    return access_attribute(*found, attribute, value, false);
  });
}

cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int device) {
  return PTX_EMULATOR_CALL({
    if (!is_device(device)) return cudaErrorInvalidDevice;
    *pool = handle_of(pools().defaults[static_cast<std::size_t>(device)]);
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetMemPool(cudaMemPool_t* pool, int device) {
  return PTX_EMULATOR_CALL({
    if (!is_device(device)) return cudaErrorInvalidDevice;
    const std::lock_guard<std::mutex> lock(pools().mutex);
    *pool = handle_of(pools().current[static_cast<std::size_t>(device)]);
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceSetMemPool(int device, cudaMemPool_t pool) {
  return PTX_EMULATOR_CALL({
    if (!is_device(device)) return cudaErrorInvalidDevice;
    const std::lock_guard<std::mutex> lock(pools().mutex);
    MemoryPool* found = pools().find(pool);
    if (found == nullptr || found->device != device)
      return cudaErrorInvalidValue;
    pools().current[static_cast<std::size_t>(device)] = found;
    return cudaSuccess;
  });
}

}  // extern "C"
#pragma GCC visibility pop
