// An MLP of 64 layers with and without checkpoints: time of a step and bytes at
// its peak. The argument is the number of layers in a checkpoint (64: none).
#include <benchmark/benchmark.h>
#include <jacquard/jacquard.h>
#include <jacquard/memory.h>

#include <cmath>
#include <vector>

namespace jq = jacquard;

namespace {

constexpr int kLayers = 64;

struct Layer {
  jq::TrackedTensor weight, bias;
};

std::vector<Layer> make_layers(std::int64_t width) {
  jq::manual_seed(1);
  std::vector<Layer> layers;
  for (int i = 0; i < kLayers; ++i)
    layers.push_back({jq::param((jq::randn({width, width}) *
                                 (1.4 / std::sqrt(double(width))))
                                    .data()),
                      jq::param(jq::zeros({width}).data())});
  return layers;
}

void mlp_in_checkpoints(benchmark::State& state) {
  const int each = static_cast<int>(state.range(0));
  const std::int64_t rows = state.range(1), width = state.range(2);
  const std::vector<Layer> layers = make_layers(width);
  const jq::TrackedTensor x = jq::materialize(jq::randn({rows, width}));
  const auto run = [&](jq::TrackedTensor h, int from, int to) {
    for (int i = from; i < to; ++i)
      h = jq::relu(jq::matmul(h, layers[i].weight) + layers[i].bias);
    return h;
  };
  const jq::Device device = jq::default_device();
  const std::size_t before = jq::memory_stats(device).in_use;
  jq::reset_peak_memory(device);
  for (auto _ : state) {
    jq::TrackedTensor h = x;
    for (int i = 0; i < kLayers; i += each)
      h = each < kLayers ? jq::checkpoint(run, h, i, i + each)
                         : run(h, i, i + each);
    jq::backward(jq::mean(jq::square(h)));
    for (const Layer& l : layers) {
      l.weight.clear_grad();
      l.bias.clear_grad();
    }
    jq::synchronize(device);
  }
  state.counters["peak_MB"] =
      static_cast<double>(jq::memory_stats(device).peak - before) / 1e6;
}
BENCHMARK(mlp_in_checkpoints)
    ->ArgNames({"each", "rows", "width"})
    ->ArgsProduct({{64, 8}, {2048}, {64, 128}})
    ->UseRealTime();

}  // namespace
