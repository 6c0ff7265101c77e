#include "execute/decoder.h"

#include <bit>

#include "execute/instruction_table.h"
#include "execute/loaded_module.h"
#include "memory/address.h"

namespace ptx_emulator {

using ptx::Operand;
using ptx::Type;

std::string instruction_text(const ptx::Statement& statement) {
  std::string text = statement.opcode;
  for (const std::string& modifier : statement.modifiers) {
    text += "." + modifier;
  }
  return text;
}

Code* Decoder::decode(LoadedModule* module, Program* program,
                      std::string_view function) {
  const ptx::Function& parsed = module->function(function);
  auto& slot = program->codes[parsed.name];
  slot = std::make_unique<Code>();
  Code* code = slot.get();
  program->by_address[module->function_address(parsed.name)] = code;
  Decoder(module, program, parsed, code).run();
  return code;
}

Decoder::Decoder(LoadedModule* module, Program* program,
                 const ptx::Function& function, Code* code)
    : module_(*module), program_(*program), function_(function), code_(*code) {}

void Decoder::refuse(const std::string& why) const {
  std::string message = "kernel " + program_.name;
  if (function_.name != program_.name)
    message += ", function " + function_.name;
  if (statement_ != nullptr) {
    message += ", PTX line " + std::to_string(statement_->line) + ", " +
               instruction_text(*statement_);
  }
  throw ImageError(ImageError::Reason::kUnsupported, message + ": " + why);
}

void Decoder::run() {
  code_.function = &function_;
  for (const std::string& directive : function_.directives) {
    refuse("directive " + directive + " is not emulated");
  }
  registers_ = assign_register_rows(function_, &top_);
  allocate_variables();
  code_.instructions.reserve(function_.statements.size() + 1);
  for (const ptx::Statement& statement : function_.statements) {
    decode_statement(statement);
  }
  Instruction end;
  end.flow = in_kernel() ? Flow::kExit : Flow::kReturn;
  end.cls = InstructionClass::kControl;
  end.site = static_cast<std::uint32_t>(code_.instructions.size());
  code_.instructions.push_back(end);
  code_.statements.push_back(nullptr);
  code_.frame_bytes = align_up(top_, 64);
}

void Decoder::allocate_variables() {
  if (!in_kernel()) {
    for (const auto* list : {&function_.parameters, &function_.results}) {
      for (const ptx::Variable& parameter : *list) {
        const Code::Area area{allocate(kWarpSize * parameter.size),
                              parameter.size};
        areas_[parameter.name] = area;
        (list == &function_.parameters ? code_.parameters : code_.results)
            .push_back(area);
      }
    }
  }
  for (const auto& [name, variable] : function_.variables) {
    if (variable.space == ptx::Space::kParam) {
      areas_[name] =
          Code::Area{allocate(kWarpSize * variable.size), variable.size};
    } else if (variable.space == ptx::Space::kLocal) {
      code_.local_bytes = align_up(code_.local_bytes, variable.alignment);
      locals_[name] = code_.local_bytes;
      code_.local_bytes += variable.size;
    }
  }
  // So that every activation's variables keep their alignment.
  code_.local_bytes = align_up(code_.local_bytes, 16);
}

void Decoder::decode_statement(const ptx::Statement& statement) {
  statement_ = &statement;
  const auto& table = instruction_table();
  const auto families = table.find(statement.opcode);
  if (families == table.end()) refuse("this instruction is not emulated");
  Instruction instruction;
  bool decoded = false;
  for (const DecodeFunction decode : families->second) {
    used_modifiers_ = 0;
    used_operands_ = 0;
    instruction = Instruction();
    decoded = decode(*this, instruction);
    if (decoded) break;
  }
  if (!decoded) refuse("this form of the instruction is not emulated");
  check_all_consumed();
  if (!statement.guard.empty()) {
    instruction.guard = register_row(statement.guard);
    if (instruction.guard == kNoRow) refuse("unknown guard " + statement.guard);
    instruction.guard_negated = statement.guard_negated;
  }
  instruction.site = static_cast<std::uint32_t>(code_.instructions.size());
  code_.instructions.push_back(instruction);
  code_.statements.push_back(&statement);
  statement_ = nullptr;
}

void Decoder::check_all_consumed() const {
  for (std::size_t k = 0; k < statement_->modifiers.size(); ++k) {
    if ((used_modifiers_ >> k & 1) == 0) {
      refuse("modifier ." + statement_->modifiers[k] + " is not emulated here");
    }
  }
  for (std::size_t k = 0; k < statement_->operands.size(); ++k) {
    if ((used_operands_ >> k & 1) == 0) {
      refuse("operand " + std::to_string(k + 1) + " is not emulated here");
    }
  }
}

Row Decoder::allocate(std::uint32_t bytes) {
  const std::uint32_t row = align_up(top_, 64);
  top_ = row + bytes;
  return static_cast<Row>(row);
}

Row Decoder::constant(std::uint64_t value, int size) {
  const auto [place, is_new] = constants_.try_emplace({value, size}, kNoRow);
  if (is_new) {
    place->second =
        allocate(kWarpSize * static_cast<std::uint32_t>(std::max(size, 2)));
    code_.constants.push_back({place->second, value, size});
  }
  return place->second;
}

Row Decoder::register_row(std::string_view name) const {
  const auto place = registers_.find(name);
  return place == registers_.end() ? kNoRow : place->second.row;
}

Type Decoder::register_type(std::string_view name) const {
  const auto place = registers_.find(name);
  return place == registers_.end() ? Type::kNone : place->second.type;
}

const Code::Area* Decoder::parameter_area(std::string_view name) const {
  const auto place = areas_.find(name);
  return place == areas_.end() ? nullptr : &place->second;
}

std::int64_t Decoder::kernel_parameter(std::string_view name) const {
  if (!in_kernel()) return -1;
  std::uint32_t offset = 0;
  for (const ptx::Variable& parameter : function_.parameters) {
    offset = align_up(offset, parameter.alignment);
    if (parameter.name == name) return offset;
    offset += parameter.size;
  }
  return -1;
}

std::uint32_t Decoder::kernel_parameter_bytes() const {
  std::uint32_t bytes = 0;
  for (const ptx::Variable& parameter : function_.parameters) {
    bytes = align_up(bytes, parameter.alignment) + parameter.size;
  }
  return bytes;
}

std::uint32_t Decoder::label(std::string_view name) {
  const std::int64_t place = function_.find_label(name, statement_->scope);
  if (place < 0) refuse("unknown label " + std::string(name));
  return static_cast<std::uint32_t>(place);
}

const std::vector<std::string>* Decoder::branch_table(
    std::string_view name) const {
  const auto place = function_.tables.find(name);
  return place == function_.tables.end() ? nullptr : &place->second;
}

const ptx::Function* Decoder::find_function(std::string_view name) const {
  return module_.syntax().find_function(name);
}

const Code* Decoder::callee(std::string_view name) {
  const auto place = program_.codes.find(name);
  if (place != program_.codes.end()) return place->second.get();
  return decode(&module_, &program_, name);
}

void Decoder::decode_function_tables() {
  for (const auto& [name, variable] : module_.syntax().variables()) {
    for (const auto& relocation : variable.relocations) {
      const ptx::Function* function = find_function(relocation.symbol);
      if (function != nullptr && function->has_body) {
        callee(relocation.symbol);
      }
    }
  }
}

Decoder::Symbol Decoder::shared_symbol(const ptx::Variable& variable) {
  using Kind = Symbol::Kind;
  if (variable.is_extern && variable.size == 0) {
    program_.dynamic_shared_alignment =
        std::max(program_.dynamic_shared_alignment, variable.alignment);
    return {Kind::kDynamicShared, 0};
  }
  const auto [place, is_new] =
      program_.shared_offsets.try_emplace(variable.name, 0);
  if (is_new) {
    const std::uint32_t offset =
        align_up(program_.static_shared_bytes, variable.alignment);
    place->second = offset;
    program_.static_shared_bytes = offset + variable.size;
  }
  return {Kind::kShared, place->second};
}

Decoder::Symbol Decoder::find_symbol(std::string_view name) {
  using Kind = Symbol::Kind;
  if (const auto local = locals_.find(name); local != locals_.end()) {
    return {Kind::kLocal, local->second};
  }
  const auto own = function_.variables.find(name);
  const ptx::Variable* variable = own != function_.variables.end()
                                      ? &own->second
                                      : module_.syntax().find_variable(name);
  if (variable != nullptr && variable->space == ptx::Space::kShared) {
    return shared_symbol(*variable);
  }
  if (const Variable* global = module_.find_variable(name)) {
    return {Kind::kGlobal, global->address};
  }
  if (const std::int64_t offset = kernel_parameter(name); offset >= 0) {
    return {Kind::kParameter, static_cast<std::uint64_t>(offset)};
  }
  if (const std::uint64_t address = module_.function_address(name)) {
    return {Kind::kFunction, address};
  }
  return {};
}

}  // namespace ptx_emulator
