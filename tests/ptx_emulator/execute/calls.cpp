// Calls of functions, returns and exits.
#include <algorithm>
#include <bit>
#include <cstring>

#include "execute/lanes.h"
#include "execute/warp.h"

namespace ptx_emulator {
namespace {

// Copies the parameter areas of some lanes from one frame to another.
void copy_areas(const std::vector<std::pair<Row, std::uint32_t>>& outer,
                const std::vector<Code::Area>& inner, std::byte* outer_frame,
                std::byte* inner_frame, bool inwards, std::uint32_t lanes) {
  for (std::size_t k = 0; k < outer.size(); ++k) {
    const std::uint32_t bytes = inner[k].bytes;
    for_each_lane(lanes, [&](int l) {
      const auto lane = static_cast<std::uint32_t>(l);
      std::byte* out = outer_frame + outer[k].first + lane * outer[k].second;
      std::byte* in = inner_frame + inner[k].row + lane * bytes;
      std::memcpy(inwards ? in : out, inwards ? out : in, bytes);
    });
  }
}

bool same_shape(const std::vector<std::pair<Row, std::uint32_t>>& outer,
                const std::vector<Code::Area>& inner) {
  return std::equal(
      outer.begin(), outer.end(), inner.begin(), inner.end(),
      [](const auto& a, const Code::Area& b) { return a.second == b.bytes; });
}

}  // namespace

Warp::Step Warp::call(const Instruction& instruction, std::uint32_t lanes,
                      Group* group) {
  const CallSite& site = *instruction.call;
  if (site.built_in != nullptr) {
    site.built_in(*this, instruction, lanes);
    ++group->pc;
    return Step::kNext;
  }
  exclude(lanes, group);
  if (site.callee != nullptr) {
    enter(instruction, *site.callee, lanes, group);
    return Step::kGroupDone;
  }
  const auto* target = row<std::uint64_t>(site.target);
  while (lanes != 0) {
    const int first = std::countr_zero(lanes);
    const auto found = thread_.program->by_address.find(target[first]);
    if (found == thread_.program->by_address.end()) {
      fault(instruction, first, FaultKind::kIllegalAddress,
            "an indirect call of what is no function");
    }
    std::uint32_t part = 0;
    for_each_lane(lanes, [&](int l) {
      if (target[l] == found->first) part |= 1u << l;
    });
    enter(instruction, *found->second, part, group);
    lanes &= ~part;
  }
  return Step::kGroupDone;
}

void Warp::enter(const Instruction& instruction, const Code& code,
                 std::uint32_t lanes, Group* group) {
  const CallSite& site = *instruction.call;
  Activation* caller = group->activation;
  const int first = std::countr_zero(lanes);
  if (!same_shape(site.arguments, code.parameters) ||
      !same_shape(site.results, code.results)) {
    fault(instruction, first, FaultKind::kInvalidInstruction,
          "a call whose parameters do not fit " + code.function->name);
  }
  auto activation = std::make_unique<Activation>();
  activation->code = &code;
  activation->caller = caller;
  activation->return_pc = group->pc + 1;
  activation->call = &site;
  activation->live = lanes;
  activation->depth = caller->depth + 1;
  activation->local_base = caller->local_base + caller->code->local_bytes;
  if (activation->local_base + code.local_bytes > local_.bytes()) {
    fault(instruction, first, FaultKind::kIllegalAddress,
          "the stack of calls overflows local memory");
  }
  constexpr std::uint32_t kDeepest = 4096;
  if (activation->depth > kDeepest) {
    fault(instruction, first, FaultKind::kIllegalAddress,
          "calls nest too deeply");
  }
  auto& idle = idle_frames_[&code];
  if (idle.empty()) {
    activation->frame = new_frame(code);
  } else {
    activation->frame = idle.back();
    idle.pop_back();
  }
  std::memcpy(activation->frame, caller->frame, kGeneralRows);
  std::fill_n(reinterpret_cast<std::uint64_t*>(activation->frame + kLocalBase),
              kWarpSize, activation->local_base);
  copy_areas(site.arguments, code.parameters, caller->frame, activation->frame,
             true, lanes);
  groups_.push_back({activation.get(), 0, lanes});
  calls_.push_back(std::move(activation));
}

Warp::Step Warp::return_to_caller(std::uint32_t lanes, Group* group) {
  Activation* activation = group->activation;
  copy_areas(activation->call->results, activation->code->results,
             activation->caller->frame, activation->frame, false, lanes);
  activation->live &= ~lanes;
  park({activation->caller, activation->return_pc, lanes});
  exclude(lanes, group);
  release_finished();
  return Step::kGroupDone;
}

Warp::Step Warp::leave(std::uint32_t lanes, Group* group) {
  exited_ |= lanes;
  for (Activation* at = group->activation; at != nullptr; at = at->caller) {
    at->live &= ~lanes;
  }
  exclude(lanes, group);
  release_finished();
  return Step::kGroupDone;
}

void Warp::release_finished() {
  std::erase_if(calls_, [this](const std::unique_ptr<Activation>& call) {
    if (call->live != 0) return false;
    idle_frames_[call->code].push_back(call->frame);
    return true;
  });
}

}  // namespace ptx_emulator
