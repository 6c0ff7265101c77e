// Stream-ordered device memory from our own pool, and staged copies.
#pragma once

#include <cstddef>

#include "core/backend/backend.h"
#include "jacquard/device.h"

namespace jacquard::cuda_backend {

// As backend::Backend says; at least 256-byte aligned. OutOfMemory also when
// the pool would take more than $JACQUARD_CUDA_MEMORY_LIMIT bytes from a device
// (read once; no limit by default). `free` ends the program if the memory is
// not handed out.
void* allocate(std::size_t bytes, Stream stream);
void free(void* data, std::size_t bytes, Stream stream) noexcept;
backend::Backend::MemoryStats memory_stats(int device);
void reset_peak_memory(int device);

// Memory of one launch: given back, in the order of the stream, at the end of
// the scope that enqueued the launch.
class Scratch {
 public:
  Scratch(std::size_t bytes, Stream stream)
      : data_(bytes == 0 ? nullptr : allocate(bytes, stream)),
        bytes_(bytes),
        stream_(stream) {}
  ~Scratch() {
    if (data_) free(data_, bytes_, stream_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  void* data() const { return data_; }
  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_;
  std::size_t bytes_;
  Stream stream_;
};

// A block of zeros of the stream's, for the tickets with which the last block
// of a reduction is found. Every kernel leaves it zero. Lives as long as the
// stream.
inline constexpr std::size_t kTicketCount = 4096;
unsigned* tickets(Stream stream);

void upload(void* to, const void* from_host, std::size_t bytes, Stream stream);
void download(void* to_host, const void* from, std::size_t bytes,
              Stream stream);
void copy(void* to, const void* from, std::size_t bytes, Stream stream);

}  // namespace jacquard::cuda_backend
