// Plan: what the executor compiles a Program into, once in its life.
//
// A value of the program lives in a *register*, a buffer of one tile in
// register form (cpu_fallback/isa/kernel_table.h). Each leaf, slot and constant
// has a register of its own; the others share by liveness. Where the launch
// allows it, a leaf is read and an output is written in place instead.
#pragma once

#include <cstdint>
#include <vector>

#include "core/backend/backend.h"
#include "core/pointwise/program.h"
#include "cpu_fallback/isa/kernel_table.h"

namespace jacquard::cpu_fallback {

using pointwise::Op;
using pointwise::Reduction;

// Elements of a tile unless rows are longer. Sums are cut at its multiples, so
// changing it changes their last bits.
inline constexpr std::int64_t kTile = 256;

struct Step {
  // one_hot: a comparison of row_index with a value of the row, b.
  enum class Kind : std::uint8_t { tile, row, one_hot };
  Kind kind = Kind::tile;
  DType dtype = DType::float32;  // of the result
  bool narrow = false;           // needs only the first place of each row
  bool check_index = false;      // row_pick
  // Of row operations, bit i: reads operand i at the first place of each row.
  std::uint8_t row_values = 0;
  std::uint16_t a, b, c, d, out;  // values; Plan::none() where unused
  std::uint16_t second;           // of row operations with two results
  TileFn tile = nullptr;
  ChainFn chain = nullptr;  // of tile operations: instead of `tile`
  RowFn row = nullptr;
  TileFn round = nullptr;  // half types

  // A tile step over n elements; ptr: where each value is.
  void run(void* const* ptr, std::size_t n) const {
    if (chain) return chain(ptr[a], ptr[b], ptr[c], ptr[d], ptr[out], n);
    tile(ptr[a], ptr[b], ptr[c], ptr[out], n);
    if (round) round(ptr[out], nullptr, nullptr, ptr[out], n);
  }
};

// A value whose register is filled once for all tiles of a launch: a slot, a
// constant, row_index or row_length.
struct FixedPlan {
  std::uint16_t value;
  Op op;
  std::uint16_t index;  // of the slot or constant
  DType dtype;
};

struct LeafPlan {
  std::uint16_t value;  // Plan::none(): nothing reads it
  pointwise::Leaf leaf;
  int last_use;  // number of the last step that reads it; kAlways: an output
  static constexpr int kAlways = 1 << 30;
  bool narrow = false;  // read only at the first place of each row
};

struct OutputPlan {
  std::uint16_t value;
  DType dtype;  // of the instruction
  Reduction reduction;
  bool once_a_row;
  bool direct;       // a step may write it where it is stored
  bool row_step;     // that step is a row operation
  bool only_stored;  // no other step reads the value
  int made_by;       // number of that step
};

struct Plan {
  std::vector<Step> steps;
  std::vector<FixedPlan> fixed;
  std::vector<pointwise::Literal> constants;
  std::vector<LeafPlan> leaves;
  std::vector<OutputPlan> outputs;
  // Register of each value; the last entry belongs to none().
  std::vector<std::uint16_t> home;
  int registers = 0;
  int width = 4;         // bytes of an element of a register
  double cost = 0;       // estimated ns an element
  bool rows = false;     // has row operations or once-a-row outputs
  bool reduces = false;  // has outputs that are not stored

  std::uint16_t none() const {
    return static_cast<std::uint16_t>(home.size() - 1);
  }

  // The plan of a program, compiled at the first call.
  static const Plan& of(const pointwise::Program& program);
  // Load one leaf of `dtype` and reduce it.
  static const Plan& reduction(DType dtype, Reduction reduction);
};

}  // namespace jacquard::cpu_fallback
