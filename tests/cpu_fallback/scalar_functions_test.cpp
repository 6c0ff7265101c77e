// The shared scalar functions with V = float, double and integers, as a
// generated kernel uses them; by literal cases. Their accuracy over wide ranges
// is tested on packs (isa_float_test.cpp).
#include <gtest/gtest.h>
#include <math.h>

#include <cmath>
#include <cstdint>
#include <limits>

namespace {

#include "core/pointwise/scalar_basics.h"
// scalar_functions.h builds on it.
#include "core/pointwise/scalar_functions.h"

template <class T>
class ScalarFunctions : public testing::Test {
 protected:
  static constexpr T inf = std::numeric_limits<T>::infinity();
  static constexpr T nan = std::numeric_limits<T>::quiet_NaN();
  static constexpr T tiny = std::numeric_limits<T>::denorm_min();
  // Four units in the last place.
  static void expect_near(T value, double exact) {
    const double eps = std::numeric_limits<T>::epsilon();
    EXPECT_NEAR(value, exact, 4 * eps * std::fabs(exact));
  }
  static bool is_negative_zero(T x) { return x == 0 && std::signbit(x); }
  static bool is_positive_zero(T x) { return x == 0 && !std::signbit(x); }
};
using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(ScalarFunctions, Types);

TYPED_TEST(ScalarFunctions, ArithmeticHasTheMeaningOfItsPrimitives) {
  using T = TypeParam;
  using S = ScalarFunctions<T>;
  EXPECT_EQ(op_add(T(2), T(3)), 5);
  EXPECT_EQ(op_sub(T(2), T(3)), -1);
  EXPECT_EQ(op_mul(T(2), T(3)), 6);
  EXPECT_EQ(op_div(T(1), T(-0.0)), -S::inf);
  EXPECT_EQ(op_neg(T(2)), -2);
  EXPECT_TRUE(S::is_negative_zero(op_neg(T(0))));
  EXPECT_TRUE(S::is_positive_zero(op_abs(T(-0.0))));
  EXPECT_EQ(op_mulz(T(0), S::inf), 0);
  EXPECT_EQ(op_mulz(T(-0.0), S::nan), 0);
  EXPECT_TRUE(std::isnan(op_mulz(S::inf, T(0))));
  EXPECT_EQ(op_mulz(T(2), T(3)), 6);
}

TYPED_TEST(ScalarFunctions, NaNWinsInExtremesAndSurvivesReluAndSign) {
  using T = TypeParam;
  using S = ScalarFunctions<T>;
  EXPECT_TRUE(std::isnan(op_maximum(S::nan, T(1))));
  EXPECT_TRUE(std::isnan(op_maximum(T(1), S::nan)));
  EXPECT_TRUE(std::isnan(op_minimum(S::nan, T(1))));
  EXPECT_TRUE(std::isnan(op_minimum(T(1), S::nan)));
  EXPECT_EQ(op_maximum(T(1), S::inf), S::inf);
  EXPECT_EQ(op_minimum(T(1), -S::inf), -S::inf);
  EXPECT_TRUE(std::isnan(op_relu(S::nan)));
  EXPECT_EQ(op_relu(T(-3)), 0);
  EXPECT_EQ(op_relu(S::tiny), S::tiny);
  EXPECT_TRUE(std::isnan(op_sign(S::nan)));
  EXPECT_EQ(op_sign(-S::tiny), -1);
  EXPECT_TRUE(S::is_positive_zero(op_sign(T(-0.0))));
}

TYPED_TEST(ScalarFunctions, RoundingGoesToNearestEven) {
  using T = TypeParam;
  EXPECT_EQ(op_round(T(0.5)), 0);
  EXPECT_EQ(op_round(T(1.5)), 2);
  EXPECT_EQ(op_round(T(2.5)), 2);
  EXPECT_EQ(op_floor(T(-1.5)), -2);
  EXPECT_EQ(op_ceil(T(-1.5)), -1);
  EXPECT_EQ(op_trunc(T(-1.5)), -1);
  EXPECT_TRUE(ScalarFunctions<T>::is_negative_zero(op_ceil(T(-0.5))));
}

TYPED_TEST(ScalarFunctions, RemaindersHaveTheirSigns) {
  using T = TypeParam;
  using S = ScalarFunctions<T>;
  EXPECT_EQ(op_fmod(T(-7), T(3)), -1);
  EXPECT_EQ(op_remainder(T(-7), T(3)), 2);
  EXPECT_EQ(op_remainder(T(7), T(-3)), -2);
  EXPECT_EQ(op_remainder(T(-1), S::inf), S::inf);
  EXPECT_TRUE(S::is_negative_zero(op_remainder(T(6), T(-3))));
  EXPECT_TRUE(std::isnan(op_remainder(T(1), T(0))));
}

TYPED_TEST(ScalarFunctions, TestsTellFiniteInfiniteAndNaN) {
  using S = ScalarFunctions<TypeParam>;
  EXPECT_TRUE(op_is_nan(S::nan));
  EXPECT_FALSE(op_is_nan(S::inf));
  EXPECT_TRUE(op_is_inf(-S::inf));
  EXPECT_FALSE(op_is_inf(S::nan));
  EXPECT_TRUE(op_is_finite(std::numeric_limits<TypeParam>::max()));
  EXPECT_FALSE(op_is_finite(S::nan));
  EXPECT_FALSE(op_is_finite(S::inf));
  EXPECT_TRUE(op_ne(S::nan, S::nan));
  EXPECT_FALSE(op_le(S::nan, S::nan));
  EXPECT_EQ(op_where(true, TypeParam(1), S::nan), 1);
}

TYPED_TEST(ScalarFunctions, SigmoidNeitherOverflowsNorLosesItsTail) {
  using T = TypeParam;
  using S = ScalarFunctions<T>;
  EXPECT_EQ(op_sigmoid(T(0)), T(0.5));
  EXPECT_EQ(op_sigmoid(S::inf), 1);
  EXPECT_EQ(op_sigmoid(-S::inf), 0);
  EXPECT_EQ(op_sigmoid(T(1000)), 1);
  S::expect_near(op_sigmoid(T(-50)), 1.9287498479639178e-22);
  EXPECT_TRUE(std::isnan(op_sigmoid(S::nan)));
}

TYPED_TEST(ScalarFunctions, ErfinvInvertsErf) {
  using T = TypeParam;
  using S = ScalarFunctions<T>;
  S::expect_near(op_erfinv(T(0.5)), 0.47693627620446987);
  S::expect_near(op_erfinv(T(-0.125)), -0.11123545184094996);
  S::expect_near(op_erfinv(T(0.96875)), 1.5230194019969561);
  EXPECT_EQ(op_erfinv(T(1)), S::inf);
  EXPECT_EQ(op_erfinv(T(-1)), -S::inf);
  EXPECT_TRUE(S::is_negative_zero(op_erfinv(T(-0.0))));
  EXPECT_TRUE(std::isnan(op_erfinv(T(1.5))));
  EXPECT_TRUE(std::isnan(op_erfinv(S::nan)));
}

TYPED_TEST(ScalarFunctions, DigammaKnowsItsValuesAndPoles) {
  using T = TypeParam;
  using S = ScalarFunctions<T>;
  S::expect_near(op_digamma(T(1)), -0.57721566490153286);
  S::expect_near(op_digamma(T(0.5)), -1.9635100260214235);
  S::expect_near(op_digamma(T(-0.5)), 0.036489973978576521);
  S::expect_near(op_digamma(T(10)), 2.2517525890667211);
  S::expect_near(op_digamma(T(1e5)), 11.512920464961895);
  EXPECT_EQ(op_digamma(T(0)), -S::inf);
  EXPECT_EQ(op_digamma(T(-0.0)), S::inf);
  EXPECT_TRUE(std::isnan(op_digamma(T(-3))));
  EXPECT_EQ(op_digamma(S::inf), S::inf);
  EXPECT_TRUE(std::isnan(op_digamma(-S::inf)));
}

TYPED_TEST(ScalarFunctions, PolygammaKnowsItsValuesAndPoles) {
  using T = TypeParam;
  using S = ScalarFunctions<T>;
  S::expect_near(op_polygamma(T(1), T(1)), 1.6449340668482264);
  S::expect_near(op_polygamma(T(2), T(1)), -2.4041138063191885);
  S::expect_near(op_polygamma(T(3), T(0.5)), 97.409091034002437);
  S::expect_near(op_polygamma(T(1), T(-0.5)), 8.9348022005446793);
  EXPECT_EQ(op_polygamma(T(1), T(0)), S::inf);
  EXPECT_EQ(op_polygamma(T(2), T(-3)), -S::inf);
  EXPECT_EQ(op_polygamma(T(1), S::inf), 0);
  EXPECT_TRUE(std::isnan(op_polygamma(T(1), S::nan)));
}

TYPED_TEST(ScalarFunctions, ElementaryFunctionsAreThoseOfTheLibrary) {
  using T = TypeParam;
  using S = ScalarFunctions<T>;
  S::expect_near(op_exp(T(1)), 2.718281828459045);
  S::expect_near(op_cbrt(T(-27)), -3);
  S::expect_near(op_atan2(T(1), T(-1)), 2.356194490192345);
  S::expect_near(op_lgamma(T(-0.5)), 1.2655121234846454);
  S::expect_near(op_rsqrt(T(16)), 0.25);
  EXPECT_EQ(op_rsqrt(T(0)), S::inf);
  EXPECT_EQ(op_pow(S::nan, T(0)), 1);
  EXPECT_EQ(op_pow(T(0), T(-1)), S::inf);
}

TEST(ScalarIntegers, WrapAndSquare) {
  EXPECT_EQ(op_add(INT32_MAX, 1), INT32_MIN);
  EXPECT_EQ(op_mul(std::int64_t{1} << 62, std::int64_t{4}), 0);
  EXPECT_EQ(op_neg(INT32_MIN), INT32_MIN);
  EXPECT_EQ(op_abs(-5), 5);
  EXPECT_EQ(op_pow(3, 5), 243);
  EXPECT_EQ(op_pow(-1, -3), -1);
  EXPECT_EQ(op_pow(2, -1), 0);
  EXPECT_EQ(op_fmod(-7, 3), -1);
  EXPECT_EQ(op_remainder(-7, 3), 2);
  EXPECT_EQ(op_remainder(INT32_MIN, -1), 0);
  EXPECT_EQ(op_remainder(5, 0), 0);
  EXPECT_EQ(op_relu(-4), 0);
  EXPECT_EQ(op_mulz(0, 3), 0);
}

TEST(ScalarIntegers, LogicTakesZeroAndOne) {
  const unsigned char no = 0, yes = 1;
  EXPECT_EQ(op_logical_and(yes, no), 0);
  EXPECT_EQ(op_logical_or(yes, no), 1);
  EXPECT_EQ(op_logical_xor(yes, yes), 0);
  EXPECT_EQ(op_logical_not(yes), 0);
}

}  // namespace
