#include "jacquard/nn/linear.h"

#include <cmath>

#include "jacquard/linalg.h"
#include "jacquard/nn/init.h"
#include "jacquard/pointwise.h"
#include "jacquard/shape_ops.h"

namespace jacquard::nn {

Linear Linear::make(std::int64_t in, std::int64_t out, bool with_bias,
                    TensorOptions options) {
  if (in < 0 || out < 0)
    throw ShapeError("Linear: " + std::to_string(in) + " → " +
                     std::to_string(out) + ": features can't be negative");
  const double bound = in > 0 ? 1 / std::sqrt(static_cast<double>(in)) : 0;
  Linear layer;
  layer.weight = uniform_param({out, in}, bound, options);
  if (with_bias) layer.bias = uniform_param({out}, bound, options);
  return layer;
}

TrackedTensor Linear::operator()(const TrackedTensor& x, CallSite site) const {
  TrackedTensor y = matmul({x, site}, {transpose({weight, site}, 0, 1), site});
  if (!bias.defined()) return y;
  return Operand(std::move(y), site) + Operand(bias, site);
}

}  // namespace jacquard::nn
