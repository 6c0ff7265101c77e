// Hessians of functions of 64 variables against 64 gradients of them: the
// counter `gradients` is how many gradients one Hessian costs.
#include <benchmark/benchmark.h>
#include <jacquard/jacquard.h>

#include <ctime>

namespace jq = jacquard;
using jq::TrackedTensor;

namespace {

constexpr std::int64_t kVariables = 64;

TrackedTensor point() {
  jq::manual_seed(1);
  return jq::materialize(jq::randn({kVariables}, {jq::DType::float64}) * 0.5);
}

// A perceptron [4, 8, 2] without its last bias: 40 + 16 + 8 weights of a loss
// over 16 rows.
TrackedTensor mlp(const TrackedTensor& p) {
  static const TrackedTensor x =
      jq::materialize(jq::randn({16, 4}, {jq::DType::float64}));
  static const TrackedTensor labels = jq::materialize(jq::randint(0, 2, {16}));
  const auto part = [&](std::int64_t from, std::int64_t to,
                        const jq::Shape& shape) {
    return jq::reshape(jq::slice(p, 0, {.start = from, .stop = to}), shape);
  };
  const TrackedTensor h =
      jq::tanh(jq::matmul(x, part(0, 32, {4, 8})) + part(32, 40, {8}));
  const TrackedTensor scaled = h * part(56, 64, {8});
  return jq::cross_entropy(jq::matmul(scaled, part(40, 56, {8, 2})), labels);
}

// A chain of coupled variables.
TrackedTensor rosenbrock(const TrackedTensor& p) {
  const TrackedTensor a = jq::slice(p, 0, {.start = 0, .stop = kVariables - 1});
  const TrackedTensor b = jq::slice(p, 0, {.start = 1, .stop = kVariables});
  return jq::sum(100.0 * jq::square(b - jq::square(a)) + jq::square(1.0 - a));
}

// Of this process: other work on the machine makes no difference.
double processor_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

double seconds_of_a_gradient(TrackedTensor (*f)(const TrackedTensor&),
                             const TrackedTensor& x) {
  constexpr int kTimes = 2000;
  for (int i = 0; i < 100; ++i) jq::gradient(f, x);
  const double start = processor_seconds();
  for (int i = 0; i < kTimes; ++i) jq::gradient(f, x);
  jq::synchronize(x.device());
  return (processor_seconds() - start) / kTimes;
}

void hessian(benchmark::State& state, TrackedTensor (*f)(const TrackedTensor&),
             jq::DerivativeMode mode) {
  const TrackedTensor x = point();
  jq::JacobianOptions options;
  options.mode = mode;
  jq::hessian(options, f, x);
  const double gradient = seconds_of_a_gradient(f, x);
  const double start = processor_seconds();
  for (auto _ : state) {
    const TrackedTensor h = jq::hessian(options, f, x);
    benchmark::DoNotOptimize(h.data().data_ptr());
    jq::synchronize(x.device());
  }
  state.counters["gradients"] = (processor_seconds() - start) /
                                static_cast<double>(state.iterations()) /
                                gradient;
}

constexpr auto kForward = jq::DerivativeMode::forward;
constexpr auto kReverse = jq::DerivativeMode::reverse;
BENCHMARK_CAPTURE(hessian, mlp_forward, mlp, kForward);
BENCHMARK_CAPTURE(hessian, mlp_reverse, mlp, kReverse);
BENCHMARK_CAPTURE(hessian, rosenbrock_forward, rosenbrock, kForward);
BENCHMARK_CAPTURE(hessian, rosenbrock_reverse, rosenbrock, kReverse);

}  // namespace
