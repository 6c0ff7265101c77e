#include <numeric>

#include "tests/cpu_fallback/executor_testing.h"

namespace jacquard::testing {
namespace {

// Momentum: m' = 0.9·m + g, p' = p − lr·m', both in place.
ProgramPtr momentum_program() {
  return program([](Builder& b) {
    const Ref p = b.leaf({}), m = b.leaf({}), g = b.leaf({});
    const Ref lr = b.slot(DType::float32);
    const Ref next = b.apply(
        Op::add, b.apply(Op::mul, m, b.constant(0.9, DType::float32)), g);
    b.output({next});
    b.output({b.apply(Op::sub, p, b.apply(Op::mul, lr, next))});
  });
}

struct Parameter {
  std::vector<float> p, m, g;
};

TEST(ExecutorList, UpdatesManyArraysInPlace) {
  for (const int threads : {1, 2}) {
    const WithThreads with(threads);
    const std::vector<std::int64_t> sizes = {0,  1,   63,   64,    65,
                                             70, 999, 4096, 50001, 300000};
    std::vector<Parameter> parameters;
    for (const std::int64_t n : sizes)
      parameters.push_back(
          {random_floats(n, 1), random_floats(n, 2), random_floats(n, 3)});
    const auto before = parameters;

    const auto program = momentum_program();
    std::vector<std::vector<Binding>> leaves;
    std::vector<std::vector<OutputBinding>> outputs;
    for (Parameter& x : parameters) {
      const Shape shape = {static_cast<std::int64_t>(x.p.size())};
      leaves.push_back(
          {dense(x.p, shape), dense(x.m, shape), dense(x.g, shape)});
      outputs.push_back({dense_out(x.m, shape), dense_out(x.p, shape)});
    }
    std::vector<Scalar> slots(1);
    slots[0].f = 0.5;
    std::vector<ProgramLaunch> launches;
    for (std::size_t i = 0; i < sizes.size(); ++i)
      launches.push_back(
          {program.get(), {sizes[i]}, leaves[i], slots, outputs[i]});
    cpu_backend().run_list(launches, Stream());

    for (std::size_t i = 0; i < sizes.size(); ++i) {
      for (std::size_t k = 0; k < parameters[i].p.size(); ++k) {
        const float m = before[i].m[k] * 0.9f + before[i].g[k];
        ASSERT_EQ(parameters[i].m[k], m) << "array " << i << " at " << k;
        ASSERT_EQ(parameters[i].p[k], before[i].p[k] - 0.5f * m);
        ASSERT_EQ(parameters[i].g[k], before[i].g[k]);
      }
    }
  }
}

TEST(ExecutorList, EntriesHaveTheirOwnSlots) {
  const auto program = testing::program([](Builder& b) {
    b.output({b.apply(Op::mul, b.leaf({}), b.slot(DType::float32))});
  });
  const std::int64_t n = 10000;
  const std::vector<float> x(static_cast<std::size_t>(n), 1.0f);
  std::vector<std::vector<float>> out(5, std::vector<float>(x.size()));
  std::vector<std::vector<Binding>> leaves(5, {dense(x, {n})});
  std::vector<std::vector<Scalar>> slots(5, std::vector<Scalar>(1));
  std::vector<std::vector<OutputBinding>> outputs;
  std::vector<ProgramLaunch> launches;
  for (std::size_t i = 0; i < 5; ++i) {
    slots[i][0].f = static_cast<double>(i);
    outputs.push_back({dense_out(out[i], {n})});
  }
  for (std::size_t i = 0; i < 5; ++i)
    launches.push_back({program.get(), {n}, leaves[i], slots[i], outputs[i]});
  cpu_backend().run_list(launches, Stream());
  for (std::size_t i = 0; i < 5; ++i)
    for (const float v : out[i]) ASSERT_EQ(v, static_cast<float>(i));
}

}  // namespace
}  // namespace jacquard::testing
