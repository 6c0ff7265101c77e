#include "execute/block.h"

#include <algorithm>
#include <bit>

#include "execute/lanes.h"

namespace ptx_emulator {
namespace {

// Warps take turns, so that one that waits for another by reading memory
// does not keep it from running.
constexpr std::uint64_t kTurn = 50'000;

}  // namespace

BlockRunner::BlockRunner(const Launch& launch, HostThread* thread)
    : launch_(launch), thread_(*thread) {
  threads_ = launch.block[0] * launch.block[1] * launch.block[2];
  const Program& program = *thread->program;
  const std::uint32_t alignment = program.dynamic_shared_alignment;
  shared_bytes_ =
      (program.static_shared_bytes + alignment - 1) / alignment * alignment +
      launch.dynamic_shared;
  for (std::uint32_t w = 0; w < (threads_ + 31) / 32; ++w) {
    warps_.push_back(std::make_unique<Warp>(thread));
    warps_.back()->set_index(w);
    warps_.back()->start(0);
    fill_constant_rows(warps_.back().get(), w);
  }
}

void BlockRunner::fill_constant_rows(Warp* warp, std::uint32_t index) {
  const auto& grid = launch_.grid;
  const auto& block = launch_.block;
  for (std::uint32_t l = 0; l < kWarpSize; ++l) {
    const auto set = [&](Row row, std::uint32_t value) {
      warp->row<std::uint32_t>(row)[l] = value;
    };
    const std::uint32_t t = index * 32 + l;
    set(kTidX, t % block[0]);
    set(kTidY, t / block[0] % block[1]);
    set(kTidZ, t / block[0] / block[1]);
    set(kNtidX, block[0]);
    set(kNtidY, block[1]);
    set(kNtidZ, block[2]);
    set(kNctaidX, grid[0]);
    set(kNctaidY, grid[1]);
    set(kNctaidZ, grid[2]);
    set(kLaneId, l);
    set(kMaskEq, 1u << l);
    set(kMaskLt, (1u << l) - 1);
    set(kMaskLe, (2u << l) - 1);
    set(kMaskGt, ~((2u << l) - 1));
    set(kMaskGe, ~((1u << l) - 1));
    set(kWarpId, index);
    set(kNwarpId, (threads_ + 31) / 32);
    warp->row<std::uint64_t>(kZero)[l] = 0;
    warp->row<std::uint64_t>(kLocalBase)[l] = 0;
    set(kOne, 1);
    set(kDynamicSharedSize, launch_.dynamic_shared);
    set(kDynamicSharedBase, shared_bytes_ - launch_.dynamic_shared);
    set(kTotalSharedSize, shared_bytes_);
  }
}

void BlockRunner::prepare(const std::uint32_t block[3]) {
  const auto warps = static_cast<unsigned>(warps_.size());
  thread_.shared.begin_block(shared_bytes_, warps);
  thread_.arrivals.fill({});
  thread_.counters.threads += threads_;
  for (std::uint32_t w = 0; w < warps; ++w) {
    Warp& warp = *warps_[w];
    const std::uint32_t count = std::min(32u, threads_ - w * 32);
    warp.start(count == 32 ? kAllLanes : (1u << count) - 1);
    const Row rows[3] = {kCtaidX, kCtaidY, kCtaidZ};
    for (int k = 0; k < 3; ++k) {
      std::fill_n(warp.row<std::uint32_t>(rows[k]), kWarpSize, block[k]);
    }
  }
}

void BlockRunner::run(std::uint64_t block) {
  const std::uint64_t x = launch_.grid[0], y = launch_.grid[1];
  const std::uint32_t at[3] = {static_cast<std::uint32_t>(block % x),
                               static_cast<std::uint32_t>(block / x % y),
                               static_cast<std::uint32_t>(block / x / y)};
  prepare(at);
  for (;;) {
    const bool again = run_warps();
    const bool done =
        std::all_of(warps_.begin(), warps_.end(),
                    [](const auto& warp) { return warp->finished(); });
    if (done) break;
    if (!release_barriers() && !again) fail_deadlock();
  }
  for (const auto& warp : warps_) {
    thread_.counters.warp_instructions += warp->executed();
  }
}

// True if a warp used up its turn.
bool BlockRunner::run_warps() {
  bool again = false;
  for (const auto& warp : warps_) {
    if (warp->runnable()) again |= warp->run(kTurn);
  }
  return again;
}

template <class F>
void BlockRunner::for_each_waiting(std::uint32_t barrier, F f) {
  for (const auto& warp : warps_) {
    for (Group& group : warp->groups()) {
      if (group.state == Group::State::kAtBarrier && group.barrier == barrier) {
        warp->select(group.activation);
        f(*warp, group, group.activation->code->instructions[group.pc]);
      }
    }
  }
}

BlockRunner::Waiting BlockRunner::waiting_at(std::uint32_t barrier) {
  const EarlyArrivals& early = thread_.arrivals[barrier];
  Waiting waiting{early.threads, early.expected, early.warps, false};
  for_each_waiting(barrier, [&](Warp& warp, const Group& group,
                                const Instruction&) {
    waiting.any = true;
    waiting.threads += static_cast<std::uint32_t>(std::popcount(group.lanes));
    waiting.warps |= 1u << warp.index();
    waiting.expected = std::max(waiting.expected, group.barrier_threads);
  });
  return waiting;
}

bool BlockRunner::release_barriers() {
  std::uint32_t live = 0;
  for (const auto& warp : warps_) {
    live += static_cast<std::uint32_t>(std::popcount(warp->live()));
  }
  bool released = false;
  for (std::uint32_t barrier = 0; barrier < kBarriers; ++barrier) {
    const Waiting waiting = waiting_at(barrier);
    if (!waiting.any) continue;
    if (waiting.threads < (waiting.expected ? waiting.expected : live)) {
      continue;
    }
    check_shape(barrier, waiting);
    combine_predicates(barrier, waiting.threads);
    std::uint32_t warps = 0;
    for_each_waiting(barrier, [&](Warp& warp, Group&, const Instruction&) {
      warps |= 1u << warp.index();
    });
    release(barrier);
    thread_.shared.barrier(waiting.warps, warps);
    thread_.arrivals[barrier] = {};
    ++thread_.counters.barriers;
    released = true;
  }
  return released;
}

// A barrier of the whole block must be reached by all of its threads, those
// of a warp together (PTX ISA, "bar": barrier{.aligned}).
void BlockRunner::check_shape(std::uint32_t barrier, const Waiting& waiting) {
  Warp* gone = nullptr;
  for (const auto& warp : warps_) {
    if (warp->finished() && warp->started() != 0) gone = warp.get();
  }
  for (const auto& warp : warps_) {
    int groups = 0;
    for (const Group& group : warp->groups()) {
      groups +=
          group.state == Group::State::kAtBarrier && group.barrier == barrier;
    }
    for (const Group& group : warp->groups()) {
      if (group.state != Group::State::kAtBarrier || group.barrier != barrier) {
        continue;
      }
      check_group(warp.get(), group, groups);
      if (waiting.expected == 0 && gone != nullptr) {
        warp->fault(group.activation->code->instructions[group.pc],
                    std::countr_zero(group.lanes), FaultKind::kMissingThreads,
                    "a barrier of the block although warp " +
                        std::to_string(gone->index()) +
                        " has exited without reaching it");
      }
    }
  }
}

void BlockRunner::check_group(Warp* warp, const Group& group, int groups) {
  const Instruction& instruction =
      group.activation->code->instructions[group.pc];
  warp->select(group.activation);
  const int lane = std::countr_zero(group.lanes);
  if (group.barrier_threads == 0 && warp->exited() != 0) {
    warp->fault(instruction, lane, FaultKind::kMissingThreads,
                "a barrier of the block although threads of the warp have "
                "exited without reaching it");
  }
  const bool aligned = instruction.element != 0;
  if (aligned && (groups > 1 || group.lanes != warp->live())) {
    warp->fault(instruction, lane, FaultKind::kDivergentBarrier,
                "divergent barrier: threads of one warp are not at the same "
                "barrier instruction");
  }
}

void BlockRunner::combine_predicates(std::uint32_t barrier,
                                     std::uint32_t threads) {
  std::uint32_t set = 0;
  for_each_waiting(barrier, [&](Warp& warp, const Group& group,
                                const Instruction& instruction) {
    if (instruction.c == kNoRow) return;
    std::uint32_t predicate = *warp.row<std::uint32_t>(instruction.c);
    if (instruction.option2 != 0) predicate = ~predicate;
    set += static_cast<std::uint32_t>(std::popcount(predicate & group.lanes));
  });
  for_each_waiting(barrier, [&](Warp& warp, const Group& group,
                                const Instruction& instruction) {
    if (instruction.d == kNoRow) return;
    const auto kind = static_cast<BarrierKind>(instruction.option);
    if (kind == BarrierKind::kPopulation) {
      write_lanes(warp.row<std::uint32_t>(instruction.d), group.lanes,
                  [=](int) { return set; });
    } else {
      const bool all = set == threads, any = set != 0;
      const bool result = kind == BarrierKind::kAnd ? all : any;
      write_predicate(warp, instruction.d, group.lanes, result ? ~0u : 0);
    }
  });
}

void BlockRunner::release(std::uint32_t barrier) {
  for_each_waiting(barrier, [](Warp&, Group& group, const Instruction&) {
    group.state = Group::State::kRunnable;
    ++group.pc;
  });
}

void BlockRunner::fail_deadlock() {
  for (const auto& warp : warps_) {
    for (const Group& group : warp->groups()) {
      if (group.state != Group::State::kAtBarrier) continue;
      warp->select(group.activation);
      const Waiting waiting = waiting_at(group.barrier);
      warp->select(group.activation);
      warp->fault(
          group.activation->code->instructions[group.pc],
          std::countr_zero(group.lanes), FaultKind::kMissingThreads,
          "a barrier that not all its threads reach: " +
              std::to_string(waiting.threads) + " of " +
              std::to_string(waiting.expected ? waiting.expected : threads_) +
              " threads wait at barrier " + std::to_string(group.barrier));
    }
  }
  throw LaunchError("no thread of the block can go on");
}

}  // namespace ptx_emulator
