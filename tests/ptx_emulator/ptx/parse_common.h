// What the parsers of declarations and of bodies share.
#pragma once

#include <optional>
#include <string_view>

#include "ptx/lexer.h"
#include "ptx/module.h"

namespace ptx_emulator::ptx {

// An immediate operand if `token` is a number: decimal, 0x, 0b or octal
// integers with an optional U, 0f and 0d bit patterns, decimal fractions.
std::optional<Operand> parse_number(std::string_view token);

// The variable that stands after its state space directive, up to but without
// ";" or ",": [.align n] .type name[size] [= initial value].
Variable parse_variable(Lexer* lexer, Space space, bool is_extern);

// Space of ".global" and the like, if it is one.
std::optional<Space> space_named(std::string_view directive);

}  // namespace ptx_emulator::ptx
