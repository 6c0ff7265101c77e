// Devices and streams.
#pragma once

#include <cstdint>
#include <string>

#include "jacquard/export.h"

namespace jacquard {

enum class DeviceType : std::uint8_t { cpu, cuda };

struct Device {
  DeviceType type = DeviceType::cpu;
  std::int8_t index = 0;

  friend bool operator==(Device, Device) = default;
};

inline Device cpu() { return {DeviceType::cpu, 0}; }
inline Device cuda(int index = 0) {
  return {DeviceType::cuda, static_cast<std::int8_t>(index)};
}

// "cpu", "cuda:0".
JACQUARD_API std::string to_string(Device device);

// Whether a backend for the device is installed and the device is present.
// Never throws.
JACQUARD_API bool is_available(Device device);

// Where creation functions put their results: the first GPU, else the CPU;
// $JACQUARD_DEVICE ("cpu", "cuda", "cuda:1") or set_default_device override.
// DeviceError when the named device is absent. Per process.
JACQUARD_API Device default_device();
JACQUARD_API void set_default_device(Device device);

// A queue of work on a device; work on one stream runs in order. Each thread
// has a current stream for each device; operations are enqueued there. A value
// type: copying it names the same queue.
class JACQUARD_API Stream {
 public:
  Stream() = default;
  Device device() const { return device_; }
  // The backend's own handle (cudaStream_t on CUDA, nullptr on the CPU).
  void* native_handle() const { return handle_; }
  // A new queue. It lives as long as the process: make few and keep them.
  static Stream make(Device device);
  // A stream that the caller made and keeps alive for as long as values that
  // were made on it or used there.
  static Stream wrap(Device device, void* native_handle) {
    Stream s;
    s.device_ = device;
    s.handle_ = native_handle;
    return s;
  }
  // Waits until everything enqueued so far has run. Reports errors of earlier
  // work.
  void synchronize() const;

  friend bool operator==(const Stream&, const Stream&) = default;

 private:
  Device device_;
  void* handle_ = nullptr;
};

// The calling thread's stream for the device: one of its own, unless a
// StreamScope chose another.
JACQUARD_API Stream current_stream(Device device);

// Makes a stream the calling thread's current one for its device. A value is
// computed on the stream that was current when its operation was called, and
// its gradients there, too; where a value is used on another stream, that
// stream waits for it. Scopes nest.
class JACQUARD_API StreamScope {
 public:
  explicit StreamScope(Stream stream);
  ~StreamScope();
  StreamScope(const StreamScope&) = delete;
  StreamScope& operator=(const StreamScope&) = delete;

 private:
  Stream previous_;
  bool active_;
};

// Waits for all streams of the device that Jacquard knows. Forces nothing.
JACQUARD_API void synchronize(Device device);

}  // namespace jacquard
