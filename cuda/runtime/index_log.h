// Which index checks a stream has under way: see index_check in stream.h.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "cuda/runtime/stream.h"

namespace jacquard::cuda_backend {

class IndexLog {
 public:
  IndexLog() = default;
  ~IndexLog();
  IndexLog(const IndexLog&) = delete;
  IndexLog& operator=(const IndexLog&) = delete;

  IndexCheck add(const char* op, std::int64_t extent, Stream stream);
  // The work of the stream has run.
  void report();
  // A graph that runs on the stream has its checks in `other`: reported here
  // too, until the graph is gone and its last run was reported.
  void watch(const std::shared_ptr<IndexLog>& other);

 private:
  // A kernel's id leads to what it was asked, until so many later ones.
  static constexpr std::uint64_t kRemembered = 1024;

  struct Entry {
    std::atomic<std::uint64_t> id{0};
    std::atomic<const char*> op{nullptr};
    std::atomic<std::int64_t> extent{0};
  };
  struct Idle;
  // Made when the stream first checks an index.
  struct Record {
    unsigned long long* words = nullptr;  // id, index; pinned and mapped
    std::atomic<std::uint64_t> last{0};
    Entry entries[kRemembered];
  };

  Record& make(Stream stream);
  void report_own();

  std::mutex mutex_;
  std::atomic<Record*> record_{nullptr};
  std::atomic<bool> watches_{false};
  std::vector<std::shared_ptr<IndexLog>> watched_;
};

}  // namespace jacquard::cuda_backend
