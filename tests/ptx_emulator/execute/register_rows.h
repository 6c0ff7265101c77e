// Assigns the registers of a function to rows of its frame.
#pragma once

#include <string_view>
#include <unordered_map>

#include "execute/program.h"
#include "ptx/module.h"

namespace ptx_emulator {

struct RegisterRow {
  Row row = kNoRow;
  ptx::Type type = ptx::Type::kNone;
};

// Rows for all registers that the function mentions, from *top on; moves *top
// behind them. nvcc writes a new register for almost every value: those that
// are never alive at the same time share a row, so that frames stay small
// enough for the first caches. Lifetimes are intervals of statements, widened
// over the loops that they touch (linear scan: Poletto and Sarkar, 1999). A
// row is not given to a destination while the same statement reads it.
std::unordered_map<std::string_view, RegisterRow> assign_register_rows(
    const ptx::Function& function, std::uint32_t* top);

}  // namespace ptx_emulator
