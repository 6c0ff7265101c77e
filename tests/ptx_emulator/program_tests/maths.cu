// The maths library's functions, compiled by nvcc, against the host's.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "program_tests/device_array.h"

namespace {

constexpr int kFunctions = 12;

template <class T>
__global__ void evaluate(const T* x, T* y, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const T a = x[i];
  T* out = y + i * kFunctions;
  out[0] = exp(a);
  out[1] = tanh(a);
  out[2] = erf(a);
  out[3] = log(fabs(a) + T(1e-3));
  out[4] = sin(a);
  out[5] = pow(fabs(a), T(1.7));
  out[6] = sqrt(fabs(a)) / T(3);
  out[7] = lgamma(fabs(a) + T(0.5));
  out[8] = fmod(a * T(37), T(1.3));
  out[9] = cbrt(a);
  out[10] = expm1(a / T(100));
  out[11] = atan2(a, T(0.7));
}

template <class T>
void expect_close(double tolerance, double sine_tolerance) {
  constexpr int n = 4096;
  std::vector<T> x;
  for (int i = 0; i < n; ++i) x.push_back(T((i - n / 2) * (16.0 / n)));
  const DeviceArray<T> in(x), out(std::vector<T>(n * kFunctions));
  evaluate<<<n / 128, 128>>>(in.data(), out.data(), n);
  const std::vector<T> y = out.values();
  for (int i = 0; i < n; ++i) {
    const double a = x[i];
    const double expected[kFunctions] = {
        std::exp(a),
        std::tanh(a),
        std::erf(a),
        std::log(double(T(std::fabs(a)) + T(1e-3))),
        std::sin(a),
        std::pow(std::fabs(a), double(T(1.7))),
        std::sqrt(std::fabs(a)) / 3,
        std::lgamma(std::fabs(a) + 0.5),
        std::fmod(double(T(a) * T(37)), double(T(1.3))),
        std::cbrt(a),
        std::expm1(double(T(a) / T(100))),
        std::atan2(a, double(T(0.7)))};
    for (int k = 0; k < kFunctions; ++k) {
      const double scale = std::fabs(expected[k]);
      const double absolute = k == 4 || k == 7 ? sine_tolerance : 0;
      ASSERT_NEAR(y[i * kFunctions + k], expected[k],
                  tolerance * scale + absolute)
          << "function " << k << " of " << a;
    }
  }
}

TEST(Maths, SingleFunctionsAreGoodToAFewUnits) {
  expect_close<float>(6e-7, 3e-7);
}

TEST(Maths, DoubleFunctionsAreGoodToAFewUnits) {
  expect_close<double>(1.5e-15, 1e-15);
}

__global__ void integers(const int* x, int* y, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const int a = x[i], b = x[(i + 1) % n] | 1;
  const long long wide = (long long)a * b;
  y[i] = a / b + a % b + __mulhi(a, b) + __popc(a) + __clz(b) + __ffs(a) +
         int(__brev(unsigned(a))) + int(wide / 7) + int(wide % 1001) +
         __funnelshift_l(a, b, i) + int(__byte_perm(a, b, 0x5170)) + max(a, b) -
         abs(a) + int(unsigned(a) / unsigned(b)) + __dp4a(a, b, i) +
         int(__usad(a, b, 5));
}

TEST(Maths, IntegerFunctionsAgreeWithTheHost) {
  constexpr int n = 2048;
  std::vector<int> x;
  unsigned state = 1;
  for (int i = 0; i < n; ++i) {
    state = state * 1664525 + 1013904223;
    x.push_back(i < 3 ? i : int(state ^ state >> (i % 23)));
  }
  const DeviceArray<int> in(x), out(std::vector<int>(n, 0));
  integers<<<n / 256, 256>>>(in.data(), out.data(), n);
  const std::vector<int> y = out.values();
  for (int i = 0; i < n; ++i) {
    const int a = x[i], b = x[(i + 1) % n] | 1;
    const long long wide = (long long)a * b;
    const unsigned ua = a, ub = b;
    const auto bytes = [&](unsigned selector) {
      const unsigned long long both = (unsigned long long)ub << 32 | ua;
      unsigned r = 0;
      for (int k = 0; k < 4; ++k) {
        r |= unsigned(both >> 8 * (selector >> 4 * k & 7) & 255) << 8 * k;
      }
      return r;
    };
    unsigned reversed = 0;
    for (int k = 0; k < 32; ++k) reversed |= (ua >> k & 1) << (31 - k);
    int dot = i;
    for (int k = 0; k < 4; ++k) {
      dot += int(static_cast<signed char>(ua >> 8 * k)) *
             static_cast<signed char>(ub >> 8 * k);
    }
    const unsigned shifted =
        unsigned(((unsigned long long)ub << 32 | ua) << (i & 31) >> 32);
    const unsigned expected =
        unsigned(a / b) + unsigned(a % b) + unsigned(int(wide >> 32)) +
        unsigned(__builtin_popcount(ua)) + unsigned(__builtin_clz(ub)) +
        unsigned(__builtin_ffs(a)) + reversed + unsigned(int(wide / 7)) +
        unsigned(int(wide % 1001)) + shifted + bytes(0x5170) +
        unsigned(std::max(a, b)) - unsigned(std::abs(a)) + ua / ub +
        unsigned(dot) + (ua < ub ? ub - ua : ua - ub) + 5;
    ASSERT_EQ(unsigned(y[i]), expected) << a << " and " << b;
  }
}

}  // namespace
