#include "cuda/runtime/device.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <string>

#include "cuda/runtime/error.h"
#include "jacquard/error.h"

namespace jacquard::cuda_backend {
namespace {

struct Found {
  cudaError_t status;
  int count = 0;

  Found() {
    status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess) {
      (void)cudaGetLastError();
      count = 0;
    }
    count = std::min(count, kMaxDevices);
  }
};

const Found& found() {
  static const Found f;
  return f;
}

struct Entry {
  std::once_flag once;
  DeviceInfo info;
};

void ask(int index, DeviceInfo& info) {
  cudaDeviceProp p{};
  check(cudaGetDeviceProperties(&p, index), "cudaGetDeviceProperties");
  info.index = index;
  info.major = p.major;
  info.minor = p.minor;
  info.multiprocessors = p.multiProcessorCount;
  info.max_threads_per_multiprocessor = p.maxThreadsPerMultiProcessor;
  info.shared_per_block = p.sharedMemPerBlock;
  info.shared_per_block_optin = p.sharedMemPerBlockOptin;
  info.l2_bytes = static_cast<std::size_t>(std::max(p.l2CacheSize, 0));
  std::memcpy(info.name, p.name, sizeof info.name);
  info.name[sizeof info.name - 1] = '\0';
}

}  // namespace

int device_count() noexcept { return found().count; }

void require_device(int index) {
  const Found& f = found();
  if (index >= 0 && index < f.count) [[likely]]
    return;
  std::string message =
      "cuda:" + std::to_string(index) +
      ": there is no such device: " + std::to_string(f.count) + " present";
  if (f.status != cudaSuccess)
    message += std::string(" (") + cudaGetErrorName(f.status) + ": " +
               cudaGetErrorString(f.status) + ")";
  throw DeviceError(message);
}

const DeviceInfo& device_info(int index) {
  require_device(index);
  static auto* const entries = new Entry[kMaxDevices];
  Entry& entry = entries[index];
  std::call_once(entry.once, [&] { ask(index, entry.info); });
  return entry.info;
}

DeviceGuard::DeviceGuard(int index) : previous_(-1) {
  if (device_count() <= 1) return;
  int now = 0;
  check(cudaGetDevice(&now), "cudaGetDevice");
  if (now == index) return;
  check(cudaSetDevice(index), "cudaSetDevice");
  previous_ = now;
}

// What it returns is not looked at: a lost context is reported by the calls
// that do work.
DeviceGuard::~DeviceGuard() {
  if (previous_ >= 0) (void)cudaSetDevice(previous_);
}

}  // namespace jacquard::cuda_backend
