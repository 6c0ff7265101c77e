// Scans along one axis; the contract is in core/backend/backend.h.
#pragma once

#include "core/backend/backend.h"

namespace jacquard::cpu_fallback {

void scan(const backend::ScanLaunch& launch);

}  // namespace jacquard::cpu_fallback
