// The stream captures of a device that are open.
//
// While there is one, CUDA refuses to wait for the device as a whole, and a try
// spoils the capture, whichever thread makes it.
#pragma once

#include <mutex>
#include <span>

#include "jacquard/device.h"

namespace jacquard::cuda_backend {

class OpenCaptures {
 public:
  // A capture begins: waits while somebody waits for the device.
  void add();
  void remove() noexcept;
  // Waits for all work of the current device; while a capture is open, for that
  // of `streams`, none of which captures.
  void wait_for_device(std::span<const Stream> streams, const char* op);

 private:
  std::mutex mutex_;
  int open_ = 0;
};

}  // namespace jacquard::cuda_backend
