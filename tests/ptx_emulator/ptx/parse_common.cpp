#include "ptx/parse_common.h"

#include <bit>
#include <charconv>
#include <cstring>

namespace ptx_emulator::ptx {
namespace {

template <class T>
bool parse_all(std::string_view text, int base, T* value) {
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), *value, base);
  return error == std::errc() && end == text.data() + text.size();
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::uint32_t parse_count(Lexer* lexer) {
  const auto number = parse_number(lexer->take());
  if (!number || number->form != Operand::Form::kInteger ||
      number->bits > UINT32_MAX) {
    lexer->fail("a count is expected");
  }
  return static_cast<std::uint32_t>(number->bits);
}

void store(std::uint64_t value, std::uint32_t at, std::uint32_t size,
           std::vector<std::uint8_t>* bytes) {
  for (std::uint32_t i = 0; i < size; ++i) {
    (*bytes)[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
  }
}

// symbol, generic(symbol), with + number; after `mask` and "(" if masked.
Variable::Relocation parse_relocation(Lexer* lexer) {
  Variable::Relocation relocation;
  const bool generic = lexer->take_if("generic");
  if (generic) lexer->expect("(");
  relocation.symbol = lexer->take();
  if (generic) lexer->expect(")");
  if (lexer->take_if("+")) {
    relocation.addend = static_cast<std::int64_t>(parse_count(lexer));
  }
  return relocation;
}

void parse_element(Lexer* lexer, std::uint32_t at, std::uint32_t size,
                   Variable* variable) {
  if (at + size > variable->size) lexer->fail("too many initial values");
  const bool negative = lexer->take_if("-");
  auto number = parse_number(lexer->token());
  if (!number) {
    auto relocation = parse_relocation(lexer);
    relocation.at = at;
    variable->relocations.push_back(std::move(relocation));
    return;
  }
  lexer->advance();
  if (lexer->take_if("(")) {
    auto relocation = parse_relocation(lexer);
    lexer->expect(")");
    relocation.at = at;
    relocation.mask = number->bits;
    variable->relocations.push_back(std::move(relocation));
    return;
  }
  std::uint64_t bits = number->bits;
  if (negative) {
    if (number->form != Operand::Form::kInteger) {
      lexer->fail("a negated bit pattern");
    }
    bits = 0 - bits;
  }
  if (variable->type == Type::kF32 && number->form == Operand::Form::kFloat64) {
    bits = std::bit_cast<std::uint32_t>(
        static_cast<float>(std::bit_cast<double>(bits)));
  }
  store(bits, at, size, &variable->initial);
}

// Nested braces of arrays of arrays are flattened: nvcc writes full rows.
void parse_initial(Lexer* lexer, Variable* variable) {
  const auto size = static_cast<std::uint32_t>(type_size(variable->type));
  variable->initial.assign(variable->size, 0);
  if (!lexer->is("{")) {
    parse_element(lexer, 0, size, variable);
    return;
  }
  std::uint32_t at = 0;
  int depth = 0;
  do {
    if (lexer->take_if("{")) {
      ++depth;
    } else if (lexer->take_if("}")) {
      --depth;
    } else if (!lexer->take_if(",")) {
      parse_element(lexer, at, size, variable);
      at += size;
    }
  } while (depth > 0);
}

// The directives before a variable's name: alignment, type, vector length.
std::uint32_t parse_attributes(Lexer* lexer, Variable* variable) {
  std::uint32_t vector = 1;
  bool pointee = false;  // .ptr: what follows describes the memory behind it
  while (lexer->token().starts_with(".")) {
    const std::string_view directive = lexer->take();
    if (directive == ".align") {
      const std::uint32_t alignment = parse_count(lexer);
      if (alignment == 0 || (alignment & (alignment - 1)) != 0) {
        lexer->fail("an alignment is a power of two");
      }
      if (!pointee) variable->alignment = alignment;
    } else if (directive == ".ptr") {
      pointee = true;
    } else if (directive == ".v2") {
      vector = 2;
    } else if (directive == ".v4") {
      vector = 4;
    } else if (const Type type = type_named(directive.substr(1));
               type != Type::kNone) {
      variable->type = type;
    } else if (!(pointee && space_named(directive))) {
      lexer->fail("unsupported directive " + std::string(directive));
    }
  }
  return vector;
}

}  // namespace

std::optional<Operand> parse_number(std::string_view token) {
  if (token.empty() || !is_digit(token[0])) return std::nullopt;
  Operand operand;
  operand.kind = Operand::Kind::kImmediate;
  const std::string_view prefix = token.substr(0, 2);
  const std::string_view rest = token.size() > 2 ? token.substr(2) : "";
  if (token.size() == 10 && (prefix == "0f" || prefix == "0F")) {
    operand.form = Operand::Form::kFloat32;
    if (!parse_all(rest, 16, &operand.bits)) return std::nullopt;
    return operand;
  }
  if (token.size() == 18 && (prefix == "0d" || prefix == "0D")) {
    operand.form = Operand::Form::kFloat64;
    if (!parse_all(rest, 16, &operand.bits)) return std::nullopt;
    return operand;
  }
  if (token.find('.') != std::string_view::npos) {
    double value = 0;
    const auto [end, error] =
        std::from_chars(token.data(), token.data() + token.size(), value);
    if (error != std::errc() || end != token.data() + token.size()) {
      return std::nullopt;
    }
    operand.form = Operand::Form::kFloat64;
    operand.bits = std::bit_cast<std::uint64_t>(value);
    return operand;
  }
  std::string_view digits = token;
  if (digits.ends_with('U')) digits.remove_suffix(1);
  int base = 10;
  if (prefix == "0x" || prefix == "0X" || prefix == "0b" || prefix == "0B") {
    base = prefix[1] == 'x' || prefix[1] == 'X' ? 16 : 2;
    digits.remove_prefix(2);
  } else if (digits.size() > 1 && digits[0] == '0') {
    base = 8;
  }
  if (!parse_all(digits, base, &operand.bits)) return std::nullopt;
  return operand;
}

std::optional<Space> space_named(std::string_view directive) {
  if (directive == ".global") return Space::kGlobal;
  if (directive == ".const") return Space::kConst;
  if (directive == ".shared") return Space::kShared;
  if (directive == ".local") return Space::kLocal;
  if (directive == ".param") return Space::kParam;
  return std::nullopt;
}

Variable parse_variable(Lexer* lexer, Space space, bool is_extern) {
  Variable variable;
  variable.space = space;
  variable.is_extern = is_extern;
  std::uint64_t count = parse_attributes(lexer, &variable);
  if (variable.type == Type::kNone || variable.type == Type::kPred) {
    lexer->fail("a variable needs a type with a size");
  }
  const auto element = static_cast<std::uint32_t>(type_size(variable.type));
  variable.alignment =
      std::max(variable.alignment, static_cast<std::uint32_t>(element * count));
  variable.name = lexer->take();
  while (lexer->take_if("[")) {
    count *= lexer->is("]") ? 0 : parse_count(lexer);
    lexer->expect("]");
  }
  if (count * element > UINT32_MAX) lexer->fail("a variable above 4 GiB");
  variable.size = static_cast<std::uint32_t>(count * element);
  if (lexer->take_if("=")) parse_initial(lexer, &variable);
  return variable;
}

}  // namespace ptx_emulator::ptx
