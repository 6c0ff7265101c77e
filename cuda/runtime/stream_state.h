// What the runtime keeps for each device and each stream. All of it lives as
// long as the process: values may be freed after main.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "cuda/runtime/events.h"
#include "cuda/runtime/index_log.h"
#include "cuda/runtime/pool.h"
#include "cuda/runtime/staging.h"
#include "jacquard/device.h"

namespace jacquard::cuda_backend {

struct DeviceState;

struct StreamState {
  StreamState(DeviceState& device, Stream stream);

  DeviceState& device;
  const Stream stream;
  StreamMemory memory;
  Staging staging;
  IndexLog index_log;
  std::mutex tickets_mutex;
  std::atomic<unsigned*> tickets{nullptr};
};

struct DeviceState {
  explicit DeviceState(int index) : index(index), pool(index) {}

  // Of a stream that is seen for the first time, too.
  StreamState& of(Stream stream);
  // A stream of our own that nobody has.
  StreamState& take_stream();
  void give_stream(StreamState& state) noexcept;
  // The same for streams on which nothing but graphs is captured.
  StreamState& take_graph_stream();
  void give_graph_stream(StreamState& state) noexcept;
  std::vector<StreamState*> streams();

  const int index;
  DevicePool pool;
  EventPool events;

 private:
  using List = std::vector<StreamState*>;

  StreamState& add(Stream stream);
  StreamState& take_from(List& idle);
  void give_to(List& idle, StreamState& state) noexcept;

  std::mutex mutex_;
  std::unordered_map<void*, std::unique_ptr<StreamState>> streams_;
  List idle_, idle_graph_streams_;
};

// DeviceError if there is no such device.
DeviceState& device_state(int index);

// Keyed by the device and the handle: a wrapped stream has one, too. A
// comparison for the stream that the thread used last.
StreamState& stream_state(Stream stream);

}  // namespace jacquard::cuda_backend
