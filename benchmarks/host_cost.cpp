// What an operation costs the host: one element, so that nothing else counts.
// `per_op` is the time of one forward operation, its share of the backward
// included.
#include <benchmark/benchmark.h>
#include <jacquard/jacquard.h>
#include <jacquard/nn/nn.h>

namespace jq = jacquard;

namespace {

constexpr int kChain = 100;

jq::TrackedTensor one() { return jq::materialize(jq::ones({1})); }
jq::TrackedTensor one_param() { return jq::param(one()); }

void count_operations(benchmark::State& state, int each) {
  state.counters["per_op"] = benchmark::Counter(
      static_cast<double>(state.iterations()) * each,
      benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

// Runs step 100 times from a leaf, then backward to it.
template <class Step>
void chain(benchmark::State& state, const jq::TrackedTensor& leaf, Step step) {
  for (auto _ : state) {
    leaf.clear_grad();
    jq::TrackedTensor y = leaf;
    for (int i = 0; i < kChain; ++i) y = step(std::move(y));
    jq::backward(y);
    benchmark::DoNotOptimize(leaf.grad().data().data_ptr());
  }
  count_operations(state, kChain);
}

void chain_of_adds_fused(benchmark::State& state) {
  const auto c = one();
  chain(state, one_param(), [&](auto y) { return y + c; });
}
BENCHMARK(chain_of_adds_fused);

void chain_of_adds_each_read(benchmark::State& state) {
  const auto c = one();
  chain(state, one_param(), [&](auto y) { return jq::materialize(y + c); });
}
BENCHMARK(chain_of_adds_each_read);

void chain_of_adds_without_fusion(benchmark::State& state) {
  const auto c = one();
  jq::set_fusion(false);
  chain(state, one_param(), [&](auto y) { return y + c; });
  jq::set_fusion(true);
}
BENCHMARK(chain_of_adds_without_fusion);

void chain_of_adds_of_a_scalar_fused(benchmark::State& state) {
  chain(state, one_param(), [](auto y) { return y + 1.0f; });
}
BENCHMARK(chain_of_adds_of_a_scalar_fused);

void chain_of_adds_of_two_params_fused(benchmark::State& state) {
  const auto c = one_param();
  chain(state, one_param(), [&](auto y) {
    c.clear_grad();
    return y + c;
  });
}
BENCHMARK(chain_of_adds_of_two_params_fused);

void chain_of_multiplications_fused(benchmark::State& state) {
  const auto c = one();
  chain(state, one_param(), [&](auto y) { return y * c; });
}
BENCHMARK(chain_of_multiplications_fused);

void chain_of_tanh_fused(benchmark::State& state) {
  chain(state, one_param(), [](auto y) { return jq::tanh(y); });
}
BENCHMARK(chain_of_tanh_fused);

void chain_of_tanh_each_read(benchmark::State& state) {
  chain(state, one_param(),
        [](auto y) { return jq::materialize(jq::tanh(y)); });
}
BENCHMARK(chain_of_tanh_each_read);

// Forward only.
template <class Step>
void forward_chain(benchmark::State& state, jq::TrackedTensor first,
                   Step step) {
  for (auto _ : state) {
    jq::TrackedTensor y = first;
    for (int i = 0; i < kChain; ++i) y = step(std::move(y));
    benchmark::DoNotOptimize(y.data().data_ptr());
  }
  count_operations(state, kChain);
}

void constant_chain_of_adds_fused(benchmark::State& state) {
  const auto c = one();
  forward_chain(state, c, [&](auto y) { return y + c; });
}
BENCHMARK(constant_chain_of_adds_fused);

void constant_chain_of_adds_each_read(benchmark::State& state) {
  const auto c = one();
  forward_chain(state, c, [&](auto y) { return jq::materialize(y + c); });
}
BENCHMARK(constant_chain_of_adds_each_read);

void tracked_chain_of_adds_forward_only(benchmark::State& state) {
  const auto c = one();
  forward_chain(state, one_param(), [&](auto y) { return y + c; });
}
BENCHMARK(tracked_chain_of_adds_forward_only);

// The parts.
void copy_of_a_handle(benchmark::State& state) {
  const auto x = one();
  for (auto _ : state) {
    jq::TrackedTensor copy = x;
    benchmark::DoNotOptimize(copy);
  }
}
BENCHMARK(copy_of_a_handle);

void empty_tensor(benchmark::State& state) {
  for (auto _ : state) {
    auto t = jq::Tensor::empty({1}, jq::DType::float32, jq::cpu());
    benchmark::DoNotOptimize(t);
  }
}
BENCHMARK(empty_tensor);

void param_of_a_tensor(benchmark::State& state) {
  const jq::Tensor t = one().data();
  for (auto _ : state) {
    auto p = jq::param(t);
    benchmark::DoNotOptimize(p);
  }
}
BENCHMARK(param_of_a_tensor);

void reshape_of_a_constant(benchmark::State& state) {
  const auto x = one();
  for (auto _ : state) {
    auto y = jq::reshape(x, {1, 1});
    benchmark::DoNotOptimize(y);
  }
}
BENCHMARK(reshape_of_a_constant);

void add_that_nobody_reads(benchmark::State& state) {
  const auto x = one();
  for (auto _ : state) {
    auto y = x + x;
    benchmark::DoNotOptimize(y);
  }
}
BENCHMARK(add_that_nobody_reads);

void tracked_add_that_nobody_reads(benchmark::State& state) {
  const auto x = one_param();
  for (auto _ : state) {
    auto y = x + x;
    benchmark::DoNotOptimize(y);
  }
}
BENCHMARK(tracked_add_that_nobody_reads);

void matmul_of_one_element(benchmark::State& state) {
  const auto x = jq::reshape(one(), {1, 1});
  for (auto _ : state) {
    auto y = jq::materialize(jq::matmul(x, x));
    benchmark::DoNotOptimize(y);
  }
}
BENCHMARK(matmul_of_one_element);

void gradient_of_a_square(benchmark::State& state) {
  const auto x = one();
  for (auto _ : state) {
    auto g = jq::gradient([](auto v) { return jq::sum(v * v); }, x);
    benchmark::DoNotOptimize(g.data().data_ptr());
  }
}
BENCHMARK(gradient_of_a_square);

// A training step of a small MLP with Adam, all sizes 1 or 2: what is left is
// the host's. `launches` is how many a step has.
struct TinyMlp {
  jq::nn::Linear first = jq::nn::Linear::make(1, 1);
  jq::nn::Linear second = jq::nn::Linear::make(1, 1);
  jq::nn::Linear last = jq::nn::Linear::make(1, 2);

  jq::TrackedTensor operator()(const jq::TrackedTensor& x) const {
    return last(jq::relu(second(jq::relu(first(x)))));
  }
};

template <class Compile>
void training_step(benchmark::State& state, Compile compile) {
  jq::set_default_device(jq::cpu());
  TinyMlp model;
  jq::nn::Adam adam;
  auto step = compile([&](const jq::TrackedTensor& x,
                          const jq::TrackedTensor& y) {
    auto [loss, grads] = jq::withgradient(
        [&](const TinyMlp& m) { return jq::cross_entropy(m(x), y); }, model);
    adam.step(model, grads);
    return loss;
  });
  const auto x = one(), y = jq::materialize(jq::randint(0, 2, {1}));
  const auto rows = jq::reshape(x, {1, 1});
  for (int i = 0; i < 3; ++i) step(rows, y);
  {
    jq::LaunchLog log;
    step(rows, y);
    state.counters["launches"] = static_cast<double>(log.launches());
  }
  for (auto _ : state) benchmark::DoNotOptimize(step(rows, y));
}

void training_step_uncompiled(benchmark::State& state) {
  training_step(state, [](auto f) { return f; });
}
BENCHMARK(training_step_uncompiled);

void training_step_compiled(benchmark::State& state) {
  training_step(state, [](auto f) { return jq::compile(std::move(f)); });
}
BENCHMARK(training_step_compiled);

}  // namespace
