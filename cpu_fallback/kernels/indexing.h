// Gather and scatter along one axis; contracts in core/backend/backend.h.
#pragma once

#include "core/backend/backend.h"

namespace jacquard::cpu_fallback {

// All check every index first and throw IndexError before anything is written.
void gather(const backend::IndexLaunch& launch);
void scatter(const backend::IndexLaunch& launch);
// Each target element is added to by one thread in rising j.
void scatter_add(const backend::IndexLaunch& launch);

}  // namespace jacquard::cpu_fallback
