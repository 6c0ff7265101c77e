// Turns the statements of a function into instructions. The decoder is strict:
// every modifier and every operand must be consumed by the code that decodes
// the instruction, or the kernel is refused, because a modifier that is
// ignored is a wrong result.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "execute/program.h"
#include "execute/register_rows.h"
#include "ptx/module.h"

namespace ptx_emulator {

class LoadedModule;
class Decoder;

// Decodes the current statement if it is of the family's: false leaves it to
// the next family that knows the opcode.
using DecodeFunction = bool (*)(Decoder& decoder, Instruction& instruction);

// Which families know an opcode, in the order in which they are asked.
using InstructionTable =
    std::unordered_map<std::string_view, std::vector<DecodeFunction>>;

enum class Rounding : std::uint8_t { kNearest, kZero, kDown, kUp };

// The class of an instruction that computes in a type.
InstructionClass class_of(ptx::Type type);

// Address spaces of memory instructions.
enum class AddressSpace : std::uint8_t {
  kGeneric,
  kGlobal,  // .const too: its variables lie in global memory
  kShared,
  kLocal,
};

enum class MemoryOrder : std::uint8_t {
  kWeak,
  kStrong,   // .volatile, .relaxed
  kOrdered,  // .acquire, .release, .acq_rel: with a fence
};

class Decoder {
 public:
  // Decodes a function of the module into program->codes. Throws ImageError.
  static Code* decode(LoadedModule* module, Program* program,
                      std::string_view function);

  // ---- the statement's modifiers ----

  const ptx::Statement& statement() const { return *statement_; }
  const std::string& opcode() const { return statement_->opcode; }
  // The last modifier that is a type; kNone without one. Consumes nothing.
  ptx::Type type() const;
  // Whether the modifier is there, without consuming it.
  bool has(std::string_view modifier) const;
  // Consumes a modifier, if it is there.
  bool take(std::string_view modifier);
  // Consumes the first type that is left; refuses without one.
  ptx::Type take_type();
  // Consumes .rn, .rz, .rm, .rp; nearest without one.
  Rounding take_rounding();
  // The same for .rni and so on; false without one.
  bool take_integer_rounding(Rounding* rounding);
  // Consumes the first modifier that is left; "" without one.
  std::string_view take_any();
  // Consumes what says how memory is ordered and cached.
  MemoryOrder take_memory_order();
  AddressSpace take_space();

  // ---- its operands; each function consumes what it reads ----

  std::size_t operands() const { return statement_->operands.size(); }
  const ptx::Operand& operand(std::size_t index);
  bool is_vector(std::size_t index) const;
  // The row of a source of that type: register, constant or address.
  Row source(std::size_t index, ptx::Type type);
  Row source_of(const ptx::Operand& operand, ptx::Type type);
  // Sources and destinations that may be wider than the type (ld, st, cvt):
  // `bytes` receives the width of the register's lanes.
  Row wide_source(const ptx::Operand& operand, ptx::Type type, int* bytes);
  Row wide_destination(const ptx::Operand& operand, ptx::Type type, int* bytes);
  Row destination(std::size_t index, ptx::Type type);
  Row destination_of(const ptx::Operand& operand, ptx::Type type);
  // The p of d|p, or kNoRow.
  Row second_destination(std::size_t index);
  // A predicate; `negated` receives whether it has "!".
  Row predicate(std::size_t index, std::uint8_t* negated);
  // An integer that must be known now.
  std::uint64_t immediate(std::size_t index);
  // Fills a and offset of an instruction whose operand is an address:
  // option2 tells whether the row has 64-bit lanes.
  void address(std::size_t index, AddressSpace* space,
               Instruction* instruction);
  // For a symbol whose address is not known before a launch (local variables,
  // dynamic shared memory): fills a, offset and option2 like address().
  // False for any other operand, which it does not consume.
  bool launch_address(std::size_t index, AddressSpace* space,
                      Instruction* instruction);
  // A row whose lanes all hold that value.
  Row constant(std::uint64_t value, int size);

  // ---- parameters, symbols, labels ----

  // Where a function's parameter area of that name lies; null if none.
  const Code::Area* parameter_area(std::string_view name) const;
  // The offset of a kernel parameter of that name, or -1.
  std::int64_t kernel_parameter(std::string_view name) const;
  std::uint32_t kernel_parameter_bytes() const;
  std::uint32_t label(std::string_view name);
  const std::vector<std::string>* branch_table(std::string_view name) const;
  bool in_kernel() const { return function_.is_entry; }
  Row register_row(std::string_view name) const;  // kNoRow if unknown
  ptx::Type register_type(std::string_view name) const;
  // Decodes a function that this one calls or takes the address of.
  const Code* callee(std::string_view name);
  // Decodes all functions whose address a variable's initial value holds.
  void decode_function_tables();
  const ptx::Function* find_function(std::string_view name) const;
  Code& code() { return code_; }

  [[noreturn]] void refuse(const std::string& why) const;

 private:
  // Where a symbol lies.
  struct Symbol {
    enum class Kind {
      kNone,
      kGlobal,
      kShared,
      kDynamicShared,
      kLocal,
      kFunction,
      kParameter
    };
    Kind kind = Kind::kNone;
    std::uint64_t address = 0;
  };

  static constexpr int kSpecialBytes = 4;  // lanes of special registers

  Decoder(LoadedModule* module, Program* program, const ptx::Function& function,
          Code* code);
  void run();
  void allocate_variables();
  void decode_statement(const ptx::Statement& statement);
  void check_all_consumed() const;
  Row allocate(std::uint32_t bytes);
  Symbol find_symbol(std::string_view name);
  Symbol shared_symbol(const ptx::Variable& variable);
  void place_symbol(const Symbol& symbol, AddressSpace* space,
                    Instruction* instruction);
  Row symbol_source(const ptx::Operand& operand, ptx::Type type);
  std::uint64_t constant_bits(const ptx::Operand& operand,
                              ptx::Type type) const;
  static Row special_row(std::string_view name);

  LoadedModule& module_;
  Program& program_;
  const ptx::Function& function_;
  Code& code_;
  const ptx::Statement* statement_ = nullptr;
  std::uint32_t used_modifiers_ = 0;  // one bit each
  std::uint32_t used_operands_ = 0;
  std::uint32_t top_ = kGeneralRows;
  std::unordered_map<std::string_view, RegisterRow> registers_;
  std::map<std::string, Code::Area, std::less<>> areas_;
  std::map<std::string, std::uint32_t, std::less<>> locals_;
  std::map<std::pair<std::uint64_t, int>, Row> constants_;
};

}  // namespace ptx_emulator
