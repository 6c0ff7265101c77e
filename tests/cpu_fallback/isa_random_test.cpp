// Random tiles: Philox's known answers, the distributions, and the same bits on
// every level and for every walk.
#include <math.h>

#include "isa_testing.h"

namespace jacquard::cpu_fallback {
namespace {

namespace scalar {
#include "core/pointwise/scalar_basics.h"
// scalar_functions.h and scalar_random.h build on it.
#include "core/pointwise/scalar_functions.h"
#include "core/pointwise/scalar_random.h"
}  // namespace scalar

using Words = std::array<unsigned, 4>;

Words philox(Words counter, unsigned key0, unsigned key1) {
  unsigned c[4] = {counter[0], counter[1], counter[2], counter[3]};
  scalar::philox4x32_10(c, key0, key1);
  return {c[0], c[1], c[2], c[3]};
}

// Random123's kat_vectors, philox 4x32 10.
TEST(IsaRandom, PhiloxGivesTheKnownAnswers) {
  EXPECT_EQ(philox({0, 0, 0, 0}, 0, 0),
            (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({~0u, ~0u, ~0u, ~0u}, ~0u, ~0u),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0xa4093822,
                   0x299f31d0),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

// The definition in core/pointwise/random.h, element by element.
constexpr std::uint64_t kSeed = 0x123456789abcdef0, kOffset = 0xfedcba987;

Words block(std::uint64_t number) {
  return philox(
      {static_cast<unsigned>(number), static_cast<unsigned>(number >> 32),
       static_cast<unsigned>(kOffset), static_cast<unsigned>(kOffset >> 32)},
      static_cast<unsigned>(kSeed), static_cast<unsigned>(kSeed >> 32));
}
float uniform32(std::uint64_t i) {
  return static_cast<float>(block(i / 4)[i % 4] >> 8) * 0x1p-24f;
}
double uniform64(std::uint64_t i) {
  const Words w = block(i / 2);
  const std::uint64_t bits =
      std::uint64_t{w[i % 2 * 2]} << 32 | w[i % 2 * 2 + 1];
  return static_cast<double>(bits >> 11) * 0x1p-53;
}
template <class T>
T normal(std::uint64_t i, T (*uniform)(std::uint64_t)) {
  T even, odd;
  scalar::normal_pair(uniform(i & ~1ull), uniform(i | 1), even, odd);
  return i % 2 == 0 ? even : odd;
}
float normal32(std::uint64_t i) { return normal<float>(i, uniform32); }
double normal64(std::uint64_t i) { return normal<double>(i, uniform64); }

template <class T>
std::vector<T> run(KernelTable::RandomFn fn, std::int64_t position,
                   std::int64_t stride, std::size_t n) {
  TileBuffer<T> out(n);
  fn(kSeed, kOffset, position, stride, out.get(), n);
  return {out.get(), out.get() + n};
}

template <class T>
void check_bits(DType dtype, T (*uniform)(std::uint64_t),
                T (*normal)(std::uint64_t)) {
  const int d = static_cast<int>(dtype);
  for_each_level([&](const KernelTable& table) {
    for (std::int64_t position : {0ll, 1ll, 3ll, 130ll, (1ll << 34) - 7})
      for (std::int64_t stride : {1, 0, 2, 5, -1})
        for (std::size_t n : {1u, 64u, 77u, 300u}) {
          if (position + stride * static_cast<std::int64_t>(n) < -1) continue;
          const auto u = run<T>(table.uniform[d], position, stride, n);
          const auto z = run<T>(table.normal[d], position, stride, n);
          for (std::size_t i = 0; i < n; ++i) {
            const auto element = static_cast<std::uint64_t>(
                position + stride * static_cast<std::int64_t>(i));
            ASSERT_TRUE(same_bits(u[i], uniform(element)));
            ASSERT_TRUE(same_bits(z[i], normal(element)))
                << z[i] << " " << normal(element);
          }
        }
  });
}

// The scalar definition is compiled for no level in particular: with equal bits
// here, all levels agree, and so does a GPU.
TEST(IsaRandom, EveryLevelAndWalkGivesTheBitsOfTheDefinition) {
  check_bits<float>(DType::float32, uniform32, normal32);
  check_bits<double>(DType::float64, uniform64, normal64);
}

TEST(IsaRandom, LevelsAgreeOnAMillionNormals) {
  const RunnableTables all = runnable_tables();
  constexpr std::size_t n = 1000000;
  const int f = static_cast<int>(DType::float32);
  const auto first = run<float>(all.tables[0]->normal[f], 0, 1, n);
  for (int k = 1; k < all.count; ++k) {
    const auto other = run<float>(all.tables[k]->normal[f], 0, 1, n);
    EXPECT_EQ(std::memcmp(first.data(), other.data(), n * sizeof(float)), 0);
  }
}

template <class T>
void check_moments(DType dtype) {
  constexpr std::size_t n = 400000;
  for_each_level([&](const KernelTable& table) {
    const int d = static_cast<int>(dtype);
    double mean = 0, square = 0, fourth = 0, product = 0, average = 0;
    const auto z = run<T>(table.normal[d], 0, 1, n);
    const auto u = run<T>(table.uniform[d], 0, 1, n);
    for (std::size_t i = 0; i < n; ++i) {
      ASSERT_TRUE(u[i] >= 0 && u[i] < 1);
      const double x = z[i];
      average += u[i] / n;
      mean += x / n;
      square += x * x / n;
      fourth += x * x * x * x / n;
      if (i > 0) product += x * z[i - 1] / n;
    }
    EXPECT_NEAR(average, 0.5, 0.003);
    EXPECT_NEAR(mean, 0, 0.008);
    EXPECT_NEAR(square, 1, 0.012);
    EXPECT_NEAR(fourth, 3, 0.1);
    EXPECT_NEAR(product, 0, 0.008);
  });
}

TEST(IsaRandom, UniformAndNormalHaveTheirMoments) {
  check_moments<float>(DType::float32);
  check_moments<double>(DType::float64);
}

TEST(IsaRandom, OwnLogAndSincosAreAccurate) {
  std::mt19937_64 engine(11);
  for (int i = 0; i < 200000; ++i) {
    const std::uint64_t bits = engine();
    const float u = static_cast<float>((bits >> 40) + 1) * 0x1p-24f;
    const double w = static_cast<double>((bits >> 11) + 1) * 0x1p-53;
    ASSERT_LE(ulp_error(scalar::random_log(u), std::log((long double)u)), 1.5);
    ASSERT_LE(ulp_error(scalar::random_log(w), std::log((long double)w)), 1.5);
    const long double pi = 3.14159265358979323846L;
    const float v = static_cast<float>(bits >> 40) * 0x1p-24f;
    float s, c;
    scalar::random_sincos(v, s, c);
    ASSERT_NEAR(s, std::sin(2 * pi * v), 1e-7);
    ASSERT_NEAR(c, std::cos(2 * pi * v), 1e-7);
    const double x = static_cast<double>(bits >> 11) * 0x1p-53;
    double sine, cosine;
    scalar::random_sincos(x, sine, cosine);
    ASSERT_NEAR(sine, std::sin(2 * pi * x), 2e-16);
    ASSERT_NEAR(cosine, std::cos(2 * pi * x), 2e-16);
  }
}

TEST(IsaRandom, HalfTypesStayBelowOneAndFit) {
  for_each_level([](const KernelTable& table) {
    constexpr std::size_t n = 100000;
    for (DType dtype : {DType::float16, DType::bfloat16}) {
      const int d = static_cast<int>(dtype);
      const auto exact =
          run<float>(table.uniform[static_cast<int>(DType::float32)], 0, 1, n);
      const auto wide =
          run<float>(table.normal[static_cast<int>(DType::float32)], 0, 1, n);
      const auto u = run<float>(table.uniform[d], 0, 1, n);
      const auto z = run<float>(table.normal[d], 0, 1, n);
      TileBuffer<float> fit(wide), same(u);
      const TileFn round =
          dtype == DType::float16 ? table.round_half : table.round_bfloat;
      round(fit.get(), nullptr, nullptr, fit.get(), n);
      round(same.get(), nullptr, nullptr, same.get(), n);
      for (std::size_t i = 0; i < n; ++i) {
        ASSERT_LT(u[i], 1);
        ASSERT_LE(u[i], exact[i]);
        ASSERT_LE(exact[i] - u[i], exact[i] * 0x1p-7f);
        ASSERT_EQ(u[i], same[i]);
        ASSERT_EQ(z[i], fit[i]);
      }
    }
  });
}

}  // namespace
}  // namespace jacquard::cpu_fallback
