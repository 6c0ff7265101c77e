// Rules of your own: an operation with its own reverse, and a scalar function
// with its own derivative.
#include <cstdio>

#include "jacquard/jacquard.h"

using namespace jacquard;

int main() {
  // Rounding has gradient 0 everywhere. The straight-through estimator passes
  // the cotangent on where x was in range: nothing of x is kept but that mask.
  const auto quantize = custom_vjp(
      [](const TrackedTensor& x, double step) {
        const TrackedTensor y = round(clamp(x, -1, 1) / step) * step;
        return with_state(y, materialize(abs(x) <= 1.0));
      },
      [](const TrackedTensor& in_range, const TrackedTensor& cotangent) {
        return where(in_range, cotangent, 0.0);
      },
      {.name = "quantize", .constant_state = true});

  const TrackedTensor x = tensor({-3.0, -0.4, 0.3, 0.8, 2.0});
  std::printf("x         %s\n", to_string(x).c_str());
  std::printf("quantized %s\n", to_string(quantize(x, 0.25)).c_str());
  const TrackedTensor g = gradient(
      [&](const TrackedTensor& v) { return sum(square(quantize(v, 0.25))); },
      x);
  std::printf("gradient  %s\n\n", to_string(g).c_str());

  // log(1 + eˣ) and its derivative written down: both are fused into whatever
  // stands around them, and second derivatives differentiate the derivative.
  const auto my_softplus = primitive(
      "my_softplus", [](auto v) { return log1p(exp(-abs(v))) + relu(v); },
      [](auto v) { return sigmoid(v); });
  LaunchLog log;
  const TrackedTensor d = gradient(
      [&](const TrackedTensor& v) { return sum(my_softplus(v * 2.0) * v); }, x);
  std::printf("gradient of softplus(2x)·x %s in %zu launches\n",
              to_string(d).c_str(), log.records().size());

  // A rule is checked like any other operation.
  const auto f = [&](const std::vector<TrackedTensor>& v) {
    return my_softplus(v[0]);
  };
  std::printf("first order %s, second order %s\n",
              gradcheck(f, {x}).ok ? "right" : "wrong",
              gradgradcheck(f, {x}).ok ? "right" : "wrong");
}
