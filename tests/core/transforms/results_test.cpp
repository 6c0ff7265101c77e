// What the functions of transforms return: losses, auxiliary outputs,
// structures with seeds, and what is no result.
#include <cmath>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>
#include <utility>

#include "tests/core/transforms/models.h"

namespace jacquard {
namespace {

using namespace testing_models;

TEST(Results, HaveNames) {
  const auto both = withgradient(
      [](const TrackedTensor& x) { return sum(x * x); }, f64({1, 2}));
  EXPECT_EQ(both.value.item<double>(), 5);
  EXPECT_EQ(values(both.gradient), (Doubles{2, 4}));
  EXPECT_FALSE(both.value.is_tracked());
}

TEST(Results, AModelANumberAndAPower) {
  struct Mixed {
    TrackedTensor vec, mat;
    std::function<TrackedTensor(const TrackedTensor&)> fun;
  };
  Mixed m{f64({1, 2}), tensor({{4.0}}),
          [](const TrackedTensor& t) { return sin(t); }};
  const auto r = withgradient(
      [](const Mixed& in, int p) { return pow(sum(square(in.vec)), p); }, m, 2);
  EXPECT_EQ(r.value.item<double>(), 25);
  EXPECT_EQ(values(std::get<0>(r.gradient).vec), (Doubles{20, 40}));
  EXPECT_EQ(values(std::get<0>(r.gradient).mat), (Doubles{0}));
  EXPECT_EQ(std::get<1>(r.gradient), NoGradient());
}

TEST(Results, ATupleCarriesMoreThanTheLoss) {
  const auto [value, g] = withgradient(
      [](const TrackedTensor& v) { return std::tuple(sum(v), v * 2.0, 33); },
      f64({1, 2}));
  EXPECT_EQ(std::get<0>(value).item<double>(), 3);
  EXPECT_EQ(values(std::get<1>(value)), (Doubles{2, 4}));
  EXPECT_FALSE(std::get<1>(value).is_tracked());
  EXPECT_EQ(std::get<2>(value), 33);
  EXPECT_EQ(values(g), (Doubles{1, 1}));
}

TEST(Results, AStructCarriesMoreThanTheLoss) {
  struct Out {
    TrackedTensor loss;
    std::map<std::string, TrackedTensor> seen;
    std::string note;
    TrackedTensor none;
  };
  auto f = [](const TrackedTensor& v) {
    return Out{sum(v * v), {{"h", v + 1.0}}, "ok", {}};
  };
  const auto [value, g] = withgradient(f, f64({1, 2}));
  EXPECT_EQ(value.loss.item<double>(), 5);
  EXPECT_EQ(values(value.seen.at("h")), (Doubles{2, 3}));
  EXPECT_EQ(value.note, "ok");
  EXPECT_FALSE(value.none.defined());
  EXPECT_EQ(values(g), (Doubles{2, 4}));
  EXPECT_EQ(values(gradient(f, f64({3}))), (Doubles{6}));
}

TEST(Results, AuxiliaryOutputsHaveNoPartInTheGradient) {
  auto with = [](const TrackedTensor& v) {
    return std::pair(sum(v * v), sum(exp(v)) * 100.0);
  };
  EXPECT_EQ(values(gradient(with, f64({1, 2}))), (Doubles{2, 4}));
}

TEST(Results, AuxiliaryOutputsOfAnInnerTransformAreRecorded) {
  // x · aux(x) where aux = x² comes out of an inner withgradient.
  auto outer = [](const TrackedTensor& x) {
    const auto inner = withgradient(
        [](const TrackedTensor& y) { return std::pair(y * 5.0, y * y); }, x);
    EXPECT_TRUE(inner.value.second.is_tracked());
    return x * inner.value.second;
  };
  EXPECT_EQ(gradient(outer, 2.0).item<double>(), 12);
}

TEST(Results, AreDifferentiatedWhateverComesAfterThem) {
  // The loss is not the last operation, and some lead nowhere.
  TrackedTensor kept;
  const auto f = [&](const TrackedTensor& x) {
    const TrackedTensor loss = sum(x * x);
    kept = exp(loss) * 3.0;
    const TrackedTensor dead = x / 0.0;
    return loss;
  };
  EXPECT_EQ(values(gradient(f, f64({1, 2}))), (Doubles{2, 4}));
  EXPECT_NEAR(kept.item<double>(), 3 * std::exp(5.0), 1e-9);
}

TEST(Results, AreTheCallersAndNothingChangesThemLater) {
  std::vector<TrackedTensor> m{param(f64({1, 2})), param(f64({3, 4}))};
  const auto f = [](const std::vector<TrackedTensor>& in) {
    return sum(square(in[0])) * 0.5 + sum(in[1] + in[0] * 0.0);
  };
  const auto first = withgradient(f, m);
  apply_gradients(m, first.gradient);
  apply_gradients(m, gradient(f, m));
  EXPECT_EQ(values(m[1]), (Doubles{1, 2}));
  EXPECT_EQ(values(first.gradient[0]), (Doubles{1, 2}));
  EXPECT_EQ(values(first.gradient[1]), (Doubles{1, 1}));
  EXPECT_EQ(first.value.item<double>(), 9.5);
}

TEST(Results, ThatCanNotBeCopiedAreMoved) {
  struct Out {
    TrackedTensor loss;
    std::unique_ptr<std::mutex> state;
  };
  const auto r = withgradient(
      [](const TrackedTensor& x) {
        return Out{x * x, std::make_unique<std::mutex>()};
      },
      3.0);
  EXPECT_NE(r.value.state, nullptr);
  EXPECT_EQ(r.gradient.item<double>(), 6);
}

TEST(Results, WhatASharedPointerHoldsIsNotTouched) {
  const auto shared = std::make_shared<TrackedTensor>();
  const auto r = withgradient(
      [&](const TrackedTensor& x) {
        *shared = x * 2.0;
        return std::pair(x * x, shared);
      },
      3.0);
  EXPECT_NE(r.value.second, shared);
  EXPECT_FALSE(r.value.second->is_tracked());
  EXPECT_TRUE(shared->is_tracked());
}

TEST(Results, AFunctionMayReturnItsInput) {
  EXPECT_EQ(
      gradient([](const TrackedTensor& x) { return x; }, 4.0).item<double>(),
      1);
  auto [a, b, c] = gradient(
      [](const TrackedTensor&, const TrackedTensor& y, int) { return y; }, 1.0,
      f64({2}), 3);
  EXPECT_TRUE(a.is_structural_zero());
  EXPECT_EQ(values(b), (Doubles{1}));
}

TEST(Results, AConstantIsAnErrorUnlessAllowed) {
  auto constant = [](const TrackedTensor&) { return 1.0; };
  EXPECT_EQ(message_of([&] { gradient(constant, 2.0); }),
            "gradient: the result depends on none of the arguments; did the "
            "function use a captured copy instead of its parameter?");
  const auto r = withgradient({.allow_unused = true}, constant, 2.0);
  EXPECT_EQ(r.value, 1.0);
  EXPECT_TRUE(r.gradient.is_structural_zero());
}

TEST(Results, ThatAreNoLossSayWhatTheyAre) {
  auto message = [](auto f) {
    return message_of([&] { gradient(f, f64({1, 2})); });
  };
  using T = TrackedTensor;
  EXPECT_EQ(message([](const T& x) { return x * 2.0; }),
            "gradient: the function's result is float64[2], not one floating "
            "element; reduce it (sum, mean), or use pullback with a cotangent");
  EXPECT_EQ(message([](const T& x) { return sum(x) > 0; }),
            "gradient: the function's result is bool[], not one floating "
            "element; reduce it (sum, mean), or use pullback with a cotangent");
  EXPECT_EQ(message([](const T&) { return true; }),
            "gradient: the function's result is a bool, not one floating "
            "element: a TrackedTensor, or a tuple or struct whose first member "
            "is one");
  EXPECT_NE(message([](const T& x) { return x.numel(); }).find("an integer"),
            std::string::npos);
  EXPECT_NE(message([](const T&) { return T(); }).find("undefined"),
            std::string::npos);
  EXPECT_NE(message([](const T& x) {
              return std::pair(3, sum(x));
            }).find("an integer"),
            std::string::npos);
  EXPECT_NE(message([](const T& x) {
              return std::pair(x, sum(x));
            }).find("float64[2]"),
            std::string::npos);
}

TEST(Pullback, GivesBackWhatTheFunctionReturned) {
  auto [y, back] = pullback(
      [](const TrackedTensor& x) {
        return std::tuple(3.0 * x * x, 2.0 * x, std::string("s"));
      },
      5.0);
  EXPECT_EQ(std::get<0>(y).item<double>(), 75);
  EXPECT_FALSE(std::get<0>(y).is_tracked());
  EXPECT_EQ(std::get<2>(y), "s");
  const auto one = scalar(1, {DType::float64});
  using Seed = decltype(y);
  EXPECT_EQ(back(Seed(one, one, "")).item<double>(), 32);
  EXPECT_EQ(back(Seed(one, {}, "")).item<double>(), 30);
  EXPECT_EQ(back(Seed({}, one, "")).item<double>(), 2);
  EXPECT_TRUE(back(Seed()).is_structural_zero());
  EXPECT_EQ(back(Seed(one, one, "")).item<double>(), 32);
}

TEST(Pullback, OfOneOutputTwiceAddsBothSeeds) {
  auto [y, back] = pullback(
      [](const TrackedTensor& x) {
        TrackedTensor h = x * x;
        return std::vector{h, h, x};
      },
      f64({3}));
  EXPECT_EQ(values(back({f64({1}), f64({10}), f64({100})})), (Doubles{166}));
}

TEST(Pullback, OfHalfTypesAndIntegersBesideOthers) {
  auto [y, back] = pullback(
      [](const TrackedTensor& x) {
        return std::tuple(x * 2.0, argmax(x, 0), sum(x));
      },
      cast(f64({1, 2}), DType::bfloat16));
  EXPECT_EQ(std::get<1>(y).item<std::int64_t>(), 1);
  const TrackedTensor seed = cast(f64({1, 1}), DType::bfloat16);
  const TrackedTensor g = back({seed, {}, cast(scalar(1), DType::bfloat16)});
  EXPECT_EQ(g.dtype(), DType::bfloat16);
  EXPECT_EQ(g.to_host<float>(), (std::vector<float>{3, 3}));
}

TEST(Pullback, OfOneElementNeedsNoSeed) {
  auto [y, back] =
      pullback([](const TrackedTensor& x) { return sum(x * x); }, f64({1, 2}));
  EXPECT_EQ(values(back()), (Doubles{2, 4}));
  auto [z, back_z] =
      pullback([](const TrackedTensor& x) { return x * x; }, f64({1, 2}));
  EXPECT_THROW(back_z(), GraphError);
}

TEST(Pullback, ChecksItsSeeds) {
  auto [y, back] = pullback(
      [](const Linear& l) {
        return Linear{l.weight * 2.0, f64({1})};
      },
      Linear{f64({1, 2}), f64({3})});
  EXPECT_EQ(message_of([&] {
              back({f64({1}), {}});
            }),
            "pullback: seed \"weight\": the cotangent of mul has shape [1], "
            "the value [2]");
  EXPECT_EQ(message_of([&] {
              back({f64({1, 1}), f64({1, 2})});
            }),
            "pullback: seed \"bias\" has shape [2], the value [1]");
  EXPECT_NE(message_of([&] {
              back({tensor<std::int64_t>({1, 1}), {}});
            }).find("dtype int64"),
            std::string::npos);
  EXPECT_EQ(values(back({f64({1, 1}), {}}).weight), (Doubles{2, 2}));
  auto [z, back_z] =
      pullback([](const TrackedTensor& x) { return x * x; }, f64({1, 2}));
  EXPECT_THROW(back_z(f64({1})), GraphError);
  EXPECT_EQ(values(back_z(f64({1, 1}))), (Doubles{2, 4}));
  auto [list, back_list] = pullback(
      [](const TrackedTensor& x) {
        return std::vector{x, x};
      },
      f64({1}));
  EXPECT_EQ(message_of([&] { back_list({f64({1})}); }),
            "pullback: the structure of different sizes (2 and 1)");
}

TEST(Pullback, IsAFunctionOfItsSeedThatCanBeDifferentiated) {
  // y = x³; pulled back: v ↦ 3x²v, linear in v.
  auto [y, back] =
      pullback([](const TrackedTensor& x) { return x * x * x; }, f64({2, 3}));
  const TrackedTensor g = gradient(
      [&](const TrackedTensor& v) {
        return sum(back(v) * f64({1, 10}));
      },
      f64({1, 1}));
  EXPECT_EQ(values(g), (Doubles{12, 270}));
  EXPECT_EQ(values(back(f64({1, 1}))), (Doubles{12, 27}));
}

TEST(Pullback, InsideATransformIsDifferentiatedInItsPrimal) {
  auto f = [](const TrackedTensor& x) {
    auto [y, back] =
        pullback([](const TrackedTensor& t) { return t * t * t; }, x);
    return sum(back(ones_like(x)));
  };
  EXPECT_EQ(values(gradient(f, f64({2, 3}))), (Doubles{12, 18}));
}

TEST(Pullback, KeepsGradientsShapedLikeItsArguments) {
  auto [y, back] =
      pullback([](const Model& m, const TrackedTensor&,
                  const TrackedTensor& x) { return m(x); },
               small_model(), 1.0, randn({4, 2}, {DType::float64}));
  const auto [m, s, x] = back(ones_like(y));
  EXPECT_EQ(m.name, "small");
  EXPECT_EQ(m.layers[1].weight.shape(), Shape({3, 2}));
  EXPECT_TRUE(s.is_structural_zero());
  EXPECT_EQ(x.shape(), Shape({4, 2}));
}

}  // namespace
}  // namespace jacquard
