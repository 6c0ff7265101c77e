// Program: the intermediate representation of a fused kernel.
//
// A program is a list of instructions in static single assignment: each names
// its operands by the number of an earlier instruction. It says what is
// computed for one element of an iteration space; how large that space is, and
// how each leaf is laid out in it, comes with the launch (core/backend). So one
// program serves every size.
//
// A program with row operations treats the last axis of the iteration space as
// the row. A value that is the same at every place of a row (a row constant) is
// an ordinary value for the instructions that use it.
//
// Programs are immutable and shared; equal programs are one object (intern), so
// that what is derived from one – its reverse, a backend's compiled form – is
// derived once in the life of the process.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/pointwise/primitives.h"
#include "jacquard/dtype.h"
#include "jacquard/export.h"

namespace jacquard::pointwise {

// The number of an instruction in its program.
using Ref = std::uint16_t;
inline constexpr Ref kNoRef = 0xffff;

struct Instr {
  Op op;
  DType dtype;            // of the result
  std::uint16_t imm = 0;  // which leaf, slot or constant; else 0
  Ref args[3] = {kNoRef, kNoRef, kNoRef};

  friend bool operator==(const Instr&, const Instr&) = default;
};

// How an output leaves the program. All but `store` reduce over the axes on
// which the launch gives the output stride 0; min and max: NaN wins; mean
// divides by the number of elements reduced. bool `any`/`all` are max/min.
enum class Reduction : std::uint8_t { store, sum, mean, prod, max, min };

struct Output {
  Ref value;
  Reduction reduction = Reduction::store;
  // Stores or reduces a row constant: once a row, not once an element. Its
  // cotangent is then one value a row, otherwise one an element.
  bool once_a_row = false;

  friend bool operator==(const Output&, const Output&) = default;
};

// A leaf of the program: op is load, index, uniform or normal. uniform and
// normal take their seed and offset from two int64 slots.
struct Leaf {
  Op op = Op::load;
  DType dtype = DType::float32;  // as stored in memory
  std::uint16_t seed_slot = 0;
  std::uint16_t offset_slot = 0;
  // Known to be the same along the row (the leaf's last extent is 1, the
  // space's isn't): its instruction is a row constant. Of no meaning in a
  // program without rows.
  bool per_row = false;

  friend bool operator==(const Leaf&, const Leaf&) = default;
};

// A literal, exact in the dtype of the instruction that names it. Bits are
// compared, so −0 and NaN are what they are.
struct Literal {
  union {
    double f;
    std::int64_t i;
  };
  // Of a slot's value in a call that is planned (core/plan): which host scalar
  // of the plan it is, counted from 1. Wherever the value is copied to – other
  // slots, saved for a reverse, a launch – it names the same scalar. 0: none.
  // Not part of the literal: neither compared nor hashed.
  std::uint32_t origin = 0;
};

// The contents of a program: what a builder makes and a hash is taken of.
struct Code {
  std::vector<Instr> instrs;
  std::vector<Leaf> leaves;
  std::vector<DType> slots;  // dtype of the instruction that reads each
  std::vector<Literal> constants;
  std::vector<Output> outputs;
};
JACQUARD_API bool operator==(const Code& a, const Code& b);
JACQUARD_API std::uint64_t hash_of(const Code& code);

class Program;
using ProgramPtr = std::shared_ptr<const Program>;

// What a reverse program takes and gives.
//
// Its leaves are, in this order of `sources`: leaves of the forward program
// (number ≥ 0), outputs of the forward program (kOutput − j), cotangents of
// those outputs (kCotangent − j). Each is read. A cotangent has the compute
// type of its output's instruction: float32 for the half types. Slots are those
// of the forward program, in the same order and all of them, then those of
// `means`.
struct Reverse {
  static constexpr int kOutput = -1;        // −1 … −999: output j
  static constexpr int kCotangent = -1000;  // −1000 …: cotangent j

  // Outputs: one for each wanted leaf, in the order of `wanted`, none reduced
  // here (Reduction::store; the launch reduces over the axes on which a leaf
  // was broadcast, with Reduction::sum). Half-typed gradients are float32.
  // A leaf that is per_row in a program with rows has one value a row
  // (Output::once_a_row): the launch then sums over the other axes only.
  // An output whose instruction is the load of a cotangent passes it on.
  ProgramPtr program;
  std::vector<int> sources;
  // Outputs of the forward program with Reduction::mean: the i-th slot after
  // the forward's is 1 / (elements that output means[i] reduces), which the
  // launch fills in; the cotangent itself is bound as it is.
  std::vector<std::uint16_t> means;
  std::vector<std::uint16_t> wanted;  // forward leaf of each output
  // wanted leaves whose gradient is a structural zero are not in `wanted`.
};

// What a pushforward program takes and gives.
//
// Its leaves, in the order of `sources`: leaves of the forward program (number
// ≥ 0), its outputs (Reverse::kOutput − j), and tangents of its leaves
// (kTangent − i), which have the compute type of the leaf. It reads no other
// leaf or output than the reverse for the same tracked leaves. Slots are those
// of the forward program.
struct Pushforward {
  static constexpr int kTangent = Reverse::kCotangent;

  // One output: the tangent of what output 0 of the forward program stores or
  // reduces, in its compute type. nullptr: a structural zero.
  ProgramPtr program;
  std::vector<int> sources;
};

class JACQUARD_API Program {
 public:
  // The one program with this content, after simplification (see simplify).
  // Leaves and slots keep their numbers even where nothing reads them any
  // more: `reads_leaf` tells. Thread-safe.
  static ProgramPtr intern(Code code);

  const Code& code() const { return code_; }
  std::span<const Instr> instrs() const { return code_.instrs; }
  std::span<const Leaf> leaves() const { return code_.leaves; }
  std::span<const Output> outputs() const { return code_.outputs; }
  std::uint64_t hash() const { return hash_; }
  // Whether the last axis is a row: there are row operations, or an output
  // that counts once a row.
  bool has_row_ops() const { return has_row_ops_; }
  bool reads_leaf(int i) const { return reads_leaf_[i]; }
  // Whether instruction r is known to have the same value at each place of a
  // row: results of row operations, per_row leaves, slots, constants and what
  // is made of only such. False in programs without rows.
  bool row_constant(Ref r) const { return row_constant_[r]; }

  // The reverse of the program for the leaves in `tracked` (bit i: leaf i),
  // given cotangents of all outputs. What it reads is chosen for the whole
  // `tracked`: the fewest leaves and outputs, then the fewest instructions.
  // `wanted` ⊆ tracked then removes what only other gradients need. Cached.
  // GraphError naming the primitive if one has no derivative.
  const Reverse& reverse(std::uint64_t tracked, std::uint64_t wanted) const;

  // How tangents of the leaves in `with` ⊆ tracked pass through the program.
  // Cached. GraphError as for the reverse.
  const Pushforward& pushforward(std::uint64_t tracked,
                                 std::uint64_t with) const;

  // The program without what only its reverse reads (attach): what backends
  // are given. Leaves and slots keep their numbers.
  const Program& launched() const {
    return has_attached_ ? without_attached() : *this;
  }

  // One instruction a line, for people and for tests:
  //   %2:f32 = mul %0 %1
  std::string to_string() const;

  // What a backend compiled from this program; slot 0 CPU, 1 CUDA. Owned by
  // the backend, which never frees it.
  std::atomic<void*>& compiled(int backend) const { return compiled_[backend]; }

  ~Program();

 private:
  explicit Program(Code code);
  const Program& without_attached() const;
  struct ReverseCache;

  Code code_;
  std::uint64_t hash_;
  bool has_row_ops_;
  bool has_attached_;
  mutable std::atomic<const Program*> launched_{nullptr};
  std::vector<bool> reads_leaf_;
  std::vector<bool> row_constant_;
  mutable std::atomic<void*> compiled_[2] = {};
  std::unique_ptr<ReverseCache> reverse_;
};

// Builds code, merging equal instructions and folding constants as it goes.
// Operands must have the dtype that the instruction asks for: casts are
// written out.
class JACQUARD_API Builder {
 public:
  Builder() = default;
  // Starts with the leaves and slots of a program, none of them read yet.
  Builder(std::vector<Leaf> leaves, std::vector<DType> slots);

  Ref leaf(Leaf leaf);    // a new leaf, and the instruction reading it
  Ref slot(DType dtype);  // a new slot
  Ref read_leaf(int i);   // the instruction reading a leaf that is there
  Ref read_slot(int i);
  Ref constant(double value, DType dtype);
  Ref constant_int(std::int64_t value, DType dtype);
  Ref row_index();
  Ref row_length(DType dtype);
  // Result dtype: of the operands (`cls` b, l: bool; argmax, argmin: int64).
  // `cast` has its own call. DTypeError if the operands don't fit.
  Ref apply(Op op, Ref a, Ref b = kNoRef, Ref c = kNoRef);
  Ref cast(Ref a, DType dtype);
  void output(Output out) { code_.outputs.push_back(out); }

  DType dtype(Ref r) const { return code_.instrs[r].dtype; }
  const Code& code() const { return code_; }
  Code take() { return std::move(code_); }

 private:
  Ref push(Instr instr);
  Ref literal(Literal value, DType dtype);
  Ref rewritten(const Instr& instr);
  void grow_table();
  Code code_;
  std::vector<std::uint32_t> table_;  // open addressing over code_.instrs
};

// Rewrites that keep the value for every input (NaN, ±Inf and −0 included) and
// the derivative for every leaf: constant folding, common subexpressions, dead
// code, x·1, −(−x), cast of a cast that loses nothing, double logical_not,
// where with equal branches. Nothing is reassociated; x·0, x−x, x+0 stay;
// stop_gradient is opaque. Leaves with different numbers are different.
JACQUARD_API Code simplify(const Code& code);

}  // namespace jacquard::pointwise
