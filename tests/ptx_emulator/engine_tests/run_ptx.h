// Runs hand-written PTX on the engine.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "execute/engine.h"
#include "memory/counters.h"
#include "memory/device_memory.h"

namespace ptx_emulator {

using Words = std::vector<std::uint64_t>;  // one value a lane

// Device memory that holds values of T; freed with the object.
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(const std::vector<T>& values) : size_(values.size()) {
    auto& memory = DeviceMemory::instance();
    address_ = memory.allocate(size_ * sizeof(T), "test");
    if (size_ != 0) {
      memory.copy(address_, reinterpret_cast<Address>(values.data()),
                  size_ * sizeof(T), "test");
    }
  }
  ~DeviceArray() { DeviceMemory::instance().free(address_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  std::uint64_t address() const { return address_; }
  std::vector<T> values() const {
    std::vector<T> result(size_);
    DeviceMemory::instance().copy(reinterpret_cast<Address>(result.data()),
                                  address_, size_ * sizeof(T), "test");
    return result;
  }

 private:
  std::size_t size_;
  Address address_;
};

// A module of the given text, for a device of capability 12.0.
std::shared_ptr<Module> load_ptx(const std::string& text);

// ".version ... .target ..." and then the text.
std::string with_header(const std::string& text);

// Launches the module's kernel "kernel" with 64-bit parameters.
LaunchCounters launch(const Module& module, std::uint32_t blocks,
                      std::uint32_t threads, const Words& parameters,
                      std::uint32_t dynamic_shared = 0);

// Runs `body` in one warp of 32 threads and returns what it leaves in each
// lane. The k-th input is there as %hK (.b16), %wK (.b32) and %dK (.b64); the
// result is read from %h, %w, %d or the predicate %p, as `result` says. Also
// declared: %t0 to %t9 (.b32), %u0 to %u9 (.b64), %p0 to %p3 (.pred).
// `declarations` go before the kernel.
Words evaluate(const std::string& body, char result,
               const std::vector<Words>& inputs,
               const std::string& declarations = "");

// 32 values: a few edge cases of the type's width, then random bits.
Words interesting_integers(int bits, unsigned seed);
// f32 bit patterns: zeros, subnormal numbers, infinities, NaN, random ones.
Words interesting_floats(unsigned seed);
Words interesting_doubles(unsigned seed);
Words interesting_halves(unsigned seed);

float as_float(std::uint64_t bits);
double as_double(std::uint64_t bits);
std::uint64_t bits_of(float value);
std::uint64_t bits_of(double value);

}  // namespace ptx_emulator
