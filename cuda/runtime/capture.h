// Capture of a thread's launches into a graph.
//
// Streams of the caller never capture: each is stood for by a stream that the
// graph owns, so that a capture that fails leaves nothing behind, and a stream
// that other threads use, or the legacy stream, can be captured too.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cuda/codegen/scalar_table.h"
#include "cuda/runtime/events.h"
#include "cuda/runtime/index_log.h"
#include "cuda/runtime/stream_state.h"

namespace jacquard::cuda_backend {

// What the kernels of a graph use besides the caller's memory; given back after
// the graph's last run, in the order of the stream of that.
class GraphStorage {
 public:
  GraphStorage(std::size_t scalars, Stream home);
  ~GraphStorage();
  GraphStorage(const GraphStorage&) = delete;
  GraphStorage& operator=(const GraphStorage&) = delete;

  // A stream for captures, with memory and tickets of its own. What it did
  // before is done before later work of the graph's stream.
  StreamState& add_stream();
  // Memory until the graph ends.
  void* allocate(std::size_t bytes);
  // The stream of the last run, at first that of the caller of make_graph.
  Stream last() const { return last_->stream; }
  void run_on(Stream stream);

  DeviceState& device() const { return last_->device; }
  ScalarTable scalars;
  const std::shared_ptr<IndexLog> index_log = std::make_shared<IndexLog>();

 private:
  StreamState* last_;
  std::vector<StreamState*> streams_;
  std::vector<std::pair<void*, std::size_t>> blocks_;
};

class Capture {
 public:
  // Begins, for the calling thread. CudaError if it captures already.
  Capture(std::size_t scalars, Stream home);
  // Gives up what was captured unless it was ended.
  ~Capture();
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  // Of the calling thread; nullptr: none.
  static Capture* current() noexcept;
  // CudaError that names `op`, which the thread can't do while it captures.
  static void refuse(const char* op);

  // The stream that stands for one of the caller's, on the same device.
  Stream stream_for(Stream stream);
  // Where kernels of the graph find the slot's word.
  const std::uint64_t* slot(backend::Scalar value, DType dtype);
  // A copy on the device that is there before the graph is first launched.
  void* keep(const void* from_host, std::size_t bytes);
  IndexLog& index_log() { return *storage_->index_log; }

  // The graph, which the caller destroys, and what its kernels use.
  std::pair<cudaGraph_t, std::unique_ptr<GraphStorage>> end();

 private:
  struct Member {
    Stream from, to;
  };
  // Words that are the same in all runs, in a block of device memory.
  struct Constants {
    void* device = nullptr;
    std::vector<unsigned char> bytes;
  };

  Stream origin() const { return members_.front().to; }
  Stream join(Stream stream);
  cudaError_t finish(cudaGraph_t* graph) noexcept;

  std::unique_ptr<GraphStorage> storage_;
  std::vector<Member> members_;  // the first one is the origin
  std::optional<PooledEvent> begin_;
  std::vector<Constants> constants_;
  std::size_t words_ = 0;  // the entry of constants_ that takes slots, plus one
  std::unordered_map<std::uint64_t, const std::uint64_t*> known_words_;
};

// A scope in which the thread, though it captures, may take memory from the
// device and load modules.
class OutsideCapture {
 public:
  OutsideCapture();
  ~OutsideCapture();
  OutsideCapture(const OutsideCapture&) = delete;
  OutsideCapture& operator=(const OutsideCapture&) = delete;

 private:
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
  const bool active_;
};

}  // namespace jacquard::cuda_backend
