// Integer and boolean primitives, and casts.
#include "isa_testing.h"

namespace jacquard::cpu_fallback {
namespace {

using pointwise::Op;

template <class T>
std::vector<T> run(const KernelTable& table, Op op, std::vector<T> a,
                   std::vector<T> b = {}) {
  const TileFn fn = op_of(table, op, dtype_of<T>);
  EXPECT_NE(fn, nullptr) << pointwise::info(op).name;
  TileBuffer<T> x(a), y(b), out(a.size());
  fn(x.get(), b.empty() ? nullptr : y.get(), nullptr, out.get(), a.size());
  return {out.get(), out.get() + a.size()};
}

template <class T>
void check_arithmetic() {
  constexpr T low = std::numeric_limits<T>::min();
  constexpr T high = std::numeric_limits<T>::max();
  using V = std::vector<T>;
  for_each_level([](const KernelTable& table) {
    EXPECT_EQ(run<T>(table, Op::add, {1, high, -5}, {2, 1, 3}),
              (V{3, low, -2}));
    EXPECT_EQ(run<T>(table, Op::sub, {1, low}, {2, 1}), (V{-1, high}));
    EXPECT_EQ(run<T>(table, Op::mul, {3, high, low}, {-4, 2, -1}),
              (V{-12, -2, low}));
    EXPECT_EQ(run<T>(table, Op::mulz, {0, 3}, {7, 5}), (V{0, 15}));
    EXPECT_EQ(run<T>(table, Op::neg, {1, low}), (V{-1, low}));
    EXPECT_EQ(run<T>(table, Op::abs, {-7, 7, low}), (V{7, 7, low}));
    EXPECT_EQ(run<T>(table, Op::sign, {-7, 0, 9}), (V{-1, 0, 1}));
    EXPECT_EQ(run<T>(table, Op::relu, {-7, 0, 9}), (V{0, 0, 9}));
    EXPECT_EQ(run<T>(table, Op::minimum, {1, 2}, {2, -1}), (V{1, -1}));
    EXPECT_EQ(run<T>(table, Op::maximum, {1, 2}, {2, -1}), (V{2, 2}));
  });
}

TEST(IsaInteger, ArithmeticWraps) {
  check_arithmetic<std::int32_t>();
  check_arithmetic<std::int64_t>();
}

template <class T>
void check_remainders() {
  constexpr T low = std::numeric_limits<T>::min();
  using V = std::vector<T>;
  for_each_level([](const KernelTable& table) {
    const V a = {7, -7, 7, -7, 6, low, 5, -5};
    const V b = {3, 3, -3, -3, 3, -1, 0, 0};
    EXPECT_EQ(run<T>(table, Op::fmod, a, b), (V{1, -1, 1, -1, 0, 0, 0, 0}));
    EXPECT_EQ(run<T>(table, Op::remainder, a, b),
              (V{1, 2, -2, -1, 0, 0, 0, 0}));
  });
}

TEST(IsaInteger, RemaindersHaveTheirSignsAndZeroDivisorsGiveZero) {
  check_remainders<std::int32_t>();
  check_remainders<std::int64_t>();
}

template <class T>
void check_power() {
  using V = std::vector<T>;
  for_each_level([](const KernelTable& table) {
    EXPECT_EQ(run<T>(table, Op::pow, {3, -2, 0, 5, 1, -1, -1, 0, 2, 2},
                     {4, 3, 0, -1, -9, -3, -4, -1, 30, 200}),
              (V{81, -8, 1, 0, 1, -1, 1, 0, 1 << 30, 0}));
  });
}

TEST(IsaInteger, PowerSquaresAndKnowsNegativeExponents) {
  check_power<std::int32_t>();
  check_power<std::int64_t>();
}

TEST(IsaInteger, ComparisonsGiveZeroAndOne) {
  for_each_level([](const KernelTable& table) {
    const auto check = [&](auto zero) {
      using T = decltype(zero);
      constexpr DType dtype =
          sizeof(T) == 1
              ? DType::bool_
              : dtype_of<std::conditional_t<sizeof(T) == 1, bool, T>>;
      TileBuffer<T> a(100), b(100);
      TileBuffer<std::uint8_t> out(100, 9);
      for (int i = 0; i < 100; ++i) {
        a[i] = static_cast<T>(sizeof(T) == 1 ? i % 2 : i % 5 - 2);
        b[i] = static_cast<T>(sizeof(T) == 1 ? i % 3 == 0 : i % 3 - 1);
      }
      const auto expect = [&](Op op, auto relation) {
        op_of(table, op, dtype)(a.get(), b.get(), nullptr, out.get(), 100);
        for (int i = 0; i < 100; ++i)
          EXPECT_EQ(out[i], relation(a[i], b[i]) ? 1 : 0)
              << pointwise::info(op).name;
      };
      expect(Op::eq, [](T x, T y) { return x == y; });
      expect(Op::ne, [](T x, T y) { return x != y; });
      expect(Op::lt, [](T x, T y) { return x < y; });
      expect(Op::le, [](T x, T y) { return x <= y; });
      expect(Op::gt, [](T x, T y) { return x > y; });
      expect(Op::ge, [](T x, T y) { return x >= y; });
    };
    check(std::int32_t{});
    check(std::int64_t{});
    check(std::uint8_t{});
  });
}

TEST(IsaInteger, LogicWorksOnZeroAndOne) {
  for_each_level([](const KernelTable& table) {
    TileBuffer<std::uint8_t> a(4), b(4), out(4);
    for (int i = 0; i < 4; ++i) a[i] = i / 2, b[i] = i % 2;
    const auto check = [&](Op op, std::vector<std::uint8_t> expected) {
      op_of(table, op, DType::bool_)(a.get(), b.get(), nullptr, out.get(), 4);
      for (int i = 0; i < 4; ++i) EXPECT_EQ(out[i], expected[i]);
    };
    check(Op::logical_and, {0, 0, 0, 1});
    check(Op::logical_or, {0, 1, 1, 1});
    check(Op::logical_xor, {0, 1, 1, 0});
    check(Op::logical_not, {1, 1, 0, 0});
  });
}

TEST(IsaInteger, WhereMayOverwriteItsMask) {
  for_each_level([](const KernelTable& table) {
    TileBuffer<double> a(200), b(200), out(200);
    std::uint8_t* mask = reinterpret_cast<std::uint8_t*>(out.get());
    for (int i = 0; i < 200; ++i) {
      a[i] = i, b[i] = -i;
      mask[i] = i % 3 != 0;
    }
    op_of(table, Op::where, DType::float64)(mask, a.get(), b.get(), out.get(),
                                            200);
    for (int i = 0; i < 200; ++i) EXPECT_EQ(out[i], i % 3 != 0 ? i : -i);
  });
}

template <class From, class To>
std::vector<To> cast(const KernelTable& table, DType from, DType to,
                     std::vector<From> values) {
  TileBuffer<From> in(values);
  TileBuffer<To> out(values.size());
  table.cast[static_cast<int>(from)][static_cast<int>(to)](
      in.get(), nullptr, nullptr, out.get(), values.size());
  return {out.get(), out.get() + values.size()};
}

template <class From, class To>
void check_truncation(const KernelTable& table) {
  constexpr To low = std::numeric_limits<To>::min();
  constexpr From inf = std::numeric_limits<From>::infinity();
  constexpr From beyond =
      sizeof(To) == 4 ? From(2147483648.0) : From(9223372036854775808.0);
  const From below = std::nextafter(beyond, From(0));
  EXPECT_EQ(
      (cast<From, To>(table, dtype_of<From>, dtype_of<To>,
                      {From(1.9), From(-1.9), From(0.5), From(-0.0), From(7),
                       inf, -inf, From(std::nan("")), beyond, -beyond, below})),
      (std::vector<To>{1, -1, 0, 0, 7, low, low, low, low, low,
                       static_cast<To>(below)}));
}

TEST(IsaInteger, FloatsTruncateAndOutOfRangeIsTheSmallest) {
  for_each_level([](const KernelTable& table) {
    check_truncation<float, std::int32_t>(table);
    check_truncation<float, std::int64_t>(table);
    check_truncation<double, std::int32_t>(table);
    check_truncation<double, std::int64_t>(table);
    EXPECT_EQ((cast<double, std::int32_t>(
                  table, DType::float64, DType::int32,
                  {-2147483648.9, -2147483649.0, 2147483647.9})),
              (std::vector<std::int32_t>{INT32_MIN, INT32_MIN, INT32_MAX}));
  });
}

TEST(IsaInteger, CastsToBoolAskForNonzero) {
  for_each_level([](const KernelTable& table) {
    using B = std::vector<std::uint8_t>;
    const double nan = std::nan("");
    EXPECT_EQ((cast<double, std::uint8_t>(table, DType::float64, DType::bool_,
                                          {0, -0.0, 0.25, nan, -3})),
              (B{0, 0, 1, 1, 1}));
    EXPECT_EQ((cast<float, std::uint8_t>(table, DType::float32, DType::bool_,
                                         {0, 1e-45f, -2})),
              (B{0, 1, 1}));
    EXPECT_EQ((cast<std::int32_t, std::uint8_t>(table, DType::int32,
                                                DType::bool_, {0, 256, -1})),
              (B{0, 1, 1}));
    EXPECT_EQ((cast<std::int64_t, std::uint8_t>(
                  table, DType::int64, DType::bool_, {0, 1ll << 40, -1})),
              (B{0, 1, 1}));
    EXPECT_EQ((cast<std::uint8_t, double>(table, DType::bool_, DType::float64,
                                          {0, 1, 1})),
              (std::vector<double>{0, 1, 1}));
    EXPECT_EQ((cast<std::uint8_t, std::int64_t>(table, DType::bool_,
                                                DType::int64, {0, 1, 1})),
              (std::vector<std::int64_t>{0, 1, 1}));
  });
}

TEST(IsaInteger, CastsBetweenNumbersRoundOnce) {
  std::mt19937_64 engine(5);
  std::vector<std::int64_t> wide(1000);
  std::vector<std::int32_t> narrow(1000);
  std::vector<double> real(1000);
  for (int i = 0; i < 1000; ++i) {
    wide[i] = static_cast<std::int64_t>(engine()) >> (i % 50);
    narrow[i] = static_cast<std::int32_t>(wide[i]);
    real[i] = std::ldexp(static_cast<double>(wide[i]), -20);
  }
  for_each_level([&](const KernelTable& table) {
    const auto f =
        cast<std::int64_t, float>(table, DType::int64, DType::float32, wide);
    const auto d =
        cast<std::int64_t, double>(table, DType::int64, DType::float64, wide);
    const auto i = cast<std::int64_t, std::int32_t>(table, DType::int64,
                                                    DType::int32, wide);
    const auto l = cast<std::int32_t, std::int64_t>(table, DType::int32,
                                                    DType::int64, narrow);
    const auto g =
        cast<std::int32_t, float>(table, DType::int32, DType::float32, narrow);
    const auto r =
        cast<double, float>(table, DType::float64, DType::float32, real);
    const auto t =
        cast<double, std::int64_t>(table, DType::float64, DType::int64, real);
    for (int k = 0; k < 1000; ++k) {
      ASSERT_EQ(f[k], static_cast<float>(wide[k]));
      ASSERT_EQ(d[k], static_cast<double>(wide[k]));
      ASSERT_EQ(i[k], static_cast<std::int32_t>(wide[k]));
      ASSERT_EQ(l[k], narrow[k]);
      ASSERT_EQ(g[k], static_cast<float>(narrow[k]));
      ASSERT_EQ(r[k], static_cast<float>(real[k]));
      ASSERT_EQ(t[k], static_cast<std::int64_t>(real[k]));
    }
  });
}

TEST(IsaInteger, CastsWidenInPlace) {
  for_each_level([](const KernelTable& table) {
    TileBuffer<std::int64_t> buffer(150);
    std::int32_t* narrow = reinterpret_cast<std::int32_t*>(buffer.get());
    for (int i = 0; i < 150; ++i) narrow[i] = i - 70;
    table.cast[static_cast<int>(DType::int32)][static_cast<int>(DType::int64)](
        narrow, nullptr, nullptr, buffer.get(), 150);
    for (int i = 0; i < 150; ++i) EXPECT_EQ(buffer[i], i - 70);
  });
}

}  // namespace
}  // namespace jacquard::cpu_fallback
