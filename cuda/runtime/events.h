// Events without timing, kept for reuse.
#pragma once

#include <cuda_runtime_api.h>

#include <mutex>
#include <vector>

namespace jacquard::cuda_backend {

class EventPool {
 public:
  // The device of the events is current. Any thread.
  cudaEvent_t take();
  // May be given back as soon as the calls that name it have returned:
  // recording it anew does not touch what earlier waits wait for.
  void give(cudaEvent_t event) noexcept;

 private:
  std::mutex mutex_;
  std::vector<cudaEvent_t> idle_;
};

// An event for one scope.
class PooledEvent {
 public:
  explicit PooledEvent(EventPool& pool) : pool_(pool), event_(pool.take()) {}
  ~PooledEvent() { pool_.give(event_); }
  PooledEvent(const PooledEvent&) = delete;
  PooledEvent& operator=(const PooledEvent&) = delete;
  cudaEvent_t get() const { return event_; }

 private:
  EventPool& pool_;
  cudaEvent_t event_;
};

}  // namespace jacquard::cuda_backend
