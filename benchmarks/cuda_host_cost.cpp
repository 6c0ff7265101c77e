// What training on CUDA costs the host: everything between the calls of the
// program and those of the CUDA runtime. Meant for the null mode of the PTX
// emulator, in which the runtime's calls return at once:
//
//   LD_LIBRARY_PATH=build/lib/ptx_emulator PTX_EMULATOR_NULL=1
//     build/bin/jacquard_cuda_host_cost
//
// `per_launch` is the time of a step by the number of its launches.
#include <benchmark/benchmark.h>
#include <dlfcn.h>
#include <jacquard/jacquard.h>
#include <jacquard/nn/nn.h>

#include <cstdio>

namespace jq = jacquard;
namespace nn = jacquard::nn;

namespace {

void count_launches(benchmark::State& state, std::size_t each) {
  if (each == 0) return;  // a graph's are its own
  state.counters["launches"] = static_cast<double>(each);
  state.counters["per_launch"] = benchmark::Counter(
      static_cast<double>(state.iterations()) * static_cast<double>(each),
      benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

// Warms up, counts the launches of a step, then times steps. Off null mode the
// device is waited for now and then, outside the timing, so that the queue in
// front of it does not fill.
template <class Step>
void time_steps(benchmark::State& state, Step step) {
  for (int i = 0; i < 5; ++i) step();
  std::size_t launches = 0;
  {
    jq::LaunchLog log;
    step();
    launches = log.launches();
  }
  int since = 0;
  for (auto _ : state) {
    step();
    if (++since < 32) continue;
    since = 0;
    state.PauseTiming();
    jq::synchronize(jq::cuda());
    state.ResumeTiming();
  }
  count_launches(state, launches);
}

struct Mlp {
  nn::Linear first = nn::Linear::make(784, 512);
  nn::Linear second = nn::Linear::make(512, 256);
  nn::Linear last = nn::Linear::make(256, 10);

  jq::TrackedTensor operator()(const jq::TrackedTensor& x) const {
    return last(relu(second(relu(first(x)))));
  }
};

struct Training {
  jq::TrackedTensor x = jq::materialize(jq::rand({128, 784}));
  jq::TrackedTensor y = jq::materialize(jq::randint(0, 10, {128}));
  Mlp model;
  nn::Adam adam;

  void step() {
    const auto grads = jq::gradient(
        [&](const Mlp& m) { return jq::cross_entropy(m(x), y); }, model);
    adam.step(model, grads);
  }
};

void mlp_step(benchmark::State& state) {
  Training training;
  time_steps(state, [&] { training.step(); });
}
BENCHMARK(mlp_step)->Unit(benchmark::kMicrosecond);

// One upload and one launch of a graph.
void compiled_mlp_step(benchmark::State& state) {
  Training training;
  auto step = jq::compile([&] { training.step(); });
  time_steps(state, [&] { step(); });
}
BENCHMARK(compiled_mlp_step)->Unit(benchmark::kMicrosecond);

void one_map(benchmark::State& state) {
  const auto x = jq::materialize(jq::rand({1024}));
  time_steps(state, [&] { jq::materialize(x + 1.0f); });
}
BENCHMARK(one_map);

void one_map_of_five_operands(benchmark::State& state) {
  const auto a = jq::materialize(jq::rand({32, 32})),
             b = jq::materialize(a * a);
  const auto c = jq::materialize(jq::rand({32})), d = jq::materialize(c * c);
  time_steps(state, [&] { jq::materialize((a + b) * c - d * a); });
}
BENCHMARK(one_map_of_five_operands);

void one_reduction(benchmark::State& state) {
  const auto x = jq::materialize(jq::rand({1024}));
  time_steps(state, [&] { jq::materialize(jq::sum(x)); });
}
BENCHMARK(one_reduction);

void one_row_program(benchmark::State& state) {
  const auto x = jq::materialize(jq::rand({32, 64}));
  time_steps(state, [&] { jq::materialize(jq::softmax(x)); });
}
BENCHMARK(one_row_program);

void one_product(benchmark::State& state) {
  const auto x = jq::materialize(jq::rand({32, 32}));
  time_steps(state, [&] { jq::materialize(jq::matmul(x, x)); });
}
BENCHMARK(one_product);

void one_gather(benchmark::State& state) {
  const auto x = jq::materialize(jq::rand({32, 32}));
  const auto rows = jq::materialize(jq::randint(0, 32, {16}));
  time_steps(state, [&] { jq::materialize(jq::index_select(x, 0, rows)); });
}
BENCHMARK(one_gather);

bool is_null_mode() {
  void* runtime = nullptr;
  for (const char* name : {"libcudart.so.13", "libcudart.so.12"})
    if (!runtime) runtime = dlopen(name, RTLD_LAZY | RTLD_NOLOAD);
  if (!runtime) return false;
  const auto is_null =
      reinterpret_cast<int (*)()>(dlsym(runtime, "ptx_emulator_is_null"));
  return is_null && is_null();
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  if (!jq::is_available(jq::cuda())) {
    std::puts("skipped: there is no CUDA device; the PTX emulator is one");
    return 0;
  }
  if (!is_null_mode())
    std::puts(
        "not in the emulator's null mode: the times hold what the CUDA "
        "runtime's calls cost");
  jq::set_default_device(jq::cuda());
  benchmark::RunSpecifiedBenchmarks();
}
