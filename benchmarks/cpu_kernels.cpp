// Kernels of the CPU backend in the shapes that training meets. The argument is
// the number of elements where there is only one; `bytes_per_second` counts
// what has to be moved at least, `flops` multiplications and additions.
#include <benchmark/benchmark.h>
#include <jacquard/jacquard.h>
#include <jacquard/nn/nn.h>

#include <vector>

#include "compare/our_work.h"

namespace jq = jacquard;
namespace nn = jacquard::nn;

namespace {

jq::TrackedTensor random(const jq::Shape& shape) {
  return jq::materialize(jq::randn(shape));
}

void count_words(benchmark::State& state, double words) {
  state.SetBytesProcessed(static_cast<std::int64_t>(
      static_cast<double>(state.iterations()) * words * sizeof(float)));
}

void count_flops(benchmark::State& state, double flops) {
  state.counters["flops"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * flops,
                         benchmark::Counter::kIsRate);
}

// --- elementwise ------------------------------------------------------------

template <class F>
void binary(benchmark::State& state, F f) {
  const auto a = random({state.range(0)}), b = random({state.range(0)});
  for (auto _ : state) jq::materialize(f(a, b));
  count_words(state, 3.0 * static_cast<double>(state.range(0)));
}
template <class F>
void unary(benchmark::State& state, F f) {
  const auto a = random({state.range(0)});
  for (auto _ : state) jq::materialize(f(a));
  count_words(state, 2.0 * static_cast<double>(state.range(0)));
}
#define ELEMENTWISE(kind, name, ...)                               \
  void name(benchmark::State& state) { kind(state, __VA_ARGS__); } \
  BENCHMARK(name)->Arg(10'000)->Arg(1'000'000)->Arg(10'000'000)

ELEMENTWISE(binary, add, [](const auto& a, const auto& b) { return a + b; });
ELEMENTWISE(unary, exp, [](const auto& a) { return jq::exp(a); });
ELEMENTWISE(unary, tanh, [](const auto& a) { return jq::tanh(a); });
ELEMENTWISE(unary, erf, [](const auto& a) { return jq::erf(a); });
ELEMENTWISE(unary, gelu, [](const auto& a) { return jq::gelu(a); });
#undef ELEMENTWISE

// tanh(a·x + b)·sigmoid(c) forward and backward: 14 words an element.
void fused_chain(benchmark::State& state) {
  const auto work = compare::our_work("chain", state.range(0));
  for (auto _ : state) work->run();
  count_words(state, 14.0 * static_cast<double>(state.range(0)));
}
BENCHMARK(fused_chain)->Arg(10'000)->Arg(1'000'000)->Arg(10'000'000);

void fused_chain_forward(benchmark::State& state) {
  const jq::Shape shape{state.range(0)};
  const auto x = random(shape), a = random(shape), b = random(shape),
             c = random(shape);
  for (auto _ : state) jq::materialize(jq::tanh(a * x + b) * jq::sigmoid(c));
  count_words(state, 5.0 * static_cast<double>(state.range(0)));
}
BENCHMARK(fused_chain_forward)->Arg(10'000)->Arg(1'000'000)->Arg(10'000'000);

// relu(h + b) with a row of b, as a layer has it: 2 words forward.
void bias_relu(benchmark::State& state) {
  const auto h = random({state.range(0), state.range(1)});
  const auto b = random({state.range(1)});
  for (auto _ : state) jq::materialize(jq::relu(h + b));
  count_words(state, 2.0 * static_cast<double>(h.numel()));
}
BENCHMARK(bias_relu)->Args({128, 512})->Args({4096, 1024});

// --- reductions -------------------------------------------------------------

void sum_of_all(benchmark::State& state) {
  const auto x = random({state.range(0)});
  for (auto _ : state) jq::materialize(jq::sum(x));
  count_words(state, static_cast<double>(state.range(0)));
}
BENCHMARK(sum_of_all)->Arg(10'000)->Arg(1'000'000)->Arg(10'000'000);

void sum_of_squared_differences(benchmark::State& state) {
  const auto a = random({state.range(0)}), b = random({state.range(0)});
  for (auto _ : state) jq::materialize(jq::sum(jq::square(a - b)));
  count_words(state, 2.0 * static_cast<double>(state.range(0)));
}
BENCHMARK(sum_of_squared_differences)->Arg(10'000)->Arg(1'000'000);

// Arguments: the extents and the axis that goes.
void sum_along_an_axis(benchmark::State& state) {
  const auto x = random({state.range(0), state.range(1)});
  const int axis = static_cast<int>(state.range(2));
  for (auto _ : state) jq::materialize(jq::sum(x, axis));
  count_words(state, static_cast<double>(x.numel()));
}
BENCHMARK(sum_along_an_axis)
    ->Args({4096, 1024, 0})
    ->Args({4096, 1024, 1})
    ->Args({128, 512, 0})
    ->Args({128, 512, 1});

void max_along_rows(benchmark::State& state) {
  const auto x = random({4096, 1024});
  for (auto _ : state) jq::materialize(jq::max(x, 1));
  count_words(state, static_cast<double>(x.numel()));
}
BENCHMARK(max_along_rows);

// --- rows, [n, 1024], forward and backward ----------------------------------

void row_work(benchmark::State& state, const char* name, double words) {
  const auto work = compare::our_work(name, state.range(0));
  for (auto _ : state) work->run();
  count_words(state, words * 1024 * static_cast<double>(state.range(0)));
}
void softmax(benchmark::State& state) { row_work(state, "softmax", 5); }
BENCHMARK(softmax)->Arg(128)->Arg(4096);
void layer_norm(benchmark::State& state) { row_work(state, "layer_norm", 5); }
BENCHMARK(layer_norm)->Arg(128)->Arg(4096);
void cross_entropy(benchmark::State& state) {
  row_work(state, "cross_entropy", 3);
}
BENCHMARK(cross_entropy)->Arg(128)->Arg(4096);

// --- matrices ---------------------------------------------------------------

// m, n, k, and which operand is a transposed view: 0 none, 1 a, 2 b.
void matmul(benchmark::State& state) {
  const auto m = state.range(0), n = state.range(1), k = state.range(2);
  const auto a =
      state.range(3) == 1 ? jq::transpose(random({k, m})) : random({m, k});
  const auto b =
      state.range(3) == 2 ? jq::transpose(random({n, k})) : random({k, n});
  for (auto _ : state) jq::materialize(jq::matmul(a, b));
  count_flops(state, 2.0 * static_cast<double>(m * n * k));
}
BENCHMARK(matmul)
    ->Args({8, 8, 8, 0})
    ->Args({64, 64, 64, 0})
    ->Args({256, 256, 256, 0})
    ->Args({1024, 1024, 1024, 0})
    ->Args({128, 512, 784, 2})  // a layer forward
    ->Args({512, 784, 128, 1})  // its weight's gradient
    ->Args({128, 10, 256, 2})
    ->Args({1, 512, 512, 0});

void batched_matmul(benchmark::State& state) {
  const auto a = random({32, 64, 32}), b = random({32, 64, 32});
  for (auto _ : state) jq::materialize(jq::matmul(a, jq::transpose(b)));
  count_flops(state, 2.0 * 32 * 64 * 64 * 32);
}
BENCHMARK(batched_matmul);

void matmul_float64(benchmark::State& state) {
  const auto a =
      jq::materialize(jq::cast(random({512, 512}), jq::DType::float64));
  for (auto _ : state) jq::materialize(jq::matmul(a, a));
  count_flops(state, 2.0 * 512 * 512 * 512);
}
BENCHMARK(matmul_float64);

// --- indices ----------------------------------------------------------------

void index_select_rows(benchmark::State& state) {
  const auto table = random({10'000, 256});
  const auto rows = jq::materialize(jq::randint(0, 10'000, {4096}));
  for (auto _ : state) jq::materialize(jq::index_select(table, 0, rows));
  count_words(state, 2.0 * 4096 * 256);
}
BENCHMARK(index_select_rows);

void scatter_add_of_rows(benchmark::State& state) {
  const auto table = jq::param(random({10'000, 256}));
  const auto rows = jq::materialize(jq::randint(0, 10'000, {4096}));
  const auto seed = random({4096, 256});
  for (auto _ : state) {
    table.clear_grad();
    jq::backward(jq::index_select(table, 0, rows), seed);
    jq::materialize(table.grad());
  }
  count_words(state, 10'000.0 * 256 + 2.0 * 4096 * 256);
}
BENCHMARK(scatter_add_of_rows);

// --- a training step --------------------------------------------------------

void mlp_step(benchmark::State& state) {
  const auto work = compare::our_work("mlp_step", state.range(0));
  for (auto _ : state) work->run();
  // Three products a layer; no gradient of the images.
  const double weights = 784 * 512 + 512 * 256 + 256 * 10;
  count_flops(state, 2.0 * static_cast<double>(state.range(0)) *
                         (3 * weights - 784 * 512));
}
BENCHMARK(mlp_step)->Arg(128);

// One launch over the parameters of that network: reads p, g, m, v, writes p,
// m, v.
void adam(benchmark::State& state) {
  struct Layers {
    std::vector<nn::Linear> layers;
  };
  const Layers model{{nn::Linear::make(784, 512), nn::Linear::make(512, 256),
                      nn::Linear::make(256, 10)}};
  double numel = 0;
  const auto grads = jq::map_tensors(model, [&](const jq::TrackedTensor& t) {
    numel += static_cast<double>(t.numel());
    return random(t.shape());
  });
  nn::Adam optimizer;
  for (auto _ : state) optimizer.step(model, grads);
  count_words(state, 7 * numel);
}
BENCHMARK(adam);

}  // namespace
