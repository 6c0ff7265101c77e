// At how many places of a row a value differs.
#pragma once

#include <vector>

#include "core/pointwise/program.h"

namespace jacquard::pointwise {

enum class Level : std::uint8_t {
  neutral,  // slots, constants and what is made of them
  row,      // one value a row
  full,     // one value an element
};

// Whether the last axis of the iteration space is a row.
JACQUARD_API bool has_rows(const Code& code);

// The level of each instruction; without rows everything is full.
JACQUARD_API std::vector<Level> levels(const Code& code);

}  // namespace jacquard::pointwise
