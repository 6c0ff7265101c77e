// Kernels of the user's: see backend::RawLaunch.
#pragma once

#include "core/backend/backend.h"

namespace jacquard::cuda_backend {

void run_raw(const backend::RawLaunch& launch, Stream stream);

}  // namespace jacquard::cuda_backend
