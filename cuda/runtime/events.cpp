#include "cuda/runtime/events.h"

#include "cuda/runtime/error.h"

namespace jacquard::cuda_backend {

cudaEvent_t EventPool::take() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      cudaEvent_t event = idle_.back();
      idle_.pop_back();
      return event;
    }
    // So that giving it back needs no memory.
    idle_.reserve(idle_.capacity() + 1);
  }
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming),
        "cudaEventCreateWithFlags");
  return event;
}

void EventPool::give(cudaEvent_t event) noexcept {
  const std::lock_guard lock(mutex_);
  idle_.push_back(event);
}

}  // namespace jacquard::cuda_backend
