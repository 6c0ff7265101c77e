// The devices of this process.
#pragma once

#include <cstddef>

namespace jacquard::cuda_backend {

struct DeviceInfo {
  int index = 0;
  int major = 0, minor = 0;  // compute capability
  int multiprocessors = 0;
  int max_threads_per_multiprocessor = 0;
  std::size_t shared_per_block = 0;        // without opting in
  std::size_t shared_per_block_optin = 0;  // the most a kernel can ask for
  std::size_t l2_bytes = 0;
  char name[256] = "";

  int capability() const { return major * 10 + minor; }
};

// The most devices that are used; more are not seen.
inline constexpr int kMaxDevices = 32;

// 0 without a driver or a device: a normal state. Never throws; asked once.
int device_count() noexcept;

// Asked once for each device. DeviceError if there is no such device.
const DeviceInfo& device_info(int index);

// DeviceError if there is no such device; says why.
void require_device(int index);

// Makes a device current for the calling thread; restores the earlier one.
// Calls CUDA only where there are several devices.
class DeviceGuard {
 public:
  explicit DeviceGuard(int index);
  ~DeviceGuard();
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

 private:
  int previous_;
};

}  // namespace jacquard::cuda_backend
