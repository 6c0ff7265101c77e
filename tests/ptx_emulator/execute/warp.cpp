#include "execute/warp.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>
#include <new>

#include "execute/lanes.h"

namespace ptx_emulator {

Warp::Warp(HostThread* thread) : thread_(*thread) {
  main_.code = thread->program->main;
  main_.frame = main_frame_ = new_frame(*main_.code);
}

Warp::~Warp() {
  for (std::byte* frame : all_frames_) {
    ::operator delete(frame, std::align_val_t{64});
  }
}

std::byte* Warp::new_frame(const Code& code) {
  auto* frame = static_cast<std::byte*>(
      ::operator new(code.frame_bytes, std::align_val_t{64}));
  all_frames_.push_back(frame);
  std::memset(frame, 0, code.frame_bytes);
  for (const Code::Constant& constant : code.constants) {
    for (int l = 0; l < kWarpSize; ++l) {
      std::memcpy(frame + constant.row + l * constant.size, &constant.value,
                  static_cast<std::size_t>(constant.size));
    }
  }
  return frame;
}

void Warp::start(std::uint32_t lanes) {
  started_ = lanes;
  exited_ = 0;
  carry_ = 0;
  executed_ = 0;
  others_first_ = false;
  main_.live = lanes;
  local_.begin_warp(thread_.program->local_bytes);
  select(&main_);
  groups_.clear();
  groups_.push_back({&main_, 0, lanes});
}

bool Warp::runnable() const {
  return std::any_of(groups_.begin(), groups_.end(), [](const Group& group) {
    return group.state != Group::State::kAtBarrier;
  });
}

// The deepest activation first, because its callers' other lanes may wait for
// it; then the lowest instruction, where the others are likely to come.
std::ptrdiff_t Warp::next_group() const {
  std::ptrdiff_t best = -1;
  for (std::size_t k = 0; k < groups_.size(); ++k) {
    if (groups_[k].state != Group::State::kRunnable) continue;
    if (best >= 0) {
      const Group& other = groups_[static_cast<std::size_t>(best)];
      const std::uint32_t depth = groups_[k].activation->depth;
      if (depth < other.activation->depth) continue;
      if (depth == other.activation->depth && groups_[k].pc >= other.pc) {
        continue;
      }
    }
    best = static_cast<std::ptrdiff_t>(k);
  }
  return best;
}

// The group that has been waiting for the longest time.
std::ptrdiff_t Warp::oldest_group() const {
  for (std::size_t k = 0; k < groups_.size(); ++k) {
    if (groups_[k].state == Group::State::kRunnable) {
      return static_cast<std::ptrdiff_t>(k);
    }
  }
  return -1;
}

bool Warp::run(std::uint64_t budget) {
  const std::uint64_t limit = executed_ + budget;
  for (;;) {
    const std::ptrdiff_t next = others_first_ ? oldest_group() : next_group();
    if (next < 0) {
      for (const Group& group : groups_) {
        if (group.state == Group::State::kAtWarpSync) {
          fail_missing_lanes(group);
        }
      }
      return false;
    }
    if (executed_ > limit) return true;
    const Group group = groups_[static_cast<std::size_t>(next)];
    groups_.erase(groups_.begin() + next);
    if (run_group(group, limit) == Step::kYield) {
      others_first_ = !others_first_;
      return true;
    }
    others_first_ = false;
  }
}

std::uint32_t Warp::meeting_pc(const Group& group) const {
  std::uint32_t pc = ~0u;
  for (const Group& other : groups_) {
    if (other.activation != group.activation) continue;
    if (other.pc >= group.pc) {
      pc = std::min(pc, other.pc);
    } else if (other.state == Group::State::kRunnable && !others_first_) {
      return 0;
    }
  }
  return pc;
}

void Warp::park(Group group) {
  const auto same_place = [&](const Group& other) {
    return other.activation == group.activation && other.pc == group.pc;
  };
  for (const Group& other : groups_) {
    if (same_place(other)) {
      group.lanes |= other.lanes;
      group.state = Group::State::kRunnable;
    }
  }
  std::erase_if(groups_, same_place);
  groups_.push_back(group);
}

void Warp::exclude(std::uint32_t lanes, Group* group) {
  if (lanes == group->lanes) return;
  park({group->activation, group->pc + 1, group->lanes & ~lanes});
  group->lanes = lanes;
}

Warp::Step Warp::run_group(Group group, std::uint64_t limit) {
  select(group.activation);
  const Instruction* const code = group.activation->code->instructions.data();
  auto& counts = thread_.counters.thread_instructions;
  std::uint32_t meeting = meeting_pc(group);
  for (;;) {
    if (group.pc >= meeting) [[unlikely]] {
      park(group);
      return Step::kGroupDone;
    }
    const Instruction& instruction = code[group.pc];
    std::uint32_t lanes = group.lanes;
    if (instruction.guard != kNoRow) {
      const std::uint32_t guard = *row<std::uint32_t>(instruction.guard);
      lanes &= instruction.guard_negated ? ~guard : guard;
    }
    ++executed_;
    counts[static_cast<std::size_t>(instruction.cls)] +=
        static_cast<unsigned>(std::popcount(lanes));
    if (instruction.flow == Flow::kHandler) [[likely]] {
      if (lanes != 0) instruction.handler(*this, instruction, lanes);
      ++group.pc;
      continue;
    }
    if (lanes == 0) {
      ++group.pc;
      continue;
    }
    const Step step = special(instruction, lanes, &group);
    if (step != Step::kNext) return step;
    if (executed_ > limit) {
      park(group);
      return Step::kYield;
    }
    meeting = groups_.empty() ? ~0u : meeting_pc(group);
  }
}

Warp::Step Warp::special(const Instruction& instruction, std::uint32_t lanes,
                         Group* group) {
  switch (instruction.flow) {
    case Flow::kBranch:
      return branch(instruction, lanes, group);
    case Flow::kIndirectBranch:
      return indirect_branch(instruction, lanes, group);
    case Flow::kExit:
      return leave(lanes, group);
    case Flow::kReturn:
      return return_to_caller(lanes, group);
    case Flow::kCall:
      return call(instruction, lanes, group);
    case Flow::kBarrier:
      return barrier(instruction, lanes, group);
    case Flow::kWarpSync:
      return warp_sync(instruction, lanes, group);
    case Flow::kYield:
      park({group->activation, group->pc + 1, group->lanes});
      return Step::kYield;
    case Flow::kHandler:
      break;
  }
  return Step::kNext;
}

Warp::Step Warp::branch(const Instruction& instruction, std::uint32_t lanes,
                        Group* group) {
  if (lanes == group->lanes) {
    group->pc = instruction.target;
    return Step::kNext;
  }
  park({group->activation, instruction.target, lanes});
  park({group->activation, group->pc + 1, group->lanes & ~lanes});
  return Step::kGroupDone;
}

Warp::Step Warp::indirect_branch(const Instruction& instruction,
                                 std::uint32_t lanes, Group* group) {
  exclude(lanes, group);
  const auto* index = row<std::uint32_t>(instruction.a);
  while (lanes != 0) {
    const int first = std::countr_zero(lanes);
    const std::uint32_t value = index[first];
    if (value >= instruction.table->size()) {
      fault(instruction, first, FaultKind::kInvalidInstruction,
            "branch index " + std::to_string(value) + " outside its table");
    }
    std::uint32_t part = 0;
    for_each_lane(lanes, [&](int l) {
      if (index[l] == value) part |= 1u << l;
    });
    park({group->activation, (*instruction.table)[value], part});
    lanes &= ~part;
  }
  return Step::kGroupDone;
}

Warp::Step Warp::warp_sync(const Instruction& instruction, std::uint32_t lanes,
                           Group* group) {
  const auto* masks = row<std::uint32_t>(instruction.e);
  const int first = std::countr_zero(lanes);
  const std::uint32_t named = masks[first];
  bool same = true;
  for_each_lane(lanes, [&](int l) { same &= masks[l] == named; });
  if (same && (named & started_) == lanes) {
    exclude(lanes, group);
    instruction.handler(*this, instruction, lanes);
    ++group->pc;
    return Step::kNext;
  }
  exclude(lanes, group);
  while (lanes != 0) {
    const std::uint32_t mask = masks[std::countr_zero(lanes)];
    std::uint32_t part = 0;
    for_each_lane(lanes, [&](int l) {
      if (masks[l] == mask) part |= 1u << l;
    });
    sync_part(instruction, mask, {group->activation, group->pc, part});
    lanes &= ~part;
  }
  return Step::kGroupDone;
}

// Lanes that name the same mask: they go on if all have arrived.
void Warp::sync_part(const Instruction& instruction, std::uint32_t named,
                     const Group& part) {
  if ((part.lanes & ~named) != 0) {
    fault(instruction, std::countr_zero(part.lanes & ~named),
          FaultKind::kMissingLanes,
          "the calling lane is not in the mask that it names");
  }
  if ((named & exited_) != 0) {
    fault(instruction, std::countr_zero(part.lanes), FaultKind::kMissingLanes,
          "a warp-level operation names lane " +
              std::to_string(std::countr_zero(named & exited_)) +
              ", which has exited");
  }
  Group next = part;
  if ((named & started_) == part.lanes) {
    instruction.handler(*this, instruction, part.lanes);
    ++next.pc;
    park(next);
  } else {
    next.state = Group::State::kAtWarpSync;
    // Not merged: parts of other masks wait at the same instruction.
    groups_.push_back(next);
  }
}

Warp::Step Warp::barrier(const Instruction& instruction, std::uint32_t lanes,
                         Group* group) {
  exclude(lanes, group);
  const int first = std::countr_zero(lanes);
  group->barrier = row<std::uint32_t>(instruction.a)[first];
  group->barrier_threads = 0;
  if (group->barrier >= kBarriers) {
    fault(instruction, first, FaultKind::kInvalidInstruction,
          "there is no barrier " + std::to_string(group->barrier));
  }
  if (instruction.b != kNoRow) {
    group->barrier_threads = row<std::uint32_t>(instruction.b)[first];
    if (group->barrier_threads == 0 || group->barrier_threads % 32 != 0) {
      fault(instruction, first, FaultKind::kInvalidInstruction,
            "a barrier's number of threads must be a multiple of 32");
    }
  }
  if (instruction.option != static_cast<int>(BarrierKind::kArrive)) {
    group->state = Group::State::kAtBarrier;
    groups_.push_back(*group);
    return Step::kGroupDone;
  }
  EarlyArrivals& early = thread_.arrivals[group->barrier];
  early.threads += static_cast<std::uint32_t>(std::popcount(lanes));
  early.expected = group->barrier_threads;
  early.warps |= 1u << index_;
  ++group->pc;
  return Step::kNext;
}

void Warp::fail_missing_lanes(const Group& group) {
  select(group.activation);
  const Instruction& instruction =
      group.activation->code->instructions[group.pc];
  const int first = std::countr_zero(group.lanes);
  const std::uint32_t named = row<std::uint32_t>(instruction.e)[first];
  const std::uint32_t missing = named & started_ & ~group.lanes;
  char text[160];
  std::snprintf(text, sizeof text,
                "a warp-level operation names lanes 0x%08x but lanes 0x%08x "
                "never arrive",
                named, missing);
  fault(instruction, first, FaultKind::kMissingLanes, text);
}

void Warp::fault(const Instruction& instruction, int lane, FaultKind kind,
                 const std::string& problem) {
  Fault::Place place;
  const Code& code = *running_->code;
  place.kernel = thread_.program->name;
  place.function = code.function->name;
  const ptx::Statement* statement = code.statements[instruction.site];
  if (statement != nullptr) {
    place.instruction = instruction_text(*statement);
    place.ptx_line = statement->line;
    if (statement->source_file != 0) {
      place.source = thread_.module->source_file(statement->source_file) + ":" +
                     std::to_string(statement->source_line);
    }
  }
  const auto value = [&](Row special) {
    return row<std::uint32_t>(special)[lane];
  };
  place.block = {value(kCtaidX), value(kCtaidY), value(kCtaidZ)};
  place.thread = {value(kTidX), value(kTidY), value(kTidZ)};
  throw Fault(kind, problem, place);
}

void Warp::access_fault(const Instruction& instruction,
                        const AccessFault& error) {
  fault(instruction, std::max(error.lane(), 0), error.kind(), error.what());
}

}  // namespace ptx_emulator
