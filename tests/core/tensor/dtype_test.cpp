#include "jacquard/dtype.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>

#include "jacquard/error.h"

namespace jacquard {
namespace {

constexpr DType kAll[] = {DType::bool_,   DType::int32,    DType::int64,
                          DType::float16, DType::bfloat16, DType::float32,
                          DType::float64};

TEST(DType, HasANameAndASize) {
  EXPECT_EQ(name_of(DType::bool_), "bool");
  EXPECT_EQ(name_of(DType::bfloat16), "bfloat16");
  EXPECT_EQ(name_of(DType::float64), "float64");
  EXPECT_EQ(size_of(DType::bool_), 1u);
  EXPECT_EQ(size_of(DType::float16), 2u);
  EXPECT_EQ(size_of(DType::int64), 8u);
}

TEST(DType, PromotesTwoTensorsAsPyTorchDoes) {
  constexpr auto b = DType::bool_, i4 = DType::int32, i8 = DType::int64,
                 h = DType::float16, bf = DType::bfloat16, f = DType::float32,
                 d = DType::float64;
  constexpr DType expected[7][7] = {
      {b, i4, i8, h, bf, f, d},  {i4, i4, i8, h, bf, f, d},
      {i8, i8, i8, h, bf, f, d}, {h, h, h, h, f, f, d},
      {bf, bf, bf, f, bf, f, d}, {f, f, f, f, f, f, d},
      {d, d, d, d, d, d, d}};
  for (int i = 0; i < 7; ++i)
    for (int j = 0; j < 7; ++j)
      EXPECT_EQ(promote(kAll[i], kAll[j]), expected[i][j])
          << name_of(kAll[i]) << " with " << name_of(kAll[j]);
}

TEST(DType, AScalarChangesATensorOfALowerCategoryOnly) {
  for (const DType t : kAll)
    EXPECT_EQ(promote(t, ScalarKind::boolean), t) << name_of(t);
  EXPECT_EQ(promote(DType::bool_, ScalarKind::integer), DType::int64);
  EXPECT_EQ(promote(DType::int32, ScalarKind::integer), DType::int32);
  EXPECT_EQ(promote(DType::float16, ScalarKind::integer), DType::float16);
  EXPECT_EQ(promote(DType::bool_, ScalarKind::floating), DType::float32);
  EXPECT_EQ(promote(DType::int64, ScalarKind::floating), DType::float32);
  EXPECT_EQ(promote(DType::bfloat16, ScalarKind::floating), DType::bfloat16);
  EXPECT_EQ(promote(DType::float64, ScalarKind::floating), DType::float64);
}

TEST(DType, TheDefaultIsAFloatingType) {
  EXPECT_EQ(default_dtype(), DType::float32);
  set_default_dtype(DType::float64);
  EXPECT_EQ(default_dtype(), DType::float64);
  EXPECT_EQ(promote(DType::int32, ScalarKind::floating), DType::float64);
  EXPECT_THROW(set_default_dtype(DType::int32), DTypeError);
  EXPECT_EQ(default_dtype(), DType::float64);
  set_default_dtype(DType::float32);
}

TEST(Half, KnownValuesHaveTheirBits) {
  EXPECT_EQ(float_to_half(0.0f), 0x0000);
  EXPECT_EQ(float_to_half(-0.0f), 0x8000);
  EXPECT_EQ(float_to_half(1.0f), 0x3c00);
  EXPECT_EQ(float_to_half(-2.0f), 0xc000);
  EXPECT_EQ(float_to_half(65504.0f), 0x7bff);
  EXPECT_EQ(float_to_half(0x1p-14f), 0x0400);  // smallest normal
  EXPECT_EQ(float_to_half(0x1p-24f), 0x0001);  // smallest
  EXPECT_EQ(float_to_half(INFINITY), 0x7c00);
  EXPECT_EQ(float_to_half(-INFINITY), 0xfc00);
}

TEST(Half, TiesGoToEven) {
  EXPECT_EQ(float_to_half(1.0f + 0x1p-11f), 0x3c00);
  EXPECT_EQ(float_to_half(1.0f + 3 * 0x1p-11f), 0x3c02);
  EXPECT_EQ(float_to_half(std::nextafter(1.0f + 0x1p-11f, 2.0f)), 0x3c01);
  EXPECT_EQ(float_to_half(0x1p-25f), 0x0000);
  EXPECT_EQ(float_to_half(std::nextafter(0x1p-25f, 1.0f)), 0x0001);
  EXPECT_EQ(float_to_half(3 * 0x1p-25f), 0x0002);
  EXPECT_EQ(float_to_half(65519.996f), 0x7bff);
  EXPECT_EQ(float_to_half(65520.0f), 0x7c00);
  EXPECT_EQ(float_to_half(-1e30f), 0xfc00);
}

TEST(Half, EveryValueSurvivesTheWayToFloatAndBack) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = half_to_float(half);
    const bool is_nan = (bits & 0x7c00) == 0x7c00 && (bits & 0x3ff) != 0;
    ASSERT_EQ(std::isnan(value), is_nan) << bits;
    if (is_nan)
      ASSERT_TRUE(std::isnan(half_to_float(float_to_half(value)))) << bits;
    else
      ASSERT_EQ(float_to_half(value), half) << bits;
  }
}

TEST(Half, RoundsToTheNearestBetweenAllNeighbours) {
  for (std::uint16_t bits = 0; bits < 0x7bff; ++bits) {
    const float low = half_to_float(bits);
    const float high = half_to_float(static_cast<std::uint16_t>(bits + 1));
    const float middle = low + (high - low) / 2;  // exact in float
    const int even = (bits & 1) == 0 ? bits : bits + 1;
    ASSERT_EQ(float_to_half(middle), even);
    ASSERT_EQ(float_to_half(std::nextafter(middle, low)), bits);
    ASSERT_EQ(float_to_half(std::nextafter(middle, high)), bits + 1);
    ASSERT_EQ(float_to_half(-middle), even | 0x8000);
  }
}

TEST(BFloat16, RoundsToTheNearestBetweenAllNeighbours) {
  for (std::uint32_t bits = 0; bits < 0x7f80; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    ASSERT_EQ(float_to_bfloat16(bfloat16_to_float(half)), half);
    const std::uint32_t middle = bits << 16 | 0x8000;
    const std::uint32_t even = (bits & 1) == 0 ? bits : bits + 1;
    ASSERT_EQ(float_to_bfloat16(std::bit_cast<float>(middle)), even);
    ASSERT_EQ(float_to_bfloat16(std::bit_cast<float>(middle - 1)), bits);
    ASSERT_EQ(float_to_bfloat16(std::bit_cast<float>(middle + 1)), bits + 1);
  }
}

TEST(BFloat16, OverflowsToInfinityAndKeepsNaN) {
  EXPECT_EQ(float_to_bfloat16(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_EQ(float_to_bfloat16(-INFINITY), 0xff80);
  // A NaN whose upper bits alone would be an infinity.
  const float nan = std::bit_cast<float>(0x7f800001u);
  EXPECT_TRUE(std::isnan(bfloat16_to_float(float_to_bfloat16(nan))));
  EXPECT_TRUE(std::isnan(half_to_float(float_to_half(nan))));
}

TEST(BFloat16, AgreesWithTheCompilersRoundingOfASum) {
  // Rounding to 8 bits of significand by Veltkamp's splitting.
  std::mt19937 random(7);
  std::uniform_real_distribution<float> uniform(-1e6f, 1e6f);
  for (int i = 0; i < 10'000; ++i) {
    const float x = uniform(random);
    const float scaled = 65537.0f * x;
    const float rounded = scaled - (scaled - x);
    ASSERT_EQ(bfloat16_to_float(float_to_bfloat16(x)), rounded) << x;
  }
}

}  // namespace
}  // namespace jacquard
