// Sorting rows, as backend::Backend says. The stream's device is current.
#pragma once

#include "core/backend/backend.h"

namespace jacquard::cuda_backend {

void sort(const backend::SortLaunch& launch, Stream stream);

}  // namespace jacquard::cuda_backend
