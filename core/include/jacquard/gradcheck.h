// Checks of gradients against finite differences.
#pragma once

#include <functional>
#include <vector>

#include "jacquard/tracked_tensor.h"

namespace jacquard {

struct GradcheckOptions {
  double eps = 1e-6;   // step of the central difference
  double atol = 1e-5;  // |difference| ≤ atol + rtol·|numeric|
  double rtol = 1e-5;
  std::uint64_t seed = 0;  // of the random cotangent
};

using TensorFunctionN =
    std::function<TrackedTensor(const std::vector<TrackedTensor>&)>;

// Whether the gradient of f (any output shape, contracted with a random
// cotangent) agrees with central differences for every element of every
// floating input. Inputs: float64 (DTypeError otherwise), strided or broadcast
// views included. When not, `message` names the input, the worst element and
// its two values.
struct GradcheckResult {
  bool ok = true;
  std::string message;
  explicit operator bool() const { return ok; }
};
JACQUARD_API GradcheckResult gradcheck(const TensorFunctionN& f,
                                       const std::vector<TrackedTensor>& inputs,
                                       GradcheckOptions options = {});
// The same for the gradient of the gradient.
JACQUARD_API GradcheckResult gradgradcheck(
    const TensorFunctionN& f, const std::vector<TrackedTensor>& inputs,
    GradcheckOptions options = {});
// The numeric gradient of ⟨cotangent, f⟩ for each input.
JACQUARD_API std::vector<Tensor> ngradient(
    const TensorFunctionN& f, const std::vector<TrackedTensor>& inputs,
    const TrackedTensor& cotangent, double eps = 1e-6);

}  // namespace jacquard
