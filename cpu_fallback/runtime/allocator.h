// The caching allocator of the CPU backend.
//
// Blocks are kept in size classes and never given back to the system, because
// the first touch of fresh pages costs ten times a write to memory that is
// mapped already. Blocks of 1 MiB and more are aligned to 2 MiB and ask for
// huge pages. All blocks are aligned to 64 bytes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/backend/backend.h"

namespace jacquard::cpu_fallback {

using MemoryStats = backend::Backend::MemoryStats;

// Never nullptr, also for 0 bytes. OutOfMemory with the bytes requested, in
// use, at the peak and free, when the system refuses or
// $JACQUARD_CPU_MEMORY_LIMIT (bytes taken from the system, read at the first
// call) would be exceeded; big free blocks are given back to the system before
// that. Blocks up to 32 KiB come from a cache of the thread: about 10 ns, no
// lock.
void* allocate(std::size_t bytes);
// `bytes` as it was asked for. Any thread.
void free(void* data, std::size_t bytes) noexcept;

// Exact when no other thread is in the allocator; the peak may miss up to
// 64 KiB a thread.
MemoryStats memory_stats();
void reset_peak_memory();

// Frees at the end of a scope.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t bytes) : data_(allocate(bytes)), bytes_(bytes) {}
  Buffer(Buffer&& o) noexcept : data_(o.data_), bytes_(o.bytes_) {
    o.data_ = nullptr;
  }
  Buffer& operator=(Buffer&& o) noexcept {
    void* data = o.data_;
    const std::size_t bytes = o.bytes_;
    o.data_ = nullptr;
    if (data_) cpu_fallback::free(data_, bytes_);
    data_ = data;
    bytes_ = bytes;
    return *this;
  }
  ~Buffer() {
    if (data_) cpu_fallback::free(data_, bytes_);
  }
  char* data() const { return static_cast<char*>(data_); }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace jacquard::cpu_fallback
