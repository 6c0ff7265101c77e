#include "jacquard/device.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "core/backend/backend.h"
#include "jacquard/error.h"
#include "jacquard/memory.h"

namespace jacquard {
namespace {

using backend::backend_of;
using backend::find_backend;

constexpr std::uint16_t kUnset = 0xffff;

constexpr std::uint16_t encode(Device device) {
  return static_cast<std::uint16_t>(static_cast<unsigned>(device.type) << 8 |
                                    static_cast<std::uint8_t>(device.index));
}

constexpr Device decode(std::uint16_t code) {
  return {static_cast<DeviceType>(code >> 8),
          static_cast<std::int8_t>(code & 0xff)};
}

std::atomic<std::uint16_t> default_code{kUnset};

// Throws what says why the device is absent.
void require(Device device, const std::string& who) {
  const int count = backend_of(device.type).device_count();
  if (device.index < 0 || device.index >= count)
    throw DeviceError(who + ": there is no " + to_string(device) + ": " +
                      std::to_string(count) + " such device" +
                      (count == 1 ? " is" : "s are") + " present");
}

Device parse(std::string_view name) {
  if (name == "cpu") return cpu();
  if (name == "cuda") return cuda();
  constexpr std::string_view prefix = "cuda:";
  if (name.starts_with(prefix)) {
    const char* first = name.data() + prefix.size();
    const char* last = name.data() + name.size();
    std::int8_t index = 0;
    const auto [rest, error] = std::from_chars(first, last, index);
    if (error == std::errc() && rest == last && index >= 0) return cuda(index);
  }
  throw DeviceError("JACQUARD_DEVICE: \"" + std::string(name) +
                    "\" is not a device; use cpu, cuda or cuda:1");
}

Device choose_default() {
  if (const char* name = std::getenv("JACQUARD_DEVICE");
      name != nullptr && *name != '\0') {
    const Device device = parse(name);
    require(device, "JACQUARD_DEVICE");
    return device;
  }
  return is_available(cuda()) ? cuda() : cpu();
}

}  // namespace

std::string to_string(Device device) {
  if (device.type == DeviceType::cpu) return "cpu";
  return "cuda:" + std::to_string(device.index);
}

bool is_available(Device device) {
  backend::Backend* found = find_backend(device.type);
  if (found == nullptr || device.index < 0) return false;
  try {
    return device.index < found->device_count();
  } catch (...) {
    return false;
  }
}

Device default_device() {
  std::uint16_t code = default_code.load(std::memory_order_relaxed);
  if (code == kUnset) [[unlikely]] {
    const std::uint16_t chosen = encode(choose_default());
    // Whoever set it meanwhile wins.
    if (default_code.compare_exchange_strong(code, chosen,
                                             std::memory_order_relaxed))
      code = chosen;
  }
  return decode(code);
}

void set_default_device(Device device) {
  require(device, "set_default_device");
  default_code.store(encode(device), std::memory_order_relaxed);
}

void Stream::synchronize() const {
  backend_of(device_.type).synchronize(*this);
}

namespace {

// The calling thread's current stream of the device that it used last. A
// default-constructed stream is the CPU's.
constinit thread_local Stream latest;
// What scopes chose, the innermost last.
thread_local std::vector<Stream> chosen;

}  // namespace

Stream current_stream(Device device) {
  if (latest.device() == device) [[likely]]
    return latest;
  const auto it = std::find_if(chosen.rbegin(), chosen.rend(),
                               [&](Stream s) { return s.device() == device; });
  latest = it != chosen.rend()
               ? *it
               : backend_of(device.type).current_stream(device.index);
  return latest;
}

StreamScope::StreamScope(Stream stream)
    : previous_(latest), active_(!(stream == latest)) {
  if (!active_) return;
  chosen.push_back(stream);
  latest = stream;
}

StreamScope::~StreamScope() {
  if (!active_) return;
  chosen.pop_back();
  latest = previous_;
}

Stream Stream::make(Device device) {
  require(device, "Stream::make");
  return backend_of(device.type).make_stream(device.index);
}

void synchronize(Device device) {
  require(device, "synchronize");
  backend_of(device.type).synchronize_device(device.index);
}

MemoryStats memory_stats(Device device) {
  require(device, "memory_stats");
  const auto stats = backend_of(device.type).memory_stats(device.index);
  return {stats.in_use, stats.peak, stats.system_allocations};
}

void reset_peak_memory(Device device) {
  require(device, "reset_peak_memory");
  backend_of(device.type).reset_peak_memory(device.index);
}

}  // namespace jacquard
