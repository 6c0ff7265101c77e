#include "cuda/runtime/memory.h"

#include "cuda/runtime/device.h"
#include "cuda/runtime/error.h"
#include "cuda/runtime/stream.h"
#include "cuda/runtime/stream_state.h"

namespace jacquard::cuda_backend {
namespace {

unsigned* make_tickets(StreamState& state) {
  const std::lock_guard lock(state.tickets_mutex);
  if (unsigned* made = state.tickets.load(std::memory_order_acquire))
    return made;
  constexpr std::size_t bytes = kTicketCount * sizeof(unsigned);
  const DeviceGuard guard(state.device.index);
  void* data = state.device.pool.take(bytes, state.memory, /*counted=*/false);
  // Zeroed in the order of the stream. If that fails the block is lost, as is
  // the device.
  check(cudaMemsetAsync(data, 0, bytes, handle(state.stream)),
        "cudaMemsetAsync", "tickets");
  auto* made = static_cast<unsigned*>(data);
  state.tickets.store(made, std::memory_order_release);
  return made;
}

}  // namespace

void* allocate(std::size_t bytes, Stream stream) {
  StreamState& state = stream_state(stream);
  return state.device.pool.take(bytes, state.memory);
}

void free(void* data, std::size_t bytes, Stream stream) noexcept {
  if (!data) return;
  StreamState& state = stream_state(stream);
  state.device.pool.give(data, bytes, state.memory);
}

backend::Backend::MemoryStats memory_stats(int device) {
  return device_state(device).pool.stats();
}

void reset_peak_memory(int device) { device_state(device).pool.reset_peak(); }

unsigned* tickets(Stream stream) {
  StreamState& state = stream_state(stream);
  unsigned* made = state.tickets.load(std::memory_order_acquire);
  return made ? made : make_tickets(state);
}

void upload(void* to, const void* from_host, std::size_t bytes, Stream stream) {
  if (bytes == 0) return;
  StreamState& state = stream_state(stream);
  const DeviceGuard guard(state.device.index);
  state.staging.upload(to, from_host, bytes);
}

void download(void* to_host, const void* from, std::size_t bytes,
              Stream stream) {
  if (bytes == 0) return;
  StreamState& state = stream_state(stream);
  const DeviceGuard guard(state.device.index);
  state.staging.download(to_host, from, bytes);
  state.index_log.report();
}

void copy(void* to, const void* from, std::size_t bytes, Stream stream) {
  if (bytes == 0) return;
  const DeviceGuard guard(stream.device().index);
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice,
                        handle(stream)),
        "cudaMemcpyAsync", "copy");
}

}  // namespace jacquard::cuda_backend
