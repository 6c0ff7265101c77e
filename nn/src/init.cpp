#include "jacquard/nn/init.h"

#include <cmath>

#include "jacquard/pointwise.h"

namespace jacquard::nn {
namespace {

struct Fans {
  double in, out;
};

Fans fans_of(const Shape& shape, const char* op) {
  if (shape.rank() < 2)
    throw ShapeError(std::string(op) + ": " + to_string(shape) +
                     " has no fan-in: at least [out, in] is needed");
  double field = 1;
  for (int i = 2; i < shape.rank(); ++i) field *= static_cast<double>(shape[i]);
  return {field * static_cast<double>(shape[1]),
          field * static_cast<double>(shape[0])};
}

// A weight without elements has no scale; any will do.
double inverse_root(double x) { return x > 0 ? 1 / std::sqrt(x) : 0; }

TrackedTensor normal_param(const Shape& shape, double deviation,
                           TensorOptions options) {
  return param(randn(shape, options) * deviation);
}

}  // namespace

TrackedTensor uniform_param(const Shape& shape, double bound,
                            TensorOptions options) {
  return param((rand(shape, options) * 2.0 - 1.0) * bound);
}

TrackedTensor kaiming_normal(const Shape& shape, double gain,
                             TensorOptions options) {
  const Fans fans = fans_of(shape, "kaiming_normal");
  return normal_param(shape, gain * inverse_root(fans.in), options);
}

TrackedTensor kaiming_uniform(const Shape& shape, double gain,
                              TensorOptions options) {
  const Fans fans = fans_of(shape, "kaiming_uniform");
  return uniform_param(shape, gain * std::sqrt(3.0) * inverse_root(fans.in),
                       options);
}

TrackedTensor xavier_normal(const Shape& shape, double gain,
                            TensorOptions options) {
  const Fans fans = fans_of(shape, "xavier_normal");
  return normal_param(
      shape, gain * std::sqrt(2.0) * inverse_root(fans.in + fans.out), options);
}

TrackedTensor xavier_uniform(const Shape& shape, double gain,
                             TensorOptions options) {
  const Fans fans = fans_of(shape, "xavier_uniform");
  return uniform_param(
      shape, gain * std::sqrt(6.0) * inverse_root(fans.in + fans.out), options);
}

}  // namespace jacquard::nn
