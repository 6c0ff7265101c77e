#include <cuda_runtime_api.h>

#include <stdexcept>

#include "kernels/device_timer.h"

namespace kernels {
namespace {

void check(cudaError_t status) {
  if (status != cudaSuccess)
    throw std::runtime_error(cudaGetErrorString(status));
}

class EventTimer final : public DeviceTimer {
 public:
  explicit EventTimer(jacquard::Stream stream)
      : stream_(static_cast<cudaStream_t>(stream.native_handle())) {
    check(cudaEventCreate(&first_));
    check(cudaEventCreate(&last_));
  }
  ~EventTimer() override {
    cudaEventDestroy(first_);
    cudaEventDestroy(last_);
  }
  void start() override { check(cudaEventRecord(first_, stream_)); }
  double stop() override {
    check(cudaEventRecord(last_, stream_));
    check(cudaEventSynchronize(last_));
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, first_, last_));
    return 1e-3 * milliseconds;
  }

 private:
  cudaStream_t stream_;
  cudaEvent_t first_ = nullptr, last_ = nullptr;
};

}  // namespace

std::unique_ptr<DeviceTimer> event_timer(jacquard::Stream stream) {
  return std::make_unique<EventTimer>(stream);
}

}  // namespace kernels
