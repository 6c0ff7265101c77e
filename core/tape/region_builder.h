// From pending values to the code of one program.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/pointwise/program.h"
#include "core/tape/value.h"

namespace jacquard::tape {

// What one region may hold when it is called: kernels keep its live values in
// registers. Masks of leaves are 64 bits.
inline constexpr unsigned kMaxInstructions = 64;
inline constexpr unsigned kMaxLeaves = 48;
inline constexpr unsigned kMaxMask = 64;

// The dtype that operand i of an instruction is cast to.
DType dtype_of_arg(Op op, int i, DType operand_dtype);

struct RegionSize {
  unsigned instructions = 0, leaves = 0;
};
// Of the union of the pending operands.
RegionSize measure(const Arg* args);

// A map from pointers to small numbers that keeps its memory: a list while it
// is short, then a hash table.
class PointerMap {
 public:
  // -1 if absent.
  int find(const void* key) const;
  void insert(const void* key, int value);
  void clear();

 private:
  struct Entry {
    const void* key = nullptr;
    int value = 0;
  };
  static constexpr std::size_t kShort = 8;
  Entry& place(const void* key);
  void grow();
  Entry short_[kShort];
  std::vector<Entry> table_;  // used beyond kShort
  std::size_t size_ = 0;
};

// The operation that an instruction is part of.
struct Label {
  const char* name;
  CallSite site;
};

// A program over values.
struct Region {
  Shape space;
  pointwise::Code code;
  std::vector<Value*> leaves;  // in the order of code.leaves
  std::vector<Literal> slots;
  bool has_row = false;
  // Some leaf may be read only where no gradient flows.
  bool has_stop = false;
  std::vector<Label> labels;  // of the instructions, in anomaly mode

  // Whether a leaf of this shape is the same along rows of more than one.
  bool is_per_row(const Shape& shape) const;
};

// A pending value, and the instruction that is it.
struct Inside {
  Value* value;
  pointwise::Ref ref;
};

// Gathers pending values into code. Values are visited depth first from the
// outputs, so equal expressions give equal code whatever order they were called
// in; leaves are numbered as met.
class RegionBuilder : public Region {
 public:
  ~RegionBuilder() { release(); }

  // `space`: of the region, as far as known (see row programs). Values in
  // `stops` are leaves even while they are pending.
  void begin(const Shape& space, std::span<Value* const> stops);
  // Lets go of the values; they stay valid until then.
  void release();
  // The region of v, and v as an output. Returns false if v turned out to be
  // written meanwhile.
  bool add_output(Value& v);
  // v without its being an output of the region (a written value is a load).
  pointwise::Ref add_value(Value& v);
  // `shape` of what is stored or reduced; it is read by finish().
  void output(pointwise::Ref value, Reduction reduction, const Shape& shape) {
    code.outputs.push_back({value, reduction, false});
    output_shapes_.push_back(&shape);
  }
  // After the last output: settles what depends on the space, and writes the
  // leaves that are not yet.
  void finish();
  // Tracked values in the inside, none of `outputs`, that others hold than the
  // values that `all` has gathered (this builder or one that gathered more).
  std::vector<Inside> held_inside(std::span<Value* const> outputs,
                                  const RegionBuilder& all) const;

  // Pending values in the inside, and of those the ones that an earlier region
  // had in its inside already and that are worth writing now: to read them
  // saves loads, and somebody holds them.
  std::vector<Value*> inside;
  std::vector<Value*> repeated;
  // Leaves that are matmuls which wait; finish() writes them.
  std::vector<Value*> products;

 private:
  struct Frame {
    Value* value;
    const Expression* expression;  // nullptr: not opened
    int next;
    std::size_t leaves_before;
  };
  pointwise::Ref visit(Value& root);
  bool open(Frame& frame);
  int leaf(Value& v);
  int virtual_leaf(Value& v, const Expression& e);
  int emit(Value& v, const Expression& e);
  pointwise::Ref operand(const Value& user, const Expression& e, int i);
  pointwise::Ref push(pointwise::Instr instr);
  std::uint16_t slot(const Arg& a, DType dtype);

  PointerMap refs_;
  std::vector<Frame> stack_;
  std::vector<const Shape*> output_shapes_;
  std::vector<Value*> pinned_;
  std::span<Value* const> stops_;
  const Value* root_ = nullptr;
};

// Code, and the program that it makes.
struct Known {
  std::shared_ptr<const pointwise::Code> code;
  pointwise::ProgramPtr program;
};
// Remembers what it has seen on this thread, as long as the thread lives.
const Known& known(const pointwise::Code& code);
inline const pointwise::ProgramPtr& program_of(const pointwise::Code& code) {
  return known(code).program;
}

}  // namespace jacquard::tape
