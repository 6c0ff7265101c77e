// Products of matrices through cuBLASLt, as backend::Backend says; integer
// products by a kernel of our own. The stream's device is current.
#pragma once

#include "core/backend/backend.h"

namespace jacquard::cuda_backend {

void matmul(const backend::MatmulLaunch& launch, Stream stream);
// The bias of one product of float32 or float64, where the algorithm of the
// bare product takes it. No relu: cuBLASLt's turns NaN into 0.
bool supports_epilogue(const backend::MatmulLaunch& launch, Stream stream);

}  // namespace jacquard::cuda_backend
