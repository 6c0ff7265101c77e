// Linear: x·weightᵀ + bias.
#pragma once

#include "jacquard/create.h"
#include "jacquard/tracked_tensor.h"

namespace jacquard::nn {

// A plain struct: gradient() of it is a Linear, optimizers update its members.
//
//   nn::Linear layer = nn::Linear::make(784, 10);
//   TrackedTensor y = layer(x);  // [n, 784] → [n, 10]
struct JACQUARD_API Linear {
  TrackedTensor weight;  // [out, in]
  TrackedTensor bias;    // [out]; undefined: none

  // Both uniform in ±1/√in, drawn from the thread's generator.
  static Linear make(std::int64_t in, std::int64_t out, bool with_bias = true,
                     TensorOptions options = {});

  // [..., in] → [..., out]. ShapeError from matmul if the extents differ.
  TrackedTensor operator()(const TrackedTensor& x,
                           CallSite site = CallSite::current()) const;
};

}  // namespace jacquard::nn
