// What kernels move, as the PTX emulator counts it: each input once, each
// output once, by 16-byte accesses, in one launch.
#include <dlfcn.h>

#include "tests/cuda/codegen/program_testing.h"
#include "tests/ptx_emulator/runtime/inspect.h"

namespace jacquard::cuda_backend {
namespace {

constexpr DType f32 = DType::float32;
constexpr int kF64Class = 5;  // InstructionClass::kF64

template <class F>
F emulator(const char* name, F) {
  return reinterpret_cast<F>(dlsym(RTLD_DEFAULT, name));
}
#define JACQUARD_EMULATOR(name) emulator(#name, &name)

class TrafficTest : public ProgramTest {
 protected:
  void SetUp() override {
    ProgramTest::SetUp();
    if (!dlsym(RTLD_DEFAULT, "ptx_emulator_launch_count"))
      GTEST_SKIP() << "only the PTX emulator counts";
  }

  // Runs on zeros, and expects one launch that moves `words` elements of
  // `word` bytes for each element of the space, within `slack`.
  void expect_words(const ProgramPtr& p, const Shape& space,
                    const std::vector<Strides>& leaves,
                    const std::vector<OutputSpec>& outputs, double words,
                    const std::vector<Scalar>& slots = {}, double slack = 0.02,
                    std::size_t word = 4) {
    std::vector<DeviceBytes> memory;
    std::vector<Binding> from;
    std::vector<OutputBinding> to;
    const auto make = [&](DType t, const Strides& s) {
      memory.emplace_back(
          std::vector<unsigned char>(reach(space, s) * size_of(t)), 0, stream);
      return memory.back().data();
    };
    for (std::size_t i = 0; i < leaves.size(); ++i) {
      const DType t = p->leaves()[i].dtype;
      from.push_back({make(t, leaves[i]), t, leaves[i]});
    }
    for (const OutputSpec& o : outputs)
      to.push_back({make(o.dtype, o.strides), o.dtype, o.strides});
    synchronize(stream);
    JACQUARD_EMULATOR(ptx_emulator_reset_counters)();
    run_program({p.get(), space, from, slots, to}, stream);
    synchronize(stream);
    const double bytes =
        words * static_cast<double>(space.numel()) * static_cast<double>(word);
    check(bytes, slack, p->to_string() + to_string(space));
  }

  static void check(double bytes, double slack, const std::string& what) {
    SCOPED_TRACE(what);
    ASSERT_EQ(JACQUARD_EMULATOR(ptx_emulator_launch_count)(), 1u);
    ptx_emulator_launch l{};
    JACQUARD_EMULATOR(ptx_emulator_get_launch)(0, &l);
    const auto moved = static_cast<double>(l.load_bytes + l.store_bytes);
    const auto sectors = static_cast<double>(l.load_sectors + l.store_sectors);
    EXPECT_LE(moved, bytes * (1 + slack));
    EXPECT_GE(moved, bytes * (1 - slack));
    EXPECT_LE(sectors * 32, bytes * (1.02 + slack));
    const auto wide = static_cast<double>(l.load_bytes_by_width[4] +
                                          l.store_bytes_by_width[4]);
    EXPECT_GE(wide, bytes * (1 - slack));
    EXPECT_EQ(l.instructions[kF64Class], 0u);
  }
};

ProgramPtr softmax_cotangent() {
  return program([](Builder& b) {
    const Ref y = b.leaf({}), g = b.leaf({});
    const Ref along = b.apply(Op::row_sum, b.apply(Op::mul, y, g));
    b.output({b.apply(Op::mul, y, b.apply(Op::sub, g, along))});
  });
}

TEST_F(TrafficTest, ContiguousMaps) {
  const Shape n = {1 << 16};
  const auto add = [](DType t) {
    return program([&](Builder& b) {
      const Ref x = b.leaf({Op::load, t});
      b.output({b.apply(Op::add, x, b.leaf({Op::load, t}))});
    });
  };
  expect_words(add(f32), n, {{1}, {1}}, {{f32, {1}}}, 3);
  expect_words(add(DType::float16), n, {{1}, {1}}, {{DType::float16, {1}}}, 3,
               {}, 0.02, 2);
  expect_words(add(DType::bfloat16), n, {{1}, {1}}, {{DType::bfloat16, {1}}}, 3,
               {}, 0.02, 2);
  expect_words(add(DType::int64), n, {{1}, {1}}, {{DType::int64, {1}}}, 3, {},
               0.02, 8);
  // relu(h + bias): the bias is read again by each row.
  const auto bias = program([](Builder& b) {
    const Ref h = b.leaf({});
    b.output({b.apply(Op::relu, b.apply(Op::add, h, b.leaf({})))});
  });
  expect_words(bias, {128, 512}, {{512, 1}, {0, 1}}, {{f32, {512, 1}}}, 3);
}

TEST_F(TrafficTest, ReductionsReadOnce) {
  const auto square = program([](Builder& b) {
    const Ref d = b.apply(Op::sub, b.leaf({}), b.leaf({}));
    b.output({b.apply(Op::mul, d, d), Reduction::sum});
  });
  expect_words(square, {1 << 17}, {{1}, {1}}, {{f32, {0}}}, 2);
  expect_words(square, {256, 512}, {{512, 1}, {512, 1}}, {{f32, {1, 0}}}, 2);
  // Partial sums of chunks of rows are written and read.
  expect_words(square, {1024, 512}, {{512, 1}, {512, 1}}, {{f32, {0, 1}}}, 2,
               {}, 0.04);
}

TEST_F(TrafficTest, RowsAreReadOnce) {
  const auto softmax = program(
      [](Builder& b) { b.output({b.apply(Op::row_softmax, b.leaf({}))}); });
  for (const Shape& space :
       std::vector<Shape>{{300, 64}, {100, 1000}, {30, 4096}, {6, 12000}}) {
    const Strides s = dense(space);
    expect_words(softmax, space, {s}, {{f32, s}}, 2);
    expect_words(softmax_cotangent(), space, {s, s}, {{f32, s}}, 3);
  }
}

TEST_F(TrafficTest, CrossEntropyReadsLogitsOnce) {
  const auto loss = program([](Builder& b) {
    const Ref x = b.leaf({});
    Leaf labels{Op::load, DType::int64};
    labels.per_row = true;
    const Ref y = b.leaf(labels);
    b.output({b.apply(Op::sub, b.apply(Op::row_logsumexp, x),
                      b.apply(Op::row_pick, x, y)),
              Reduction::mean, true});
  });
  expect_words(loss, {200, 1000}, {{1000, 1}, {1, 0}}, {{f32, {0, 0}}}, 1);
}

TEST_F(TrafficTest, LayerNormalizationAndItsCotangents) {
  const auto forward = program([](Builder& b) {
    const Ref x = b.leaf({});
    const Ref n = b.apply(Op::row_normalize, x, b.constant(1e-5, f32));
    b.output({b.apply(Op::add, b.apply(Op::mul, n, b.leaf({})), b.leaf({}))});
  });
  const auto backward = program([](Builder& b) {
    const Ref x = b.leaf({}), g = b.leaf({}), w = b.leaf({});
    const Ref e = b.constant(1e-5, f32);
    const Ref n = b.apply(Op::row_normalize, x, e);
    b.output({b.apply(Op::row_normalize_vjp, x, b.apply(Op::mul, g, w), e)});
    b.output({b.apply(Op::mul, g, n), Reduction::sum});
    b.output({g, Reduction::sum});
  });
  // The weight and the bias are read once a block, the sums of its rows are
  // written and read once.
  const Shape space = {16384, 128};
  const Strides s = dense(space), columns = {0, 1};
  expect_words(forward, space, {s, columns, columns}, {{f32, s}}, 2);
  expect_words(backward, space, {s, s, columns},
               {{f32, s}, {f32, columns}, {f32, columns}}, 3, {}, 0.06);
}

TEST_F(TrafficTest, AnOptimizerMovesSevenWordsAParameter) {
  const auto adam = program([](Builder& b) {
    const Ref p = b.leaf({}), g = b.leaf({}), m = b.leaf({}), v = b.leaf({});
    const Ref rate = b.slot(f32), b1 = b.slot(f32), b2 = b.slot(f32);
    const auto mix = [&](Ref a, Ref c, Ref by) {
      return b.apply(Op::add, a, b.apply(Op::mul, by, b.apply(Op::sub, c, a)));
    };
    const Ref m2 = mix(m, g, b1), v2 = mix(v, b.apply(Op::mul, g, g), b2);
    const Ref step =
        b.apply(Op::div, m2,
                b.apply(Op::add, b.apply(Op::sqrt, v2), b.constant(1e-8, f32)));
    b.output({b.apply(Op::sub, p, b.apply(Op::mul, rate, step))});
    b.output({m2});
    b.output({v2});
  });
  const std::vector<Scalar> slots = {real(0.1), real(0.1), real(0.01)};
  std::vector<DeviceBytes> memory;
  std::vector<std::vector<Binding>> leaves;
  std::vector<std::vector<OutputBinding>> outputs;
  std::vector<ProgramLaunch> launches;
  std::int64_t count = 0;
  for (const std::int64_t n : {200000, 256, 100000, 128, 1280}) {
    leaves.emplace_back();
    outputs.emplace_back();
    for (int i = 0; i < 4; ++i) {
      memory.emplace_back(
          std::vector<unsigned char>(static_cast<std::size_t>(n) * 4), 0,
          stream);
      leaves.back().push_back({memory.back().data(), f32, {1}});
      if (i != 1) outputs.back().push_back({memory.back().data(), f32, {1}});
    }
    count += n;
  }
  const std::int64_t sizes[] = {200000, 256, 100000, 128, 1280};
  for (std::size_t i = 0; i < 5; ++i)
    launches.push_back({adam.get(), {sizes[i]}, leaves[i], slots, outputs[i]});
  synchronize(stream);
  JACQUARD_EMULATOR(ptx_emulator_reset_counters)();
  run_program_list(launches, stream);
  synchronize(stream);
  check(7.0 * 4 * static_cast<double>(count), 0.02, "adam");
}

}  // namespace
}  // namespace jacquard::cuda_backend
