#include <algorithm>

#include "tests/cuda/codegen/program_testing.h"

namespace jacquard::cuda_backend {
namespace {

using ReduceTest = ProgramTest;

constexpr DType f32 = DType::float32;

const std::vector<Shape> kSpaces = {{},          {1},          {3},
                                    {65},        {1000},       {5003},
                                    {3, 5},      {257, 3},     {3, 257},
                                    {300, 7},    {7, 300},     {130, 131},
                                    {1, 300},    {300, 1},     {5, 1, 30},
                                    {3, 4, 5},   {40, 3, 20},  {2, 30, 3},
                                    {30, 2, 2},  {5, 4, 3, 6}, {9, 2, 3, 11},
                                    {64, 128},   {2, 1100},    {1100, 2},
                                    {5, 1, 1, 7}};

TEST_F(ReduceTest, EachReductionOverEachSetOfAxes) {
  for (const Shape& space : kSpaces)
    for (unsigned mask = 0; mask < 1u << space.rank(); ++mask)
      for (const Reduction r :
           {Reduction::sum, Reduction::mean, Reduction::prod, Reduction::max,
            Reduction::min}) {
        // Products near 1 stay in range.
        const bool prod = r == Reduction::prod;
        const LeafSpec x{dense(space), prod ? 0.999 : -1, prod ? 1.001 : 1};
        const bool exact = r == Reduction::max || r == Reduction::min;
        compare(reduce_program(r), space, {x},
                {{f32, reduced(space, mask), (mask & 1) != 0}}, {},
                {0, exact ? 0 : 2e-5});
      }
}

TEST_F(ReduceTest, DtypesAndTheirSpecialValues) {
  const Shape space = {70, 37};
  for (const unsigned mask : {1u, 2u, 3u}) {
    for (const DType t : {DType::int32, DType::int64})
      for (const Reduction r :
           {Reduction::sum, Reduction::prod, Reduction::max, Reduction::min})
        compare(reduce_program(r, t), space, {{dense(space), -9e8, 9e8}},
                {{t, reduced(space, mask)}});
    for (const DType t : {DType::float16, DType::bfloat16, DType::float64}) {
      compare(reduce_program(Reduction::sum, t), space, {{dense(space)}},
              {{t, reduced(space, mask)}}, {},
              {1, t == DType::float64 ? 1e-13 : 0});
      compare(reduce_program(Reduction::max, t), space,
              {{dense(space), -2, 2, 0, true}}, {{t, reduced(space, mask)}});
    }
    const auto any = program([](Builder& b) {
      const Ref positive = b.apply(Op::gt, b.leaf({}), b.constant(1.98, f32));
      b.output({positive, Reduction::max});
      b.output({b.apply(Op::logical_not, positive), Reduction::min});
    });
    compare(any, space, {{dense(space)}},
            {{DType::bool_, reduced(space, mask)},
             {DType::bool_, reduced(space, mask)}});
  }
}

TEST_F(ReduceTest, LongRowsAndTallColumnsFinishInTheLastBlock) {
  for (const Shape& space : std::vector<Shape>{{100003},
                                               {3, 20011},
                                               {20011, 3},
                                               {5000, 40},
                                               {2000, 64},
                                               {70, 1500},
                                               {600, 1030}}) {
    for (unsigned mask = 1; mask < 1u << space.rank(); ++mask)
      compare(reduce_program(Reduction::sum), space, {{dense(space)}},
              {{f32, reduced(space, mask)}}, {}, {0, 3e-5});
  }
}

// The sum of what is computed has the bits of the sum of what was stored,
// whatever the layout of the leaves and beside other outputs.
TEST_F(ReduceTest, BitsDependOnShapeAndAxesAlone) {
  const auto fused = program([](Builder& b) {
    const Ref v = b.apply(Op::mul, b.leaf({}), b.leaf({}));
    b.output({v});
    b.output({v, Reduction::sum});
    b.output({b.apply(Op::exp, v), Reduction::sum});
  });
  const auto product = program(
      [](Builder& b) { b.output({b.apply(Op::mul, b.leaf({}), b.leaf({}))}); });
  for (const Shape& space : kSpaces) {
    const int rank = space.rank();
    if (rank == 0) continue;
    const auto n = static_cast<std::size_t>(space.numel());
    const auto x = random_elements(f32, n, {}, 1);
    const auto row =
        random_elements(f32, static_cast<std::size_t>(space[rank - 1]), {}, 2);
    Strides across = Shape::filled(rank, 0);
    across[rank - 1] = 1;
    const DeviceBytes dx(x, 0, stream), drow(row, 0, stream), y(x, 0, stream),
        stored(x, 4, stream);
    const Binding leaves[] = {{dx.data(), f32, dense(space)},
                              {drow.data(), f32, across}};
    const OutputBinding to_y{y.data(), f32, dense(space)};
    run_program({product.get(), space, leaves, {}, {&to_y, 1}}, stream);
    for (unsigned mask = 0; mask < 1u << rank; ++mask) {
      const unsigned other = (mask * 5 + 1) % (1u << rank);
      const auto blank = [&](unsigned m) {
        return std::vector<unsigned char>(4 * reach(space, reduced(space, m)));
      };
      const DeviceBytes alone(blank(mask), 0, stream),
          beside(blank(mask), 0, stream), exps(blank(other), 0, stream);
      const Binding leaf{y.data(), f32, dense(space)};
      const OutputBinding to_alone{alone.data(), f32, reduced(space, mask)};
      run_program({reduce_program(Reduction::sum).get(),
                   space,
                   {&leaf, 1},
                   {},
                   {&to_alone, 1}},
                  stream);
      const OutputBinding outputs[] = {
          {stored.data(), f32, dense(space)},
          {beside.data(), f32, reduced(space, mask)},
          {exps.data(), f32, reduced(space, other)}};
      run_program({fused.get(), space, leaves, {}, outputs}, stream);
      ASSERT_EQ(alone.read(), beside.read()) << to_string(space) << mask;
      ASSERT_EQ(stored.read(), y.read());
    }
  }
}

TEST_F(ReduceTest, OperandsOfAnyLayout) {
  const auto p = program([](Builder& b) {
    const Ref x = b.leaf({}), y = b.leaf({}), z = b.leaf({});
    b.output({b.apply(Op::add, b.apply(Op::mul, x, y), z), Reduction::sum});
  });
  for (const Shape& space :
       std::vector<Shape>{{6, 8}, {33, 128}, {7, 5}, {64, 12}}) {
    const std::int64_t r = space[0], c = space[1];
    for (const unsigned mask : {1u, 2u, 3u}) {
      const OutputSpec out{f32, reduced(space, mask)};
      compare(p, space, {{{c, 1}}, {{0, 1}}, {{1, 0}}}, {out}, {}, {0, 1e-4});
      compare(p, space, {{{1, r}}, {{0, 0}}, {{2 * c, 2}}}, {out}, {},
              {0, 1e-4});
      compare(p, space, {{{c, 1}, -2, 2, 1}, {{2 * c, 1}}, {{0, 1}}}, {out}, {},
              {0, 1e-4});
    }
  }
}

TEST_F(ReduceTest, EmptySpacesGiveTheNeutralElement) {
  for (const Reduction r : {Reduction::sum, Reduction::mean, Reduction::prod,
                            Reduction::max, Reduction::min})
    for (const unsigned mask : {1u, 2u, 3u}) {
      compare(reduce_program(r), {3, 0}, {{{0, 1}}},
              {{f32, reduced({3, 0}, mask)}});
      compare(reduce_program(r), {0, 3}, {{{3, 1}}},
              {{f32, reduced({0, 3}, mask)}});
    }
}

TEST_F(ReduceTest, SpacesThatNeed64BitIndices) {
  const auto p = program([](Builder& b) {
    const Ref far = b.leaf({Op::index, DType::int64});
    b.output({b.apply(Op::add, far, b.leaf({Op::load, DType::int64})),
              Reduction::sum});
  });
  const std::int64_t far = std::int64_t{1} << 33;
  for (const Shape& space :
       std::vector<Shape>{{7, 12}, {300, 8}, {5, 3000}, {3, 7, 4}}) {
    Strides strides = Shape::filled(space.rank(), 3);
    strides[0] = far;
    for (unsigned mask = 0; mask < 1u << space.rank(); ++mask)
      compare(p, space, {{strides}, {dense(space)}},
              {{DType::int64, reduced(space, mask)}});
  }
}

TEST_F(ReduceTest, RandomLeavesAreReduced) {
  const auto p = program([](Builder& b) {
    b.slot(DType::int64);
    b.slot(DType::int64);
    b.output({b.leaf({Op::uniform, f32, 0, 1}), Reduction::sum});
  });
  for (const unsigned mask : {1u, 2u, 3u})
    compare(p, {65, 33}, {{{33, 1}}}, {{f32, reduced({65, 33}, mask)}},
            {integer(5), integer(6)}, {0, 1e-5});
}

}  // namespace
}  // namespace jacquard::cuda_backend
