// Floating primitives of each level against the C library in a wider type.
#include <algorithm>
#include <functional>
#include <string>

#include "isa_testing.h"

namespace jacquard::cpu_fallback {
namespace {

using pointwise::Op;
using Reference = std::function<long double(long double, long double)>;

constexpr long double kPi = 3.14159265358979323846264338327950288L;

long double exact_digamma(long double x) {
  if (x == 0) return std::copysign(HUGE_VALL, -x);
  if (x < 0) {
    const long double r = x - std::rint(x);
    if (r == 0 || std::isinf(x)) return NAN;
    return exact_digamma(1 - x) - kPi / std::tan(kPi * r);
  }
  long double sum = 0;
  for (; x < 40; x += 1) sum += 1 / x;
  const long double w = 1 / (x * x);
  const long double series =
      w * (1.0L / 12 -
           w * (1.0L / 120 -
                w * (1.0L / 252 -
                     w * (1.0L / 240 -
                          w * (1.0L / 132 - w * (691.0L / 32760 - w / 12))))));
  return std::log(x) - 0.5L / x - series - sum;
}

// Newton's method upon the C library's erf and erfc, from a rough start.
long double exact_erfinv(long double x) {
  const long double a = std::fabs(x);
  if (!(a < 1)) return a == 1 ? std::copysign(HUGE_VALL, x) : NAN;
  if (x == 0) return x;
  if (a < 1e-9L) return x * std::sqrt(kPi) / 2;
  const long double l = std::log((1 - a) * (1 + a));
  const long double h = 2 / (kPi * 0.147L) + l / 2;
  long double y = std::sqrt(std::sqrt(h * h - l / 0.147L) - h);
  for (int i = 0; i < 12; ++i) {
    const long double f = a < 0.5L ? std::erf(y) - a : (1 - a) - std::erfc(y);
    const long double u = f * std::exp(y * y) * std::sqrt(kPi) / 2;
    y -= u / (1 + y * u);
  }
  return std::copysign(y, x);
}

long double python_remainder(long double a, long double b) {
  const long double r = std::fmod(a, b);
  if (r == 0) return std::copysign(0.0L, b);
  return (r < 0) != (b < 0) ? r + b : r;
}

struct Case {
  Op op;
  Reference exact;
  double limit = 4;  // ulp
  // Size of the terms of which the value is made, where these may cancel.
  std::function<double(double, double)> floor = [](double, double) {
    return 0;
  };
};

#define UNARY(name)                                                   \
  Case {                                                              \
    Op::name, [](long double x, long double) { return std::name(x); } \
  }

std::vector<Case> unary_cases() {
  using L = long double;
  std::vector<Case> cases = {
      UNARY(exp),   UNARY(expm1), UNARY(log),  UNARY(log1p), UNARY(cbrt),
      UNARY(sin),   UNARY(cos),   UNARY(tan),  UNARY(asin),  UNARY(acos),
      UNARY(atan),  UNARY(sinh),  UNARY(cosh), UNARY(tanh),  UNARY(asinh),
      UNARY(acosh), UNARY(atanh), UNARY(erf),  UNARY(erfc),  UNARY(lgamma),
  };
  const auto add = [&](Op op, Reference f, double limit) {
    cases.push_back({op, std::move(f), limit});
  };
  add(
      Op::sqrt, [](L x, L) { return std::sqrt(x); }, 0.5);
  add(
      Op::rsqrt, [](L x, L) { return 1 / std::sqrt(x); }, 1.5);
  add(
      Op::neg, [](L x, L) { return -x; }, 0);
  add(
      Op::abs, [](L x, L) { return std::fabs(x); }, 0);
  add(
      Op::floor, [](L x, L) { return std::floor(x); }, 0);
  add(
      Op::ceil, [](L x, L) { return std::ceil(x); }, 0);
  add(
      Op::trunc, [](L x, L) { return std::trunc(x); }, 0);
  add(
      Op::round, [](L x, L) { return std::nearbyint(x); }, 0);
  add(
      Op::sign, [](L x, L) { return x > 0    ? 1
                                    : x < 0  ? -1
                                    : x == 0 ? 0
                                             : x; },
      0);
  add(
      Op::relu, [](L x, L) { return x <= 0 ? 0 : x; }, 0);
  add(
      Op::sigmoid, [](L x, L) { return 1 / (1 + std::exp(-x)); }, 4);
  add(
      Op::erfinv, [](L x, L) { return exact_erfinv(x); }, 4);
  // About its roots at negative x the value is a difference; about the positive
  // root the reference is.
  add(
      Op::digamma, [](L x, L) { return exact_digamma(x); }, 4);
  cases.back().floor = [](double x, double y) {
    if (x < 0 && std::isfinite(y)) return std::log(1 - x) + std::fabs(y);
    return std::fabs(x - 1.4616321449683623) < 0.01 ? 0.01 : 0;
  };
  return cases;
}

std::vector<Case> comparison_cases() {
  using L = long double;
  const auto truth = [](bool x) { return x ? 1.0L : 0.0L; };
  return {
      {Op::eq, [=](L a, L b) { return truth(a == b); }},
      {Op::ne, [=](L a, L b) { return truth(a != b); }},
      {Op::lt, [=](L a, L b) { return truth(a < b); }},
      {Op::le, [=](L a, L b) { return truth(a <= b); }},
      {Op::gt, [=](L a, L b) { return truth(a > b); }},
      {Op::ge, [=](L a, L b) { return truth(a >= b); }},
      {Op::is_nan, [=](L a, L) { return truth(std::isnan(a)); }},
      {Op::is_inf, [=](L a, L) { return truth(std::isinf(a)); }},
      {Op::is_finite, [=](L a, L) { return truth(std::isfinite(a)); }},
  };
}

std::vector<Case> binary_cases() {
  using L = long double;
  return {
      {Op::add, [](L a, L b) { return a + b; }, 0.501},
      {Op::sub, [](L a, L b) { return a - b; }, 0.501},
      {Op::mul, [](L a, L b) { return a * b; }, 0.501},
      {Op::div, [](L a, L b) { return a / b; }, 0.501},
      {Op::mulz, [](L a, L b) { return a == 0 ? 0 : a * b; }, 0.501},
      {Op::pow, [](L a, L b) { return std::pow(a, b); }},
      {Op::atan2, [](L a, L b) { return std::atan2(a, b); }},
      {Op::fmod, [](L a, L b) { return std::fmod(a, b); }, 0},
      {Op::remainder, python_remainder, 0.501},
  };
}

template <class T>
std::vector<T> special_values() {
  using Limits = std::numeric_limits<T>;
  std::vector<T> x = {T(0),
                      Limits::infinity(),
                      Limits::denorm_min(),
                      Limits::denorm_min() * 3,
                      Limits::min(),
                      Limits::min() / 2,
                      std::nextafter(Limits::min(), T(0)),
                      Limits::max(),
                      Limits::epsilon(),
                      Limits::epsilon() / 4};
  for (double v : {0.25,
                   0.5,
                   0.75,
                   1.0,
                   1.5,
                   2.0,
                   2.5,
                   3.0,
                   3.5,
                   4.0,
                   5.0,
                   10.0,
                   17.0,
                   33.0,
                   88.0,
                   88.7,
                   88.8,
                   89.0,
                   89.5,
                   103.0,
                   104.0,
                   170.6,
                   171.7,
                   708.0,
                   709.7,
                   709.8,
                   710.5,
                   745.0,
                   746.0,
                   1e4,
                   1e5,
                   8388607.5,
                   8388608.0,
                   1e10,
                   1e15,
                   1e20,
                   1e30,
                   3e38,
                   1.5707963267948966,
                   3.141592653589793,
                   6.283185307179586,
                   0.6931471805599453,
                   1.4616321449683623})
    x.push_back(static_cast<T>(v));
  const std::size_t n = x.size();
  for (std::size_t i = 0; i < n; ++i) {
    if (!(x[i] > 0) || std::isinf(x[i])) continue;
    x.push_back(std::nextafter(x[i], T(0)));
    x.push_back(std::nextafter(x[i], Limits::infinity()));
  }
  const std::size_t m = x.size();
  for (std::size_t i = 0; i < m; ++i) x.push_back(-x[i]);
  x.push_back(Limits::quiet_NaN());
  return x;
}

// Half with any bits, half in ranges where functions are not constant.
template <class T>
std::vector<T> random_values(std::size_t n, unsigned seed) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  std::mt19937_64 engine(seed);
  std::vector<T> x(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double u = static_cast<double>(engine() >> 11) * 0x1p-52 - 1;
    const double scales[] = {1, 1, 6, 12, 100, 1000, 1e5};
    if (i % 2 == 0) {
      const Bits bits = static_cast<Bits>(engine());
      std::memcpy(&x[i], &bits, sizeof bits);
    } else {
      x[i] = static_cast<T>(u * scales[i / 2 % 7]);
    }
  }
  return x;
}

template <class T>
constexpr DType kDType = dtype_of<T>;

template <class T>
void check_values(const std::vector<Case>& cases, std::vector<T> a,
                  std::vector<T> b) {
  for (const Case& c : cases) {
    SCOPED_TRACE(pointwise::info(c.op).name);
    std::vector<long double> exact(a.size());
    for (std::size_t i = 0; i < a.size(); ++i)
      exact[i] = c.exact(a[i], b.empty() ? 0 : b[i]);
    for_each_level([&](const KernelTable& table) {
      const TileFn fn = op_of(table, c.op, kDType<T>);
      ASSERT_NE(fn, nullptr);
      TileBuffer<T> x(a), y(b), out(a.size());
      fn(x.get(), b.empty() ? nullptr : y.get(), nullptr, out.get(), a.size());
      double worst = 0;
      std::size_t where = 0;
      for (std::size_t i = 0; i < a.size(); ++i) {
        const double error =
            ulp_error(out[i], exact[i], c.floor(a[i], exact[i]));
        if (error > worst) worst = error, where = i;
      }
      EXPECT_LE(worst, c.limit)
          << "at " << std::hexfloat << a[where] << ", "
          << (b.empty() ? T(0) : b[where]) << std::defaultfloat << " = "
          << a[where] << ": " << out[where] << " for "
          << static_cast<double>(exact[where]);
    });
  }
}

template <class T>
void check_unary() {
  std::vector<T> x = special_values<T>();
  const std::vector<T> more = random_values<T>(100000, 7);
  x.insert(x.end(), more.begin(), more.end());
  check_values(unary_cases(), x, {});
}

// All pairs of special values, then random ones.
template <class T>
void make_pairs(std::vector<T>& a, std::vector<T>& b) {
  const std::vector<T> special = special_values<T>();
  for (T x : special)
    for (T y : special) {
      a.push_back(x);
      b.push_back(y);
    }
  const std::vector<T> more_a = random_values<T>(100000, 8);
  const std::vector<T> more_b = random_values<T>(100000, 9);
  a.insert(a.end(), more_a.begin(), more_a.end());
  b.insert(b.end(), more_b.begin(), more_b.end());
}

template <class T>
void check_binary() {
  std::vector<T> a, b;
  make_pairs(a, b);
  check_values(binary_cases(), a, b);
}

template <class T>
void check_comparisons() {
  std::vector<T> a, b;
  make_pairs(a, b);
  for (const Case& c : comparison_cases()) {
    SCOPED_TRACE(pointwise::info(c.op).name);
    for_each_level([&](const KernelTable& table) {
      TileBuffer<T> x(a), y(b);
      TileBuffer<std::uint8_t> out(a.size(), 7);
      op_of(table, c.op, dtype_of<T>)(x.get(), y.get(), nullptr, out.get(),
                                      a.size());
      for (std::size_t i = 0; i < a.size(); ++i)
        ASSERT_EQ(out[i], c.exact(a[i], b[i])) << a[i] << ", " << b[i];
    });
  }
}

// NaN wins; of equal numbers either.
template <class T>
void check_extremes() {
  std::vector<T> a, b;
  make_pairs(a, b);
  for_each_level([&](const KernelTable& table) {
    TileBuffer<T> x(a), y(b), low(a.size()), high(a.size());
    op_of(table, Op::minimum, dtype_of<T>)(x.get(), y.get(), nullptr, low.get(),
                                           a.size());
    op_of(table, Op::maximum, dtype_of<T>)(x.get(), y.get(), nullptr,
                                           high.get(), a.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (std::isnan(a[i]) || std::isnan(b[i])) {
        ASSERT_TRUE(std::isnan(low[i]) && std::isnan(high[i]));
      } else {
        ASSERT_EQ(low[i], std::min(a[i], b[i]));
        ASSERT_EQ(high[i], std::max(a[i], b[i]));
      }
    }
  });
}

// ψ⁽ⁿ⁾ by its recurrence up to x ≥ 60 and the asymptotic series there; for
// x < 0 term by term down from x.
long double exact_polygamma(int n, long double x) {
  long double sum = 0, factorial = 1;
  for (int k = 2; k <= n; ++k) factorial *= k;
  for (; x < 60; x += 1) sum += std::pow(x, -(n + 1));
  const long double bernoulli[] = {1.0L / 6,   -1.0L / 30,    1.0L / 42,
                                   -1.0L / 30, 5.0L / 66,     -691.0L / 2730,
                                   7.0L / 6,   -3617.0L / 510};
  sum += std::pow(x, -n) / n + std::pow(x, -(n + 1)) / 2;
  long double rising = n + 1, power = std::pow(x, -(n + 2)), even = 2;
  for (int j = 1; j <= 8; ++j) {
    sum += bernoulli[j - 1] * rising * power / even;
    rising *= (n + 2 * j) * (n + 2 * j + 1.0L);
    even *= (2 * j + 1) * (2 * j + 2.0L);
    power /= x * x;
  }
  return (n % 2 == 1 ? 1 : -1) * factorial * sum;
}

template <class T>
void check_polygamma() {
  std::mt19937_64 engine(3);
  std::uniform_real_distribution<double> wide(-6, 6), near_zero(-8, 8);
  for (int n : {1, 2, 3, 4, 7, 12, 25}) {
    std::vector<T> order(3000, static_cast<T>(n)), x(order.size());
    std::vector<long double> exact(x.size()), size(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      x[i] = static_cast<T>(i % 2 == 0 ? near_zero(engine)
                                       : std::pow(10.0, wide(engine)));
      exact[i] = exact_polygamma(n, x[i]);
      // Even orders have roots between the poles, where the terms cancel.
      size[i] =
          x[i] < 0 ? std::fabs(exact_polygamma(n, x[i] - std::floor(x[i]))) : 0;
    }
    for_each_level([&](const KernelTable& table) {
      TileBuffer<T> a(order), b(x), out(x.size());
      op_of(table, Op::polygamma, dtype_of<T>)(a.get(), b.get(), nullptr,
                                               out.get(), x.size());
      for (std::size_t i = 0; i < x.size(); ++i)
        ASSERT_LE(ulp_error(out[i], exact[i], static_cast<double>(size[i])), 4)
            << "polygamma(" << n << ", " << x[i] << ") = " << out[i] << " for "
            << static_cast<double>(exact[i]);
    });
  }
}

// An element's bits depend neither on its place in the tile nor on n.
template <class T>
void check_position() {
  const std::size_t length = 200;
  const std::vector<T> pool_a = random_values<T>(4096, 21);
  std::vector<T> pool_b = random_values<T>(4096, 22);
  for_each_level([&](const KernelTable& table) {
    for (int k = 0; k < pointwise::kOpCount; ++k) {
      const auto& info = pointwise::kOpInfo[k];
      const TileFn fn = table.op[k][static_cast<int>(dtype_of<T>)];
      if (fn == nullptr || info.cls == pointwise::OpClass::b ||
          static_cast<Op>(k) == Op::where ||
          static_cast<Op>(k) == Op::polygamma)
        continue;
      SCOPED_TRACE(info.name);
      TileBuffer<T> a(pool_a), b(pool_b), all(pool_a.size());
      fn(a.get(), b.get(), nullptr, all.get(), pool_a.size());
      for (std::size_t start : {1u, 3u, 17u, 1000u, 2043u})
        for (std::size_t n : {std::size_t{1}, std::size_t{7}, length}) {
          TileBuffer<T> x(n), y(n), out(n);
          std::copy_n(&pool_a[start], n, x.get());
          std::copy_n(&pool_b[start], n, y.get());
          fn(x.get(), y.get(), nullptr, out.get(), n);
          for (std::size_t i = 0; i < n; ++i)
            ASSERT_TRUE(same_bits(out[i], all[start + i]))
                << start << "+" << i << " of " << n << ": " << out[i] << " "
                << all[start + i];
        }
    }
  });
}

TEST(IsaFloat, ComparisonsKnowNaN) {
  check_comparisons<float>();
  check_comparisons<double>();
}
TEST(IsaFloat, NaNWinsInMinimumAndMaximum) {
  check_extremes<float>();
  check_extremes<double>();
}
TEST(IsaFloat, PolygammaIsWithinFourUlp) {
  check_polygamma<float>();
  check_polygamma<double>();
}
TEST(IsaFloat, AnElementDoesNotDependOnItsPlace) {
  check_position<float>();
  check_position<double>();
}
TEST(IsaFloat, WhereTakesItsBranchByTheMask) {
  for_each_level([](const KernelTable& table) {
    TileBuffer<std::uint8_t> mask(100);
    TileBuffer<float> yes(100), no(100), out(100);
    TileBuffer<double> yes64(100), no64(100), out64(100);
    for (int i = 0; i < 100; ++i) {
      mask[i] = i % 3 == 0;
      yes[i] = i, no[i] = -i;
      yes64[i] = i, no64[i] = -i;
    }
    op_of(table, Op::where, DType::float32)(mask.get(), yes.get(), no.get(),
                                            out.get(), 100);
    op_of(table, Op::where, DType::float64)(mask.get(), yes64.get(), no64.get(),
                                            out64.get(), 100);
    for (int i = 0; i < 100; ++i) {
      EXPECT_EQ(out[i], i % 3 == 0 ? i : -i);
      EXPECT_EQ(out64[i], i % 3 == 0 ? i : -i);
    }
  });
}
TEST(IsaFloat, UnaryFunctionsOfFloat32AreWithinFourUlp) {
  check_unary<float>();
}
TEST(IsaFloat, UnaryFunctionsOfFloat64AreWithinFourUlp) {
  check_unary<double>();
}
TEST(IsaFloat, BinaryFunctionsOfFloat32AreWithinFourUlp) {
  check_binary<float>();
}
TEST(IsaFloat, BinaryFunctionsOfFloat64AreWithinFourUlp) {
  check_binary<double>();
}

}  // namespace
}  // namespace jacquard::cpu_fallback
