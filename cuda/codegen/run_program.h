// Programs as kernels: the four skeletons map, map-reduce, row and list.
#pragma once

#include <span>

#include "core/backend/backend.h"

namespace jacquard::cuda_backend {

// As backend::Backend says. Compiles a program at its first use with new
// layout classes; the stream's device is current.
void run_program(const backend::ProgramLaunch& launch, Stream stream);
void run_program_list(std::span<const backend::ProgramLaunch> launches,
                      Stream stream);

}  // namespace jacquard::cuda_backend
