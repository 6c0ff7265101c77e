// The syntax tree of a PTX module. Function bodies are parsed when they are
// asked for, because a module may hold many more kernels than are ever run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ptx/types.h"

namespace ptx_emulator::ptx {

enum class Space : std::uint8_t {
  kGlobal,
  kConst,
  kShared,
  kLocal,
  kParam,
};

struct Operand {
  enum class Kind : std::uint8_t {
    kRegister,   // name; second for the p of d|p
    kImmediate,  // bits, form
    kSymbol,     // name (+ offset): a variable, function, label or table
    kAddress,    // [name + offset] or [offset]
    kVector,     // {a, b, ...}
    kList,       // (a, b, ...) of a call
  };
  // How an immediate was written, which says what its bits are.
  enum class Form : std::uint8_t { kInteger, kFloat32, kFloat64 };

  Kind kind = Kind::kSymbol;
  Form form = Form::kInteger;
  bool negated = false;  // "!", of predicates
  std::string name;
  std::string second;
  std::uint64_t bits = 0;
  std::int64_t offset = 0;
  std::vector<Operand> elements;
};

struct Statement {
  std::string opcode;                  // "add"
  std::vector<std::string> modifiers;  // "s32", without dots
  std::vector<Operand> operands;
  std::string guard;  // the predicate of @p; empty without one
  bool guard_negated = false;
  std::uint32_t scope = 0;  // index into Function::scopes
  int line = 0;
  int source_file = 0;  // of the .loc in force; 0 without one
  int source_line = 0;
};

struct Variable {
  // The address of another symbol, stored at a place of the initial value.
  struct Relocation {
    std::uint32_t at = 0;
    std::string symbol;
    std::int64_t addend = 0;
    // 0xFF00(symbol) stores one byte of the address; 0 stores all of it.
    std::uint64_t mask = 0;
  };
  std::string name;
  Space space = Space::kGlobal;
  Type type = Type::kNone;
  std::uint32_t alignment = 1;
  std::uint32_t size = 0;
  bool is_extern = false;
  std::vector<std::uint8_t> initial;  // empty, or `size` bytes
  std::vector<Relocation> relocations;
};

// A label's place: the index of the statement that follows it.
struct Label {
  std::uint32_t scope = 0;
  std::uint32_t statement = 0;
};

struct Function {
  std::string name;
  bool is_entry = false;
  bool has_body = false;
  int line = 0;
  std::vector<Variable> parameters;
  std::vector<Variable> results;
  std::uint32_t max_threads = 0;  // .maxntid or .reqntid; 0 without
  std::uint32_t required_threads[3] = {0, 0, 0};  // .reqntid
  std::vector<std::string> directives;  // others, such as ".explicitcluster"

  // Filled by Module::parse_body.
  bool parsed = false;
  std::vector<Statement> statements;
  std::vector<std::uint32_t> scopes;  // parent of each scope; 0 is outermost
  std::map<std::string, Type, std::less<>> registers;
  std::map<std::string, Variable, std::less<>> variables;
  std::multimap<std::string, Label, std::less<>> labels;
  // Tables of .branchtargets: names of labels.
  std::map<std::string, std::vector<std::string>, std::less<>> tables;

  // The statement that a label seen from `scope` stands before, or -1.
  std::int64_t find_label(std::string_view label, std::uint32_t scope) const;

  std::size_t body_start = 0;  // in the text, after the opening brace
  int body_line = 0;
};

class Module {
 public:
  // Parses declarations; throws ImageError (kInvalidPtx, kUnsupported).
  explicit Module(std::string text);
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  int target() const { return target_; }
  const std::map<std::string, Function, std::less<>>& functions() const {
    return functions_;
  }
  const std::map<std::string, Variable, std::less<>>& variables() const {
    return variables_;
  }
  const Function* find_function(std::string_view name) const;
  const Variable* find_variable(std::string_view name) const;
  // The function with its body parsed. Not safe from several threads at once.
  const Function& parse_body(std::string_view name);
  // The name that a .file directive gave to an index, or "".
  std::string source_file(int index) const;

 private:
  friend class ModuleParser;
  std::string text_;
  int target_ = 0;
  std::map<std::string, Function, std::less<>> functions_;
  std::map<std::string, Variable, std::less<>> variables_;
  std::map<int, std::string> files_;
};

}  // namespace ptx_emulator::ptx
