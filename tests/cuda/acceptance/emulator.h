// What the PTX emulator counted, for tests of the public interface.
#pragma once

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <jacquard/jacquard.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <iomanip>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/cuda/acceptance/loaded_library.h"
#include "tests/ptx_emulator/runtime/inspect.h"

namespace jacquard::acceptance {

// nullptr on a device. The backend's libraries are not in the global scope.
template <class F>
F emulator_function(const char* name) {
  static void* const runtime = [] {
    const std::string path = loaded_library("libcudart.so");
    return path.empty() ? nullptr
                        : dlopen(path.c_str(), RTLD_LAZY | RTLD_NOLOAD);
  }();
  return runtime ? reinterpret_cast<F>(dlsym(runtime, name)) : nullptr;
}
#define JACQUARD_EMULATOR(name) \
  ::jacquard::acceptance::emulator_function<decltype(&name)>(#name)

// Once CUDA was asked for.
inline bool on_emulator() {
  return JACQUARD_EMULATOR(ptx_emulator_launch_count) != nullptr;
}

// One launch, of a kernel or of a library.
struct Launch {
  std::string kernel;
  ptx_emulator_launch counted{};

  bool is_product() const { return kernel.starts_with("cublas"); }
  double bytes() const {
    return static_cast<double>(counted.load_bytes + counted.store_bytes);
  }
  double sectors() const {
    return static_cast<double>(counted.load_sectors + counted.store_sectors);
  }
  double bytes_by_16() const {
    return static_cast<double>(counted.load_bytes_by_width[4] +
                               counted.store_bytes_by_width[4]);
  }
  std::uint64_t f64_instructions() const { return counted.instructions[5]; }
};

// What ran and was called between its construction and stop().
class Counters {
 public:
  Counters() {
    synchronize(cuda());
    JACQUARD_EMULATOR(ptx_emulator_reset_counters)();
  }

  // Waits for the device; the wait is not counted.
  void stop() {
    JACQUARD_EMULATOR(ptx_emulator_visit_calls)
    (
        [](const char* name, unsigned long long calls, void* data) {
          static_cast<Counters*>(data)->calls_.emplace_back(name, calls);
        },
        this);
    synchronize(cuda());
    const std::size_t count = JACQUARD_EMULATOR(ptx_emulator_launch_count)();
    for (std::size_t i = 0; i < count; ++i) {
      Launch launch;
      JACQUARD_EMULATOR(ptx_emulator_get_launch)(i, &launch.counted);
      launch.kernel = launch.counted.kernel;
      launch.counted.kernel = nullptr;
      launches_.push_back(std::move(launch));
    }
  }

  const std::vector<Launch>& launches() const { return launches_; }
  const std::vector<std::pair<std::string, unsigned long long>>& calls() const {
    return calls_;
  }
  unsigned long long calls_of(std::string_view name) const {
    for (const auto& [called, times] : calls_)
      if (called == name) return times;
    return 0;
  }
  unsigned long long all_calls() const {
    unsigned long long sum = 0;
    for (const auto& [name, times] : calls_) sum += times;
    return sum;
  }

  // Of the kernels that are not a library's products.
  double bytes() const { return sum(&Launch::bytes); }
  double sectors() const { return sum(&Launch::sectors); }
  double bytes_by_16() const { return sum(&Launch::bytes_by_16); }
  std::uint64_t f64_instructions() const {
    std::uint64_t all = 0;
    for (const Launch& l : launches_) all += l.f64_instructions();
    return all;
  }

  // A line a launch, then the calls.
  std::string to_string() const {
    std::ostringstream out;
    for (const Launch& l : launches_)
      out << std::setw(10) << l.counted.load_bytes << " read " << std::setw(10)
          << l.counted.store_bytes << " written " << std::setw(10)
          << l.sectors() * 32 << " in sectors " << std::setw(10)
          << l.bytes_by_16() << " by 16 " << std::setw(6)
          << l.f64_instructions() << " f64 " << l.counted.grid[0] << "×"
          << l.counted.grid[1] << " blocks of " << l.counted.block[0] << "×"
          << l.counted.block[1] << "  " << l.kernel << "\n";
    for (const auto& [name, times] : calls_)
      out << "  " << name << " " << times << "\n";
    return out.str();
  }

 private:
  double sum(double (Launch::*what)() const) const {
    double all = 0;
    for (const Launch& l : launches_)
      if (!l.is_product()) all += (l.*what)();
    return all;
  }

  std::vector<Launch> launches_;
  std::vector<std::pair<std::string, unsigned long long>> calls_;
};

// What f launches, once its programs are compiled and memory is there.
template <class F>
Counters count(F&& f) {
  f();
  Counters counters;
  f();
  counters.stop();
  return counters;
}

// Everything is made on CUDA; skips where there is none.
class OnCuda : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!is_available(cuda())) GTEST_SKIP() << "there is no CUDA device";
    if (!fusion_enabled()) GTEST_SKIP() << "the bars are on fused work";
    set_default_device(cuda());
    manual_seed(1);
  }
};

// Skips where nothing counts.
class OnEmulator : public OnCuda {
 protected:
  void SetUp() override {
    OnCuda::SetUp();
    if (!IsSkipped() && !on_emulator())
      GTEST_SKIP() << "a GPU does not count what kernels move; the PTX "
                      "emulator does";
  }
};

inline TrackedTensor values(const Shape& shape, DType dtype = DType::float32) {
  return materialize(cast(rand(shape), dtype));
}
inline TrackedTensor leaf(const Shape& shape, DType dtype = DType::float32) {
  return param(values(shape, dtype).data());
}

}  // namespace jacquard::acceptance
