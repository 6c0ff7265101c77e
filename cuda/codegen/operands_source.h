// How generated code reads and writes the operands of a space.
#pragma once

#include <string>

#include "cuda/codegen/work.h"

namespace jacquard::cuda_backend {

// struct Fixed and load_fixed, struct Values, struct Place and locate,
// load_whole, load_pieces, store_whole, store_pieces, fill_random. For results
// and rows: struct Point and locate_point.
std::string operands_source(const Work& work);

// The offset of an operand of `points`: "0", the linear position, or
// "at.<field>" of a Point `at`.
std::string point_offset(const Work& work, int operand,
                         const std::string& field, const char* position);

// "random_fill<…>(…);" of leaf `leaf`: positions `at`, numbers `to`.
std::string random_call(const Work& work, int leaf, const std::string& at,
                        const std::string& to);

}  // namespace jacquard::cuda_backend
