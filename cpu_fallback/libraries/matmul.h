// Matrix products; contract in core/backend/backend.h (MatmulLaunch).
//
// The result is cut into tiles by a grid that depends on the sizes alone; each
// tile is one task. float32 goes to oneDNN's sgemm, float64 to Eigen, the half
// types are widened to float32, multiplied and rounded once.
#pragma once

#include "core/backend/backend.h"

namespace jacquard::cpu_fallback {

void matmul(const backend::MatmulLaunch& launch);
// Bias and relu of float32 and float64, added while a tile is in the cache.
bool supports_epilogue(const backend::MatmulLaunch& launch);

}  // namespace jacquard::cpu_fallback
