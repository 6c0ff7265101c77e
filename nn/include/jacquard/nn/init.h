// Initial values of parameters: leaves, made by param().
//
// The fan-in of a weight [out, in, …] is in·…, its fan-out out·….
#pragma once

#include "jacquard/create.h"
#include "jacquard/tracked_tensor.h"

namespace jacquard::nn {

// Factors by which an activation is to be made up for.
inline constexpr double kLinearGain = 1.0;
inline constexpr double kReluGain = 1.4142135623730951;  // √2
inline constexpr double kTanhGain = 5.0 / 3.0;

// He et al., "Delving deep into rectifiers", ICCV 2015: standard deviation
// gain/√fan_in. ShapeError for a shape of rank < 2.
JACQUARD_API TrackedTensor kaiming_normal(const Shape& shape,
                                          double gain = kReluGain,
                                          TensorOptions options = {});
JACQUARD_API TrackedTensor kaiming_uniform(const Shape& shape,
                                           double gain = kReluGain,
                                           TensorOptions options = {});

// Glorot and Bengio, "Understanding the difficulty of training deep
// feedforward neural networks", AISTATS 2010: standard deviation
// gain·√(2/(fan_in + fan_out)). ShapeError for a shape of rank < 2.
JACQUARD_API TrackedTensor xavier_normal(const Shape& shape,
                                         double gain = kLinearGain,
                                         TensorOptions options = {});
JACQUARD_API TrackedTensor xavier_uniform(const Shape& shape,
                                          double gain = kLinearGain,
                                          TensorOptions options = {});

// Uniform in [−bound, bound).
JACQUARD_API TrackedTensor uniform_param(const Shape& shape, double bound,
                                         TensorOptions options = {});

}  // namespace jacquard::nn
