// The time that a device takes for what is enqueued between two calls.
#pragma once

#include <jacquard/device.h>

#include <memory>

namespace kernels {

// On CUDA by events on the stream, so that the host's part doesn't count; on
// the CPU, whose work is done when the call returns, by the clock.
class DeviceTimer {
 public:
  virtual ~DeviceTimer() = default;
  virtual void start() = 0;
  // Waits. Seconds since start.
  virtual double stop() = 0;
};

// Throws in a build without the CUDA backend.
std::unique_ptr<DeviceTimer> event_timer(jacquard::Stream stream);

}  // namespace kernels
