// Sorting rows; the contract is in core/backend/backend.h.
#pragma once

#include "core/backend/backend.h"

namespace jacquard::cpu_fallback {

void sort(const backend::SortLaunch& launch);

}  // namespace jacquard::cpu_fallback
