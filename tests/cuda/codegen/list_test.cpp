#include "tests/cuda/codegen/program_testing.h"

namespace jacquard::cuda_backend {
namespace {

using ListTest = ProgramTest;

constexpr DType f32 = DType::float32;

// p − rate · (g + decay · p), in place, and the step beside it.
ProgramPtr update_program() {
  return program([](Builder& b) {
    const Ref p = b.leaf({}), g = b.leaf({});
    const Ref rate = b.slot(f32), decay = b.slot(f32);
    const Ref step =
        b.apply(Op::mul, rate, b.apply(Op::add, g, b.apply(Op::mul, decay, p)));
    b.output({b.apply(Op::sub, p, step)});
    b.output({step});
  });
}

struct Entry {
  Shape shape;
  std::vector<unsigned char> p, g, step;
  DeviceBytes dp, dg, dstep;
  std::vector<Scalar> slots;

  Entry(const Shape& s, unsigned seed, std::size_t shift, Stream stream)
      : shape(s),
        p(random_elements(f32, count(), {}, seed)),
        g(random_elements(f32, count(), {}, seed + 1)),
        step(p),
        dp(p, shift * 4, stream),
        dg(g, 0, stream),
        dstep(step, 0, stream),
        slots{real(0.1 + seed), real(0.01)} {}
  std::size_t count() const { return static_cast<std::size_t>(shape.numel()); }
};

void check(const std::vector<Shape>& shapes, std::size_t shift, Stream stream) {
  const auto p = update_program();
  std::vector<Entry> entries;
  entries.reserve(shapes.size());
  for (std::size_t i = 0; i < shapes.size(); ++i)
    entries.emplace_back(shapes[i], static_cast<unsigned>(i),
                         i % 2 == 0 ? shift : 0, stream);
  std::vector<std::vector<Binding>> leaves[2];
  std::vector<std::vector<OutputBinding>> outputs[2];
  std::vector<ProgramLaunch> launches[2];
  for (Entry& e : entries) {
    const Strides s = dense(e.shape);
    leaves[0].push_back({{e.p.data(), f32, s}, {e.g.data(), f32, s}});
    outputs[0].push_back({{e.p.data(), f32, s}, {e.step.data(), f32, s}});
    leaves[1].push_back({{e.dp.data(), f32, s}, {e.dg.data(), f32, s}});
    outputs[1].push_back({{e.dp.data(), f32, s}, {e.dstep.data(), f32, s}});
  }
  for (std::size_t i = 0; i < entries.size(); ++i)
    for (const std::size_t side : {0u, 1u})
      launches[side].push_back({p.get(), entries[i].shape, leaves[side][i],
                                entries[i].slots, outputs[side][i]});
  backend::backend_of(DeviceType::cpu).run_list(launches[0], Stream());
  run_program_list(launches[1], stream);
  for (const Entry& e : entries) {
    expect_alike(f32, e.p, e.dp.read(), {});
    expect_alike(f32, e.step, e.dstep.read(), {});
  }
}

TEST_F(ListTest, EntriesOfAnySizeInOneLaunch) {
  check({{5}, {1000}, {3, 7}, {0}, {128, 40}, {1}, {10000}}, 0, stream);
  check({{5}, {1000}, {3, 7}, {0}, {128, 40}, {1}, {10000}}, 1, stream);
  check({{17}}, 0, stream);
  check({{0}, {0}}, 0, stream);
}

TEST_F(ListTest, ManyEntriesAreReadFromDeviceMemory) {
  std::vector<Shape> shapes;
  for (int i = 0; i < 100; ++i) shapes.push_back({1 + i * 37 % 500});
  check(shapes, 0, stream);
}

TEST_F(ListTest, EntriesOfDifferentLayouts) {
  const auto p = program(
      [](Builder& b) { b.output({b.apply(Op::mul, b.leaf({}), b.leaf({}))}); });
  const auto x = random_elements(f32, 1200, {}, 1),
             y = random_elements(f32, 1200, {}, 2);
  const DeviceBytes dx(x, 0, stream), dy(y, 0, stream);
  const Shape space = {30, 40};
  std::vector<std::vector<Binding>> leaves[2];
  const std::vector<Strides> layouts = {{40, 1}, {1, 30}, {0, 1}, {40, 1}};
  std::vector<std::vector<unsigned char>> results(4, x);
  std::vector<DeviceBytes> device;
  std::vector<OutputBinding> outputs[2];
  for (std::size_t i = 0; i < 4; ++i) {
    device.emplace_back(x, 0, stream);
    leaves[0].push_back(
        {{x.data(), f32, {40, 1}}, {y.data(), f32, layouts[i]}});
    leaves[1].push_back(
        {{dx.data(), f32, {40, 1}}, {dy.data(), f32, layouts[i]}});
    outputs[0].push_back({results[i].data(), f32, {40, 1}});
    outputs[1].push_back({device[i].data(), f32, {40, 1}});
  }
  std::vector<ProgramLaunch> launches[2];
  for (const std::size_t side : {0u, 1u})
    for (std::size_t i = 0; i < 4; ++i)
      launches[side].push_back(
          {p.get(), space, leaves[side][i], {}, {&outputs[side][i], 1}});
  backend::backend_of(DeviceType::cpu).run_list(launches[0], Stream());
  run_program_list(launches[1], stream);
  for (std::size_t i = 0; i < 4; ++i)
    expect_alike(f32, results[i], device[i].read(), {});
}

}  // namespace
}  // namespace jacquard::cuda_backend
