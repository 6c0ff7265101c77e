// Runs the blocks of a launch on host threads.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <thread>

#include "execute/block.h"
#include "execute/engine.h"
#include "execute/loaded_module.h"

namespace ptx_emulator {
namespace {

std::uint64_t host_threads() {
  static const std::uint64_t threads = [] {
    const char* text = std::getenv("PTX_EMULATOR_THREADS");
    const long wanted = text == nullptr ? 0 : std::atol(text);
    if (wanted > 0) return static_cast<std::uint64_t>(wanted);
    return std::uint64_t{std::max(1u, std::thread::hardware_concurrency())};
  }();
  return threads;
}

void refuse(const Launch& launch, const std::string& why) {
  throw LaunchError("launch of " + launch.kernel->name() + ": " + why);
}

std::string shape(const std::uint32_t (&sizes)[3]) {
  return "(" + std::to_string(sizes[0]) + "," + std::to_string(sizes[1]) + "," +
         std::to_string(sizes[2]) + ")";
}

// The limits are those of all devices since sm_30 (CUDA C++ Programming Guide,
// table of technical specifications).
void check(const Launch& launch, const Program& program) {
  const auto& grid = launch.grid;
  const auto& block = launch.block;
  const bool empty = std::count(grid, grid + 3, 0u) != 0 ||
                     std::count(block, block + 3, 0u) != 0;
  if (empty) refuse(launch, "a size of grid or block is 0");
  if (grid[0] > 0x7fffffffu || grid[1] > 65535 || grid[2] > 65535) {
    refuse(launch, "grid " + shape(grid) + " is too large");
  }
  const std::uint64_t threads = std::uint64_t{block[0]} * block[1] * block[2];
  if (block[0] > 1024 || block[1] > 1024 || block[2] > 64 ||
      threads > kMaxThreadsPerBlock) {
    refuse(launch, "block " + shape(block) + " is too large");
  }
  if (threads > program.max_threads) {
    refuse(launch, "block " + shape(block) +
                       " has more threads than the kernel's launch bounds, " +
                       std::to_string(program.max_threads));
  }
  if (program.required_threads[0] != 0 &&
      !std::equal(block, block + 3, program.required_threads)) {
    refuse(launch, "block " + shape(block) + " is not what .reqntid says");
  }
  const std::uint64_t shared =
      std::uint64_t{program.static_shared_bytes} + launch.dynamic_shared;
  if (shared > kMaxSharedBytesPerBlock) {
    refuse(launch, std::to_string(shared) + " bytes of shared memory");
  }
  if (launch.parameters.size() != launch.kernel->parameter_bytes()) {
    refuse(launch, "the parameter block has " +
                       std::to_string(launch.parameters.size()) +
                       " bytes instead of " +
                       std::to_string(launch.kernel->parameter_bytes()));
  }
}

// Hands out blocks to host threads and collects what they counted.
class Grid {
 public:
  Grid(const Launch& launch, const Program& program, const ptx::Module& module)
      : launch_(launch), program_(program), module_(module) {
    blocks_ = std::uint64_t{launch.grid[0]} * launch.grid[1] * launch.grid[2];
  }

  LaunchCounters run() {
    if (is_large()) start_others();
    work(true);
    for (std::thread& other : others_) other.join();
    if (error_ != nullptr) std::rethrow_exception(error_);
    std::fflush(stdout);  // device printf
    return counters_;
  }

 private:
  // Whether other threads are worth their start from the beginning. Where
  // loops make a small launch long, they are started after its first blocks.
  bool is_large() const {
    constexpr std::uint64_t kInstructions = 300'000;
    const auto& block = launch_.block;
    return blocks_ * block[0] * block[1] * block[2] *
               program_.main->instructions.size() >
           kInstructions;
  }

  void start_others() {
    const std::uint64_t count = std::min(host_threads(), blocks_);
    for (std::uint64_t t = others_.size() + 1; t < count; ++t) {
      others_.emplace_back([this] { work(false); });
    }
  }

  void work(bool may_start_others) {
    constexpr auto kPatience = std::chrono::microseconds(50);
    const auto start = std::chrono::steady_clock::now();
    HostThread thread;
    thread.program = &program_;
    thread.module = &module_;
    thread.parameters = launch_.parameters.data();
    thread.parameter_bytes =
        static_cast<std::uint32_t>(launch_.parameters.size());
    try {
      BlockRunner runner(launch_, &thread);
      for (;;) {
        const std::uint64_t block = next_.fetch_add(1);
        if (block >= blocks_) break;
        runner.run(block);
        if (may_start_others && others_.empty() && next_ < blocks_ &&
            std::chrono::steady_clock::now() - start > kPatience) {
          start_others();
          may_start_others = false;
        }
      }
    } catch (...) {
      next_ = blocks_;
      const std::lock_guard<std::mutex> lock(mutex_);
      if (error_ == nullptr) error_ = std::current_exception();
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    counters_ += thread.counters;
  }

  const Launch& launch_;
  const Program& program_;
  const ptx::Module& module_;
  std::uint64_t blocks_ = 0;
  std::atomic<std::uint64_t> next_{0};
  std::mutex mutex_;
  LaunchCounters counters_;
  std::exception_ptr error_;
  std::vector<std::thread> others_;  // of the thread that called run()
};

}  // namespace

LaunchCounters run(const Launch& launch) {
  const auto* kernel = dynamic_cast<const LoadedKernel*>(launch.kernel);
  if (kernel == nullptr) throw LaunchError("a launch without a kernel");
  const Program& program = kernel->program();
  check(launch, program);
  return Grid(launch, program, kernel->module().syntax()).run();
}

}  // namespace ptx_emulator
