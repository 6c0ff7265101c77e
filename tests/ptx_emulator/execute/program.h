// A kernel after decoding: what the warp interpreter runs.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "execute/engine.h"
#include "memory/counters.h"
#include "ptx/module.h"

namespace ptx_emulator {

class Warp;
struct Code;
struct Instruction;

// The values of one register in all 32 lanes lie side by side: a row, named by
// its offset in the frame. A predicate's row is one 32-bit lane mask.
using Row = std::int32_t;
inline constexpr Row kNoRow = -1;

// Executes an instruction for the lanes of a mask that is not empty.
using Handler = void (*)(Warp& warp, const Instruction& instruction,
                         std::uint32_t lanes);

// What the interpreter does with an instruction itself; all others only have
// a handler.
enum class Flow : std::uint8_t {
  kHandler,
  kBranch,
  kIndirectBranch,
  kExit,
  kReturn,
  kCall,
  kBarrier,   // of the block
  kWarpSync,  // the handler runs once all named lanes have arrived
  kYield,     // lets other warps run
};

// What a call does: which function, where its arguments lie.
struct CallSite {
  const Code* callee = nullptr;  // null for indirect and built-in calls
  Row target = kNoRow;           // indirect: the row of addresses
  Handler built_in = nullptr;    // vprintf, __assertfail
  std::string name;
  // Offsets of the caller's parameter areas, in order, and bytes a lane.
  std::vector<std::pair<Row, std::uint32_t>> arguments;
  std::vector<std::pair<Row, std::uint32_t>> results;
};

struct Instruction {
  static constexpr int kListSize = 8;

  Handler handler = nullptr;
  Row d = kNoRow, a = kNoRow, b = kNoRow, c = kNoRow, e = kNoRow;
  Row guard = kNoRow;
  bool guard_negated = false;
  Flow flow = Flow::kHandler;
  InstructionClass cls = InstructionClass::kInteger;
  // What they mean is the business of the handler.
  std::uint8_t option = 0, option2 = 0, count = 0, element = 0;
  std::uint32_t site = 0;    // index within the code
  std::uint32_t target = 0;  // of branches
  std::int64_t offset = 0;   // of addresses
  std::array<Row, kListSize> list{kNoRow, kNoRow, kNoRow, kNoRow,
                                  kNoRow, kNoRow, kNoRow, kNoRow};
  const CallSite* call = nullptr;
  // Targets of an indirect branch; rows of a matrix instruction.
  const std::vector<std::uint32_t>* table = nullptr;
};

// The option of a barrier.
enum class BarrierKind : std::uint8_t {
  kSync,
  kAnd,  // reduces predicates
  kOr,
  kPopulation,
  kArrive,  // does not wait
};

// Rows at the start of every frame: the special registers.
enum SpecialRow : Row {
  kTidX = 0,
  kTidY = 128,
  kTidZ = 256,
  kNtidX = 384,
  kNtidY = 512,
  kNtidZ = 640,
  kCtaidX = 768,
  kCtaidY = 896,
  kCtaidZ = 1024,
  kNctaidX = 1152,
  kNctaidY = 1280,
  kNctaidZ = 1408,
  kLaneId = 1536,
  kMaskEq = 1664,
  kMaskLt = 1792,
  kMaskLe = 1920,
  kMaskGt = 2048,
  kMaskGe = 2176,
  kWarpId = 2304,
  kNwarpId = 2432,
  kZero = 2560,  // 64-bit lanes
  kOne = 2816,
  kDynamicSharedSize = 2944,
  kDynamicSharedBase = 3072,  // offset of dynamic within shared memory
  kTotalSharedSize = 3200,
  kLocalBase = 3328,    // 64-bit lanes: where the activation's variables lie
  kGeneralRows = 3584,  // where registers begin
};

// One function of a kernel.
struct Code {
  // Rows that hold constants, copied into new frames.
  struct Constant {
    Row row = 0;
    std::uint64_t value = 0;
    int size = 4;
  };
  // A function's parameter area: lane l's bytes lie at row + l * bytes.
  struct Area {
    Row row = 0;
    std::uint32_t bytes = 0;
  };
  const ptx::Function* function = nullptr;
  std::vector<Instruction> instructions;
  std::vector<const ptx::Statement*> statements;  // null after the last one
  std::uint32_t frame_bytes = 0;
  std::vector<Constant> constants;
  std::vector<Area> parameters;
  std::vector<Area> results;
  std::uint32_t local_bytes = 0;  // per thread and activation
  std::vector<std::unique_ptr<CallSite>> calls;
  std::vector<std::unique_ptr<std::vector<std::uint32_t>>> tables;
};

// Addresses of functions lie in a window of their own.
inline constexpr std::uint64_t kFunctionWindow = std::uint64_t{4} << 56;

// A kernel with all functions that it calls or whose address it takes.
struct Program {
  std::string name;
  const Code* main = nullptr;
  std::map<std::string, std::unique_ptr<Code>, std::less<>> codes;
  std::map<std::uint64_t, const Code*> by_address;
  std::map<std::string, std::uint32_t, std::less<>> shared_offsets;
  std::uint32_t static_shared_bytes = 0;
  std::uint32_t dynamic_shared_alignment = 16;
  std::uint32_t local_bytes = 0;  // of the deepest chain of calls
  bool recursive = false;
  std::uint32_t max_threads = kMaxThreadsPerBlock;
  std::uint32_t required_threads[3] = {0, 0, 0};
  std::uint32_t registers = 0;
};

// The text of a statement's opcode with its modifiers.
std::string instruction_text(const ptx::Statement& statement);

}  // namespace ptx_emulator
