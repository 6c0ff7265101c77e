// Which index checks a stream has under way: see index_check in stream.h.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "cuda/runtime/stream.h"

namespace jacquard::cuda_backend {

class IndexLog {
 public:
  IndexCheck add(const char* op, std::int64_t extent, Stream stream);
  // The work of the stream has run.
  void report();

 private:
  // A kernel's id leads to what it was asked, until so many later ones.
  static constexpr std::uint64_t kRemembered = 1024;

  struct Entry {
    std::atomic<std::uint64_t> id{0};
    std::atomic<const char*> op{nullptr};
    std::atomic<std::int64_t> extent{0};
  };
  // Made when the stream first checks an index.
  struct Record {
    unsigned long long* words = nullptr;  // id, index; pinned and mapped
    std::atomic<std::uint64_t> last{0};
    Entry entries[kRemembered];
  };

  Record& make(Stream stream);

  std::mutex mutex_;
  std::atomic<Record*> record_{nullptr};
};

}  // namespace jacquard::cuda_backend
