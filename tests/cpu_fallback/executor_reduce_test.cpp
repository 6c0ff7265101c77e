#include <algorithm>
#include <limits>
#include <numeric>
#include <thread>

#include "tests/cpu_fallback/executor_testing.h"

namespace jacquard::testing {
namespace {

const std::vector<Shape> kSpaces = {
    {},          {1},         {65},        {1000},        {100003},
    {3, 5},      {257, 3},    {3, 257},    {1000, 7},     {7, 1000},
    {130, 131},  {1, 300},    {300, 1},    {5, 1, 300},   {3, 4, 5},
    {40, 3, 50}, {2, 300, 3}, {300, 2, 2}, {9, 8, 7, 6},  {70, 2, 3, 41},
    {20000, 3},  {3, 20000},  {64, 300},   {17, 1, 1, 70}};

double combine(Reduction r, double a, double b) {
  switch (r) {
    case Reduction::prod:
      return a * b;
    case Reduction::max:
      return std::max(a, b);
    case Reduction::min:
      return std::min(a, b);
    default:
      return a + b;
  }
}
double neutral(Reduction r) {
  const double inf = std::numeric_limits<double>::infinity();
  return r == Reduction::prod  ? 1
         : r == Reduction::max ? -inf
         : r == Reduction::min ? inf
                               : 0;
}

std::vector<double> reference(Reduction r, const Shape& space, unsigned mask,
                              const std::vector<float>& x) {
  std::vector<double> out(static_cast<std::size_t>(kept_count(space, mask)),
                          neutral(r));
  for_each_position(
      space, {reduced_strides(space, mask)},
      [&](std::int64_t p, const auto& at) {
        double& o = out[static_cast<std::size_t>(at[0])];
        o = combine(r, o, static_cast<double>(x[static_cast<std::size_t>(p)]));
      });
  if (r == Reduction::mean)
    for (double& o : out)
      o /= static_cast<double>(space.numel()) / static_cast<double>(out.size());
  return out;
}

std::vector<float> reduced(Reduction r, const Shape& space, unsigned mask,
                           const Binding& leaf) {
  std::vector<float> out(static_cast<std::size_t>(kept_count(space, mask)),
                         -99.0f);
  run(reduce_program(r), space, {leaf},
      {{out.data(), DType::float32, reduced_strides(space, mask)}});
  return out;
}

TEST(ExecutorReduce, EachReductionOverEachSetOfAxes) {
  for (const Shape& space : kSpaces) {
    for (unsigned mask = 0; mask < 1u << space.rank(); ++mask) {
      for (const Reduction r :
           {Reduction::sum, Reduction::mean, Reduction::prod, Reduction::max,
            Reduction::min}) {
        // Products near 1 stay in range.
        const bool prod = r == Reduction::prod;
        const auto x = random_floats(space.numel(), 1, prod ? 0.999f : -1,
                                     prod ? 1.001f : 1);
        const auto out = reduced(r, space, mask, dense(x, space));
        const auto want = reference(r, space, mask, x);
        for (std::size_t i = 0; i < out.size(); ++i)
          ASSERT_NEAR(out[i], want[i],
                      (prod ? 2e-4 : 2e-5) * (1 + std::fabs(want[i])))
              << to_string(space) << " axes " << mask << " reduction "
              << static_cast<int>(r) << " at " << i;
      }
    }
  }
}

TEST(ExecutorReduce, ThreadsAndAlignmentDoNotChangeBits) {
  for (const Shape& space : kSpaces) {
    const auto x = random_floats(space.numel() + 1, 2);
    for (unsigned mask = 0; mask < 1u << space.rank(); ++mask) {
      std::vector<float> first;
      for (const int threads : {1, 2, 5}) {
        const WithThreads with(threads);
        const auto out = reduced(Reduction::sum, space, mask, dense(x, space));
        if (threads == 1)
          first = out;
        else
          expect_same_bits(first, out);
      }
      auto moved = x;
      std::copy(x.begin(), x.end() - 1, moved.begin() + 1);
      const auto out = reduced(
          Reduction::sum, space, mask,
          {moved.data() + 1, DType::float32, contiguous_strides(space)});
      expect_same_bits(first, out);
    }
  }
}

// A sum has the same bits fused with what makes its operand, beside other
// outputs, and over a leaf of another layout.
TEST(ExecutorReduce, BitsDependOnShapeAndAxesAlone) {
  for (const Shape& space : kSpaces) {
    if (space.rank() == 0) continue;
    const auto x = random_floats(space.numel(), 3);
    const auto row = random_floats(space[space.rank() - 1], 4);
    Strides broadcast = Shape::filled(space.rank(), 0);
    broadcast[space.rank() - 1] = 1;
    // y = x · row, written; then summed alone.
    const auto product = program([](Builder& b) {
      b.output({b.apply(Op::mul, b.leaf({}), b.leaf({}))});
    });
    std::vector<float> y(x.size());
    const Binding bx = dense(x, space),
                  brow{row.data(), DType::float32, broadcast};
    run(product, space, {bx, brow}, {dense_out(y, space)});
    // y with its axes laid out the other way round in memory.
    Strides turned = Shape::filled(space.rank(), 0);
    std::int64_t stride = 1;
    for (int a = 0; a < space.rank(); ++a) {
      turned[a] = stride;
      stride *= space[a];
    }
    std::vector<float> y_turned(x.size());
    for_each_position(space, {turned}, [&](std::int64_t p, const auto& at) {
      y_turned[static_cast<std::size_t>(at[0])] =
          y[static_cast<std::size_t>(p)];
    });
    const unsigned masks = 1u << space.rank();
    for (unsigned mask = 0; mask < masks; ++mask) {
      const auto alone = reduced(Reduction::sum, space, mask, dense(y, space));
      expect_same_bits(alone,
                       reduced(Reduction::sum, space, mask,
                               {y_turned.data(), DType::float32, turned}));
      // Fused, with a stored output and a sum over other axes beside it.
      const unsigned other = (mask * 5 + 1) % masks;
      const auto fused = program([](Builder& b) {
        const Ref v = b.apply(Op::mul, b.leaf({}), b.leaf({}));
        b.output({v});
        b.output({v, Reduction::sum});
        b.output({b.apply(Op::exp, v), Reduction::sum});
      });
      std::vector<float> stored(x.size()), sum(alone.size()),
          exps(static_cast<std::size_t>(kept_count(space, other)));
      run(fused, space, {bx, brow},
          {dense_out(stored, space),
           {sum.data(), DType::float32, reduced_strides(space, mask)},
           {exps.data(), DType::float32, reduced_strides(space, other)}});
      expect_same_bits(stored, y);
      expect_same_bits(sum, alone);
    }
  }
}

TEST(ExecutorReduce, SumsStayAccurateOverManyElements) {
  const std::int64_t n = 5000000;
  const std::vector<float> x(static_cast<std::size_t>(n), 0.1f);
  const auto total = reduced(Reduction::sum, {n}, 1, dense(x, {n}));
  EXPECT_NEAR(total[0], 0.1f * static_cast<double>(n), 1.0);
  const Shape tall = {n / 2, 2};
  for (const float v : reduced(Reduction::sum, tall, 1, dense(x, tall)))
    EXPECT_NEAR(v, 0.1f * static_cast<double>(n / 2), 1.0);
}

TEST(ExecutorReduce, EmptySpacesGiveTheNeutralElement) {
  const std::vector<float> none;
  const float inf = std::numeric_limits<float>::infinity();
  const Shape space = {3, 0};
  const auto empty = dense(none, space);
  EXPECT_EQ(reduced(Reduction::sum, space, 2, empty),
            (std::vector<float>{0, 0, 0}));
  EXPECT_EQ(reduced(Reduction::prod, space, 3, empty), (std::vector<float>{1}));
  EXPECT_EQ(reduced(Reduction::max, space, 3, empty),
            (std::vector<float>{-inf}));
  EXPECT_EQ(reduced(Reduction::min, space, 3, empty),
            (std::vector<float>{inf}));
  EXPECT_TRUE(std::isnan(reduced(Reduction::mean, space, 3, empty)[0]));
  std::vector<float> out = {4};
  run(reduce_program(Reduction::sum), space, {empty},
      {{out.data(), DType::float32, {0, 0}, true}});
  EXPECT_EQ(out[0], 4.0f);
}

TEST(ExecutorReduce, NaNWinsInMaxAndMin) {
  for (const std::int64_t n : {5, 1000, 100003}) {
    auto x = random_floats(n, 5);
    x[static_cast<std::size_t>(n / 2)] =
        std::numeric_limits<float>::quiet_NaN();
    EXPECT_TRUE(std::isnan(reduced(Reduction::max, {n}, 1, dense(x, {n}))[0]));
    EXPECT_TRUE(std::isnan(reduced(Reduction::min, {n}, 1, dense(x, {n}))[0]));
  }
}

TEST(ExecutorReduce, AccumulatesTheFinalValueOnce) {
  const Shape space = {300, 400};
  const auto x = random_floats(space.numel(), 6);
  for (unsigned mask = 0; mask < 4; ++mask) {
    const auto plain = reduced(Reduction::sum, space, mask, dense(x, space));
    std::vector<float> out(plain.size(), 10.0f);
    run(reduce_program(Reduction::sum), space, {dense(x, space)},
        {{out.data(), DType::float32, reduced_strides(space, mask), true}});
    for (std::size_t i = 0; i < out.size(); ++i)
      ASSERT_EQ(out[i], 10.0f + plain[i]);
  }
}

TEST(ExecutorReduce, IntegersWrapAndBoolsAreAnyAndAll) {
  const std::int64_t n = 70000;
  std::vector<std::int32_t> x(static_cast<std::size_t>(n), 1 << 20);
  std::vector<std::int32_t> out(1);
  run(reduce_program(Reduction::sum, DType::int32), {n}, {dense(x, {n})},
      {{out.data(), DType::int32, {0}}});
  EXPECT_EQ(out[0],
            static_cast<std::int32_t>(static_cast<std::uint32_t>(n) << 20));
  std::vector<unsigned char> bits(static_cast<std::size_t>(n), 0), any(1),
      all(1);
  bits[60001] = 1;
  const Binding leaf{bits.data(), DType::bool_, {1}};
  run(reduce_program(Reduction::max, DType::bool_), {n}, {leaf},
      {{any.data(), DType::bool_, {0}}});
  run(reduce_program(Reduction::min, DType::bool_), {n}, {leaf},
      {{all.data(), DType::bool_, {0}}});
  EXPECT_EQ(any[0], 1);
  EXPECT_EQ(all[0], 0);
}

TEST(ExecutorReduce, HalvesAccumulateInFloat32) {
  const std::int64_t n = 60000;
  const std::vector<std::uint16_t> x(static_cast<std::size_t>(n),
                                     float_to_half(1.0f));
  std::vector<std::uint16_t> out(1);
  run(reduce_program(Reduction::sum, DType::float16), {n},
      {{x.data(), DType::float16, {1}}}, {{out.data(), DType::float16, {0}}});
  EXPECT_EQ(half_to_float(out[0]), 60000.0f);
  std::vector<float> wide(1);
  run(reduce_program(Reduction::mean, DType::float16), {n},
      {{x.data(), DType::float16, {1}}}, {{wide.data(), DType::float32, {0}}});
  EXPECT_EQ(wide[0], 1.0f);
}

TEST(ExecutorReduce, ThreadsMayLaunchAtTheSameTime) {
  const WithThreads two(2);
  const Shape space = {600, 700};
  const auto x = random_floats(space.numel(), 8);
  const auto want = reduced(Reduction::sum, space, 1, dense(x, space));
  std::vector<std::vector<float>> out(4);
  std::vector<std::thread> threads;
  for (auto& o : out)
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i)
        o = reduced(Reduction::sum, space, 1, dense(x, space));
    });
  for (auto& t : threads) t.join();
  for (const auto& o : out) expect_same_bits(o, want);
}

TEST(ExecutorReduce, WritesResultsThroughStrides) {
  const Shape space = {6, 50, 7};
  const auto x = random_floats(space.numel(), 7);
  const auto plain = reduced(Reduction::sum, space, 2, dense(x, space));
  std::vector<float> out(200, 0.0f);
  // Output [6, 7] stored transposed, every second element.
  run(reduce_program(Reduction::sum), space, {dense(x, space)},
      {{out.data(), DType::float32, {2, 0, 12}}});
  for (std::size_t i = 0; i < 6; ++i)
    for (std::size_t j = 0; j < 7; ++j)
      ASSERT_EQ(out[2 * i + 12 * j], plain[i * 7 + j]);
}

}  // namespace
}  // namespace jacquard::testing
