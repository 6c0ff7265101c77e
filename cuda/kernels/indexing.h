// Gather and scatter, as backend::Backend says. The stream's device is current.
#pragma once

#include "core/backend/backend.h"

namespace jacquard::cuda_backend {

void gather(const backend::IndexLaunch& launch, Stream stream);
void scatter(const backend::IndexLaunch& launch, Stream stream);
void scatter_add(const backend::IndexLaunch& launch, Stream stream);

}  // namespace jacquard::cuda_backend
