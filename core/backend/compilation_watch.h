// Kernels that a backend compiles while a program runs. A training loop has its
// programs after some steps; one whose programs are new each time spends its
// time in the compiler, and is told so.
#pragma once

#include <cstdint>

#include "jacquard/call_site.h"
#include "jacquard/export.h"

namespace jacquard::backend {

// A backend compiled a kernel.
JACQUARD_API void note_compilation();
// Those of this process.
JACQUARD_API std::uint64_t compilations();

// A walk that gives up what it visits is over: a step of a training loop.
JACQUARD_API void note_step();

// The launch of `op`, called at `site`, had something compiled. If that makes
// more than 32 kernels after the third step, says so on stderr, once.
JACQUARD_API void compiled_for(const char* op, CallSite site);

}  // namespace jacquard::backend
