// Work: one kernel launch of a program – which skeleton, what becomes of each
// output, how the operands lie – from which come the kernel's key, its source
// and its arguments.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/backend/backend.h"
#include "cuda/codegen/arguments.h"
#include "cuda/codegen/layout.h"

namespace jacquard::cuda_backend {

using backend::OutputBinding;
using pointwise::Op;
using pointwise::Reduction;
using pointwise::Ref;

enum class Skeleton : std::uint8_t {
  map,
  list,
  reduce_rows,     // the innermost axis is reduced
  reduce_columns,  // the innermost axis is kept
  row,
};

// What becomes of an output.
enum class Mode : std::uint8_t {
  absent,   // nothing: another launch computes it
  element,  // stored for each element
  once,     // stored once a row                      (skeleton row)
  folded,   // reduced                                (the reduce skeletons)
  column,   // reduced over all axes but the row      (skeleton row)
  total,    // a row value reduced over all rows      (skeleton row)
};

// What is known of a program once and for all.
struct ProgramFacts {
  explicit ProgramFacts(const pointwise::Program& program);

  std::vector<bool> row_leaf;  // leaves with one value a row
  int live = 0;                // most values alive at once
  bool wide_rows = false;      // row operations on 8-byte values
  bool checks_index = false;   // has row_pick
};

struct Work {
  const pointwise::Program* program = nullptr;
  const ProgramFacts* facts = nullptr;
  std::span<const backend::Binding> leaves;
  std::span<const backend::Scalar> slots;
  Shape shape;

  Skeleton skeleton = Skeleton::map;
  std::vector<Mode> modes;             // one for each output, like
  std::vector<OutputBinding> outputs;  // where it goes
  std::vector<void*> partials;         // of reduced outputs

  // Numbers that the source depends on, besides the layout classes.
  int width = 1;           // neighbouring elements of a thread
  int block = 256;         // threads
  bool block_row = false;  // row: a row is taken by a whole block
  bool cached = true;      // row: a row's elements stay in registers
  // Slots are pointers to their words: what a graph of launches runs takes no
  // host scalar.
  bool slots_in_memory = false;
  bool grouped = false;  // row: elements are read by whole accesses
  int steps = 1;         // row: of a cached row
  // row: leaves that are the same in all rows and kept in shared memory; empty:
  // none
  std::vector<bool> staged;

  // Filled in by lay_out.
  std::vector<bool> needed;         // instructions; empty: all
  Space elements;                   // of element operands, innermost axis last
  Space points;                     // of results, or of rows
  std::vector<int> leaf_operand;    // in its space; -1: not read
  std::vector<int> output_operand;  // in its space; -1: in none
  bool small = true;                // 32-bit indices

  void begin(const backend::ProgramLaunch& launch, const ProgramFacts& facts,
             Skeleton skeleton);
  // The spaces, from the axes of `shape` in the given orders: those of all
  // elements, and those of results or rows.
  void lay_out(std::span<const int> element_axes,
               std::span<const int> point_axes);

  bool reads(int leaf) const {
    return leaf_operand[static_cast<std::size_t>(leaf)] >= 0;
  }
  bool is_staged(int leaf) const {
    return !staged.empty() && staged[static_cast<std::size_t>(leaf)];
  }
  // row: the most columns of a cached row.
  int cached_columns() const {
    return steps * (block_row ? block : 32) * width;
  }
  bool on_rows(int leaf) const {
    return skeleton == Skeleton::row &&
           facts->row_leaf[static_cast<std::size_t>(leaf)];
  }
  const Access& leaf_access(int leaf) const {
    const int operand = leaf_operand[static_cast<std::size_t>(leaf)];
    return on_rows(leaf) ? points.access(operand) : elements.access(operand);
  }
  bool is_needed(Ref r) const { return needed.empty() || needed[r]; }
  DType value_dtype(int output) const;
  // The word of a slot in the source, an argument or what the thread has read.
  std::string slot_name(int slot) const;

  // Everything that the source depends on but the program.
  void append_key(std::string& key) const;

  struct Grouping {
    bool grouped;       // threads take `width` neighbours by whole accesses
    std::int64_t skew;  // places before the space of the first whole group
  };
  // `row`: the number of elements after which groups start again (0: never).
  Grouping grouping(std::int64_t row) const;

  // The arguments of operands, slots and results, in the order of the source.
  void add_operands(Arguments& to) const;

 private:
  void find_needed();
  void add_outputs(Arguments& to) const;
};

// The slot's value as the eight bytes in which kernels take it.
std::uint64_t slot_word(backend::Scalar value, DType dtype);

}  // namespace jacquard::cuda_backend
