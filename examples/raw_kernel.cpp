// A kernel of your own: CUDA C++ for the GPU, C++ for the CPU, and a reverse.
//
// The operation is a sum over windows of three neighbours along a vector, with
// zeros beyond its ends. Its reverse is the same kernel.
#include <cstdio>
#include <memory>

#include "jacquard/jacquard.h"

using namespace jacquard;

constexpr const char* kSource = R"(
extern "C" __global__ void window_sum(const float* x, float* y, long long n) {
  long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
  if (i >= n) return;
  float sum = x[i];
  if (i > 0) sum = x[i - 1] + sum;
  if (i + 1 < n) sum = sum + x[i + 1];
  y[i] = sum;
})";

void window_sum_on_cpu(const RawArguments& a) {
  const float* x = a.inputs[0].as<const float>();
  float* y = a.outputs[0].as<float>();
  const std::int64_t n = a.inputs[0].shape.numel();
  for (std::int64_t i = 0; i < n; ++i) {
    float sum = x[i];
    if (i > 0) sum = x[i - 1] + sum;
    if (i + 1 < n) sum = sum + x[i + 1];
    y[i] = sum;
  }
}

RawKernel make_window_sum() {
  // The reverse calls the operation itself: derivatives of any order.
  const auto self = std::make_shared<std::unique_ptr<RawKernel>>();
  RawKernel kernel = raw_kernel(
      {.name = "window_sum",
       .cuda_source = kSource,
       .cpu = window_sum_on_cpu,
       .dtypes = {DType::float32},
       .pullback = [self](const RawPullback& p) -> std::vector<TrackedTensor> {
         return {(**self)(p.cotangents[0])};
       },
       .keeps_inputs = false,
       .keeps_outputs = false});
  *self = std::make_unique<RawKernel>(kernel);
  return kernel;
}

int main() {
  const RawKernel window_sum = make_window_sum();
  const TrackedTensor x = arange(0, 8, 1);
  std::printf("on %s\n", to_string(default_device()).c_str());
  std::printf("sums      %s\n", to_string(window_sum(x)).c_str());
  const auto f = [&](const TrackedTensor& v) {
    return sum(square(window_sum(v)));
  };
  std::printf("gradient  %s\n", to_string(gradient(f, x)).c_str());
  // A difference along one direction says whether that is right.
  const TrackedTensor v = ones_like(x);
  const double up = f(x + 0.5 * v).item<double>();
  const double down = f(x - 0.5 * v).item<double>();
  std::printf("along (1, …, 1): %.3f, by differences %.3f\n",
              sum(gradient(f, x) * v).item<double>(), up - down);
}
