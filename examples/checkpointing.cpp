// Checkpoints: memory for time. A deep network keeps what every layer computed
// until the backward; in checkpoints, only what lies between them.
#include <chrono>
#include <cstdio>
#include <vector>

#include "jacquard/jacquard.h"

using namespace jacquard;

constexpr int kLayers = 64, kWidth = 256, kRows = 1024;

TrackedTensor run(const std::vector<TrackedTensor>& weights, TrackedTensor x,
                  int first, int last) {
  for (int i = first; i < last; ++i)
    x = tanh(matmul(x, weights[static_cast<std::size_t>(i)]));
  return x;
}

struct Cost {
  double megabytes, milliseconds;
  TrackedTensor gradient;
};

template <class F>
Cost measure(const std::vector<TrackedTensor>& weights, F&& forward) {
  const Device device = default_device();
  for (const TrackedTensor& w : weights) w.clear_grad();
  reset_peak_memory(device);
  const auto before = memory_stats(device).in_use;
  const auto start = std::chrono::steady_clock::now();
  backward(mean(square(forward())));
  synchronize(device);
  const std::chrono::duration<double, std::milli> time =
      std::chrono::steady_clock::now() - start;
  const auto peak = memory_stats(device).peak - before;
  return {static_cast<double>(peak) / 1e6, time.count(), weights[0].grad()};
}

int main() {
  manual_seed(1);
  std::vector<TrackedTensor> weights;
  for (int i = 0; i < kLayers; ++i)
    weights.push_back(param(randn({kWidth, kWidth}) / 16.0));
  const TrackedTensor x = materialize(randn({kRows, kWidth}));

  const auto plain = [&] { return run(weights, x, 0, kLayers); };
  // The weights are captured, not passed: their gradients arrive all the same.
  const auto every = [&](int n) {
    TrackedTensor h = x;
    for (int i = 0; i < kLayers; i += n)
      h = checkpoint(
          [&weights, i, n](const TrackedTensor& v) {
            return run(weights, v, i, i + n);
          },
          h);
    return h;
  };

  measure(weights, plain);  // warm
  const Cost all = measure(weights, plain);
  std::printf("no checkpoints       %7.1f MB  %6.1f ms\n", all.megabytes,
              all.milliseconds);
  for (const int n : {4, 8, 16}) {
    const Cost c = measure(weights, [&] { return every(n); });
    std::printf("one every %2d layers  %7.1f MB  %6.1f ms  %s gradient\n", n,
                c.megabytes, c.milliseconds,
                equal(c.gradient, all.gradient) ? "the same" : "another");
  }
}
