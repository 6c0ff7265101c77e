// Runs programs: the skeletons map, map-reduce, row and list of
// core/backend/backend.h.
#pragma once

#include <span>

#include "core/backend/backend.h"

namespace jacquard::cpu_fallback {

void run_program(const backend::ProgramLaunch& launch);
void run_program_list(std::span<const backend::ProgramLaunch> launches);

}  // namespace jacquard::cpu_fallback
