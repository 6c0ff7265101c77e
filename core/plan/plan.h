// A plan: the calls that a function made, and the launches that they led to.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/backend/launch_list.h"
#include "core/tape/call.h"
#include "core/tape/node.h"
#include "core/tape/value.h"
#include "core/tensor/storage.h"

namespace jacquard::plan {

using pointwise::Literal;
using tape::NodePtr;
using tape::Value;
using tape::ValuePtr;

inline constexpr int kUndefined = -1;

// What the thread's modes were when a call was made.
struct Modes {
  bool grad = true, always_fused = false;
  int depth = 0;
  DType default_dtype = DType::float32;
  Stream stream;
  bool anomaly = false;

  static Modes now(Device device);
  // Sets the thread's modes for as long as it lives.
  class Scope;
  friend bool operator==(const Modes&, const Modes&) = default;
};

// A value of the plan: what a function found (constants and leaves) or made.
struct Item {
  enum class Kind : std::uint8_t { constant, leaf, result };
  Kind kind = Kind::result;
  Shape shape;
  DType dtype = DType::float32;
  Device device;
  bool tracked = false;

  // Constants and leaves: how the array lies, and where: `offset` bytes from
  // the start of the memory.
  Strides strides;
  int memory = -1;
  std::ptrdiff_t offset = 0;
  ValuePtr leaf;  // its cell

  // Results.
  const char* name = "";
  CallSite site{};
  Stream stream;
  bool zero = false;
};

// One call. Its operands and results are items.
struct Step {
  const char* name = "";
  CallSite site{};
  Modes modes;
  std::vector<int> operands;
  std::vector<std::int64_t> attributes;
  // The first of the plan's scalars that are the call's.
  int first_scalar = 0, scalars = 0;
  // Those that the host looked at, and what they were.
  struct Guard {
    int scalar;  // of the call
    std::int64_t bits;
  };
  std::vector<Guard> guards;
  struct Result {
    int item = kUndefined;
    bool as_leaf = false;  // the leaf itself, not what it holds
  };
  std::vector<Result> results;
  tape::Body body;
};

// External memory that launches name: the whole of a storage. Constants, leaves
// and gradients that share it lie in it as they did.
struct Memory {
  int list = -1;  // its number in the launch list
  // Whether only constants lie in it, and the bytes that they reach over.
  bool constant = true;
  std::ptrdiff_t lowest = 0, end = 0;

  // For a graph: where it expects the memory, and memory of the plan's own that
  // the contents are copied to, once they were seen at two places.
  const char* fixed = nullptr;
  IntrusivePtr<Storage> own;
};

// A leaf's gradient that the function read or changed.
struct Gradient {
  NodePtr node;
  // As the call begins; `before` only while the plan is made.
  bool defined = false;
  Tensor before;
  Strides strides;
  int memory = -1;
  std::ptrdiff_t offset = 0;
  // As it ends.
  bool changed = false;
  int result = -1;  // number in `arrays`; −1: undefined
};

// An array that outlives the call: in memory of the plan's own, or in external.
struct Array {
  int storage = -1;  // in Plan::storages
  int memory = -1;
  Shape shape;
  Strides strides;
  std::ptrdiff_t offset = 0;  // bytes from the start of storage or memory
  DType dtype = DType::float32;
};

// A result that somebody held when the call was over.
struct Export {
  int item = -1;
  int array = -1;
};

struct Plan {
  Plan() = default;
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  Stream stream;
  std::vector<Item> items;
  std::vector<Step> steps;
  std::vector<Memory> memories;
  std::vector<Gradient> gradients;
  std::vector<Array> arrays;
  std::vector<Export> exports;
  std::vector<int> export_of;  // by item; −1: nobody held it
  std::vector<IntrusivePtr<Storage>> storages;
  int scalars = 0;
  std::vector<Literal> values;  // of the scalars, when it was made
  // The first scalars of calls that draw random numbers: seed and offset.
  std::vector<int> draws;
  // The first step that writes a leaf in place: what leaves held before is then
  // no longer what they hold.
  std::size_t first_write = ~std::size_t{0};
  std::unique_ptr<backend::LaunchList> list;

  // The launches as one object of the device, made at the first replay.
  bool tried_graph = false;
  std::unique_ptr<backend::LaunchGraph> graph;

  // Of a frozen function: the items that its arguments and results are, scalars
  // of it that the host looked at, and the constants that are no arguments.
  bool frozen = false;
  std::vector<int> arguments, results;
  int argument_scalars = 0;
  std::vector<Step::Guard> guards;
  std::vector<std::pair<int, ValuePtr>> captured;

  // Stand-ins of results, by item, to be handed out when nobody holds them.
  std::vector<ValuePtr> stand_ins;
};

class Modes::Scope {
 public:
  explicit Scope(const Modes& modes);
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  bool grad_, fused_;
  int depth_;
  StreamScope stream_;
};

// Two numbers a scalar: see tape::PlannedScalar.
inline std::uint32_t origin_of(int scalar) {
  return 1 + 2 * static_cast<std::uint32_t>(scalar);
}

// " (called at file:line)", or nothing.
std::string called_at(CallSite site);

}  // namespace jacquard::plan
