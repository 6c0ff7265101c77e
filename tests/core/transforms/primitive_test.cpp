// Scalar functions with derivatives of the user's, inside fused programs.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "tests/core/transforms/arrays.h"

namespace jacquard {
namespace {

const auto swish2 = primitive(
    "swish2", [](auto x) { return x * sigmoid(2.0 * x); },
    [](auto x) {
      const auto s = sigmoid(2.0 * x);
      return s + 2.0 * x * s * (1.0 - s);
    });

TrackedTensor plain_swish2(const TrackedTensor& x) {
  return x * sigmoid(2.0 * x);
}

const auto norm2 = primitive(
    "norm2", [](auto x, auto y) { return sqrt(x * x + y * y); },
    [](auto x, auto y) { return x / sqrt(x * x + y * y); },
    [](auto x, auto y) { return y / sqrt(x * x + y * y); });

TEST(Primitive, HasTheValueAndTheDerivativesThatWereGiven) {
  const auto f = [](const Values& v) { return swish2(v[0] * v[0]); };
  const Values inputs{f64({-1.5, -0.2, 0.4, 2})};
  EXPECT_EQ(read(f(inputs)), read(plain_swish2(inputs[0] * inputs[0])));
  const auto first = gradcheck(f, inputs);
  EXPECT_TRUE(first) << first.message;
  const auto second = gradgradcheck(f, inputs);
  EXPECT_TRUE(second) << second.message;
}

TEST(Primitive, TheGivenDerivativeDecides) {
  const auto straight_through = primitive(
      "straight_through", [](auto x) { return round(x); },
      [](auto) { return 1.0; });
  const auto f = [&](const TrackedTensor& x) {
    return sum(straight_through(x) * x);
  };
  EXPECT_EQ(read(gradient(f, f64({0.6, 1.2}))), (Doubles{1.6, 2.2}));
}

TEST(Primitive, TakesTwoOperandsThatBroadcast) {
  const auto f = [](const Values& v) { return norm2(v[0], v[1]); };
  const Values inputs{reshape(f64({1, 2, -3}), {3, 1}), f64({2, 0.5})};
  EXPECT_EQ(f(inputs).shape(), Shape({3, 2}));
  const auto first = gradcheck(f, inputs);
  EXPECT_TRUE(first) << first.message;
  const auto second = gradgradcheck(f, inputs);
  EXPECT_TRUE(second) << second.message;
}

TEST(Primitive, TakesThreeOperands) {
  const auto lerp = primitive(
      "lerp", [](auto a, auto b, auto t) { return a + (b - a) * t; },
      [](auto, auto, auto t) { return 1.0 - t; },
      [](auto, auto, auto t) { return t; },
      [](auto a, auto b, auto) { return b - a; });
  const auto f = [&](const Values& v) { return lerp(v[0], v[1], v[2]); };
  const Values inputs{f64({1, 2}), f64({3, -1}), f64({0.25})};
  const auto second = gradgradcheck(f, inputs);
  EXPECT_TRUE(second) << second.message;
  EXPECT_EQ(read(lerp(f64({1, 2}), 3.0, 0.5)), (Doubles{2, 2.5}));
  const auto g =
      gradient([&](const TrackedTensor& t) { return sum(lerp(1.0, 5.0, t)); },
               f64({0.5}));
  EXPECT_EQ(read(g), (Doubles{4}));
}

TEST(Primitive, OneOperandTwiceGetsBothDerivatives) {
  const auto f = [](const TrackedTensor& x) { return sum(norm2(x, x)); };
  EXPECT_NEAR(gradient(f, f64({3})).item<double>(), std::sqrt(2.0), 1e-15);
}

TEST(Primitive, AGradientThroughItsValueStopsThere) {
  // d/dx of the primitive is 0 by its rule; the other factor counts.
  const auto frozen = primitive(
      "frozen", [](auto x) { return x; }, [](auto) { return 0.0; });
  const auto f = [&](const TrackedTensor& x) { return sum(frozen(x) * x); };
  EXPECT_EQ(read(gradient(f, f64({2, 3}))), (Doubles{2, 3}));
}

TEST(Primitive, TheThirdDerivativeIsThatOfTheGivenExpression) {
  const auto cube = primitive(
      "cube", [](auto x) { return x * x * x; },
      [](auto x) { return 3.0 * x * x; });
  const auto d = [](auto g) {
    return [g](const TrackedTensor& x) { return sum(gradient(g, x)); };
  };
  const auto f = [&](const TrackedTensor& x) { return sum(cube(x)); };
  EXPECT_EQ(d(d(d(f)))(f64({2})).item<double>(), 6);
}

TEST(Primitive, WaitsToBeFusedAndItsReverseIsFusedToo) {
  const TrackedTensor a = param(f64({1, 2})), b = param(f64({3, 4}));
  LaunchLog log;
  const TrackedTensor y = swish2(a * b) + a;
  EXPECT_TRUE(y.is_pending());
  materialize(y);
  EXPECT_EQ(log.launches(), 1u) << log.to_string();
  log.clear();
  backward(y, f64({1, 1}));
  EXPECT_EQ(log.launches(), 1u) << log.to_string();
}

TEST(Primitive, TheForwardLaunchComputesNoDerivative) {
  // The derivative alone reads w: the forward launch doesn't.
  const TrackedTensor w = f64(Doubles(1000, 2.0));
  const auto scaled = primitive(
      "scaled", [](auto x) { return x + x; }, [&](auto) { return w; });
  const TrackedTensor x = param(f64(Doubles(1000, 1.0)));
  LaunchLog log;
  const TrackedTensor y = materialize(scaled(x));
  EXPECT_EQ(log.bytes_read(), 8000u) << log.to_string();
  backward(sum(y));
  EXPECT_EQ(read(x.grad())[999], 2);
}

TEST(Primitive, AZeroCotangentTimesAnInfiniteDerivativeIsZero) {
  const auto root = primitive(
      "root", [](auto x) { return sqrt(x); },
      [](auto x) { return 0.5 / sqrt(x); });
  const auto f = [&](const TrackedTensor& x) {
    return sum(where(x > 0.0, root(x), 0.0));
  };
  EXPECT_EQ(read(gradient(f, f64({0, 4}))), (Doubles{0, 0.25}));
}

TEST(Primitive, KeepsHalfAndPromotesAsOperationsDo) {
  const TrackedTensor h = cast(f64({1, 2}), DType::float16);
  EXPECT_EQ(swish2(h).dtype(), DType::float16);
  const TrackedTensor g =
      gradient([](const TrackedTensor& x) { return sum(swish2(x)); }, h);
  EXPECT_EQ(g.dtype(), DType::float16);
  EXPECT_EQ(norm2(h, f64({1, 2})).dtype(), DType::float64);
  EXPECT_EQ(norm2(cast(h, DType::float32), 2.0).dtype(), DType::float32);
  const auto [gh, gd] =
      gradient([](const TrackedTensor& a,
                  const TrackedTensor& b) { return sum(norm2(a, b)); },
               h, f64({1, 2}));
  EXPECT_EQ(gh.dtype(), DType::float16);
  EXPECT_NEAR(read(gh)[0], std::sqrt(0.5), 1e-3);
  EXPECT_NEAR(read(gd)[1], std::sqrt(0.5), 1e-12);
}

TEST(Primitive, IntegersAndEmptyTensorsAreFine) {
  const auto doubled = primitive(
      "doubled", [](auto x) { return x + x; }, [](auto) { return 2.0; });
  const TrackedTensor n = cast(f64({1, 2}), DType::int64);
  EXPECT_EQ(doubled(n).dtype(), DType::int64);
  EXPECT_FALSE(doubled(n).is_tracked());
  const TrackedTensor none = zeros({0}, {DType::float64});
  EXPECT_EQ(
      gradient([&](const TrackedTensor& x) { return sum(doubled(x)); }, none)
          .shape(),
      Shape({0}));
}

TEST(Primitive, NothingIsAttachedWithoutATrackedOperand) {
  int derivatives = 0;
  const auto f = primitive(
      "counted", [](auto x, auto y) { return x * y; },
      [&](auto, auto y) {
        ++derivatives;
        return y;
      },
      [&](auto x, auto) {
        ++derivatives;
        return x;
      });
  const TrackedTensor x = param(f64({1}));
  EXPECT_FALSE(f(f64({1}), 2.0).is_tracked());
  EXPECT_EQ(derivatives, 0);
  EXPECT_TRUE(f(x, 2.0).is_tracked());
  EXPECT_EQ(derivatives, 1);
  const NoGrad off;
  EXPECT_FALSE(f(x, x).is_tracked());
  EXPECT_EQ(derivatives, 1);
}

TEST(Primitive, ForcedEarlyOrLateItHasTheSameGradient) {
  const auto loss = [](bool early) {
    return [early](const TrackedTensor& x) {
      const TrackedTensor h = swish2(x * 2.0);
      if (early) materialize(h);
      const TrackedTensor y = swish2(h) * h;
      if (early) materialize(y);
      return sum(y);
    };
  };
  const TrackedTensor x = f64({0.5, -1});
  EXPECT_EQ(read(gradient(loss(true), x)), read(gradient(loss(false), x)));
}

TEST(Primitive, AskedLateForTheGradientOfItsInside) {
  const TrackedTensor x = param(f64({0.5, -1}));
  const TrackedTensor h = swish2(x);
  const TrackedTensor y = h * x;
  materialize(y);
  h.retain_grad();
  backward(sum(y));
  EXPECT_EQ(read(h.grad()), (Doubles{0.5, -1}));
}

TEST(Primitive, AValueOrADerivativeOfAnotherShapeIsAnError) {
  const auto total = primitive(
      "total", [](auto x) { return sum(x); }, [](auto) { return 1.0; });
  try {
    total(f64({1, 2}));
    FAIL();
  } catch (const ShapeError& e) {
    const std::string message = e.what();
    EXPECT_NE(message.find("total (called at "), std::string::npos) << message;
    EXPECT_NE(message.find("value has shape []"), std::string::npos) << message;
  }
  const auto wide = primitive(
      "wide", [](auto x) { return x; },
      [](auto) {
        return ones({3, 2});
      });
  EXPECT_THROW(wide(param(f64({1, 2}))), ShapeError);
  EXPECT_NO_THROW(wide(f64({1, 2})));
}

}  // namespace
}  // namespace jacquard
