// Texts that are compiled into the library by embed.cmake.
#pragma once

#include <string_view>

namespace jacquard::cuda_backend {

// The file of that name, without its #pragma once: the headers
// scalar_basics.h, scalar_functions.h and scalar_random.h of core, and those of
// cuda/codegen/device.
std::string_view embedded(std::string_view name);

}  // namespace jacquard::cuda_backend
