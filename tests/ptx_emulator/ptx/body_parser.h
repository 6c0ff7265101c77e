// Parses the body of a function.
#pragma once

#include <string_view>

#include "ptx/module.h"

namespace ptx_emulator::ptx {

// Fills statements, registers, variables, labels and tables of a function
// whose body_start and body_line are set. Names that a nested scope declares
// become unique by a suffix "#n". Throws ImageError (kInvalidPtx).
void parse_function_body(std::string_view text, Function* function);

}  // namespace ptx_emulator::ptx
