#include <algorithm>
#include <limits>
#include <numeric>

#include "jacquard/error.h"
#include "tests/cpu_fallback/executor_testing.h"

namespace jacquard::testing {
namespace {

const std::vector<std::int64_t> kSizes = {0, 1, 63, 64, 65, 1000, 100003};

ProgramPtr add_program(DType dtype = DType::float32) {
  return program([&](Builder& b) {
    const Ref x = b.leaf({Op::load, dtype}), y = b.leaf({Op::load, dtype});
    b.output({b.apply(Op::add, x, y)});
  });
}

// tanh(a·x + b) · sigmoid(c)
ProgramPtr chain_program() {
  return program([](Builder& b) {
    const Ref a = b.leaf({}), x = b.leaf({}), c = b.leaf({}), d = b.leaf({});
    const Ref inner = b.apply(Op::add, b.apply(Op::mul, a, x), c);
    b.output(
        {b.apply(Op::mul, b.apply(Op::tanh, inner), b.apply(Op::sigmoid, d))});
  });
}

TEST(ExecutorMap, AddsArraysOfAnySize) {
  for (const std::int64_t n : kSizes) {
    const auto x = random_floats(n, 1), y = random_floats(n, 2);
    std::vector<float> out(x.size() + 64, 7.0f);
    run(add_program(), {n}, {dense(x, {n}), dense(y, {n})},
        {{out.data(), DType::float32, {1}}});
    for (std::size_t i = 0; i < x.size(); ++i) ASSERT_EQ(out[i], x[i] + y[i]);
    for (std::size_t i = x.size(); i < out.size(); ++i)
      ASSERT_EQ(out[i], 7.0f) << "written beyond the end";
  }
}

TEST(ExecutorMap, ReadsStridedNegativeAndBroadcastLeaves) {
  const std::vector<Shape> spaces = {{5, 7},      {3, 64}, {65, 3, 2},
                                     {2, 3, 100}, {1, 9},  {300, 70}};
  for (const Shape& space : spaces) {
    const auto x = random_floats(4 * space.numel() + 8, 3);
    const auto y = random_floats(space[space.rank() - 1], 4);
    // x transposed and every second element; y broadcast along all but the
    // last axis, and backwards.
    Strides sx = Shape::filled(space.rank(), 0);
    std::int64_t stride = 2;
    for (int a = 0; a < space.rank(); ++a) {
      sx[a] = stride;
      stride *= space[a];
    }
    Strides sy = Shape::filled(space.rank(), 0);
    sy[space.rank() - 1] = -1;
    std::vector<float> out(static_cast<std::size_t>(space.numel()));
    run(add_program(), space,
        {{x.data(), DType::float32, sx},
         {y.data() + y.size() - 1, DType::float32, sy}},
        {dense_out(out, space)});
    for_each_position(space, {sx, sy}, [&](std::int64_t p, const auto& at) {
      ASSERT_EQ(out[static_cast<std::size_t>(p)],
                x[static_cast<std::size_t>(at[0])] +
                    y[y.size() - 1 - static_cast<std::size_t>(-at[1])]);
    });
  }
}

TEST(ExecutorMap, WritesStridedOutputs) {
  const Shape space = {37, 29};
  const auto x = random_floats(space.numel(), 5);
  std::vector<float> out(37 * 29 * 2, 0.0f);
  const Strides transposed = {2, 74};
  run(add_program(), space, {dense(x, space), dense(x, space)},
      {{out.data(), DType::float32, transposed}});
  for_each_position(space, {transposed}, [&](std::int64_t p, const auto& at) {
    ASSERT_EQ(out[static_cast<std::size_t>(at[0])],
              2 * x[static_cast<std::size_t>(p)]);
    ASSERT_EQ(out[static_cast<std::size_t>(at[0]) + 1], 0.0f);
  });
}

// An element has the same bits wherever in a tile, an array or a box it lies.
TEST(ExecutorMap, BitsDependOnTheElementAlone) {
  const std::int64_t n = 100003;
  const auto x = random_floats(n, 6, -5, 5);
  const auto p = chain_program();
  std::vector<float> all(x.size());
  {
    const WithThreads two(2);
    const auto b = dense(x, {n});
    run(p, {n}, {b, b, b, b}, {dense_out(all, {n})});
  }
  std::vector<float> again(x.size());
  const WithThreads one(1);
  const auto b = dense(x, {n});
  run(p, {n}, {b, b, b, b}, {dense_out(again, {n})});
  expect_same_bits(all, again);
  // Pieces of any size at any alignment.
  std::mt19937 engine(7);
  for (std::int64_t at = 0; at < n;) {
    const auto m = std::min<std::int64_t>(
        n - at, 1 + static_cast<std::int64_t>(engine() % 700));
    const Binding piece{x.data() + at, DType::float32, {1}};
    run(p, {m}, {piece, piece, piece, piece},
        {{again.data() + at, DType::float32, {1}}});
    at += m;
  }
  expect_same_bits(all, again);
}

TEST(ExecutorMap, StreamsBigOutputs) {
  const std::int64_t n = (3 << 20) + 17;  // 12 MiB
  const auto x = random_floats(n, 8), y = random_floats(n, 9);
  for (const std::int64_t shift : {0, 1}) {
    std::vector<float> out(x.size() + 65, 7.0f);
    run(add_program(), {n}, {dense(x, {n}), dense(y, {n})},
        {{out.data() + shift, DType::float32, {1}}});
    for (std::size_t i = 0; i < x.size(); ++i)
      ASSERT_EQ(out[i + static_cast<std::size_t>(shift)], x[i] + y[i]);
    EXPECT_EQ(out[x.size() + static_cast<std::size_t>(shift)], 7.0f);
  }
}

TEST(ExecutorMap, TakesSlotsConstantsAndSeveralOutputs) {
  const auto p = program([](Builder& b) {
    const Ref x = b.leaf({});
    const Ref s = b.slot(DType::float32);
    const Ref scaled = b.apply(Op::mul, x, s);
    b.output({scaled});
    b.output({b.apply(Op::add, scaled, b.constant(3, DType::float32))});
    b.output({x});
    b.output({scaled});
  });
  for (const std::int64_t n : kSizes) {
    const auto x = random_floats(n, 10);
    std::vector<float> a(x.size()), c(x.size()), d(x.size()), e(x.size());
    Scalar two;
    two.f = 2;
    run(p, {n}, {dense(x, {n})},
        {dense_out(a, {n}), dense_out(c, {n}), dense_out(d, {n}),
         dense_out(e, {n})},
        {two});
    for (std::size_t i = 0; i < x.size(); ++i) {
      ASSERT_EQ(a[i], 2 * x[i]);
      ASSERT_EQ(c[i], 2 * x[i] + 3);
      ASSERT_EQ(d[i], x[i]);
      ASSERT_EQ(e[i], 2 * x[i]);
    }
  }
}

TEST(ExecutorMap, AccumulatesAndConvertsOutputs) {
  for (const std::int64_t n : kSizes) {
    const auto x = random_floats(n, 11);
    std::vector<double> out(x.size(), 1.0);
    run(add_program(), {n}, {dense(x, {n}), dense(x, {n})},
        {{out.data(), DType::float64, {1}, true}});
    for (std::size_t i = 0; i < x.size(); ++i)
      ASSERT_EQ(out[i], 1.0 + static_cast<double>(x[i] + x[i]));
  }
}

TEST(ExecutorMap, RoundsHalfTypesAfterEachInstruction) {
  for (const DType type : {DType::float16, DType::bfloat16}) {
    const auto to = type == DType::float16 ? float_to_half : float_to_bfloat16;
    const auto from =
        type == DType::float16 ? half_to_float : bfloat16_to_float;
    const auto p = program([&](Builder& b) {
      const Ref x = b.leaf({Op::load, type}), y = b.leaf({Op::load, type});
      b.output({b.apply(Op::mul, b.apply(Op::add, x, y), x)});
    });
    for (const std::int64_t n : kSizes) {
      const auto f = random_floats(n, 12), g = random_floats(n, 13);
      std::vector<std::uint16_t> x(f.size()), y(f.size()), out(f.size());
      std::transform(f.begin(), f.end(), x.begin(), to);
      std::transform(g.begin(), g.end(), y.begin(), to);
      run(p, {n}, {{x.data(), type, {1}}, {y.data(), type, {1}}},
          {{out.data(), type, {1}}});
      for (std::size_t i = 0; i < x.size(); ++i)
        ASSERT_EQ(out[i], to(from(to(from(x[i]) + from(y[i]))) * from(x[i])));
    }
  }
}

TEST(ExecutorMap, MixesElementTypesInOneProgram) {
  // where(i < j, cast(i), d) with int32, int64, float64, bool in between.
  const auto p = program([](Builder& b) {
    const Ref i = b.leaf({Op::load, DType::int32});
    const Ref j = b.leaf({Op::load, DType::int64});
    const Ref d = b.leaf({Op::load, DType::float64});
    const Ref less = b.apply(Op::lt, b.cast(i, DType::int64), j);
    b.output({b.apply(Op::where, less, b.cast(i, DType::float64), d)});
    b.output({less});
  });
  for (const std::int64_t n : kSizes) {
    const auto count = static_cast<std::size_t>(n);
    std::vector<std::int32_t> i(count);
    std::vector<std::int64_t> j(count);
    std::vector<double> d(count), out(count);
    std::vector<unsigned char> less(count);
    for (std::size_t k = 0; k < count; ++k) {
      i[k] = static_cast<std::int32_t>(k * 7919 % 101);
      j[k] = static_cast<std::int64_t>(k * 104729 % 101);
      d[k] = -static_cast<double>(k);
    }
    run(p, {n}, {dense(i, {n}), dense(j, {n}), dense(d, {n})},
        {dense_out(out, {n}), {less.data(), DType::bool_, {1}}});
    for (std::size_t k = 0; k < count; ++k) {
      ASSERT_EQ(less[k], i[k] < j[k]);
      ASSERT_EQ(out[k], i[k] < j[k] ? i[k] : d[k]);
    }
  }
}

TEST(ExecutorMap, IndexLeavesCountInTheirOwnShape) {
  const auto p = program([](Builder& b) {
    b.output({b.leaf({Op::index, DType::int64})});
  });
  const Shape space = {3, 70, 5};
  const Strides strides = {5, 0, 1};
  std::vector<std::int64_t> out(static_cast<std::size_t>(space.numel()));
  run(p, space, {{nullptr, DType::int64, strides}}, {dense_out(out, space)});
  for_each_position(space, {strides}, [&](std::int64_t at, const auto& o) {
    ASSERT_EQ(out[static_cast<std::size_t>(at)], o[0]);
  });
}

TEST(ExecutorMap, RandomLeavesDependOnThePositionAlone) {
  for (const Op op : {Op::uniform, Op::normal}) {
    const auto p = program([&](Builder& b) {
      Leaf leaf{op, DType::float32};
      leaf.seed_slot = 0;
      leaf.offset_slot = 1;
      b.slot(DType::int64);
      b.slot(DType::int64);
      b.output({b.leaf(leaf)});
    });
    std::vector<Scalar> slots(2);
    slots[0].i = 42;
    slots[1].i = 3;
    const std::int64_t n = 10007;
    std::vector<float> all(static_cast<std::size_t>(n)), one(1);
    run(p, {n}, {{nullptr, DType::float32, {1}}}, {dense_out(all, {n})}, slots);
    EXPECT_NE(all[0], all[1]);
    // Transposed: the position of (i, j) is i + 100·j.
    std::vector<float> turned(7000);
    run(p, {100, 70}, {{nullptr, DType::float32, {1, 100}}},
        {dense_out(turned, {100, 70})}, slots);
    for (std::size_t i = 0; i < 100; ++i)
      for (std::size_t j = 0; j < 70; ++j)
        ASSERT_EQ(turned[i * 70 + j], all[i + 100 * j]);
  }
}

TEST(ExecutorMap, RunsLongProgramsWithFewRegisters) {
  const auto p = program([](Builder& b) {
    Ref x = b.leaf({});
    const Ref first = x;
    for (int i = 0; i < 100; ++i) x = b.apply(Op::add, x, first);
    b.output({x});
  });
  for (const std::int64_t n : {1, 64, 1000}) {
    std::vector<float> x(static_cast<std::size_t>(n), 1.0f), out(x.size());
    run(p, {n}, {dense(x, {n})}, {dense_out(out, {n})});
    for (const float v : out) ASSERT_EQ(v, 101.0f);
  }
}

TEST(ExecutorMap, WritesOverALeafElementByElement) {
  // The leaf is read again after the first output is computed.
  const auto p = program([](Builder& b) {
    const Ref x = b.leaf({}), y = b.leaf({});
    const Ref sum = b.apply(Op::add, x, y);
    b.output({sum});
    b.output({b.apply(Op::mul, b.apply(Op::exp, sum), x)});
  });
  for (const std::int64_t n : kSizes) {
    const auto x = random_floats(n, 14), y = random_floats(n, 15);
    std::vector<float> first(x.size()), second(x.size());
    run(p, {n}, {dense(x, {n}), dense(y, {n})},
        {dense_out(first, {n}), dense_out(second, {n})});
    auto in_place = x;
    std::vector<float> other(x.size());
    run(p, {n}, {dense(in_place, {n}), dense(y, {n})},
        {dense_out(in_place, {n}), dense_out(other, {n})});
    expect_same_bits(in_place, first);
    expect_same_bits(other, second);
  }
}

TEST(ExecutorMap, TakesRankZeroAndRankEight) {
  const std::vector<float> x = {2.0f}, y = {3.0f};
  std::vector<float> out(1);
  run(add_program(), {},
      {{x.data(), DType::float32, {}}, {y.data(), DType::float32, {}}},
      {{out.data(), DType::float32, {}}});
  EXPECT_EQ(out[0], 5.0f);
  const Shape space = {2, 3, 2, 3, 2, 3, 2, 3};
  const auto big = random_floats(space.numel(), 16);
  Strides turned = contiguous_strides(space);
  // A leaf that reads the axes of extent 2 in the opposite order.
  std::swap(turned[0], turned[6]);
  std::swap(turned[2], turned[4]);
  std::vector<float> sum(big.size());
  run(add_program(), space,
      {dense(big, space), {big.data(), DType::float32, turned}},
      {dense_out(sum, space)});
  for_each_position(space, {turned}, [&](std::int64_t p, const auto& at) {
    ASSERT_EQ(sum[static_cast<std::size_t>(p)],
              big[static_cast<std::size_t>(p)] +
                  big[static_cast<std::size_t>(at[0])]);
  });
}

}  // namespace
}  // namespace jacquard::testing
