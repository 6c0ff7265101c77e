// The kernels of each backend in the shapes that training meets. Arguments are
// the number of elements where there is only one, else extents.
#include <jacquard/jacquard.h>
#include <jacquard/nn/nn.h>

#include <memory>

#include "compare/our_work.h"
#include "kernels/harness.h"

namespace jq = jacquard;
namespace nn = jacquard::nn;

namespace {

using jq::TrackedTensor;
using kernels::Work;
using Arguments = std::vector<std::int64_t>;
using Run = std::function<void()>;

TrackedTensor random(const jq::Shape& shape) {
  return jq::materialize(jq::randn(shape));
}

double words(double count) { return 4 * count; }

// --- elementwise ------------------------------------------------------------

const std::vector<Arguments> kSizes{{10'000}, {1'000'000}, {10'000'000}};

// f over `operands` arrays of n elements.
template <class F>
void elementwise(const char* name, int operands, F f) {
  kernels::add(name, kSizes, [=](const Arguments& n) {
    return Work{.bytes = words((operands + 1.0) * static_cast<double>(n[0])),
                .make_set = [=]() -> Run {
                  std::vector<TrackedTensor> x;
                  for (int i = 0; i < operands; ++i)
                    x.push_back(random({n[0]}));
                  return [=] { jq::materialize(f(x)); };
                }};
  });
}

using Operands = std::vector<TrackedTensor>;

void add_elementwise() {
  elementwise("add", 2, [](const Operands& x) { return x[0] + x[1]; });
  elementwise("exp", 1, [](const Operands& x) { return jq::exp(x[0]); });
  elementwise("tanh", 1, [](const Operands& x) { return jq::tanh(x[0]); });
  elementwise("erf", 1, [](const Operands& x) { return jq::erf(x[0]); });
  elementwise("gelu", 1, [](const Operands& x) { return jq::gelu(x[0]); });
  elementwise("fused_chain_forward", 4, [](const Operands& x) {
    return jq::tanh(x[0] * x[1] + x[2]) * jq::sigmoid(x[3]);
  });
  // relu(h + b) with a row of b, as a layer has it.
  kernels::add("bias_relu", {{128, 512}, {4096, 1024}}, [](const Arguments& n) {
    return Work{.bytes = words(2.0 * static_cast<double>(n[0] * n[1])),
                .make_set = [=]() -> Run {
                  const auto h = random({n[0], n[1]}), b = random({n[1]});
                  return [=] { jq::materialize(jq::relu(h + b)); };
                }};
  });
}

// --- the work of the comparison, forward and backward -----------------------

// `each`: words for one unit of the argument.
void add_compared(const char* name, const std::vector<Arguments>& arguments,
                  double each) {
  kernels::add(name, arguments, [=](const Arguments& n) {
    return Work{.bytes = words(each * static_cast<double>(n[0])),
                .make_set = [=]() -> Run {
                  const std::shared_ptr<compare::Work> work =
                      compare::our_work(name, n[0]);
                  return [=] { work->run(); };
                }};
  });
}

void add_training() {
  // tanh(a·x + b)·sigmoid(c).
  add_compared("chain", kSizes, 14);
  // Rows of 1024.
  add_compared("softmax", {{128}, {4096}}, 5 * 1024);
  add_compared("layer_norm", {{128}, {4096}}, 5 * 1024);
  add_compared("cross_entropy", {{128}, {4096}}, 3 * 1024);
  // Three products a layer; no gradient of the images.
  kernels::add("mlp_step", {{128}}, [](const Arguments& n) {
    const double weights = 784 * 512 + 512 * 256 + 256 * 10;
    return Work{
        .flops = 2.0 * static_cast<double>(n[0]) * (3 * weights - 784 * 512),
        .set_bytes = words(4 * weights),
        .make_set = [=]() -> Run {
          const std::shared_ptr<compare::Work> work =
              compare::our_work("mlp_step", n[0]);
          return [=] { work->run(); };
        }};
  });
}

// One launch over the parameters of that network: reads p, g, m, v, writes p,
// m, v.
void add_adam() {
  kernels::add("adam", {{}}, [](const Arguments&) {
    const double numel = 784 * 512 + 512 + 512 * 256 + 256 + 256 * 10 + 10;
    return Work{
        .bytes = words(7 * numel), .make_set = []() -> Run {
          const std::vector<nn::Linear> model{nn::Linear::make(784, 512),
                                              nn::Linear::make(512, 256),
                                              nn::Linear::make(256, 10)};
          const auto grads = jq::map_tensors(
              model, [](const TrackedTensor& t) { return random(t.shape()); });
          auto optimizer = std::make_shared<nn::Adam>();
          return [=] { optimizer->step(model, grads); };
        }};
  });
}

// --- reductions -------------------------------------------------------------

void add_reductions() {
  kernels::add("sum_of_all", kSizes, [](const Arguments& n) {
    return Work{.bytes = words(static_cast<double>(n[0])),
                .make_set = [=]() -> Run {
                  const auto x = random({n[0]});
                  return [=] { jq::materialize(jq::sum(x)); };
                }};
  });
  kernels::add("sum_of_squared_differences", kSizes, [](const Arguments& n) {
    return Work{.bytes = words(2.0 * static_cast<double>(n[0])),
                .make_set = [=]() -> Run {
                  const auto a = random({n[0]}), b = random({n[0]});
                  return [=] { jq::materialize(jq::sum(jq::square(a - b))); };
                }};
  });
  // Arguments: the extents and the axis that goes.
  const auto along = [](const char* name, auto reduce) {
    kernels::add(
        name, {{4096, 1024, 0}, {4096, 1024, 1}, {128, 512, 0}, {128, 512, 1}},
        [=](const Arguments& n) {
          return Work{.bytes = words(static_cast<double>(n[0] * n[1])),
                      .make_set = [=]() -> Run {
                        const auto x = random({n[0], n[1]});
                        const int axis = static_cast<int>(n[2]);
                        return [=] { jq::materialize(reduce(x, axis)); };
                      }};
        });
  };
  along("sum",
        [](const TrackedTensor& x, int axis) { return jq::sum(x, axis); });
  along("max",
        [](const TrackedTensor& x, int axis) { return jq::max(x, axis); });
}

// --- matrices ---------------------------------------------------------------

void add_matrices() {
  // m, n, k, and which operand is a transposed view: 0 none, 1 a, 2 b.
  kernels::add(
      "matmul",
      {{8, 8, 8, 0},
       {64, 64, 64, 0},
       {256, 256, 256, 0},
       {1024, 1024, 1024, 0},
       {128, 512, 784, 2},  // a layer forward
       {512, 784, 128, 1},  // its weight's gradient
       {128, 10, 256, 2},
       {1, 512, 512, 0}},
      [](const Arguments& s) {
        const auto m = s[0], n = s[1], k = s[2];
        return Work{
            .flops = 2.0 * static_cast<double>(m * n * k),
            .set_bytes = words(static_cast<double>(m * k + k * n + m * n)),
            .make_set = [=]() -> Run {
              const auto a =
                  s[3] == 1 ? jq::transpose(random({k, m})) : random({m, k});
              const auto b =
                  s[3] == 2 ? jq::transpose(random({n, k})) : random({k, n});
              return [=] { jq::materialize(jq::matmul(a, b)); };
            }};
      });
  kernels::add("batched_matmul", {{32}}, [](const Arguments& n) {
    return Work{
        .flops = 2.0 * static_cast<double>(n[0]) * 62 * 62 * 32,
        .set_bytes = words(static_cast<double>(n[0]) * (2 * 62 * 32 + 62 * 64)),
        .make_set = [=]() -> Run {
          const auto a = random({n[0], 64, 32});
          const auto b = jq::transpose(random({n[0], 64, 32}));
          return [=] { jq::materialize(jq::matmul(a, b)); };
        }};
  });
  kernels::add("matmul_float64", {{512}}, [](const Arguments& n) {
    return Work{.flops = 2.0 * static_cast<double>(n[0] * n[0] * n[0]),
                .set_bytes = 16.0 * static_cast<double>(n[0] * n[0]),
                .make_set = [=]() -> Run {
                  const auto a = jq::materialize(
                      jq::cast(random({n[0], n[0]}), jq::DType::float64));
                  return [=] { jq::materialize(jq::matmul(a, a)); };
                }};
  });
}

// --- indices ----------------------------------------------------------------

void add_indices() {
  const auto rows = [] {
    return jq::materialize(jq::randint(0, 10'000, {4096}));
  };
  kernels::add("index_select_rows", {{256}}, [=](const Arguments& n) {
    return Work{.bytes = words(2.0 * 4096 * static_cast<double>(n[0])),
                .make_set = [=]() -> Run {
                  const auto table = random({10'000, n[0]});
                  const auto index = rows();
                  return [=] {
                    jq::materialize(jq::index_select(table, 0, index));
                  };
                }};
  });
  kernels::add("scatter_add_of_rows", {{256}}, [=](const Arguments& n) {
    return Work{
        .bytes = words((10'000.0 + 2 * 4096) * static_cast<double>(n[0])),
        .make_set = [=]() -> Run {
          const auto table = jq::param(random({10'000, n[0]}));
          const auto index = rows(), seed = random({4096, n[0]});
          return [=] {
            table.clear_grad();
            jq::backward(jq::index_select(table, 0, index), seed);
            jq::materialize(table.grad());
          };
        }};
  });
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  add_elementwise();
  add_training();
  add_adam();
  add_reductions();
  add_matrices();
  add_indices();
  kernels::add_missing_device();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
