// f32 and f64 arithmetic against the host's, bit for bit; approximate
// functions against f64 within the errors that the PTX ISA documents.
#include <gtest/gtest.h>

#include <algorithm>
#include <cfenv>
#include <cmath>
#include <limits>

#include "engine_tests/run_ptx.h"

namespace ptx_emulator {
namespace {

constexpr std::uint64_t kNan = 0x7fffffff;  // of all f32 results

std::uint64_t canonical_bits(float x) { return x != x ? kNan : bits_of(x); }

struct InMode {
  explicit InMode(int mode) { std::fesetround(mode); }
  ~InMode() { std::fesetround(FE_TONEAREST); }
};

// f in a rounding mode; volatile keeps the compiler from computing it in
// another.
template <class T, class F>
T rounded(int mode, T a, T b, T c, F f) {
  volatile T x = a, y = b, z = c;
  const InMode in_mode(mode);
  volatile T result = f(T{x}, T{y}, T{z});
  return result;
}

struct Mode {
  const char* name;
  int mode;
};
constexpr Mode kModes[] = {{"rn", FE_TONEAREST},
                           {"rz", FE_TOWARDZERO},
                           {"rm", FE_DOWNWARD},
                           {"rp", FE_UPWARD}};

template <class F>
void expect_single(const std::string& op, int operands, F reference) {
  for (const Mode& mode : kModes) {
    std::vector<Words> x;
    std::string text = op + "." + mode.name + ".f32 %w";
    for (int k = 0; k < operands; ++k) {
      x.push_back(interesting_floats(3u + 5u * static_cast<unsigned>(k)));
      text += ", %w" + std::to_string(k);
    }
    const Words got = evaluate(text + ";", 'w', x);
    x.resize(3, x[0]);
    for (std::size_t l = 0; l < 32; ++l) {
      const float expected =
          rounded(mode.mode, as_float(x[0][l]), as_float(x[1][l]),
                  as_float(x[2][l]), reference);
      EXPECT_EQ(got[l], canonical_bits(expected)) << text << " lane " << l;
    }
  }
}

template <class F>
void expect_double(const std::string& op, int operands, F reference) {
  for (const Mode& mode : kModes) {
    std::vector<Words> x;
    std::string text = op + "." + mode.name + ".f64 %d";
    for (int k = 0; k < operands; ++k) {
      x.push_back(interesting_doubles(3u + 5u * static_cast<unsigned>(k)));
      text += ", %d" + std::to_string(k);
    }
    const Words got = evaluate(text + ";", 'd', x);
    x.resize(3, x[0]);
    for (std::size_t l = 0; l < 32; ++l) {
      const double expected =
          rounded(mode.mode, as_double(x[0][l]), as_double(x[1][l]),
                  as_double(x[2][l]), reference);
      if (expected != expected) {
        EXPECT_TRUE(std::isnan(as_double(got[l]))) << text << " lane " << l;
      } else {
        EXPECT_EQ(got[l], bits_of(expected)) << text << " lane " << l;
      }
    }
  }
}

TEST(Float, ArithmeticIsExactlyRoundedInEveryMode) {
  const auto add = [](auto a, auto b, auto) { return a + b; };
  const auto subtract = [](auto a, auto b, auto) { return a - b; };
  const auto multiply = [](auto a, auto b, auto) { return a * b; };
  const auto divide = [](auto a, auto b, auto) { return a / b; };
  const auto fma = [](auto a, auto b, auto c) { return std::fma(a, b, c); };
  const auto root = [](auto a, auto, auto) { return std::sqrt(a); };
  const auto reciprocal = [](auto a, auto, auto) { return decltype(a){1} / a; };
  expect_single("add", 2, add);
  expect_single("sub", 2, subtract);
  expect_single("mul", 2, multiply);
  expect_single("div", 2, divide);
  expect_single("fma", 3, fma);
  expect_single("sqrt", 1, root);
  expect_single("rcp", 1, reciprocal);
  expect_double("add", 2, add);
  expect_double("sub", 2, subtract);
  expect_double("mul", 2, multiply);
  expect_double("div", 2, divide);
  expect_double("fma", 3, fma);
  expect_double("sqrt", 1, root);
  expect_double("rcp", 1, reciprocal);
}

TEST(Float, FlushesSubnormalOperandsAndResults) {
  const Words tiny(32, 0x80000001), one(32, 0x3f800000);
  EXPECT_EQ(evaluate("mul.ftz.f32 %w, %w0, %w1;", 'w', {tiny, one})[0],
            0x80000000u);
  EXPECT_EQ(evaluate("mul.f32 %w, %w0, %w1;", 'w', {tiny, one})[0],
            0x80000001u);
  // A subnormal result: 2^-100 * 2^-40.
  EXPECT_EQ(evaluate("mul.rn.ftz.f32 %w, %w0, %w1;", 'w',
                     {Words(32, 0x0d800000), Words(32, 0x2b800000)})[0],
            0u);
  EXPECT_EQ(evaluate("fma.rz.ftz.f32 %w, %w0, %w1, %w0;", 'w', {tiny, one})[0],
            0x80000000u);
}

TEST(Float, SaturationClampsToTheUnitInterval) {
  Words x(32, bits_of(0.25f));
  x[1] = bits_of(-3.0f);
  x[2] = bits_of(7.0f);
  x[3] = 0x7fc00000;
  const Words got =
      evaluate("add.sat.f32 %w, %w0, %w1;", 'w', {x, Words(32, 0)});
  EXPECT_EQ(as_float(got[0]), 0.25f);
  EXPECT_EQ(got[1], 0u);
  EXPECT_EQ(as_float(got[2]), 1.0f);
  EXPECT_EQ(got[3], 0u);
}

TEST(Float, ExtremaOrderZerosAndDropNan) {
  const float inf = std::numeric_limits<float>::infinity();
  const Words a{bits_of(-0.0f), bits_of(0.0f), 0x7fc00001,
                bits_of(1.0f),  0xffffffff,    bits_of(-inf)};
  const Words b{bits_of(0.0f), bits_of(-0.0f), bits_of(2.0f),
                0x7f800001,    0x7f800001,     bits_of(3.0f)};
  Words x = a, y = b;
  x.resize(32);
  y.resize(32);
  const Words low = evaluate("min.f32 %w, %w0, %w1;", 'w', {x, y});
  const Words high = evaluate("max.f32 %w, %w0, %w1;", 'w', {x, y});
  EXPECT_EQ(low[0], bits_of(-0.0f));
  EXPECT_EQ(low[1], bits_of(-0.0f));
  EXPECT_EQ(high[0], bits_of(0.0f));
  EXPECT_EQ(high[1], bits_of(0.0f));
  EXPECT_EQ(low[2], bits_of(2.0f));
  EXPECT_EQ(high[3], bits_of(1.0f));
  EXPECT_EQ(low[4], kNan);
  EXPECT_EQ(low[5], bits_of(-inf));
  EXPECT_EQ(high[5], bits_of(3.0f));
  const Words strict = evaluate("max.NaN.f32 %w, %w0, %w1;", 'w', {x, y});
  EXPECT_EQ(strict[2], kNan);
  EXPECT_EQ(strict[5], bits_of(3.0f));
  const Words sign =
      evaluate("min.xorsign.abs.f32 %w, %w0, %w1;", 'w',
               {Words(32, bits_of(-2.0f)), Words(32, bits_of(5.0f))});
  EXPECT_EQ(as_float(sign[0]), -2.0f);
}

TEST(Float, SignsAreBits) {
  const Words x = interesting_floats(1), y = interesting_floats(2);
  const Words magnitude = evaluate("abs.f32 %w, %w0;", 'w', {x});
  const Words negative =
      evaluate("neg.f64 %d, %d0;", 'd', {interesting_doubles(1)});
  const Words copied = evaluate("copysign.f32 %w, %w0, %w1;", 'w', {x, y});
  for (std::size_t l = 0; l < 32; ++l) {
    EXPECT_EQ(magnitude[l], x[l] & 0x7fffffff);
    EXPECT_EQ(negative[l], interesting_doubles(1)[l] ^ 1ull << 63);
    EXPECT_EQ(copied[l], (x[l] & 0x80000000) | (y[l] & 0x7fffffff));
  }
}

// Evaluates an approximate function at many points and returns the largest
// error, relative or absolute.
double largest_error(const std::string& op, double (*exact)(double), double low,
                     double high, bool relative) {
  double worst = 0;
  for (int round = 0; round < 200; ++round) {
    Words x;
    for (int l = 0; l < 32; ++l) {
      const double t = (round * 32 + l + 0.37) / (200 * 32);
      x.push_back(bits_of(static_cast<float>(low + t * (high - low))));
    }
    const Words got = evaluate(op + ".approx.f32 %w, %w0;", 'w', {x});
    for (std::size_t l = 0; l < 32; ++l) {
      const double wanted = exact(as_float(x[l]));
      const double error = std::fabs(as_float(got[l]) - wanted);
      worst = std::max(worst, relative ? error / std::fabs(wanted) : error);
    }
  }
  return worst;
}

TEST(Float, ApproximateFunctionsKeepTheirDocumentedError) {
  const auto exp2 = [](double x) { return std::exp2(x); };
  const auto log2 = [](double x) { return std::log2(x); };
  const auto sin = [](double x) { return std::sin(x); };
  const auto cos = [](double x) { return std::cos(x); };
  const auto tanh = [](double x) { return std::tanh(x); };
  const auto rcp = [](double x) { return 1 / x; };
  const auto rsqrt = [](double x) { return 1 / std::sqrt(x); };
  const auto sqrt = [](double x) { return std::sqrt(x); };
  EXPECT_LT(largest_error("ex2", exp2, -120, 120, true), std::exp2(-22));
  EXPECT_LT(largest_error("lg2", log2, 0.5, 2, false), std::exp2(-22));
  EXPECT_LT(largest_error("lg2", log2, 2.1, 1e30, true), std::exp2(-22));
  EXPECT_LT(largest_error("sin", sin, -3.15, 3.15, false), std::exp2(-20.5));
  EXPECT_LT(largest_error("cos", cos, -314, 314, false), std::exp2(-20.5));
  EXPECT_LT(largest_error("tanh", tanh, -12, 12, true), std::exp2(-11));
  EXPECT_LT(largest_error("rcp", rcp, 0.001, 1000, true), std::exp2(-23));
  EXPECT_LT(largest_error("rsqrt", rsqrt, 1e-5, 1e5, true), std::exp2(-22.9));
  EXPECT_LT(largest_error("sqrt", sqrt, 1e-5, 1e5, true), std::exp2(-23));
}

TEST(Float, ApproximateFunctionsAtTheirEdges) {
  const float inf = std::numeric_limits<float>::infinity();
  Words x{bits_of(0.0f),   bits_of(-0.0f),  bits_of(inf),
          bits_of(-inf),   0x7fc00000,      bits_of(-1.0f),
          bits_of(1e-41f), bits_of(130.0f), bits_of(-151.0f)};
  x.resize(32);
  const auto run = [&](const std::string& op) {
    return evaluate(op + ".f32 %w, %w0;", 'w', {x});
  };
  const Words exp2 = run("ex2.approx"), log2 = run("lg2.approx"),
              sine = run("sin.approx"), root = run("rsqrt.approx"),
              reciprocal = run("rcp.approx.ftz"), tanh = run("tanh.approx");
  EXPECT_EQ(as_float(exp2[0]), 1.0f);
  EXPECT_EQ(as_float(exp2[2]), inf);
  EXPECT_EQ(exp2[3], 0u);
  EXPECT_EQ(exp2[4], kNan);
  EXPECT_EQ(as_float(exp2[7]), inf);
  EXPECT_EQ(exp2[8], 0u);
  EXPECT_EQ(as_float(log2[0]), -inf);
  EXPECT_EQ(as_float(log2[2]), inf);
  EXPECT_EQ(log2[5], kNan);
  EXPECT_NEAR(as_float(log2[6]), std::log2(1e-41), 0.01);
  EXPECT_EQ(sine[1], bits_of(-0.0f));
  EXPECT_EQ(sine[2], kNan);
  EXPECT_EQ(as_float(root[0]), inf);
  EXPECT_EQ(as_float(root[1]), -inf);
  EXPECT_EQ(root[5], kNan);
  EXPECT_EQ(as_float(reciprocal[6]), inf);
  EXPECT_EQ(as_float(tanh[2]), 1.0f);
  EXPECT_EQ(tanh[1], bits_of(-0.0f));
}

TEST(Float, GrossReciprocalsOfDoublesHaveTwentyBits) {
  const Words x{bits_of(3.0), bits_of(-7.5), bits_of(1e300), bits_of(1e-310)};
  Words padded = x;
  padded.resize(32, bits_of(1.0));
  const Words got = evaluate("rcp.approx.ftz.f64 %d, %d0;", 'd', {padded});
  for (std::size_t l = 0; l < 2; ++l) {
    EXPECT_NEAR(as_double(got[l]) * as_double(padded[l]), 1.0,
                std::exp2(-19.5));
    EXPECT_EQ(got[l] & 0xffffffff, 0u);
  }
  EXPECT_EQ(as_double(got[3]), std::numeric_limits<double>::infinity());
  const Words root = evaluate("rsqrt.approx.f64 %d, %d0;", 'd', {padded});
  EXPECT_NEAR(as_double(root[0]), 1 / std::sqrt(3.0), 1e-15);
}

}  // namespace
}  // namespace ptx_emulator
