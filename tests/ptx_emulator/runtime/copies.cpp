#include "runtime/copies.h"

#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "memory/device_memory.h"
#include "runtime/allocations.h"
#include "runtime/configuration.h"
#include "runtime/status.h"

namespace ptx_emulator {
namespace {

Address to_address(const void* pointer) {
  return reinterpret_cast<Address>(pointer);
}

// Whether the places of the operands are those that the kind says. Pinned
// memory is accessible to the device, so it may stand on either side.
bool is_direction(cudaMemcpyKind kind, Place to, Place from) {
  switch (kind) {
    case cudaMemcpyDefault:
      return true;
    case cudaMemcpyHostToHost:
      return to != Place::kDevice && from != Place::kDevice;
    case cudaMemcpyHostToDevice:
      return to != Place::kPageable && from != Place::kDevice;
    case cudaMemcpyDeviceToHost:
      return to != Place::kDevice && from != Place::kPageable;
    case cudaMemcpyDeviceToDevice:
      return to != Place::kPageable && from != Place::kPageable;
  }
  return false;
}

const char* to_string(Place place) {
  switch (place) {
    case Place::kDevice:
      return "device memory";
    case Place::kPinned:
      return "pinned host memory";
    default:
      return "host memory";
  }
}

void run_copy(const CopyShape& shape, const char* call) {
  DeviceMemory& memory = DeviceMemory::instance();
  if (shape.rows == 1)
    memory.copy(to_address(shape.to), to_address(shape.from), shape.bytes,
                call);
  else
    memory.copy_rows(to_address(shape.to), shape.to_pitch,
                     to_address(shape.from), shape.from_pitch, shape.bytes,
                     shape.rows, call);
}

// Reads the source now, as staging does, and gives a copy from the stage.
Work staged(CopyShape shape, const char* call) {
  auto stage =
      std::make_shared<std::vector<std::byte>>(shape.bytes * shape.rows);
  for (std::size_t row = 0; row < shape.rows; ++row)
    std::memcpy(
        stage->data() + row * shape.bytes,
        static_cast<const std::byte*>(shape.from) + row * shape.from_pitch,
        shape.bytes);
  shape.from_pitch = shape.bytes;
  return [shape, stage, call]() mutable {
    shape.from = stage->data();
    run_copy(shape, call);
  };
}

cudaError_t null_copy(const CopyShape& shape, Place to) {
  if (to == Place::kDevice) return cudaSuccess;
  for (std::size_t row = 0; row < shape.rows; ++row)
    std::memset(static_cast<std::byte*>(shape.to) + row * shape.to_pitch, 0,
                shape.bytes);
  return cudaSuccess;
}

}  // namespace

cudaError_t copy(const CopyShape& shape, cudaMemcpyKind kind,
                 cudaStream_t handle, HostWait wait, const char* call) {
  Streams& streams = Streams::instance();
  Stream* stream = streams.find(handle);
  if (stream == nullptr) return cudaErrorInvalidResourceHandle;
  if (shape.bytes == 0 || shape.rows == 0) return cudaSuccess;
  if (shape.to == nullptr || shape.from == nullptr)
    return cudaErrorInvalidValue;
  if (shape.rows > 1 &&
      (shape.to_pitch < shape.bytes || shape.from_pitch < shape.bytes))
    return cudaErrorInvalidPitchValue;
  const Place to = place_of(shape.to);
  const Place from = place_of(shape.from);
  if (!is_direction(kind, to, from)) {
    std::fprintf(stderr, "ptx_emulator: %s: from %s to %s with kind %d\n", call,
                 to_string(from), to_string(to), static_cast<int>(kind));
    return cudaErrorInvalidValue;
  }
  if (configuration().null_mode) return null_copy(shape, to);
  cudaStreamCaptureStatus capturing = cudaStreamCaptureStatusNone;
  if (const cudaError_t status =
          streams.capture_status(*stream, &capturing, nullptr))
    return status;
  const bool in_graph = capturing != cudaStreamCaptureStatusNone;
  if (in_graph && wait == HostWait::kBlocking) {
    streams.synchronize(*stream);  // refuses and invalidates the capture
    return cudaErrorStreamCaptureUnsupported;
  }
  const bool to_device = to == Place::kDevice;
  const bool from_device = from == Place::kDevice;
  // "For transfers from pageable host memory to device memory, a stream sync
  // is performed before the copy is initiated. The function will return once
  // the pageable buffer has been copied to the staging memory for DMA transfer
  // to device memory, but the DMA to final destination may not have
  // completed." The asynchronous call stages without the wait.
  const bool stages = to_device && from == Place::kPageable && !in_graph;
  if (stages && wait == HostWait::kBlocking)
    if (const cudaError_t status = streams.synchronize(*stream)) return status;
  Work work = stages ? staged(shape, call)
                     : Work([shape, call] { run_copy(shape, call); });
  if (const cudaError_t status = streams.enqueue(
          *stream, {cudaGraphNodeTypeMemcpy, call, std::move(work)}))
    return status;
  // "For transfers from device memory to device memory, no host-side
  // synchronization is performed." "For transfers from any host memory to any
  // host memory, the function is fully synchronous with respect to the host",
  // cudaMemcpyAsync too.
  const bool waits = wait == HostWait::kBlocking
                         ? !stages && !(to_device && from_device)
                         : !to_device && !from_device && !in_graph;
  return waits ? streams.synchronize(*stream) : cudaSuccess;
}

cudaError_t fill(const FillShape& shape, cudaStream_t handle, HostWait wait,
                 const char* call) {
  Streams& streams = Streams::instance();
  Stream* stream = streams.find(handle);
  if (stream == nullptr) return cudaErrorInvalidResourceHandle;
  if (shape.count == 0 || shape.rows == 0) return cudaSuccess;
  const std::size_t row_bytes = shape.count * shape.value_bytes;
  if (shape.rows > 1 && shape.pitch < row_bytes)
    return cudaErrorInvalidPitchValue;
  const Place place = place_of(shape.to);
  if (place == Place::kPageable ||
      to_address(shape.to) % shape.value_bytes != 0) {
    std::fprintf(stderr, "ptx_emulator: %s: %s at %p\n", call, to_string(place),
                 shape.to);
    return cudaErrorInvalidValue;
  }
  const Work work = [shape, call] {
    for (std::size_t row = 0; row < shape.rows; ++row)
      DeviceMemory::instance().fill(to_address(shape.to) + row * shape.pitch,
                                    shape.value, shape.value_bytes, shape.count,
                                    call);
  };
  if (const cudaError_t status =
          streams.enqueue(*stream, {cudaGraphNodeTypeMemset, call, work}))
    return status;
  // "The Memset functions are asynchronous with respect to the host except
  // when the target memory is pinned host memory."
  return wait == HostWait::kBlocking && place == Place::kPinned
             ? streams.synchronize(*stream)
             : cudaSuccess;
}

}  // namespace ptx_emulator
