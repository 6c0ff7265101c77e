// Pictures of tapes.
#pragma once

#include <string>
#include <vector>

#include "jacquard/trace.h"

namespace jacquard::detail {

// The graph as an SVG element: operations in layers, each below its operands,
// edges around them.
std::string tape_picture(const std::vector<TapeEntry>& entries,
                         const std::vector<TapeRef>& results);

// What entries are called in tables and pictures.
std::string name_of_entry(const TapeEntry& e);
std::string results_of(const TapeEntry& e);
std::string line_of(const TapeEntry& e);
std::string bytes_text(std::size_t bytes);

}  // namespace jacquard::detail
