// Launch: one execution of a plan over one space, prepared.
//
// The space is cut into a grid of boxes; each box is one task and runs over its
// elements in row-major order, a tile at a time.
//
// Where a launch reduces, the order of summation is a function of the space's
// shape and of the axes that the output reduces, and of nothing else – not of
// the program, the layout of its leaves, the other outputs or the threads – so
// that a sum has the same bits in whatever launch it is computed:
//   · *Tiles.* The longest run of trailing axes with at most kTile elements is
//     the *suffix* (q elements); the axis before it is cut into pieces of
//     kTile / q. A tile is one such piece times the suffix.
//   · *Groups.* Along the axes that an output reduces, positions are cut into
//     groups of up to 64 tiles; within a group, tiles are taken in order.
//   · The groups are combined as a binary tree by halves.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cpu_fallback/executor/plan.h"
#include "cpu_fallback/executor/walk.h"
#include "cpu_fallback/runtime/allocator.h"

namespace jacquard::cpu_fallback {

struct LeafState {
  std::uint16_t value;
  Op op;
  DType dtype;
  bool splat;     // the same element everywhere
  bool in_place;  // may be read where it is
  bool overread;  // … and a little beyond the tile
  bool narrow;    // see LeafPlan
  const char* data;
  std::uint64_t seed, offset;
  PerAxis stride;
};

// How an output's reduced axes lie in a tile.
enum class Pattern : std::uint8_t {
  whole,    // the tile to one element
  wide,     // nothing
  stacked,  // the pieces, not the suffix: kTile / q partial results
  rows,     // the suffix, not the pieces
  mixed,
};

struct Reducer {
  Pattern pattern;
  DType dtype;  // of the accumulators
  KernelTable::FoldFn fold;
  KernelTable::CombineFn combine;
  std::int64_t stack = 1;  // copies of each accumulator: pattern `stacked`
  std::int64_t kept = 1, groups = 1;  // of the whole space
  double divisor = 1;                 // mean
  // For each axis: positions in a group (reduced axes, else 0), strides of the
  // accumulators of one box and of the partial results [groups][kept].
  PerAxis group, acc_stride, acc_group_stride, part_stride;
  std::int64_t accumulators = 0;  // of a box
  char* partial = nullptr;        // nullptr: one group, written by the box
};

struct OutputState {
  enum class Kind : std::uint8_t {
    store,
    row_store,   // the first element of each row
    row_buffer,  // the same, to a buffer that is reduced afterwards
    reduce,
  };
  Kind kind;
  const OutputPlan* plan;
  DType dtype;
  bool accumulate;
  bool direct;  // written in place where a tile allows
  bool stream;  // written around the caches
  char* data;
  PerAxis stride;
  Reducer reducer;
};

struct Launch {
  const Plan* plan = nullptr;
  std::uint64_t id = 0;  // of the splats, see Scratch
  int rank = 0;
  PerAxis extent;
  std::int64_t numel = 0;
  bool far = false;  // operands beyond the caches of a core
  bool row_mode = false;
  std::int64_t cols = 1;  // row mode: extent of the last axis

  bool tiled = false;  // tiles as described above, else flat runs of `tile`
  int piece_axis = 0;  // the axis before the suffix
  std::int64_t suffix = 1, piece = 1;
  std::int64_t tile = 0;      // most elements of a tile
  std::int64_t capacity = 0;  // elements of a register that are computed
  // From register to register. Loads write whole packs, also at the end of the
  // last run of a tile: a quantum more than the capacity.
  std::int64_t register_bytes = 0;

  PerAxis block, blocks;  // extent of a box, and boxes along each axis
  std::int64_t boxes = 0;
  std::int64_t accumulator_bytes = 0;  // of a box

  std::vector<LeafState> leaves;
  std::vector<OutputState> outputs;
  std::span<const backend::Scalar> slots;
  std::vector<Buffer> buffers;

  // Everything but running it. The spans must live as long as the launch runs.
  void prepare(const Plan& plan, const Shape& space,
               std::span<const backend::Binding> leaves,
               std::span<const backend::Scalar> slots,
               std::span<const backend::OutputBinding> outputs);
  // All in one box, or in boxes worth handing to other threads.
  void cut(bool parallel);
  double estimated_ns() const {
    return static_cast<double>(numel) * plan->cost;
  }

 private:
  void bind_axes(const Shape& space);
  void bind_leaves(std::span<const backend::Binding> bindings);
  void bind_outputs(std::span<const backend::OutputBinding> bindings);
  void drop_axes();
  void choose_tiles();
  Pattern pattern_of(const OutputState& out) const;
  void plan_reducer(OutputState& out);
  void lay_out_accumulators(OutputState& out);
  void avoid_hazards();
};

// Tasks of one box, and what follows all of them.
void run_box(const Launch& launch, std::int64_t box);
void finish_reductions(Launch& launch);

// Writes n accumulators as elements of the output: divides (mean), converts,
// stores or adds.
void write_results(const OutputState& out, const char* accumulators,
                   std::int64_t n, char* to, std::int64_t stride);
// Sets n accumulators to the neutral element.
void fill_neutral(Reduction reduction, DType dtype, void* to, std::int64_t n);
// acc[r] = acc[r] op the elements of row r, in order; for rows so short that a
// call for each would cost more.
void fold_short_rows(Reduction reduction, DType dtype, const void* from,
                     std::int64_t rows, std::int64_t cols, void* acc);
inline constexpr std::int64_t kShortRow = 32;
// At the end of a box: its accumulators to the partial results or the output.
void flush_box(const Launch& launch, const OutputState& out, char* accumulators,
               const std::int64_t* origin, const std::int64_t* extent);

}  // namespace jacquard::cpu_fallback
