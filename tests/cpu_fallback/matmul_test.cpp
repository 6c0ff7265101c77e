#include <cmath>
#include <string>
#include <type_traits>

#include "tests/cpu_fallback/executor_testing.h"

namespace jacquard::testing {
namespace {

using backend::MatmulLaunch;
using backend::MatrixBinding;

struct Sizes {
  std::int64_t m, n, k;
};
const std::vector<Sizes> kSizes = {
    {1, 1, 1},      {8, 8, 8},      {3, 5, 7},      {1, 100, 65},
    {100, 1, 65},   {1, 1, 1000},   {17, 33, 1},    {65, 63, 64},
    {128, 10, 256}, {10, 784, 128}, {200, 130, 70}, {300, 600, 40},
    {520, 70, 33}};

std::size_t index_of(std::int64_t i) { return static_cast<std::size_t>(i); }

template <class T>
std::vector<T> random_values(std::int64_t n, unsigned seed) {
  std::mt19937 engine(seed);
  std::vector<T> x(index_of(n));
  for (T& v : x) {
    if constexpr (std::is_integral_v<T>)
      v = static_cast<T>(engine());
    else
      v = static_cast<T>(static_cast<int>(engine() % 2001) - 1000) / T(1000);
  }
  return x;
}

// A rows×cols operand that is stored as it is or transposed.
MatrixBinding matrix(const void* data, std::int64_t rows, std::int64_t cols,
                     bool transposed) {
  MatrixBinding x;
  x.data = data;
  x.row_stride = transposed ? 1 : cols;
  x.col_stride = transposed ? rows : 1;
  return x;
}

// Element (i, j) by the definition: wrapping integers, or a sum in double.
template <class T>
auto dot(const MatrixBinding& a, const MatrixBinding& b, std::int64_t i,
         std::int64_t j, std::int64_t k) {
  using Sum = std::conditional_t<std::is_integral_v<T>, std::uint64_t, double>;
  Sum sum{};
  for (std::int64_t p = 0; p < k; ++p)
    sum += static_cast<Sum>(static_cast<const T*>(
               a.data)[i * a.row_stride + p * a.col_stride]) *
           static_cast<Sum>(static_cast<const T*>(
               b.data)[p * b.row_stride + j * b.col_stride]);
  return sum;
}

template <class T>
void expect_product(const MatmulLaunch& l, const T* before) {
  const T* c = static_cast<const T*>(l.c);
  for (std::int64_t i = 0; i < l.m; ++i) {
    for (std::int64_t j = 0; j < l.n; ++j) {
      const auto sum = dot<T>(l.a, l.b, i, j, l.k);
      const T old = before ? before[i * l.n + j] : T{};
      if constexpr (std::is_integral_v<T>) {
        ASSERT_EQ(c[i * l.n + j],
                  static_cast<T>(sum + static_cast<std::uint64_t>(old)));
      } else {
        const double eps = std::is_same_v<T, float> ? 1e-6 : 1e-14;
        ASSERT_NEAR(c[i * l.n + j], sum + static_cast<double>(old),
                    eps * (10 + static_cast<double>(l.k)))
            << l.m << "×" << l.n << "×" << l.k << " at " << i << ", " << j;
      }
    }
  }
}

template <class T>
class Matmul : public ::testing::Test {};
using Types = ::testing::Types<float, double, std::int32_t, std::int64_t>;
TYPED_TEST_SUITE(Matmul, Types);

TYPED_TEST(Matmul, AllTransposesPlainAndAccumulating) {
  using T = TypeParam;
  for (const auto& [m, n, k] : kSizes) {
    const auto a = random_values<T>(m * k, 1), b = random_values<T>(k * n, 2);
    for (int mode = 0; mode < 8; ++mode) {
      auto c = random_values<T>(m * n, 3);
      const auto before = c;
      MatmulLaunch l;
      l.dtype = l.out_dtype = dtype_of<T>;
      l.m = m;
      l.n = n;
      l.k = k;
      l.a = matrix(a.data(), m, k, mode & 1);
      l.b = matrix(b.data(), k, n, mode & 2);
      l.c = c.data();
      l.accumulate = mode & 4;
      cpu_backend().matmul(l, Stream());
      expect_product<T>(l, l.accumulate ? before.data() : nullptr);
    }
  }
}

TYPED_TEST(Matmul, BatchesWithBroadcastOperands) {
  using T = TypeParam;
  const std::int64_t m = 9, n = 12, k = 20;
  const Shape batch = {3, 5};
  const auto a = random_values<T>(15 * m * k, 4),
             b = random_values<T>(5 * k * n, 5);
  std::vector<T> c(index_of(15 * m * n));
  MatmulLaunch l;
  l.dtype = l.out_dtype = dtype_of<T>;
  l.batch = batch;
  l.m = m;
  l.n = n;
  l.k = k;
  l.a = matrix(a.data(), m, k, false);
  l.a.batch_strides = {5 * m * k, m * k};
  l.b = matrix(b.data(), k, n, true);
  l.b.batch_strides = {0, k * n};
  l.c = c.data();
  cpu_backend().matmul(l, Stream());
  for (std::int64_t i = 0; i < 15; ++i) {
    MatmulLaunch one = l;
    one.a.data = a.data() + i * m * k;
    one.b.data = b.data() + i % 5 * k * n;
    one.c = c.data() + i * m * n;
    expect_product<T>(one, nullptr);
  }
}

TYPED_TEST(Matmul, EmptyInnerDimensionGivesZeros) {
  using T = TypeParam;
  std::vector<T> c(6, T{5});
  MatmulLaunch l;
  l.dtype = l.out_dtype = dtype_of<T>;
  l.m = 2;
  l.n = 3;
  l.c = c.data();
  l.accumulate = true;
  cpu_backend().matmul(l, Stream());
  EXPECT_EQ(c, std::vector<T>(6, T{5}));
  l.accumulate = false;
  cpu_backend().matmul(l, Stream());
  EXPECT_EQ(c, std::vector<T>(6, T{0}));
}

TEST(MatmulFloat, RowsMayBeFartherApartThanTheirLength) {
  const std::int64_t m = 40, n = 50, k = 60;
  const auto a = random_values<float>(m * 100, 6),
             b = random_values<float>(n * 90, 7);
  std::vector<float> c(index_of(m * n));
  MatmulLaunch l;
  l.m = m;
  l.n = n;
  l.k = k;
  l.a = {a.data(), 100, 1, {}};
  l.b = {b.data(), 1, 90, {}};
  l.c = c.data();
  cpu_backend().matmul(l, Stream());
  expect_product<float>(l, nullptr);
}

TEST(MatmulFloat, ThreadsDoNotChangeBits) {
  for (const auto& [m, n, k] : std::vector<Sizes>{
           {512, 512, 200}, {128, 512, 784}, {784, 512, 128}, {128, 10, 256}}) {
    const auto a = random_values<float>(m * k, 8),
               b = random_values<float>(k * n, 9);
    std::vector<float> c[2];
    for (const int threads : {1, 2}) {
      const WithThreads with(threads);
      auto& out = c[threads - 1];
      out.resize(index_of(m * n));
      MatmulLaunch l;
      l.m = m;
      l.n = n;
      l.k = k;
      l.a = matrix(a.data(), m, k, false);
      l.b = matrix(b.data(), k, n, true);
      l.c = out.data();
      cpu_backend().matmul(l, Stream());
    }
    expect_same_bits(c[0], c[1]);
  }
}

TEST(MatmulHalf, AccumulatesInFloat32AndRoundsOnce) {
  for (const DType type : {DType::float16, DType::bfloat16}) {
    const auto to = type == DType::float16 ? float_to_half : float_to_bfloat16;
    const auto from =
        type == DType::float16 ? half_to_float : bfloat16_to_float;
    for (const auto& [m, n, k] : kSizes) {
      for (int mode = 0; mode < 8; ++mode) {
        const Shape batch = {2};
        auto a = random_values<float>(2 * m * k, 10),
             b = random_values<float>(k * n, 11);
        std::vector<std::uint16_t> ha(a.size()), hb(b.size()),
            c(index_of(2 * m * n), to(1.0f));
        for (std::size_t i = 0; i < a.size(); ++i)
          a[i] = from(ha[i] = to(a[i]));
        for (std::size_t i = 0; i < b.size(); ++i)
          b[i] = from(hb[i] = to(b[i]));
        std::vector<float> wide(c.size(), 1.0f);
        MatmulLaunch l;
        l.dtype = l.out_dtype = type;
        l.batch = batch;
        l.m = m;
        l.n = n;
        l.k = k;
        l.a = matrix(ha.data(), m, k, mode & 1);
        l.b = matrix(hb.data(), k, n, mode & 2);
        l.a.batch_strides = {m * k};
        l.b.batch_strides = {0};
        l.c = c.data();
        l.accumulate = mode & 4;
        cpu_backend().matmul(l, Stream());
        l.out_dtype = DType::float32;
        l.c = wide.data();
        cpu_backend().matmul(l, Stream());
        for (std::int64_t e = 0; e < 2 * m * n; ++e) {
          const float* x = a.data() + e / n / m * m * k;
          MatrixBinding fa = l.a, fb = l.b;
          fa.data = x;
          fb.data = b.data();
          const double sum =
              dot<float>(fa, fb, e / n % m, e % n, k) + (l.accumulate ? 1 : 0);
          ASSERT_NEAR(wide[index_of(e)], sum, 1e-5 * (1 + std::fabs(sum)));
          ASSERT_EQ(c[index_of(e)], to(wide[index_of(e)]));
        }
      }
    }
  }
}

}  // namespace
}  // namespace jacquard::testing
