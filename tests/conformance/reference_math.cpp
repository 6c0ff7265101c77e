#include "tests/conformance/reference_math.h"

#include <cmath>
#include <limits>

namespace jacquard::conformance {
namespace {

constexpr long double kPi = 3.14159265358979323846264338327950288L;

// B₂, B₄, …
constexpr long double kBernoulli[] = {
    1.0L / 6,       -1.0L / 30, 1.0L / 42,      -1.0L / 30,    5.0L / 66,
    -691.0L / 2730, 7.0L / 6,   -3617.0L / 510, 43867.0L / 798};

}  // namespace

double erfinv_reference(double x) {
  if (!(std::abs(x) < 1)) {
    if (std::abs(x) == 1)
      return std::copysign(std::numeric_limits<double>::infinity(), x);
    return std::numeric_limits<double>::quiet_NaN();
  }
  if (x == 0) return x;
  // Newton on erfc, from the small side.
  const long double rest = 1 - std::abs(static_cast<long double>(x));
  long double y = std::sqrt(std::fmax(0.0L, -std::log(rest * (2 - rest))));
  for (int i = 0; i < 60; ++i) {
    const long double error =
        std::abs(x) < 0.5 ? std::abs(static_cast<long double>(x)) - std::erf(y)
                          : std::erfc(y) - rest;
    y += error * std::sqrt(kPi) / 2 * std::exp(y * y);
  }
  return static_cast<double>(std::copysign(y, static_cast<long double>(x)));
}

double digamma_reference(double at) {
  long double x = at;
  if (std::isnan(at) || at == -std::numeric_limits<double>::infinity())
    return std::numeric_limits<double>::quiet_NaN();
  if (std::isinf(at)) return at;
  if (at == 0)
    return -std::copysign(std::numeric_limits<double>::infinity(), at);
  if (at < 0) {
    if (at == std::floor(at)) return std::numeric_limits<double>::quiet_NaN();
    const long double rest = x - std::round(x);
    return static_cast<double>(
        static_cast<long double>(digamma_reference(1 - at)) -
        kPi / std::tan(kPi * rest));
  }
  long double sum = 0;
  for (; x < 20; ++x) sum -= 1 / x;
  sum += std::log(x) - 1 / (2 * x);
  long double power = 1;
  for (int k = 1; k <= 9; ++k) {
    power /= x * x;
    sum -= kBernoulli[k - 1] / (2 * k) * power;
  }
  return static_cast<double>(sum);
}

double polygamma_reference(int n, double at) {
  long double x = at, sum = 0, factorial = 1;
  for (int k = 2; k < n; ++k) factorial *= k;  // (n − 1)!
  for (; x < 25; ++x) sum += factorial * n * std::pow(x, -(n + 1.0L));
  sum += factorial * std::pow(x, -static_cast<long double>(n)) +
         factorial * n * std::pow(x, -(n + 1.0L)) / 2;
  long double rising = factorial;  // (2k + n − 1)! / (2k)!
  for (int k = 1; k <= 9; ++k) {
    rising = 1;
    for (int j = 2 * k + 1; j <= 2 * k + n - 1; ++j) rising *= j;
    sum += kBernoulli[k - 1] * rising * std::pow(x, -(2.0L * k + n));
  }
  return static_cast<double>(n % 2 == 1 ? sum : -sum);
}

}  // namespace jacquard::conformance
