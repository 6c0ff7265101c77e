// How the decoder reads modifiers and operands.
#include <bit>

#include "execute/decoder.h"
#include "memory/address.h"

namespace ptx_emulator {

using ptx::Operand;
using ptx::Type;

InstructionClass class_of(Type type) {
  switch (type) {
    case Type::kF16:
    case Type::kBF16:
    case Type::kF16x2:
    case Type::kBF16x2:
      return InstructionClass::kF16;
    case Type::kF32:
      return InstructionClass::kF32;
    case Type::kF64:
      return InstructionClass::kF64;
    default:
      return InstructionClass::kInteger;
  }
}

Type Decoder::type() const {
  const auto& modifiers = statement_->modifiers;
  for (auto at = modifiers.rbegin(); at != modifiers.rend(); ++at) {
    const Type type = ptx::type_named(*at);
    if (type != Type::kNone) return type;
  }
  return Type::kNone;
}

bool Decoder::has(std::string_view modifier) const {
  for (const std::string& there : statement_->modifiers) {
    if (there == modifier) return true;
  }
  return false;
}

bool Decoder::take(std::string_view modifier) {
  for (std::size_t k = 0; k < statement_->modifiers.size(); ++k) {
    if ((used_modifiers_ >> k & 1) == 0 &&
        statement_->modifiers[k] == modifier) {
      used_modifiers_ |= 1u << k;
      return true;
    }
  }
  return false;
}

std::string_view Decoder::take_any() {
  for (std::size_t k = 0; k < statement_->modifiers.size(); ++k) {
    if ((used_modifiers_ >> k & 1) == 0) {
      used_modifiers_ |= 1u << k;
      return statement_->modifiers[k];
    }
  }
  return "";
}

Type Decoder::take_type() {
  for (std::size_t k = 0; k < statement_->modifiers.size(); ++k) {
    const Type type = ptx::type_named(statement_->modifiers[k]);
    if ((used_modifiers_ >> k & 1) == 0 && type != Type::kNone) {
      used_modifiers_ |= 1u << k;
      return type;
    }
  }
  refuse("a type is missing");
}

Rounding Decoder::take_rounding() {
  if (take("rz")) return Rounding::kZero;
  if (take("rm")) return Rounding::kDown;
  if (take("rp")) return Rounding::kUp;
  take("rn");
  return Rounding::kNearest;
}

bool Decoder::take_integer_rounding(Rounding* rounding) {
  constexpr std::pair<const char*, Rounding> kNames[] = {
      {"rni", Rounding::kNearest},
      {"rzi", Rounding::kZero},
      {"rmi", Rounding::kDown},
      {"rpi", Rounding::kUp}};
  for (const auto& [name, mode] : kNames) {
    if (take(name)) {
      *rounding = mode;
      return true;
    }
  }
  return false;
}

MemoryOrder Decoder::take_memory_order() {
  MemoryOrder result = MemoryOrder::kWeak;
  for (const char* order : {"volatile", "relaxed"}) {
    if (take(order)) result = MemoryOrder::kStrong;
  }
  for (const char* order : {"acquire", "release", "acq_rel"}) {
    if (take(order)) result = MemoryOrder::kOrdered;
  }
  take("weak");
  take("noftz");
  for (const char* hint : {"cta",
                           "cluster",
                           "gpu",
                           "sys",
                           "ca",
                           "cg",
                           "cs",
                           "lu",
                           "cv",
                           "wb",
                           "wt",
                           "nc",
                           "L1::evict_normal",
                           "L1::evict_unchanged",
                           "L1::evict_first",
                           "L1::evict_last",
                           "L1::no_allocate",
                           "L2::evict_first",
                           "L2::evict_last",
                           "L2::evict_normal",
                           "L2::64B",
                           "L2::128B",
                           "L2::256B"}) {
    take(hint);
  }
  return result;
}

AddressSpace Decoder::take_space() {
  if (take("global") || take("const")) return AddressSpace::kGlobal;
  if (take("shared") || take("shared::cta")) return AddressSpace::kShared;
  if (take("local")) return AddressSpace::kLocal;
  return AddressSpace::kGeneric;
}

const Operand& Decoder::operand(std::size_t index) {
  if (index >= statement_->operands.size()) refuse("too few operands");
  used_operands_ |= 1u << index;
  return statement_->operands[index];
}

bool Decoder::is_vector(std::size_t index) const {
  return index < statement_->operands.size() &&
         statement_->operands[index].kind == Operand::Kind::kVector;
}

Row Decoder::special_row(std::string_view name) {
  static const std::unordered_map<std::string_view, Row> kRows = {
      {"%tid.x", kTidX},
      {"%tid.y", kTidY},
      {"%tid.z", kTidZ},
      {"%ntid.x", kNtidX},
      {"%ntid.y", kNtidY},
      {"%ntid.z", kNtidZ},
      {"%ctaid.x", kCtaidX},
      {"%ctaid.y", kCtaidY},
      {"%ctaid.z", kCtaidZ},
      {"%nctaid.x", kNctaidX},
      {"%nctaid.y", kNctaidY},
      {"%nctaid.z", kNctaidZ},
      {"%laneid", kLaneId},
      {"%lanemask_eq", kMaskEq},
      {"%lanemask_lt", kMaskLt},
      {"%lanemask_le", kMaskLe},
      {"%lanemask_gt", kMaskGt},
      {"%lanemask_ge", kMaskGe},
      {"%warpid", kWarpId},
      {"%nwarpid", kNwarpId},
      {"%smid", kZero},
      {"%nsmid", kOne},
      {"%gridid", kZero},
      {"%dynamic_smem_size", kDynamicSharedSize},
      {"%total_smem_size", kTotalSharedSize}};
  const auto place = kRows.find(name);
  return place == kRows.end() ? kNoRow : place->second;
}

std::uint64_t Decoder::constant_bits(const Operand& operand, Type type) const {
  using Form = Operand::Form;
  std::uint64_t bits = operand.bits;
  if (type == Type::kPred) return bits != 0 ? ~std::uint64_t{0} : 0;
  if (type == Type::kF32 || type == Type::kF64) {
    if (operand.form == Form::kInteger) {
      refuse("an integer where a floating-point constant should be");
    }
    if (type == Type::kF32 && operand.form == Form::kFloat64) {
      bits = std::bit_cast<std::uint32_t>(
          static_cast<float>(std::bit_cast<double>(bits)));
    } else if (type == Type::kF64 && operand.form == Form::kFloat32) {
      bits = std::bit_cast<std::uint64_t>(static_cast<double>(
          std::bit_cast<float>(static_cast<std::uint32_t>(bits))));
    }
  }
  const int size = ptx::type_size(type);
  return size >= 8 ? bits : bits & ((std::uint64_t{1} << (8 * size)) - 1);
}

Row Decoder::symbol_source(const Operand& operand, Type type) {
  using Kind = Symbol::Kind;
  const Symbol symbol = find_symbol(operand.name);
  switch (symbol.kind) {
    case Kind::kGlobal:
    case Kind::kShared:
    case Kind::kParameter:
      return constant(
          symbol.address + static_cast<std::uint64_t>(operand.offset),
          ptx::type_size(type));
    case Kind::kFunction:
      callee(operand.name);
      return constant(symbol.address, ptx::type_size(type));
    case Kind::kDynamicShared:
    case Kind::kLocal:
      refuse("the address of " + operand.name + " where only mov takes it");
    case Kind::kNone:
      break;
  }
  refuse("unknown symbol " + operand.name);
}

Row Decoder::source_of(const Operand& operand, Type type) {
  int bytes = 0;
  const Row row = wide_source(operand, type, &bytes);
  if (type != Type::kPred && bytes != std::max(2, ptx::type_size(type))) {
    refuse("register " + operand.name + " has another size than ." +
           std::string(ptx::type_name(type)));
  }
  return row;
}

Row Decoder::wide_source(const Operand& operand, Type type, int* bytes) {
  *bytes = std::max(2, ptx::type_size(type));
  if (operand.negated) refuse("\"!\" before this operand");
  switch (operand.kind) {
    case Operand::Kind::kRegister: {
      if (const Row special = special_row(operand.name); special != kNoRow) {
        *bytes = kSpecialBytes;
        // A row of zeros serves any size.
        if (special == kZero) *bytes = ptx::type_size(type);
        return special;
      }
      const auto place = registers_.find(operand.name);
      if (place == registers_.end()) refuse("unknown register " + operand.name);
      const bool is_predicate = place->second.type == Type::kPred;
      if (is_predicate != (type == Type::kPred)) {
        refuse("a predicate mixed up with a value: " + operand.name);
      }
      *bytes = std::max(2, ptx::type_size(place->second.type));
      return place->second.row;
    }
    case Operand::Kind::kImmediate:
      return constant(constant_bits(operand, type),
                      std::max(2, ptx::type_size(type)));
    case Operand::Kind::kSymbol:
      return symbol_source(operand, type);
    default:
      refuse("an operand of a kind that doesn't belong here");
  }
}

Row Decoder::source(std::size_t index, Type type) {
  return source_of(operand(index), type);
}

Row Decoder::wide_destination(const Operand& operand, Type type, int* bytes) {
  *bytes = std::max(2, ptx::type_size(type));
  if (operand.name == "_") return kNoRow;
  const auto place = registers_.find(operand.name);
  if (operand.kind != Operand::Kind::kRegister || place == registers_.end()) {
    refuse("the destination is no register");
  }
  const bool is_predicate = place->second.type == Type::kPred;
  if (is_predicate != (type == Type::kPred)) {
    refuse("a predicate mixed up with a value: " + operand.name);
  }
  *bytes = std::max(2, ptx::type_size(place->second.type));
  return place->second.row;
}

Row Decoder::destination_of(const Operand& operand, Type type) {
  int bytes = 0;
  const Row row = wide_destination(operand, type, &bytes);
  if (row != kNoRow && type != Type::kPred &&
      bytes != std::max(2, ptx::type_size(type))) {
    refuse("register " + operand.name + " has another size than ." +
           std::string(ptx::type_name(type)));
  }
  return row;
}

Row Decoder::destination(std::size_t index, Type type) {
  const Operand& there = operand(index);
  const Row row = destination_of(there, type);
  if (row == kNoRow) {
    // A result that nobody wants goes to a row of its own.
    return allocate(kWarpSize * 8);
  }
  return row;
}

Row Decoder::second_destination(std::size_t index) {
  const Operand& there = operand(index);
  if (there.second.empty() || there.second == "_") return kNoRow;
  if (register_type(there.second) != Type::kPred) {
    refuse(there.second + " is no predicate");
  }
  return register_row(there.second);
}

Row Decoder::predicate(std::size_t index, std::uint8_t* negated) {
  Operand there = operand(index);
  *negated = there.negated;
  there.negated = false;
  return source_of(there, Type::kPred);
}

std::uint64_t Decoder::immediate(std::size_t index) {
  const Operand& there = operand(index);
  if (there.kind != Operand::Kind::kImmediate ||
      there.form != Operand::Form::kInteger) {
    refuse("operand " + std::to_string(index + 1) +
           " must be an integer constant");
  }
  return there.bits;
}

void Decoder::address(std::size_t index, AddressSpace* space,
                      Instruction* instruction) {
  const Operand& there = operand(index);
  if (there.kind != Operand::Kind::kAddress) refuse("an address is missing");
  instruction->offset = there.offset;
  instruction->a = kZero;
  instruction->option2 = 1;
  if (there.name.empty()) return;
  if (const auto place = registers_.find(there.name);
      place != registers_.end()) {
    const int bytes = ptx::type_size(place->second.type);
    if (place->second.type == Type::kPred || bytes < 4 || bytes > 8) {
      refuse(there.name + " can't hold an address");
    }
    instruction->a = place->second.row;
    instruction->option2 = bytes == 8;
    return;
  }
  place_symbol(find_symbol(there.name), space, instruction);
}

void Decoder::place_symbol(const Symbol& symbol, AddressSpace* space,
                           Instruction* instruction) {
  using Kind = Symbol::Kind;
  instruction->offset += static_cast<std::int64_t>(symbol.address);
  AddressSpace found = AddressSpace::kGlobal;
  switch (symbol.kind) {
    case Kind::kGlobal:
      break;
    case Kind::kShared:
      found = AddressSpace::kShared;
      break;
    case Kind::kDynamicShared:
      found = AddressSpace::kShared;
      instruction->a = kDynamicSharedBase;
      instruction->option2 = 0;
      break;
    case Kind::kLocal:
      found = AddressSpace::kLocal;
      instruction->a = kLocalBase;
      break;
    default:
      refuse("an address of what is no variable");
  }
  if (*space == AddressSpace::kGeneric) *space = found;
  if (*space != found) refuse("the variable lies in another space");
}

bool Decoder::launch_address(std::size_t index, AddressSpace* space,
                             Instruction* instruction) {
  using Kind = Symbol::Kind;
  if (index >= operands()) return false;
  const Operand& there = statement_->operands[index];
  if (there.kind != Operand::Kind::kSymbol) return false;
  const Symbol symbol = find_symbol(there.name);
  if (symbol.kind != Kind::kLocal && symbol.kind != Kind::kDynamicShared) {
    return false;
  }
  operand(index);
  instruction->offset = there.offset;
  instruction->option2 = 1;
  *space = AddressSpace::kGeneric;
  place_symbol(symbol, space, instruction);
  return true;
}

}  // namespace ptx_emulator
