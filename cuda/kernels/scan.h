// Scans along one axis, as backend::Backend says. The stream's device is
// current.
#pragma once

#include "core/backend/backend.h"

namespace jacquard::cuda_backend {

void scan(const backend::ScanLaunch& launch, Stream stream);

}  // namespace jacquard::cuda_backend
