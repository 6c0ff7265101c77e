// Tells which backends and instruction sets work here: computes one fused
// kernel and one matrix product on each device, forward and backward, and
// compares them with what they must be. Exit status 1 if one is wrong.
#include <jacquard/jacquard.h>

#include <chrono>
#include <cmath>
#include <cstdio>

#include "cpu_fallback/isa/kernel_table.h"

namespace jq = jacquard;

namespace {

bool close(double a, double b) {
  return std::abs(a - b) <= 1e-4 * (1 + std::abs(b));
}

// d/dx Σ tanh(x)² at x = 0.5, a million elements, is 2·tanh·(1 − tanh²).
bool fused_kernel_works(jq::Device device) {
  const auto x = jq::full({1'000'000}, 0.5, {jq::DType::float32, device});
  jq::LaunchLog log;
  const auto start = std::chrono::steady_clock::now();
  const auto g = jq::gradient(
      [](const jq::TrackedTensor& v) { return jq::sum(square(tanh(v))); }, x);
  const auto mean = jq::mean(g).item<double>();
  const std::chrono::duration<double, std::milli> took =
      std::chrono::steady_clock::now() - start;
  const double t = std::tanh(0.5);
  const bool ok = close(mean, 2 * t * (1 - t * t));
  std::printf("  fused kernel  %s, %zu launches, %.2f ms\n",
              ok ? "right" : "WRONG", log.launches(), took.count());
  return ok;
}

// Ones [256, 384] × [384, 128]: 384 everywhere; the gradient of the sum is 128.
bool matmul_works(jq::Device device) {
  const jq::TensorOptions options{jq::DType::float32, device};
  const auto a = jq::ones({256, 384}, options);
  const auto b = jq::ones({384, 128}, options);
  const auto start = std::chrono::steady_clock::now();
  const auto [y, g] = jq::withgradient(
      [&](const jq::TrackedTensor& v) { return jq::sum(jq::matmul(v, b)); }, a);
  const bool ok = close(y.item<double>(), 256.0 * 384 * 128) &&
                  close(jq::min(g).item<double>(), 128) &&
                  close(jq::max(g).item<double>(), 128);
  const std::chrono::duration<double, std::milli> took =
      std::chrono::steady_clock::now() - start;
  std::printf("  matmul        %s, %.2f ms\n", ok ? "right" : "WRONG",
              took.count());
  return ok;
}

bool check_device(jq::Device device) {
  std::printf("%s\n", jq::to_string(device).c_str());
  const bool fused = fused_kernel_works(device);
  const bool product = matmul_works(device);
  return fused && product;
}

}  // namespace

int main() {
  try {
    std::printf("instructions  %s\n", jq::cpu_fallback::kernels().level);
    bool ok = check_device(jq::cpu());
    if (jq::is_available(jq::cuda()))
      ok = check_device(jq::cuda()) && ok;
    else
      std::printf("cuda: not available\n");
    return ok ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "jacquard_doctor: %s\n", error.what());
    return 1;
  }
}
