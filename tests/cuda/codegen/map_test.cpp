#include "tests/cuda/codegen/program_testing.h"

namespace jacquard::cuda_backend {
namespace {

using MapTest = ProgramTest;

constexpr DType f32 = DType::float32;

ProgramPtr binary(Op op, DType dtype) {
  return program([&](Builder& b) {
    const Ref x = b.leaf({Op::load, dtype}), y = b.leaf({Op::load, dtype});
    b.output({b.apply(op, x, y)});
  });
}
ProgramPtr unary(Op op, DType dtype) {
  return program([&](Builder& b) {
    b.output({b.apply(op, b.leaf({Op::load, dtype}))});
  });
}

TEST_F(MapTest, ContiguousSpacesOfAnySizeAndAlignment) {
  const auto p = binary(Op::add, f32);
  for (const std::int64_t n : {1, 2, 3, 4, 5, 31, 127, 1000, 1024, 4099}) {
    const Strides s = {1};
    compare(p, {n}, {{s}, {s}}, {{f32, s}});
    // The same phase, and different ones.
    compare(p, {n}, {{s, -2, 2, 1}, {s, -2, 2, 1}}, {{f32, s, false, 1}});
    compare(p, {n}, {{s, -2, 2, 1}, {s}}, {{f32, s, false, 3}});
  }
}

TEST_F(MapTest, ArithmeticHasTheBitsOfTheCpu) {
  const Shape n = {1003};
  for (const DType t : {f32, DType::float64, DType::float16, DType::bfloat16})
    for (const Op op : {Op::add, Op::sub, Op::mul, Op::div, Op::mulz,
                        Op::minimum, Op::maximum, Op::fmod, Op::remainder}) {
      LeafSpec x{{1}};
      x.specials = true;
      compare(binary(op, t), n, {x, x}, {{t, {1}}});
    }
  for (const DType t : {f32, DType::float64, DType::float16, DType::bfloat16})
    for (const Op op : {Op::neg, Op::abs, Op::sign, Op::relu, Op::floor,
                        Op::ceil, Op::trunc, Op::round, Op::sqrt}) {
      LeafSpec x{{1}, -4, 9};
      x.specials = true;
      compare(unary(op, t), n, {x}, {{t, {1}}});
    }
}

TEST_F(MapTest, IntegersWrapAndDivideAsOnTheCpu) {
  for (const DType t : {DType::int32, DType::int64}) {
    for (const Op op : {Op::add, Op::sub, Op::mul, Op::mulz, Op::minimum,
                        Op::maximum, Op::fmod, Op::remainder})
      compare(binary(op, t), {500}, {{{1}, -2e9, 2e9}, {{1}, -5, 5}},
              {{t, {1}}});
    compare(binary(Op::pow, t), {500}, {{{1}, -5, 5}, {{1}, -3, 9}},
            {{t, {1}}});
    for (const Op op : {Op::neg, Op::abs, Op::sign, Op::relu})
      compare(unary(op, t), {500}, {{{1}, -9, 9}}, {{t, {1}}});
  }
}

TEST_F(MapTest, ElementaryFunctionsAreWithinAFewUlps) {
  for (const DType t : {f32, DType::float64}) {
    for (const Op op : {Op::exp, Op::expm1, Op::cbrt, Op::sin, Op::cos, Op::tan,
                        Op::atan, Op::sinh, Op::cosh, Op::tanh, Op::asinh,
                        Op::sigmoid, Op::erf, Op::erfc}) {
      LeafSpec x{{1}, -3, 3};
      x.specials = true;
      compare(unary(op, t), {700}, {x}, {{t, {1}}}, {}, {8, 0});
    }
    for (const Op op : {Op::log, Op::log1p, Op::rsqrt})
      compare(unary(op, t), {700}, {{{1}, 0, 9}}, {{t, {1}}}, {}, {8, 0});
    for (const Op op : {Op::asin, Op::acos, Op::atanh, Op::erfinv})
      compare(unary(op, t), {700}, {{{1}, -1, 1}}, {{t, {1}}}, {}, {10, 0});
    compare(unary(Op::acosh, t), {700}, {{{1}, 1, 9}}, {{t, {1}}}, {}, {8, 0});
    for (const Op op : {Op::lgamma, Op::digamma})
      compare(unary(op, t), {300}, {{{1}, 0.1, 15}}, {{t, {1}}}, {},
              {8, t == f32 ? 1e-6 : 1e-14});
    for (const Op op : {Op::pow, Op::atan2})
      compare(binary(op, t), {700}, {{{1}, 0, 3}, {{1}, -3, 3}}, {{t, {1}}}, {},
              {8, 0});
    const auto polygamma = program([&](Builder& b) {
      b.output(
          {b.apply(Op::polygamma, b.constant(2, t), b.leaf({Op::load, t}))});
    });
    compare(polygamma, {100}, {{{1}, -3, 9}}, {{t, {1}}}, {}, {40, 1e-12});
  }
}

TEST_F(MapTest, ComparisonsAndLogic) {
  for (const DType t : {f32, DType::float64, DType::float16, DType::int32,
                        DType::int64, DType::bool_})
    for (const Op op : {Op::eq, Op::ne, Op::lt, Op::le, Op::gt, Op::ge})
      compare(binary(op, t), {300}, {{{1}, -2, 2, 0, true}, {{1}, -2, 2}},
              {{DType::bool_, {1}}});
  for (const Op op : {Op::logical_and, Op::logical_or, Op::logical_xor})
    compare(binary(op, DType::bool_), {300}, {{{1}}, {{1}}},
            {{DType::bool_, {1}}});
  compare(unary(Op::logical_not, DType::bool_), {300}, {{{1}}},
          {{DType::bool_, {1}}});
  for (const Op op : {Op::is_nan, Op::is_inf, Op::is_finite})
    for (const DType t : {f32, DType::float64, DType::bfloat16})
      compare(unary(op, t), {300}, {{{1}, -2, 2, 0, true}},
              {{DType::bool_, {1}}});
  const auto where = program([](Builder& b) {
    const Ref m = b.leaf({Op::load, DType::bool_});
    b.output({b.apply(Op::where, m, b.leaf({}), b.leaf({}))});
  });
  compare(where, {1001}, {{{1}}, {{1}}, {{1}}}, {{f32, {1}}});
}

TEST_F(MapTest, CastsBetweenAllDtypes) {
  for (int from = 0; from < kDTypeCount; ++from)
    for (int to = 0; to < kDTypeCount; ++to) {
      const DType a = static_cast<DType>(from), b = static_cast<DType>(to);
      const auto p = program([&](Builder& build) {
        build.output({build.cast(build.leaf({Op::load, a}), b)});
      });
      for (const double range : {3.0, 1e6, 1e30}) {
        LeafSpec x{{1}, -range, range};
        if (!is_floating(a) && range > 1e9) continue;
        x.specials = true;
        compare(p, {333}, {x}, {{b, {1}}});
        // Converted when written.
        const auto load = program([&](Builder& build) {
          build.output({build.leaf({Op::load, a})});
        });
        compare(load, {333}, {x}, {{b, {1}}});
      }
    }
}

TEST_F(MapTest, OperandsAreBroadcastTransposedAndStrided) {
  const auto p = program([](Builder& b) {
    const Ref x = b.leaf({}), y = b.leaf({}), z = b.leaf({});
    b.output({b.apply(Op::add, b.apply(Op::mul, x, y), z)});
  });
  for (const Shape& space :
       std::vector<Shape>{{6, 8}, {33, 128}, {7, 5}, {64, 12}}) {
    const std::int64_t r = space[0], c = space[1];
    compare(p, space, {{{c, 1}}, {{0, 1}}, {{1, 0}}}, {{f32, {c, 1}}});
    compare(p, space, {{{1, r}}, {{0, 0}}, {{2 * c, 2}}}, {{f32, {c, 1}}});
    compare(p, space, {{{c, 1}}, {{2 * c, 1}}, {{0, 1}}}, {{f32, {1, r}}});
    compare(p, space, {{{c, 1}, -2, 2, 1}, {{0, 1}}, {{0, 0}}},
            {{f32, {3 * c, 1}}});
  }
  compare(p, {3, 4, 5, 8}, {{{160, 40, 8, 1}}, {{0, 8, 0, 1}}, {{1, 0, 3, 0}}},
          {{f32, {160, 40, 8, 1}}});
}

TEST_F(MapTest, SeveralOutputsOfSeveralDtypesAccumulate) {
  const auto p = program([](Builder& b) {
    const Ref x = b.leaf({Op::load, DType::bfloat16});
    const Ref y = b.apply(Op::exp, b.cast(x, f32));
    b.output({x});
    b.output({y});
    b.output({b.apply(Op::gt, y, b.constant(1, f32))});
    b.output({b.cast(y, DType::int64)});
  });
  for (const bool add : {false, true})
    compare(p, {777}, {{{1}}},
            {{DType::float16, {1}, add},
             {f32, {1}, add},
             {DType::bool_, {1}, add},
             {DType::int64, {1}, add}},
            {}, {4, 1e-6});
}

TEST_F(MapTest, SlotsEnterInTheirDtype) {
  const auto p = program([](Builder& b) {
    const Ref x = b.leaf({Op::load, DType::float16});
    b.output({b.apply(Op::mul, x, b.slot(DType::float16))});
    b.output({b.apply(Op::add, b.cast(x, DType::int32), b.slot(DType::int32))});
    b.output({b.apply(Op::where, b.slot(DType::bool_), b.slot(DType::float64),
                      b.constant(-2, DType::float64))});
  });
  for (const bool yes : {false, true})
    compare(p, {100}, {{{1}}},
            {{DType::float16, {1}}, {DType::int32, {1}}, {DType::float64, {1}}},
            {real(0.1), integer(-7), integer(yes), real(1.0 / 3)});
}

TEST_F(MapTest, RandomNumbersHaveTheBitsOfTheCpu) {
  for (const Op op : {Op::uniform, Op::normal})
    for (const DType t :
         {f32, DType::float64, DType::float16, DType::bfloat16}) {
      const auto p = program([&](Builder& b) {
        const std::uint16_t seed = 0, offset = 1;
        b.slot(DType::int64);
        b.slot(DType::int64);
        b.output({b.leaf({op, t, seed, offset})});
      });
      const std::vector<Scalar> slots = {integer(0x123456789abcdef),
                                         integer(77)};
      compare(p, {1001}, {{{1}}}, {{t, {1}}}, slots);
      compare(p, {1001}, {{{1}}}, {{t, {1}, false, 1}}, slots);
      compare(p, {30, 7}, {{{1, 30}}}, {{t, {7, 1}}}, slots);
      compare(p, {30, 8}, {{{0, 1}}}, {{t, {8, 1}}}, slots);
      compare(p, {30, 8}, {{{0, 0}}}, {{t, {8, 1}}}, slots);
      compare(p, {30, 8}, {{{3, 0}}}, {{t, {8, 1}}}, slots);
    }
}

TEST_F(MapTest, PositionsRunOverTheLeafsOwnShape) {
  const auto p = program([](Builder& b) {
    b.output({b.leaf({Op::index, DType::int64})});
  });
  compare(p, {1001}, {{{1}}}, {{DType::int64, {1}}});
  compare(p, {9, 8}, {{{1, 9}}}, {{DType::int64, {8, 1}}});
  compare(p, {9, 8}, {{{0, 1}}}, {{DType::int64, {8, 1}}});
  compare(p, {9, 8}, {{{0, 0}}}, {{DType::int64, {8, 1}}});
}

// Positions beyond 2³¹, which no array of a test has.
TEST_F(MapTest, SpacesThatNeed64BitIndices) {
  const auto p = program([](Builder& b) {
    const Ref far = b.leaf({Op::index, DType::int64});
    const Ref sum = b.apply(Op::add, far, b.leaf({Op::load, DType::int64}));
    b.output({sum});
    b.output({b.apply(Op::add, sum, b.leaf({Op::load, DType::int64}))});
  });
  const std::int64_t far = std::int64_t{1} << 33;
  for (const Shape& space : std::vector<Shape>{{7, 12}, {30, 8}})
    compare(p, space, {{{far, 3}}, {{space[1], 1}}, {{1, space[0]}}},
            {{DType::int64, {space[1], 1}}, {DType::int64, {1, space[0]}}});
}

TEST_F(MapTest, EmptySpacesAreLeftAlone) {
  compare(binary(Op::add, f32), {0}, {{{1}}, {{0}}}, {{f32, {1}}});
  compare(binary(Op::add, f32), {4, 0, 3}, {{{0, 3, 1}}, {{0, 0, 0}}},
          {{f32, {0, 3, 1}}});
}

TEST_F(MapTest, RankZeroIsOneElement) {
  compare(binary(Op::add, f32), {}, {{{}}, {{}}}, {{f32, {}}});
}

TEST_F(MapTest, AnOutputMayBeALeaf) {
  const auto p = program([](Builder& b) {
    const Ref x = b.leaf({}), y = b.leaf({});
    b.output({b.apply(Op::mul, x, y)});
  });
  for (const int shift : {0, 1}) {
    const auto x = random_elements(f32, 1000, {}, 1),
               y = random_elements(f32, 1000, {}, 2);
    auto want = x;
    const DeviceBytes dx(x, static_cast<std::size_t>(shift) * 4, stream),
        dy(y, 0, stream);
    const Binding host[] = {{want.data(), f32, {1}}, {y.data(), f32, {1}}};
    const Binding device[] = {{dx.data(), f32, {1}}, {dy.data(), f32, {1}}};
    const OutputBinding to_host{want.data(), f32, {1}},
        to_device{dx.data(), f32, {1}};
    backend::backend_of(DeviceType::cpu)
        .run({p.get(), {1000}, host, {}, {&to_host, 1}}, Stream());
    run_program({p.get(), {1000}, device, {}, {&to_device, 1}}, stream);
    expect_alike(f32, want, dx.read(), {});
  }
}

}  // namespace
}  // namespace jacquard::cuda_backend
