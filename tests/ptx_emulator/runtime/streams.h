// Streams and events over the scheduler, and capture into graphs.
//
// Order between streams: work of the legacy default stream comes after all
// earlier work of the device's blocking streams and before all their later
// work; non-blocking streams are ordered by events only.
//
// Thread safety: all member functions may be called from several threads. A
// stream or event must not be used while another thread destroys it.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "runtime/graph.h"
#include "runtime/scheduler.h"

namespace ptx_emulator {

struct Stream;

struct Capture {
  unsigned long long id = 0;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  std::thread::id thread;
  Stream* origin = nullptr;
  std::vector<Stream*> streams;  // origin and those that joined
  bool is_invalidated = false;
  bool is_active = true;
  Graph graph;
};

struct Stream {
  std::uint64_t number = 0;
  int device = 0;
  unsigned flags = cudaStreamDefault;
  int priority = 0;
  bool is_legacy = false;
  OperationPtr tail;  // the last operation; null before the first
  std::shared_ptr<Capture> capture;
  std::vector<std::size_t> capture_tail;  // nodes that the next one follows

  bool is_blocking() const { return (flags & cudaStreamNonBlocking) == 0; }
};

struct Event {
  unsigned flags = cudaEventDefault;
  int device = 0;
  bool is_recorded = false;
  OperationPtr operation;             // of the last cudaEventRecord
  std::shared_ptr<Capture> capture;   // of the last one in a capture
  std::vector<std::size_t> captured;  // the nodes that it stands for
};

int current_device();
void set_current_device(int device);

class Streams {
 public:
  static Streams& instance();

  Scheduler& scheduler() { return scheduler_; }

  // ---- streams ----
  // Null if the handle is of no living stream. Default streams are those of
  // the current device and thread.
  Stream* find(cudaStream_t handle);
  cudaStream_t create(unsigned flags, int priority);
  cudaError_t destroy(cudaStream_t handle);

  // Queues work; in a stream that captures, adds a node to the graph instead.
  cudaError_t enqueue(Stream& stream, Task task);
  cudaError_t launch(Stream& stream, ExecutableGraph& graph);
  cudaError_t synchronize(Stream& stream);
  cudaError_t query(Stream& stream);
  // device -1: all devices, as the end of the process's use of CUDA.
  cudaError_t synchronize_device(int device);

  // ---- events ----
  Event* find_event(cudaEvent_t handle);
  cudaEvent_t create_event(unsigned flags);
  cudaError_t destroy_event(cudaEvent_t handle);
  cudaError_t record(Event& event, Stream& stream);
  cudaError_t wait(Stream& stream, Event& event);
  cudaError_t synchronize(Event& event);
  cudaError_t query(Event& event);
  cudaError_t elapsed(const Event& start, const Event& end, float* ms);

  // ---- capture ----
  cudaError_t begin_capture(Stream& stream, cudaStreamCaptureMode mode);
  cudaError_t end_capture(Stream& stream, std::unique_ptr<Graph>* graph);
  cudaError_t capture_status(Stream& stream, cudaStreamCaptureStatus* status,
                             unsigned long long* id);
  // For calls that are "potentially unsafe" during a capture, such as
  // cudaMalloc: cudaErrorStreamCaptureUnsupported, and the captures that
  // forbid it are invalidated.
  cudaError_t admit_unsafe_call();
  // For calls that wait for a whole device: the same with every capture of it.
  cudaError_t admit_device_wait(int device);

 private:
  using Lock = std::lock_guard<std::mutex>;
  Streams();
  Stream& default_stream(int device);
  Stream& thread_stream(int device);
  Stream* add_stream(int device, unsigned flags, int priority);
  void submit(Stream& stream, const OperationPtr& operation,
              std::vector<OperationPtr> after);
  std::vector<OperationPtr> predecessors(Stream& stream);
  cudaError_t check_capture(Stream& stream);
  void invalidate(Capture& capture);
  cudaError_t capture_node(Stream& stream, Task task);
  cudaError_t wait_captured(Stream& stream, Event& event);
  void leave_capture(std::shared_ptr<Capture> capture);
  bool forbids(const Capture& capture) const;

  Scheduler scheduler_;
  std::mutex mutex_;
  std::uint64_t next_number_ = 1;
  unsigned long long next_capture_ = 1;
  std::vector<Stream*> defaults_;  // the legacy stream of each device
  std::unordered_map<const void*, std::unique_ptr<Stream>> streams_;
  std::unordered_map<const void*, std::unique_ptr<Event>> events_;
  // Of each device: after all work of destroyed blocking streams.
  std::vector<OperationPtr> orphans_;
  std::vector<std::shared_ptr<Capture>> captures_;  // active ones
};

// The mode of the calling thread, see cudaThreadExchangeStreamCaptureMode.
cudaStreamCaptureMode exchange_capture_mode(cudaStreamCaptureMode mode);
cudaStreamCaptureMode capture_mode_of_thread();

}  // namespace ptx_emulator
