// Floating primitives of each level against the C library in a wider type.
#include <algorithm>
#include <functional>
#include <string>

#include "isa_testing.h"

namespace jacquard::cpu {
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
                          w * (1.0L / 132 -
                               w * (691.0L / 32760 - w / 12))))));
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
    const long double f =
        a < 0.5L ? std::erf(y) - a : (1 - a) - std::erfc(y);
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
  std::function<double(double)> floor = [](double) { return 0; };
};

#define UNARY(name) \
  Case { Op::name, [](long double x, long double) { return std::name(x); } }

std::vector<Case> unary_cases() {
  using L = long double;
  std::vector<Case> cases = {
      UNARY(exp),   UNARY(expm1), UNARY(log),   UNARY(log1p), UNARY(cbrt),
      UNARY(sin),   UNARY(cos),   UNARY(tan),   UNARY(asin),  UNARY(acos),
      UNARY(atan),  UNARY(sinh),  UNARY(cosh),  UNARY(tanh),  UNARY(asinh),
      UNARY(acosh), UNARY(atanh), UNARY(erf),   UNARY(erfc),  UNARY(lgamma),
  };
  const auto add = [&](Op op, Reference f, double limit) {
    cases.push_back({op, std::move(f), limit});
  };
  add(Op::sqrt, [](L x, L) { return std::sqrt(x); }, 0.5);
  add(Op::rsqrt, [](L x, L) { return 1 / std::sqrt(x); }, 1.5);
  add(Op::neg, [](L x, L) { return -x; }, 0);
  add(Op::abs, [](L x, L) { return std::fabs(x); }, 0);
  add(Op::floor, [](L x, L) { return std::floor(x); }, 0);
  add(Op::ceil, [](L x, L) { return std::ceil(x); }, 0);
  add(Op::trunc, [](L x, L) { return std::trunc(x); }, 0);
  add(Op::round, [](L x, L) { return std::nearbyint(x); }, 0);
  add(Op::sign, [](L x, L) { return x > 0 ? 1 : x < 0 ? -1 : x == 0 ? 0 : x; },
      0);
  add(Op::relu, [](L x, L) { return x <= 0 ? 0 : x; }, 0);
  add(Op::sigmoid, [](L x, L) { return 1 / (1 + std::exp(-x)); }, 4);
  add(Op::erfinv, [](L x, L) { return exact_erfinv(x); }, 4);
  // About its roots at negative x the value is a difference.
  add(Op::digamma, [](L x, L) { return exact_digamma(x); }, 4);
  cases.back().floor = [](double x) {
    return x < 0 && std::isfinite(x) ? std::log(1 - x) : 0;
  };
  return cases;
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
  std::vector<T> x = {T(0), Limits::infinity(), Limits::denorm_min(),
                      Limits::denorm_min() * 3, Limits::min(),
                      Limits::min() / 2, std::nextafter(Limits::min(), T(0)),
                      Limits::max(), Limits::epsilon(), Limits::epsilon() / 4};
  for (double v : {0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0,
                   10.0, 17.0, 33.0, 88.0, 88.7, 88.8, 89.0, 89.5, 103.0,
                   104.0, 170.6, 171.7, 708.0, 709.7, 709.8, 710.5, 745.0,
                   746.0, 1e4, 1e5, 8388607.5, 8388608.0, 1e10, 1e15, 1e20,
                   1e30, 3e38, 1.5707963267948966, 3.141592653589793,
                   6.283185307179586, 0.6931471805599453, 1.4616321449683623})
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

// Random arguments of lgamma and digamma below −20 are left out: beyond, the
// reference in long double knows no better.
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
        const double error = ulp_error(out[i], exact[i], c.floor(a[i]));
        if (error > worst) worst = error, where = i;
      }
      EXPECT_LE(worst, c.limit)
          << "at " << std::hexfloat << a[where] << ", "
          << (b.empty() ? T(0) : b[where]) << std::defaultfloat << " = "
          << a[where] << ": " << out[where] << " for "
          << static_cast<double>(exact[where]);
      if (std::getenv("SHOW"))
        printf("%s %s f%d %g at %a\n", table.level,
               pointwise::info(c.op).name, int(sizeof(T) * 8), worst,
               double(a[where]));
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

template <class T>
void check_binary() {
  std::vector<T> a, b;
  const std::vector<T> special = special_values<T>();
  for (T x : special)
    for (T y : special) {
      a.push_back(x);
      b.push_back(y);
    }
  const std::vector<T> more_a = random_values<T>(100000, 8);
  std::vector<T> more_b = random_values<T>(100000, 9);
  a.insert(a.end(), more_a.begin(), more_a.end());
  b.insert(b.end(), more_b.begin(), more_b.end());
  check_values(binary_cases(), a, b);
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
}  // namespace jacquard::cpu
