// The CUDA C++ source of a kernel.
#pragma once

#include <string>

#include "cuda/codegen/arguments.h"
#include "cuda/codegen/expressions.h"
#include "cuda/codegen/work.h"

namespace jacquard::cuda_backend {

// The whole text, with one kernel of the given name. `members` declares the
// kernel's arguments (see Arguments).
std::string source_of(const Work& work, const std::string& name,
                      const std::string& members);

// The part of skeleton row that is made for the program: struct Row, its
// passes, process_row, finish_chunk, finish_all.
std::string row_source(const Work& work, const Expressions& code);

// Entries of a list that fit into the parameters of a launch.
int entries_here(std::size_t argument_bytes);
inline constexpr int kListTiles = 4;

}  // namespace jacquard::cuda_backend
