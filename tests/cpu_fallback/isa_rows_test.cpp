// Row operations and matrix products of each level.
#include "isa_testing.h"

namespace jacquard::cpu_fallback {
namespace {

using pointwise::Op;

const std::size_t kCols[] = {1,  2,  3,  7,   10,   16,  17,
                             31, 64, 65, 130, 1000, 5000};

template <class T>
std::vector<T> random_rows(std::size_t n, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<double> normal(0.5, 3);
  std::vector<T> x(n);
  for (T& v : x) v = static_cast<T>(normal(engine));
  return x;
}

template <class T, class R = T>
std::vector<R> run(const KernelTable& table, Op op, const std::vector<T>& a,
                   std::size_t cols, const void* b = nullptr,
                   const void* c = nullptr) {
  // The vectors end with the last row, for a sanitizer to see.
  std::vector<R> out(a.size());
  const RowFn fn = row_of(table, op, dtype_of<T>);
  EXPECT_NE(fn, nullptr);
  fn({.a = a.data(),
      .b = b,
      .c = c,
      .out = out.data(),
      .rows = a.size() / cols,
      .cols = cols,
      .places = cols});
  return out;
}

// What a row operation should give, row by row in long double.
struct Exact {
  std::vector<long double> softmax, log_softmax, normal, vjp;
  long double sum = 0, mean, max, logsumexp;
};

template <class T>
Exact exact_row(const T* x, const T* g, T epsilon, std::size_t n) {
  using L = long double;
  Exact e;
  e.max = x[0];
  for (std::size_t i = 0; i < n; ++i) {
    e.sum += x[i];
    e.max = std::max<L>(e.max, x[i]);
  }
  e.mean = e.sum / n;
  L total = 0, squares = 0;
  for (std::size_t i = 0; i < n; ++i) {
    total += std::exp(x[i] - e.max);
    squares += (x[i] - e.mean) * (x[i] - e.mean);
  }
  e.logsumexp = e.max + std::log(total);
  const L inverse = 1 / std::sqrt(squares / n + epsilon);
  L mean_g = 0, along = 0;
  for (std::size_t i = 0; i < n; ++i) {
    e.softmax.push_back(std::exp(x[i] - e.max) / total);
    e.log_softmax.push_back(x[i] - e.logsumexp);
    e.normal.push_back((x[i] - e.mean) * inverse);
    mean_g += L(g[i]) / n;
    along += g[i] * e.normal[i] / n;
  }
  for (std::size_t i = 0; i < n; ++i)
    e.vjp.push_back(inverse * (g[i] - mean_g - e.normal[i] * along));
  return e;
}

template <class T>
void check_rows() {
  const double eps = std::numeric_limits<T>::epsilon();
  constexpr std::size_t rows = 3;
  for (std::size_t cols : kCols) {
    SCOPED_TRACE(cols);
    const std::vector<T> x = random_rows<T>(rows * cols, 1);
    const std::vector<T> g = random_rows<T>(rows * cols, 2);
    const std::vector<T> epsilon(rows * cols, T(1e-2));
    for_each_level([&](const KernelTable& table) {
      const auto sum = run(table, Op::row_sum, x, cols);
      const auto mean = run(table, Op::row_mean, x, cols);
      const auto max = run(table, Op::row_max, x, cols);
      const auto logsumexp = run(table, Op::row_logsumexp, x, cols);
      const auto softmax = run(table, Op::row_softmax, x, cols);
      const auto log_softmax = run(table, Op::row_log_softmax, x, cols);
      const auto normal =
          run(table, Op::row_normalize, x, cols, epsilon.data());
      const auto vjp =
          run(table, Op::row_normalize_vjp, x, cols, g.data(), epsilon.data());
      for (std::size_t r = 0; r < rows; ++r) {
        const Exact e = exact_row(&x[r * cols], &g[r * cols], T(1e-2), cols);
        for (std::size_t i = 0; i < cols; ++i) {
          const std::size_t k = r * cols + i;
          const auto near = [&](T value, long double exact, double scale) {
            ASSERT_NEAR(static_cast<double>(value), static_cast<double>(exact),
                        scale * eps);
          };
          near(sum[k], e.sum, double(cols) + 8);
          near(mean[k], e.mean, 32);
          EXPECT_EQ(max[k], static_cast<T>(e.max));
          near(logsumexp[k], e.logsumexp, 64);
          near(softmax[k], e.softmax[i], 16 * double(e.softmax[i]) + 1e-3);
          near(log_softmax[k], e.log_softmax[i], 64);
          near(normal[k], e.normal[i], 128);
          near(vjp[k], e.vjp[i], cols < 3 ? 4000 : 256);
        }
      }
    });
  }
}

TEST(IsaRows, AgreeWithTheirDefinitionInFloat32) { check_rows<float>(); }
TEST(IsaRows, AgreeWithTheirDefinitionInFloat64) { check_rows<double>(); }

TEST(IsaRows, ARowDoesNotDependOnItsNeighbours) {
  for (std::size_t cols : {3u, 10u, 33u, 100u}) {
    const auto x = random_rows<float>(5 * cols, 3);
    const auto g = random_rows<float>(5 * cols, 4);
    const std::vector<float> epsilon(5 * cols, 1e-5f);
    for_each_level([&](const KernelTable& table) {
      for (int k = 0; k < pointwise::kOpCount; ++k) {
        const Op op = static_cast<Op>(k);
        if (!pointwise::is_row(op) || pointwise::info(op).arity == 0 ||
            op == Op::row_pick || op == Op::row_argmax || op == Op::row_argmin)
          continue;
        SCOPED_TRACE(pointwise::info(op).name);
        const bool vjp = op == Op::row_normalize_vjp;
        const auto all = run(table, op, x, cols,
                             vjp ? g.data() : epsilon.data(), epsilon.data());
        for (std::size_t r = 0; r < 5; ++r) {
          const std::vector<float> row(&x[r * cols], &x[r * cols] + cols);
          const auto one =
              run(table, op, row, cols, vjp ? &g[r * cols] : epsilon.data(),
                  epsilon.data());
          for (std::size_t i = 0; i < cols; ++i)
            ASSERT_TRUE(same_bits(one[i], all[r * cols + i]));
        }
      }
    });
  }
}

TEST(IsaRows, InfinitiesAndNaNBehaveAsInPyTorch) {
  const float inf = std::numeric_limits<float>::infinity();
  for_each_level([&](const KernelTable& table) {
    for (std::size_t cols : {5u, 16u, 40u}) {
      std::vector<float> low(cols, -inf), mixed(cols, 0), high(cols, 1),
          nan(cols, 1);
      mixed[0] = -inf;
      high[3] = inf;
      nan[cols - 1] = std::nanf("");
      EXPECT_EQ(run(table, Op::row_logsumexp, low, cols)[1], -inf);
      EXPECT_EQ(run(table, Op::row_logsumexp, high, cols)[0], inf);
      EXPECT_TRUE(std::isnan(run(table, Op::row_logsumexp, nan, cols)[0]));
      for (float v : run(table, Op::row_softmax, low, cols))
        EXPECT_TRUE(std::isnan(v));
      for (float v : run(table, Op::row_log_softmax, low, cols))
        EXPECT_TRUE(std::isnan(v));
      for (float v : run(table, Op::row_softmax, nan, cols))
        EXPECT_TRUE(std::isnan(v));
      const auto softmax = run(table, Op::row_softmax, mixed, cols);
      EXPECT_EQ(softmax[0], 0);
      EXPECT_NEAR(softmax[1], 1.0 / (cols - 1), 1e-6);
      EXPECT_EQ(run(table, Op::row_log_softmax, mixed, cols)[0], -inf);
      EXPECT_EQ(run(table, Op::row_max, low, cols)[2], -inf);
      EXPECT_TRUE(std::isnan(run(table, Op::row_max, nan, cols)[0]));
    }
  });
}

template <class T>
void check_places() {
  for_each_level([](const KernelTable& table) {
    std::mt19937 engine(5);
    for (std::size_t cols : kCols) {
      std::vector<T> x(4 * cols);
      for (T& v : x) v = static_cast<T>(engine() % 9);
      const auto high = run<T, std::int64_t>(table, Op::row_argmax, x, cols);
      const auto low = run<T, std::int64_t>(table, Op::row_argmin, x, cols);
      for (std::size_t r = 0; r < 4; ++r) {
        const T* row = &x[r * cols];
        const auto first = std::max_element(row, row + cols) - row;
        const auto least = std::min_element(row, row + cols) - row;
        for (std::size_t i = 0; i < cols; ++i) {
          ASSERT_EQ(high[r * cols + i], first);
          ASSERT_EQ(low[r * cols + i], least);
        }
      }
      if constexpr (std::is_floating_point_v<T>) {
        x[cols / 2] = std::numeric_limits<T>::quiet_NaN();
        x[cols - 1] = std::numeric_limits<T>::quiet_NaN();
        const std::int64_t nan = static_cast<std::int64_t>(cols / 2);
        EXPECT_EQ((run<T, std::int64_t>(table, Op::row_argmax, x, cols)[0]),
                  nan);
        EXPECT_EQ((run<T, std::int64_t>(table, Op::row_argmin, x, cols)[0]),
                  nan);
      }
    }
  });
}

TEST(IsaRows, ArgmaxIsTheFirstAndNaNWins) {
  check_places<float>();
  check_places<double>();
  check_places<std::int32_t>();
  check_places<std::int64_t>();
}

TEST(IsaRows, PickTakesTheIndexedElement) {
  for_each_level([](const KernelTable& table) {
    const std::vector<float> x = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    const std::vector<std::int64_t> index = {2, 2, 2, 0, 0, 0, 3, 3, 3};
    const auto picked = run(table, Op::row_pick, x, 3, index.data());
    EXPECT_EQ(picked[0], 3);
    EXPECT_EQ(picked[2], 3);
    EXPECT_EQ(picked[4], 4);
    EXPECT_TRUE(std::isnan(picked[7]));
  });
}

TEST(IsaRows, LongRowsKeepTheirSum) {
  for_each_level([](const KernelTable& table) {
    const std::vector<float> x(1000000, 0.1f);
    EXPECT_NEAR(run(table, Op::row_sum, x, x.size())[0], 1e5, 0.5);
  });
}

TEST(IsaGemm, MultipliesEveryLayout) {
  std::mt19937 engine(9);
  const auto number = [&] { return static_cast<double>(engine() % 21) - 10; };
  for (auto [m, n, k] : {std::array<std::int64_t, 3>{1, 1, 1},
                         {3, 5, 2},
                         {17, 9, 33},
                         {64, 70, 65},
                         {1, 40, 7},
                         {40, 1, 7},
                         {5, 6, 1},
                         {4, 4, 0}}) {
    std::vector<double> a(m * k), b(k * n);
    for (double& v : a) v = number();
    for (double& v : b) v = number();
    for_each_level([&, m = m, n = n, k = k](const KernelTable& table) {
      for (int layout = 0; layout < 8; ++layout) {
        const std::int64_t a_row = layout & 1 ? 1 : k,
                           a_col = layout & 1 ? m : 1;
        const std::int64_t b_row = layout & 2 ? 1 : n,
                           b_col = layout & 2 ? k : 1;
        const bool accumulate = layout & 4;
        const std::int64_t ldc = n + 3;
        std::vector<double> c(m * ldc, 0.5);
        table.gemm_f64(m, n, k, a.data(), a_row, a_col, b.data(), b_row, b_col,
                       c.data(), ldc, accumulate);
        for (std::int64_t i = 0; i < m; ++i)
          for (std::int64_t j = 0; j < ldc; ++j) {
            double sum = accumulate || j >= n ? 0.5 : 0;
            for (std::int64_t l = 0; l < k && j < n; ++l)
              sum += a[i * a_row + l * a_col] * b[l * b_row + j * b_col];
            ASSERT_EQ(c[i * ldc + j], sum);
          }
      }
    });
  }
}

}  // namespace
}  // namespace jacquard::cpu_fallback
