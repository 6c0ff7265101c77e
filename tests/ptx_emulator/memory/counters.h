// What a launch did: counts of threads, instructions and memory traffic.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <mutex>
#include <string>
#include <vector>

namespace ptx_emulator {

enum class InstructionClass : std::uint8_t {
  kInteger,     // integer and logic arithmetic, comparisons, selections
  kMove,        // mov, cvta, prmt, ld.param
  kConversion,  // cvt
  kF16,         // f16 and bf16 arithmetic, packed forms too
  kF32,
  kF64,      // every instruction that computes in f64, cvt from and to f64 too
  kSpecial,  // .approx functions in f32
  kMatrix,   // mma, wmma, ldmatrix
  kControl,  // branches, calls, exits
  kBarrier,  // bar, barrier, fences
  kWarp,     // shuffles, votes, match, redux
  kGlobal,  // loads and stores of global memory (generic ones by where they go)
  kShared,
  kLocal,
  kAtomic,
  kCount
};
inline constexpr std::size_t kInstructionClasses =
    static_cast<std::size_t>(InstructionClass::kCount);
const char* to_string(InstructionClass c);

// Accesses to global memory in one direction. A request is one warp
// instruction.
struct GlobalTraffic {
  std::uint64_t requests = 0;
  std::uint64_t bytes = 0;  // asked for by active lanes
  std::uint64_t sectors =
      0;  // distinct 32-byte sectors of each request, summed
  // Bytes asked for by accesses of 1, 2, 4, 8, 16 and 32 bytes a lane.
  std::array<std::uint64_t, 6> bytes_by_width{};

  GlobalTraffic& operator+=(const GlobalTraffic& other);
};

// Accesses to shared memory. A wavefront serves the banks once.
struct SharedTraffic {
  std::uint64_t requests = 0;
  std::uint64_t bytes = 0;
  std::uint64_t wavefronts = 0;
  std::uint64_t conflicts = 0;  // wavefronts beyond those that the bytes need

  SharedTraffic& operator+=(const SharedTraffic& other);
};

struct LaunchCounters {
  std::uint64_t threads = 0;
  std::uint64_t warp_instructions = 0;
  // By active lanes.
  std::array<std::uint64_t, kInstructionClasses> thread_instructions{};
  GlobalTraffic loads;  // atomics count as a load and a store
  GlobalTraffic stores;
  SharedTraffic shared;
  std::uint64_t barriers = 0;  // of blocks

  std::uint64_t& instructions(InstructionClass c) {
    return thread_instructions[static_cast<std::size_t>(c)];
  }
  std::uint64_t instructions(InstructionClass c) const {
    return thread_instructions[static_cast<std::size_t>(c)];
  }
  std::uint64_t f64_instructions() const {
    return instructions(InstructionClass::kF64);
  }
  // Each host thread counts for itself; the sums are taken at the end.
  LaunchCounters& operator+=(const LaunchCounters& other);
};

struct LaunchRecord {
  std::string kernel;
  std::array<std::uint32_t, 3> grid{};
  std::array<std::uint32_t, 3> block{};
  std::uint32_t shared_bytes = 0;  // static and dynamic, of a block
  std::uint64_t stream = 0;        // a number that the runtime gives
  std::uint64_t parameters = 0;    // a hash of their bytes
  LaunchCounters counters;
};

// The launches of a process, in the order in which they ran. Thread-safe.
class LaunchTable {
 public:
  static LaunchTable& instance();

  void add(LaunchRecord record);
  std::vector<LaunchRecord> records() const;
  void clear();
  // One line a launch and one of sums.
  void print(std::ostream& out) const;
  // {"launches": [{"kernel": ..., "grid": [x, y, z], ...}, ...]}
  void write_json(std::ostream& out) const;

 private:
  mutable std::mutex mutex_;
  std::vector<LaunchRecord> records_;
};

}  // namespace ptx_emulator
