// Newton's method: gradient and Hessian of a function of many variables, and
// the same with products instead of the matrix.
#include <cstdio>

#include "jacquard/jacquard.h"

using namespace jacquard;

// Rosenbrock's valley in n dimensions; the minimum is at (1, …, 1).
TrackedTensor valley(const TrackedTensor& x) {
  const std::int64_t n = x.numel();
  const TrackedTensor a = slice(x, 0, {.start = 0, .stop = n - 1});
  const TrackedTensor b = slice(x, 0, {.start = 1, .stop = n});
  return sum(100 * square(b - square(a)) + square(1 - a));
}

// Solves A·s = g for a symmetric A that is given by its products with vectors:
// conjugate gradients (Hestenes and Stiefel 1952), until A bends down.
template <class Product>
TrackedTensor solve(Product&& times, const TrackedTensor& g) {
  TrackedTensor s = zeros_like(g), rest = g, way = g;
  double size = dot(rest, rest).item<double>();
  for (std::int64_t i = 0; i < 2 * g.numel() && size > 1e-20; ++i) {
    const TrackedTensor bent = times(way);
    const double curvature = dot(way, bent).template item<double>();
    if (curvature <= 0) return i == 0 ? g : s;
    const double step = size / curvature;
    s = materialize(s + step * way);
    rest = materialize(rest - step * bent);
    const double next = dot(rest, rest).item<double>();
    way = materialize(rest + next / size * way);
    size = next;
  }
  return s;
}

// x after `steps` of Newton's method, each halved until the function falls.
template <class Direction>
TrackedTensor minimize(const char* name, TrackedTensor x, int steps,
                       Direction&& direction) {
  std::printf("%s\n", name);
  for (int i = 0; i <= steps; ++i) {
    const auto [value, g] = withgradient(valley, x);
    const double now = value.item<double>(), slope = norm(g).item<double>();
    const bool done = slope < 1e-10 || i == steps;
    if (i % 4 == 0 || done)
      std::printf("  step %2d  f = %.3e  |f'| = %.1e\n", i, now, slope);
    if (done) break;
    const TrackedTensor d = direction(x, g);
    double scale = 1;
    while (scale > 1e-9 && valley(x - scale * d).item<double>() > now)
      scale /= 2;
    x = materialize(x - scale * d);
  }
  return x;
}

int main() {
  const TrackedTensor start = full({8}, 0.2, {DType::float64});
  minimize("with the Hessian", start, 40, [](const auto& x, const auto& g) {
    const TrackedTensor h = hessian(valley, x);
    return solve([&](const TrackedTensor& v) { return matmul(h, v); }, g);
  });
  minimize("with products alone", start, 40, [](const auto& x, const auto& g) {
    return solve([&](const TrackedTensor& v) { return hvp(valley, x, v); }, g);
  });
}
