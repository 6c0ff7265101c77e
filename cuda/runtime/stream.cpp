#include "cuda/runtime/stream.h"

#include "cuda/runtime/capture.h"
#include "cuda/runtime/device.h"
#include "cuda/runtime/error.h"
#include "cuda/runtime/stream_state.h"

namespace jacquard::cuda_backend {
namespace {

// A plain array beside its owner: what a thread asks while it ends, after its
// destructors ran, still finds it.
constinit thread_local StreamState* of_thread[kMaxDevices] = {};
constinit thread_local bool thread_ended = false;

struct ThreadStreams {
  ~ThreadStreams() {
    thread_ended = true;
    for (StreamState*& state : of_thread) {
      if (state) state->device.give_stream(*state);
      state = nullptr;
    }
  }
};

StreamState& take_for_thread(int device) {
  StreamState& state = device_state(device).take_stream();
  if (thread_ended) {
    // Any stream is right, and nobody would give it back later.
    state.device.give_stream(state);
    return state;
  }
  thread_local ThreadStreams owner;
  of_thread[device] = &state;
  return state;
}

}  // namespace

Stream current_stream(int device) {
  if (device >= 0 && device < kMaxDevices && of_thread[device]) [[likely]]
    return of_thread[device]->stream;
  require_device(device);
  return take_for_thread(device).stream;
}

Stream make_stream(int device) {
  return device_state(device).take_stream().stream;
}

void order(Stream after, Stream before) {
  if (after == before) return;
  DeviceState& device = device_state(before.device().index);
  const DeviceGuard guard(device.index);
  const PooledEvent event(device.events);
  check(cudaEventRecord(event.get(), handle(before)), "cudaEventRecord",
        "order");
  check(cudaStreamWaitEvent(handle(after), event.get(), 0),
        "cudaStreamWaitEvent", "order");
}

void synchronize(Stream stream) {
  StreamState& state = stream_state(stream);
  const DeviceGuard guard(state.device.index);
  check(cudaStreamSynchronize(handle(stream)), "cudaStreamSynchronize",
        "synchronize");
  state.index_log.report();
}

void synchronize_device(int device) {
  DeviceState& state = device_state(device);
  const DeviceGuard guard(device);
  state.pool.wait("synchronize");
  for (StreamState* stream : state.streams()) stream->index_log.report();
}

IndexCheck index_check(const char* op, std::int64_t extent, Stream stream) {
  if (Capture* capture = Capture::current()) [[unlikely]]
    return capture->index_log().add(op, extent, stream);
  return stream_state(stream).index_log.add(op, extent, stream);
}

void report_index_errors(Stream stream) {
  stream_state(stream).index_log.report();
}

}  // namespace jacquard::cuda_backend
