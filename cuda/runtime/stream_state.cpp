#include "cuda/runtime/stream_state.h"

#include <cuda_runtime_api.h>

#include "cuda/runtime/device.h"
#include "cuda/runtime/error.h"

namespace jacquard::cuda_backend {
namespace {

constinit thread_local StreamState* last_used = nullptr;

}  // namespace

StreamState::StreamState(DeviceState& device, Stream stream)
    : device(device), stream(stream), staging(stream, device.events) {
  memory.stream = stream;
}

StreamState& DeviceState::add(Stream stream) {
  auto& state = streams_[stream.native_handle()];
  if (!state) {
    auto made = std::make_unique<StreamState>(*this, stream);
    pool.add(made->memory);
    state = std::move(made);
  }
  return *state;
}

StreamState& DeviceState::of(Stream stream) {
  const std::lock_guard lock(mutex_);
  return add(stream);
}

StreamState& DeviceState::take_from(List& idle) {
  const std::lock_guard lock(mutex_);
  if (!idle.empty()) {
    StreamState& state = *idle.back();
    idle.pop_back();
    return state;
  }
  // So that giving it back needs no memory.
  idle.reserve(streams_.size() + 1);
  const DeviceGuard guard(index);
  cudaStream_t made = nullptr;
  check(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking),
        "cudaStreamCreateWithFlags");
  return add(Stream::wrap(jacquard::cuda(index), made));
}

void DeviceState::give_to(List& idle, StreamState& state) noexcept {
  const std::lock_guard lock(mutex_);
  idle.push_back(&state);
}

StreamState& DeviceState::take_stream() { return take_from(idle_); }
void DeviceState::give_stream(StreamState& state) noexcept {
  give_to(idle_, state);
}
StreamState& DeviceState::take_graph_stream() {
  return take_from(idle_graph_streams_);
}
void DeviceState::give_graph_stream(StreamState& state) noexcept {
  give_to(idle_graph_streams_, state);
}

std::vector<StreamState*> DeviceState::streams() {
  const std::lock_guard lock(mutex_);
  std::vector<StreamState*> all;
  all.reserve(streams_.size());
  for (const auto& [handle, state] : streams_) all.push_back(state.get());
  return all;
}

DeviceState& device_state(int index) {
  require_device(index);
  static auto* const states = [] {
    auto* made = new std::vector<std::unique_ptr<DeviceState>>;
    for (int i = 0; i < device_count(); ++i)
      made->push_back(std::make_unique<DeviceState>(i));
    return made;
  }();
  return *(*states)[static_cast<std::size_t>(index)];
}

StreamState& stream_state(Stream stream) {
  if (last_used && last_used->stream == stream) [[likely]]
    return *last_used;
  last_used = &device_state(stream.device().index).of(stream);
  return *last_used;
}

}  // namespace jacquard::cuda_backend
