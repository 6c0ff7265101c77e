// A warp: 32 threads that execute one decoded program in lockstep, diverging
// and meeting again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "execute/fault.h"
#include "execute/program.h"
#include "memory/address.h"
#include "memory/fault.h"
#include "memory/global_access.h"
#include "memory/local_access.h"
#include "memory/shared_access.h"

namespace ptx_emulator {

// Threads that have passed a bar.arrive and for whom nobody waits yet.
struct EarlyArrivals {
  std::uint32_t threads = 0;
  std::uint32_t expected = 0;
  std::uint32_t warps = 0;  // bit w is warp w
};
inline constexpr int kBarriers = 16;

// What a warp shares with the others that its host thread runs.
struct HostThread {
  const Program* program = nullptr;
  const ptx::Module* module = nullptr;
  const std::byte* parameters = nullptr;
  std::uint32_t parameter_bytes = 0;
  LaunchCounters counters;
  GlobalAccess global{DeviceMemory::instance(), &counters};
  SharedAccess shared{&counters};
  std::array<EarlyArrivals, kBarriers> arrivals;
};

// A running call of a function (the kernel itself is one): its frame of rows.
struct Activation {
  const Code* code = nullptr;
  std::byte* frame = nullptr;
  Activation* caller = nullptr;  // null for the kernel
  std::uint32_t return_pc = 0;
  const CallSite* call = nullptr;
  std::uint32_t live = 0;  // lanes that have not returned or exited
  std::uint32_t depth = 0;
  std::uint32_t local_base = 0;  // of its local variables
};

// Lanes that stand at the same instruction of the same activation.
struct Group {
  enum class State : std::uint8_t { kRunnable, kAtWarpSync, kAtBarrier };
  Activation* activation = nullptr;
  std::uint32_t pc = 0;
  std::uint32_t lanes = 0;
  State state = State::kRunnable;
  std::uint32_t barrier = 0;          // its number
  std::uint32_t barrier_threads = 0;  // 0: all threads of the block
};

class Warp {
 public:
  explicit Warp(HostThread* thread);
  Warp(const Warp&) = delete;
  Warp& operator=(const Warp&) = delete;
  ~Warp();

  // Starts the kernel for `lanes` threads. The special rows of frame() that
  // change from block to block are the caller's to fill.
  void start(std::uint32_t lanes);
  // Rows of the kernel's activation.
  std::byte* frame() { return main_frame_; }

  // Runs until no group can go on or about `budget` instructions were
  // executed. True if there is something left to run without a barrier.
  bool run(std::uint64_t budget);

  bool finished() const { return groups_.empty(); }
  bool runnable() const;
  std::vector<Group>& groups() { return groups_; }
  std::uint32_t started() const { return started_; }
  std::uint32_t exited() const { return exited_; }

  // ---- for handlers ----

  template <class T>
  T* row(Row row) {
    return reinterpret_cast<T*>(frame_ + row);
  }
  HostThread& thread() { return thread_; }
  LocalAccess& local() { return local_; }
  Activation& activation() { return *running_; }
  std::uint32_t index() const { return index_; }
  void set_index(std::uint32_t index) { index_ = index; }
  std::uint32_t& carry() { return carry_; }
  std::uint32_t live() const { return started_ & ~exited_; }
  std::uint64_t executed() const { return executed_; }

  // Selects whose rows row() gives; the scheduler of barriers needs it.
  void select(Activation* activation) {
    running_ = activation;
    frame_ = activation->frame;
  }
  [[noreturn]] void fault(const Instruction& instruction, int lane,
                          FaultKind kind, const std::string& problem);
  // Runs a check of memory/, turning its error into a Fault.
  template <class F>
  auto checked(const Instruction& instruction, F f) {
    try {
      return f();
    } catch (const AccessFault& error) {
      access_fault(instruction, error);
    }
  }

 private:
  // kNext: the group goes on at its (changed) pc.
  enum class Step : std::uint8_t { kNext, kGroupDone, kYield };

  [[noreturn]] void access_fault(const Instruction& instruction,
                                 const AccessFault& error);
  std::ptrdiff_t next_group() const;
  std::ptrdiff_t oldest_group() const;
  [[noreturn]] void fail_missing_lanes(const Group& group);
  // Runs one group until it ends, blocks or meets another.
  Step run_group(Group group, std::uint64_t limit);
  // Where the group must stop: at the first place where others of its
  // activation wait; at once (0) if others are behind it and it is not fair
  // that they wait any longer.
  std::uint32_t meeting_pc(const Group& group) const;
  // Adds the group, merged with those that stand at the same place.
  void park(Group group);
  // Leaves the lanes of the group that a guard excludes at the next
  // instruction.
  void exclude(std::uint32_t lanes, Group* group);

  Step special(const Instruction& instruction, std::uint32_t lanes,
               Group* group);
  Step branch(const Instruction& instruction, std::uint32_t lanes,
              Group* group);
  Step indirect_branch(const Instruction& instruction, std::uint32_t lanes,
                       Group* group);
  Step warp_sync(const Instruction& instruction, std::uint32_t lanes,
                 Group* group);
  void sync_part(const Instruction& instruction, std::uint32_t named,
                 const Group& part);
  Step barrier(const Instruction& instruction, std::uint32_t lanes,
               Group* group);
  Step leave(std::uint32_t lanes, Group* group);
  Step return_to_caller(std::uint32_t lanes, Group* group);
  Step call(const Instruction& instruction, std::uint32_t lanes, Group* group);
  void enter(const Instruction& instruction, const Code& code,
             std::uint32_t lanes, Group* group);
  void release_finished();
  std::byte* new_frame(const Code& code);

  HostThread& thread_;
  LocalAccess local_;
  std::byte* frame_ = nullptr;
  Activation* running_ = nullptr;
  std::byte* main_frame_ = nullptr;
  std::uint32_t index_ = 0;
  std::uint32_t started_ = 0;
  std::uint32_t exited_ = 0;
  std::uint32_t carry_ = 0;
  std::uint64_t executed_ = 0;
  // The last turn ended in a loop or a nanosleep: other lanes of the warp get
  // a turn, because those may be waiting for them.
  bool others_first_ = false;
  std::vector<Group> groups_;
  Activation main_;
  std::vector<std::unique_ptr<Activation>> calls_;
  // Frames of calls that are over, for the next call of the same function.
  std::map<const Code*, std::vector<std::byte*>> idle_frames_;
  std::vector<std::byte*> all_frames_;
};

}  // namespace ptx_emulator
