// Copies between pageable host memory and the device, through pinned memory of
// our own. For pageable memory CUDA may wait for the stream before it copies;
// copies from and to pinned memory are enqueued like kernels.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <mutex>
#include <vector>

#include "cuda/runtime/events.h"
#include "jacquard/device.h"

namespace jacquard::cuda_backend {

// The pinned chunks of one stream, filled one after the other. A chunk gets an
// event when it is full, so that small uploads cost a memcpy and one call; it
// is filled again when its event has passed.
class Staging {
 public:
  Staging(Stream stream, EventPool& events)
      : stream_(stream), events_(events) {}

  // The stream's device is current; bytes > 0.
  void upload(void* to, const void* from_host, std::size_t bytes);
  // Has waited for the stream when it returns.
  void download(void* to_host, const void* from, std::size_t bytes);

 private:
  static constexpr std::size_t kChunk = std::size_t{1} << 20;
  static constexpr std::size_t kMostChunks = 4;
  static constexpr std::size_t kAlignment = 64;

  struct Chunk {
    char* data = nullptr;
    cudaEvent_t copied = nullptr;
    bool waiting = false;  // copies from it may not have run
  };

  // Every copy of the ring has run.
  void start_afresh();
  char* reserve(std::size_t bytes);
  void next_chunk();
  void insert_chunk(std::size_t at);
  void download_long(char* to_host, const char* from, std::size_t bytes);

  const Stream stream_;
  EventPool& events_;
  std::mutex mutex_;
  std::vector<Chunk> chunks_;  // a ring
  std::size_t now_ = 0;        // the chunk being filled
  std::size_t used_ = 0;       // bytes of it
};

}  // namespace jacquard::cuda_backend
