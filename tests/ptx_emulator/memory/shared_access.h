// The shared memory of a block: checked accesses and race detection.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "memory/address.h"
#include "memory/counters.h"

namespace ptx_emulator {

// How often the banks of shared memory must be served for an access of `bytes`
// at offset[l] for each lane of `mask`, and how often at least (once for each
// 128 bytes' worth of lanes that has an active one).
struct Wavefronts {
  unsigned needed = 0;
  unsigned taken = 0;
};
Wavefronts count_wavefronts(LaneMask mask, unsigned bytes,
                            const std::uint32_t* offset);

// One for each host thread that runs blocks, used again for one block after
// another. Not thread-safe.
//
// A race is a pair of accesses to the same bytes by two warps, at least one of
// them a write, that no barrier orders. Lanes of one warp run in lockstep and
// don't race. Strong accesses (atomics, .volatile, .relaxed, .acquire,
// .release) don't race with each other; together with fences they order other
// accesses, as in the memory model of PTX: fence, then strong write; strong
// read of that value, then fence.
class SharedAccess {
 public:
  static constexpr unsigned kMaxWarps = 32;

  // Counts into `counters` (which may be null).
  explicit SharedAccess(LaunchCounters* counters);

  // A new block with so many bytes of shared memory (static and dynamic) and
  // so many warps. Its contents are uninitialised.
  void begin_block(std::size_t bytes, unsigned warps);

  std::byte* data() { return data_.data(); }
  std::size_t bytes() const { return bytes_; }

  // One warp instruction, as GlobalAccess does it. Addresses may carry the tag
  // of the shared window; on return they are the host's. `strong`: see above.
  // A read faults where none of the bytes of a word that it touches was
  // written in this block.
  Pattern load(unsigned warp, LaneMask mask, unsigned bytes, Address* address,
               bool strong = false);
  Pattern store(unsigned warp, LaneMask mask, unsigned bytes, Address* address,
                bool strong = false);
  Pattern atomic(unsigned warp, LaneMask mask, unsigned bytes,
                 Address* address);

  // A barrier has completed: what the warps of `arrived` did before is ordered
  // before what the warps of `waiting` do from now on. For bar.sync the two are
  // the same, for bar.arrive the arriving warp is in `arrived` only. Bit w is
  // warp w. Warps that have ended count as arrived.
  void barrier(std::uint32_t arrived, std::uint32_t waiting);
  // A fence of at least block scope (also that of .acquire and .release).
  void fence(unsigned warp);

 private:
  using Clock = std::uint32_t;
  // For each warp the time up to which its accesses are known to be over.
  using Clocks = std::array<Clock, kMaxWarps>;

  // The last accesses to words or bytes of shared memory, one array a field.
  // Times of earlier blocks are at most block_start_.
  struct History {
    std::vector<Clock> write_time;
    std::vector<Clock> read_time;        // the earliest of the readers'
    std::vector<std::uint32_t> readers;  // since the last write; bit w: warp w
    std::vector<std::uint32_t> writer;   // warp and the flags below

    void clear(std::size_t size);
    void copy(std::size_t to, const History& from, std::size_t index);
  };
  static constexpr std::uint32_t kWarpBits = 0xff;
  static constexpr std::uint32_t kStrongWrite = 0x100;
  static constexpr std::uint32_t kStrongReads = 0x200;
  static constexpr std::uint32_t kSplit = 0x400;  // see bytes_history_
  // Strong writes that no barrier orders came before the last one; `readers`
  // are their warps, read_time the earliest of their times.
  static constexpr std::uint32_t kManyWriters = 0x800;

  template <AccessKind kKind>
  Pattern check(unsigned warp, LaneMask mask, unsigned bytes, Address* address,
                bool strong);
  template <AccessKind kKind>
  bool check_words(unsigned warp, std::size_t first, unsigned count);
  template <AccessKind kKind>
  bool check_runs(unsigned warp, std::size_t first, std::uint64_t words);
  template <AccessKind kKind>
  void check_lanes(unsigned warp, LaneMask mask, unsigned bytes,
                   const std::uint32_t* offset, bool strong);
  template <AccessKind kKind>
  void check_lane(unsigned warp, int lane, unsigned bytes, Address offset,
                  bool strong);
  template <AccessKind kKind>
  bool check_entry(History& history, std::size_t index, unsigned warp,
                   bool strong);
  void add_writer(History& history, std::size_t index);
  void split(std::size_t word);
  bool ordered(unsigned warp, std::uint32_t readers, Clock time) const;
  void acquire(unsigned warp, unsigned from);
  void learn(unsigned warp, const Clocks& clocks);
  void count(LaneMask mask, unsigned bytes, Wavefronts wavefronts);
  [[noreturn]] void fail_race(unsigned warp, int lane, AccessKind kind,
                              unsigned bytes, Address offset,
                              const History& history, std::size_t index) const;

  LaunchCounters* counters_;
  std::size_t bytes_ = 0;
  unsigned warps_ = 0;
  std::vector<std::byte> data_;
  // By words of 4 bytes. Words that were accessed in parts are split: their
  // bytes have a history each.
  History words_history_, bytes_history_;
  std::vector<std::uint32_t> split_words_;
  Clock block_start_ = 0;  // times of this block are later
  Clock now_ = 0;          // the last time given out
  Clocks time_{};          // each warp's own
  Clocks all_known_{};     // the earliest of known_, its own left out
  std::array<Clocks, kMaxWarps> known_{};     // its own: always later
  std::array<Clocks, kMaxWarps> released_{};  // what it knew at its last fence
  std::array<Clocks, kMaxWarps> acquired_{};  // by strong reads since then
};

}  // namespace ptx_emulator
