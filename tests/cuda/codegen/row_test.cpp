#include "jacquard/error.h"
#include "tests/cuda/codegen/program_testing.h"

namespace jacquard::cuda_backend {
namespace {

using RowTest = ProgramTest;

constexpr DType f32 = DType::float32;

const std::vector<Shape> kRows = {
    {1, 1},   {5, 1},     {4, 3},    {70, 10},   {33, 64}, {9, 100}, {9, 128},
    {9, 257}, {20, 1000}, {3, 3001}, {2, 3, 65}, {300, 2}, {2, 9000}};

ProgramPtr cross_entropy(Reduction reduction, DType dtype = f32) {
  return program([&](Builder& b) {
    const Ref x = b.leaf({Op::load, dtype});
    Leaf labels{Op::load, DType::int64};
    labels.per_row = true;
    const Ref y = b.leaf(labels);
    const Ref loss = b.apply(Op::sub, b.apply(Op::row_logsumexp, x),
                             b.apply(Op::row_pick, x, y));
    b.output({loss, reduction, true});
  });
}

Strides per_row(const Shape& space) {
  return reduced(space, 1u << (space.rank() - 1));
}

TEST_F(RowTest, ElementRowOperations) {
  for (const DType t : {f32, DType::float64, DType::float16, DType::bfloat16})
    for (const Op op : {Op::row_softmax, Op::row_log_softmax}) {
      const auto p = program([&](Builder& b) {
        b.output({b.apply(op, b.leaf({Op::load, t}))});
      });
      for (const Shape& space : kRows) {
        if (t != f32 && space[space.rank() - 1] > 300) continue;
        compare(p, space, {{dense(space)}}, {{t, dense(space)}}, {},
                {is_half(t) ? 1 : 0, t == DType::float64 ? 1e-13 : 2e-6});
        compare(p, space, {{dense(space), -2, 2, 1}}, {{t, dense(space)}}, {},
                {is_half(t) ? 1 : 0, t == DType::float64 ? 1e-13 : 2e-6});
      }
    }
}

TEST_F(RowTest, RowsOfSpecialValues) {
  for (const Op op :
       {Op::row_softmax, Op::row_log_softmax, Op::row_logsumexp, Op::row_max,
        Op::row_argmax, Op::row_argmin, Op::row_sum, Op::row_mean}) {
    const auto p =
        program([&](Builder& b) { b.output({b.apply(op, b.leaf({}))}); });
    for (const Shape& space : std::vector<Shape>{{40, 5}, {20, 7}, {6, 1100}}) {
      const bool whole = op == Op::row_softmax || op == Op::row_log_softmax;
      const bool place = op == Op::row_argmax || op == Op::row_argmin;
      LeafSpec x{dense(space)};
      x.specials = true;
      compare(
          p, space, {x},
          {{place ? DType::int64 : f32, whole ? dense(space) : per_row(space)}},
          {}, {0, place || op == Op::row_max ? 0 : 1e-5});
    }
  }
}

TEST_F(RowTest, StoresOneValueARow) {
  const auto p = program([](Builder& b) {
    const Ref x = b.leaf({});
    b.output({b.apply(Op::row_max, x)});
    b.output({b.apply(Op::row_argmax, x)});
    b.output({b.apply(Op::row_argmin, x)});
    b.output({b.apply(Op::row_sum, x)});
    b.output({b.apply(Op::row_mean, x)});
    b.output({b.apply(Op::row_logsumexp, x)});
  });
  for (const Shape& space : kRows) {
    const OutputSpec f{f32, per_row(space)}, i{DType::int64, per_row(space)};
    compare(p, space, {{dense(space)}}, {f, i, i, f, f, f}, {}, {0, 3e-5});
  }
}

TEST_F(RowTest, IntegersHaveRowOperations) {
  for (const DType t : {DType::int32, DType::int64}) {
    const auto p = program([&](Builder& b) {
      const Ref x = b.leaf({Op::load, t});
      b.output({b.apply(Op::row_max, x)});
      b.output({b.apply(Op::row_argmax, x)});
      b.output({b.apply(Op::row_sum, x)});
    });
    const Shape space = {30, 77};
    compare(p, space, {{dense(space), -1e9, 1e9}},
            {{t, {1, 0}}, {DType::int64, {1, 0}}, {t, {1, 0}}});
  }
}

TEST_F(RowTest, PointwiseWorkGoesAroundRowOperations) {
  const auto p = program([](Builder& b) {
    const Ref shifted = b.apply(Op::add, b.leaf({}), b.leaf({}));
    const Ref s = b.apply(Op::row_softmax, shifted);
    const Ref top = b.apply(Op::row_max, s);
    b.output({b.apply(Op::mul, b.apply(Op::div, s, top), b.slot(f32))});
    b.output({b.apply(Op::row_sum, b.apply(Op::mul, s, shifted))});
  });
  for (const Shape& space : kRows) {
    if (space.rank() != 2) continue;
    compare(p, space, {{{1, space[0]}}, {{0, 1}}},
            {{f32, dense(space)}, {f32, per_row(space)}}, {real(2.5)},
            {0, 1e-5});
  }
}

TEST_F(RowTest, NormalizesRowsAndTheirCotangents) {
  const auto p = program([](Builder& b) {
    const Ref x = b.leaf({}), g = b.leaf({}), w = b.leaf({});
    const Ref e = b.constant(1e-5, f32);
    const Ref normal = b.apply(Op::row_normalize, x, e);
    b.output({b.apply(Op::mul, normal, w)});
    b.output({b.apply(Op::mul, normal, g), Reduction::sum});
    b.output({g, Reduction::sum});
    b.output({b.apply(Op::row_normalize_vjp, x, b.apply(Op::mul, g, w), e)});
  });
  for (const Shape& space : kRows) {
    const int last = space.rank() - 1;
    if (space[last] < 3) continue;
    Strides columns = Shape::filled(space.rank(), 0);
    columns[last] = 1;
    compare(p, space, {{dense(space)}, {dense(space)}, {columns}},
            {{f32, dense(space)},
             {f32, columns},
             {f32, columns, true},
             {f32, dense(space)}},
            {}, {0, 5e-5});
  }
}

TEST_F(RowTest, CrossEntropyCountsEachRowOnce) {
  for (const Shape& space : kRows)
    for (const Reduction r : {Reduction::sum, Reduction::mean})
      compare(cross_entropy(r), space,
              {{dense(space)}, {per_row(space), 0, 0.4}},
              {{f32, Shape::filled(space.rank(), 0), true}}, {}, {0, 3e-5});
  // Over some of the rows' axes, and over none.
  const Shape space = {4, 5, 9};
  for (const Strides& s : std::vector<Strides>{{1, 0, 0}, {0, 1, 0}, {5, 1, 0}})
    compare(cross_entropy(Reduction::mean), space,
            {{dense(space)}, {per_row(space), 0, 8}}, {{f32, s}}, {},
            {0, 1e-5});
}

// In the row kernel or over what it stored: the same bits.
TEST_F(RowTest, ReductionsHaveTheBitsOfThoseAlone) {
  for (const Shape& space : std::vector<Shape>{
           {3001, 5}, {301, 20}, {700, 128}, {600, 130}, {40, 1100}, {3, 5}}) {
    const std::int64_t r = space[0], c = space[1];
    const auto p = program([](Builder& b) {
      const Ref s = b.apply(Op::row_softmax, b.leaf({}));
      const Ref m = b.apply(Op::row_logsumexp, b.leaf({}));
      b.output({s});
      b.output({m, Reduction::store, true});
      b.output({s, Reduction::sum});
      b.output({m, Reduction::sum, true});
      b.output({s, Reduction::sum});
    });
    const std::size_t n = static_cast<std::size_t>(r * c);
    const auto x = random_elements(f32, n, {}, 1);
    const auto zeros = [](std::int64_t count) {
      return std::vector<unsigned char>(static_cast<std::size_t>(count) * 4);
    };
    const DeviceBytes dx(x, 0, stream), s(x, 0, stream), m(zeros(r), 0, stream),
        columns(zeros(c), 0, stream), total(zeros(1), 0, stream),
        all(zeros(1), 0, stream);
    const Binding leaves[] = {{dx.data(), f32, {c, 1}},
                              {dx.data(), f32, {c, 1}}};
    const OutputBinding outputs[] = {{s.data(), f32, {c, 1}},
                                     {m.data(), f32, {1, 0}},
                                     {columns.data(), f32, {0, 1}},
                                     {total.data(), f32, {0, 0}},
                                     {all.data(), f32, {0, 0}}};
    run_program({p.get(), space, leaves, {}, outputs}, stream);
    const auto alone = [&](const DeviceBytes& from, const Shape& shape,
                           const Strides& to, std::int64_t count) {
      const DeviceBytes result(zeros(count), 0, stream);
      const Binding leaf{from.data(), f32, dense(shape)};
      const OutputBinding out{result.data(), f32, to};
      run_program({reduce_program(Reduction::sum).get(),
                   shape,
                   {&leaf, 1},
                   {},
                   {&out, 1}},
                  stream);
      return result.read();
    };
    EXPECT_EQ(columns.read(), alone(s, space, {0, 1}, c)) << to_string(space);
    EXPECT_EQ(total.read(), alone(m, {r}, {0}, 1)) << to_string(space);
    EXPECT_EQ(all.read(), alone(s, space, {0, 0}, 1)) << to_string(space);
  }
}

TEST_F(RowTest, PickReportsIndicesOutOfRange) {
  for (const double bad : {-1.0, 10.0}) {
    const Shape space = {5, 10};
    const auto x = random_elements(f32, 50, {}, 1);
    const auto labels =
        random_elements(DType::int64, 5, {{1}, bad, bad + 1e-9}, 2);
    const DeviceBytes dx(x, 0, stream), dy(labels, 0, stream),
        loss(std::vector<unsigned char>(4), 0, stream);
    const Binding leaves[] = {{dx.data(), f32, {10, 1}},
                              {dy.data(), DType::int64, {1, 0}}};
    const OutputBinding out{loss.data(), f32, {0, 0}};
    run_program(
        {cross_entropy(Reduction::mean).get(), space, leaves, {}, {&out, 1}},
        stream);
    try {
      synchronize(stream);
      ADD_FAILURE() << "no error";
    } catch (const IndexError& e) {
      EXPECT_TRUE(std::string(e.what()).starts_with(
          "cross_entropy: index " + std::to_string(static_cast<int>(bad)) +
          " is out of range"))
          << e.what();
    }
  }
}

TEST_F(RowTest, PositionAndLengthOfTheRow) {
  const auto p = program([](Builder& b) {
    const Ref x = b.leaf({});
    const Ref at = b.cast(b.row_index(), f32);
    b.output({b.apply(Op::div, b.apply(Op::add, x, at), b.row_length(f32))});
    b.output({b.row_index()});
    b.output({b.row_length(DType::int64)});
  });
  for (const Shape& space : kRows)
    compare(p, space, {{dense(space)}},
            {{f32, dense(space)},
             {DType::int64, dense(space)},
             {DType::int64, per_row(space)}});
}

TEST_F(RowTest, RandomAndIndexLeavesInRows) {
  const auto p = program([](Builder& b) {
    b.slot(DType::int64);
    b.slot(DType::int64);
    Leaf each{Op::uniform, f32, 0, 1};
    each.per_row = true;
    const Ref u = b.leaf({Op::uniform, f32, 0, 1}), v = b.leaf(each);
    Leaf where{Op::index, DType::int64};
    where.per_row = true;
    const Ref i = b.cast(b.leaf(where), f32);
    b.output({b.apply(Op::add, b.apply(Op::row_max, u), v)});
    b.output(
        {b.apply(Op::add, i, b.apply(Op::sub, u, b.apply(Op::row_max, u)))});
  });
  for (const Shape& space : std::vector<Shape>{{9, 64}, {5, 7}, {2, 1100}})
    compare(p, space, {{dense(space)}, {{1, 0}}, {{1, 0}}},
            {{f32, {1, 0}}, {f32, dense(space)}}, {integer(3), integer(4)});
}

TEST_F(RowTest, SpacesThatNeed64BitIndices) {
  const auto p = program([](Builder& b) {
    const Ref far = b.leaf({Op::index, DType::int64});
    const Ref x = b.apply(Op::add, far, b.leaf({Op::load, DType::int64}));
    const Ref m = b.apply(Op::row_max, x);
    b.output({b.apply(Op::sub, x, m)});
    b.output({m});
    b.output({x, Reduction::sum});
    b.output({m, Reduction::sum, true});
  });
  const std::int64_t far = std::int64_t{1} << 33;
  for (const Shape& space : std::vector<Shape>{{7, 12}, {300, 5}, {3, 3000}})
    compare(p, space, {{{far, 3}}, {dense(space)}},
            {{DType::int64, dense(space)},
             {DType::int64, {1, 0}},
             {DType::int64, {0, 1}},
             {DType::int64, {0, 0}}});
}

// More operands than registers would hold.
TEST_F(RowTest, LongRowsOfManyOperandsAreReadAgain) {
  const auto p = program([](Builder& b) {
    std::vector<Ref> x;
    for (int i = 0; i < 6; ++i) x.push_back(b.leaf({}));
    Ref sum = x[0];
    for (std::size_t i = 1; i < 6; ++i) sum = b.apply(Op::add, sum, x[i]);
    const Ref s = b.apply(Op::row_softmax, sum);
    b.output({b.apply(Op::mul, s, x[3])});
    b.output({b.apply(Op::mul, s, x[4]), Reduction::sum});
  });
  for (const Shape& space :
       std::vector<Shape>{{3, 1000}, {2, 8000}, {2, 20000}}) {
    std::vector<LeafSpec> leaves(6, LeafSpec{dense(space)});
    leaves[2].strides = {0, 1};
    compare(p, space, leaves, {{f32, dense(space)}, {f32, {0, 1}}}, {},
            {0, 1e-5});
  }
}

TEST_F(RowTest, ProgramsWithoutRowsMayStoreOneValueARow) {
  const auto p = program([](Builder& b) {
    const Ref x = b.apply(Op::neg, b.leaf({}));
    b.output({x});
    b.output({b.apply(Op::mul, x, b.leaf({}))});
  });
  compare(p, {20, 33}, {{{1, 0}}, {{33, 1}}}, {{f32, {1, 0}}, {f32, {33, 1}}});
}

TEST_F(RowTest, EmptyRowsAndNoRows) {
  const auto p = program([](Builder& b) {
    const Ref m = b.apply(Op::row_max, b.leaf({}));
    b.output({m, Reduction::sum, true});
    b.output({m, Reduction::max, true});
  });
  for (const Shape& space : std::vector<Shape>{{0, 5}, {4, 0}})
    compare(p, space, {{dense(space)}}, {{f32, {0, 0}}, {f32, {0, 0}}});
}

TEST_F(RowTest, RankZeroIsARowOfOneElement) {
  const auto p = program([](Builder& b) {
    const Ref x = b.leaf({});
    b.output({b.apply(Op::row_softmax, x)});
    b.output({b.apply(Op::row_logsumexp, x), Reduction::sum, true});
  });
  compare(p, {}, {{{}}}, {{f32, {}}, {f32, {}}}, {}, {2, 0});
}

}  // namespace
}  // namespace jacquard::cuda_backend
