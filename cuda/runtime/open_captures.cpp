#include "cuda/runtime/open_captures.h"

#include <cuda_runtime_api.h>

#include "cuda/runtime/error.h"
#include "cuda/runtime/stream.h"

namespace jacquard::cuda_backend {

void OpenCaptures::add() {
  const std::lock_guard lock(mutex_);
  ++open_;
}

void OpenCaptures::remove() noexcept {
  const std::lock_guard lock(mutex_);
  --open_;
}

void OpenCaptures::wait_for_device(std::span<const Stream> streams,
                                   const char* op) {
  const std::lock_guard lock(mutex_);
  if (open_ == 0) {
    check(cudaDeviceSynchronize(), "cudaDeviceSynchronize", op);
    return;
  }
  for (const Stream stream : streams)
    check(cudaStreamSynchronize(handle(stream)), "cudaStreamSynchronize", op);
}

}  // namespace jacquard::cuda_backend
