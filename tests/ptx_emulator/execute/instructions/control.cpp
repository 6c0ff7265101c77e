// Control flow, barriers and fences: bra, brx, exit, ret, trap, bar, barrier,
// membar, fence, nanosleep, brkpt, griddepcontrol.
#include <atomic>
#include <bit>
#include <cstdint>

#include "execute/instruction_table.h"
#include "execute/lanes.h"

namespace ptx_emulator {
namespace {

using ptx::Type;

bool decode_branch(Decoder& decoder, Instruction& i) {
  decoder.take("uni");
  i.flow = Flow::kBranch;
  i.cls = InstructionClass::kControl;
  i.target = decoder.label(decoder.operand(0).name);
  return true;
}

bool decode_indirect_branch(Decoder& decoder, Instruction& i) {
  if (!decoder.take("idx")) return false;
  decoder.take("uni");
  i.flow = Flow::kIndirectBranch;
  i.cls = InstructionClass::kControl;
  i.a = decoder.source(0, Type::kU32);
  const auto* labels = decoder.branch_table(decoder.operand(1).name);
  if (labels == nullptr) decoder.refuse("unknown table of branch targets");
  auto table = std::make_unique<std::vector<std::uint32_t>>();
  for (const std::string& name : *labels) {
    table->push_back(decoder.label(name));
  }
  i.table = table.get();
  decoder.code().tables.push_back(std::move(table));
  return true;
}

bool decode_exit(Decoder&, Instruction& i) {
  i.flow = Flow::kExit;
  i.cls = InstructionClass::kControl;
  return true;
}

bool decode_return(Decoder& decoder, Instruction& i) {
  decoder.take("uni");
  i.flow = decoder.in_kernel() ? Flow::kExit : Flow::kReturn;
  i.cls = InstructionClass::kControl;
  return true;
}

void trap(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  warp.fault(i, std::countr_zero(lanes), FaultKind::kTrap,
             "the kernel executed a trap");
}

bool decode_trap(Decoder&, Instruction& i) {
  i.handler = trap;
  i.cls = InstructionClass::kControl;
  return true;
}

bool decode_yield(Decoder& decoder, Instruction& i) {
  decoder.take_type();
  decoder.source(0, Type::kU32);
  i.flow = Flow::kYield;
  i.cls = InstructionClass::kControl;
  return true;
}

// bar{.cta}.sync a{, b}; bar.arrive a, b; bar.red.op d, a{, b}, p. For
// barrier{.cta} the same; only with .aligned must all threads of a warp be at
// the same instruction.
bool decode_barrier(Decoder& decoder, Instruction& i) {
  if (decoder.has("warp") || decoder.has("cluster")) return false;
  i.flow = Flow::kBarrier;
  i.cls = InstructionClass::kBarrier;
  decoder.take("cta");
  const bool aligned = decoder.take("aligned");
  i.element = decoder.opcode() == "bar" || aligned;
  std::size_t first = 0, count = decoder.operands();
  if (decoder.take("red")) {
    const Type type = decoder.take_type();
    BarrierKind kind = BarrierKind::kPopulation;
    if (decoder.take("and")) kind = BarrierKind::kAnd;
    if (decoder.take("or")) kind = BarrierKind::kOr;
    const bool counts = kind == BarrierKind::kPopulation;
    if (counts && !decoder.take("popc")) return false;
    if (type != (counts ? Type::kU32 : Type::kPred)) return false;
    i.option = static_cast<std::uint8_t>(kind);
    i.d = decoder.destination(0, type);
    i.c = decoder.predicate(count - 1, &i.option2);
    first = 1;
    --count;
  } else if (decoder.take("arrive")) {
    i.option = static_cast<std::uint8_t>(BarrierKind::kArrive);
  } else if (!decoder.take("sync")) {
    return false;
  }
  i.a = decoder.source(first, Type::kU32);
  if (count > first + 1) i.b = decoder.source(first + 1, Type::kU32);
  const bool arrives =
      i.option == static_cast<std::uint8_t>(BarrierKind::kArrive);
  return !arrives || i.b != kNoRow;
}

void fence(Warp& warp, const Instruction&, std::uint32_t) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  warp.thread().shared.fence(warp.index());
}

bool decode_fence(Decoder& decoder, Instruction& i) {
  i.handler = fence;
  i.cls = InstructionClass::kBarrier;
  if (decoder.has("proxy") || decoder.has("mbarrier_init")) return false;
  bool scope = false;
  for (const char* name : {"cta", "gl", "gpu", "sys", "cluster"}) {
    scope |= decoder.take(name);
  }
  for (const char* order : {"sc", "acq_rel", "acquire", "release"}) {
    decoder.take(order);
  }
  return scope;
}

void nothing(Warp&, const Instruction&, std::uint32_t) {}

// Waits for an earlier grid, which is complete before this one starts.
bool decode_grid_dependency(Decoder& decoder, Instruction& i) {
  if (!decoder.take("wait") && !decoder.take("launch_dependents")) {
    return false;
  }
  i.handler = nothing;
  i.cls = InstructionClass::kControl;
  return true;
}

bool decode_break(Decoder&, Instruction& i) {
  i.handler = nothing;
  i.cls = InstructionClass::kControl;
  return true;
}

}  // namespace

void add_control_instructions(InstructionTable* table) {
  (*table)["bra"].push_back(decode_branch);
  (*table)["brx"].push_back(decode_indirect_branch);
  (*table)["exit"].push_back(decode_exit);
  (*table)["ret"].push_back(decode_return);
  (*table)["trap"].push_back(decode_trap);
  (*table)["brkpt"].push_back(decode_break);
  (*table)["nanosleep"].push_back(decode_yield);
  (*table)["bar"].push_back(decode_barrier);
  (*table)["barrier"].push_back(decode_barrier);
  (*table)["membar"].push_back(decode_fence);
  (*table)["fence"].push_back(decode_fence);
  (*table)["griddepcontrol"].push_back(decode_grid_dependency);
}

}  // namespace ptx_emulator
