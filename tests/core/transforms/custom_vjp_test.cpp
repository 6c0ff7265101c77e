// Operations with a reverse rule of the user's.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

#include "tests/core/transforms/arrays.h"

namespace jacquard {
namespace {

TrackedTensor cube_of(const TrackedTensor& x) { return x * x * x; }

auto cube() {
  return custom_vjp(cube_of,
                    [](const TrackedTensor& x, const TrackedTensor&,
                       const TrackedTensor& dy) { return dy * 3.0 * x * x; },
                    {.name = "cube"});
}

// --- Values and gradients ---------------------------------------------------

TEST(CustomVjp, GivesTheValueAndTheGradientOfTheRule) {
  const auto rule = custom_vjp(
      [](const TrackedTensor& x) { return x * 2.0; },
      [](const TrackedTensor&, const TrackedTensor&, const TrackedTensor& dy) {
        return dy * 5.0;  // not 2: the rule decides
      });
  const TrackedTensor x = f64({1, 2, 3});
  const auto [y, g] =
      withgradient([&](const TrackedTensor& v) { return sum(rule(v)); }, x);
  EXPECT_EQ(y.item<double>(), 12);
  EXPECT_EQ(read(g), (Doubles{5, 5, 5}));
}

TEST(CustomVjp, DerivativesOfEveryOrderComeFromThePullback) {
  const auto rule = cube();
  const auto f = [&](const Values& v) { return rule(v[0]) * v[1]; };
  const Values inputs{f64({0.5, -1.5, 2}), f64({1, 2, -1})};
  const auto first = gradcheck(f, inputs);
  EXPECT_TRUE(first) << first.message;
  const auto second = gradgradcheck(f, inputs);
  EXPECT_TRUE(second) << second.message;
  const auto d = [](auto g) {
    return [g](const TrackedTensor& x) { return sum(gradient(g, x)); };
  };
  const auto whole = [&](const TrackedTensor& x) { return sum(rule(x)); };
  EXPECT_EQ(read(gradient(d(d(whole)), f64({2}))), (Doubles{6}));
}

TEST(CustomVjp, ASecondOrderRuleMayReadItsOwnResult) {
  const auto rule = custom_vjp([](const TrackedTensor& x) { return exp(x); },
                               [](const TrackedTensor&, const TrackedTensor& y,
                                  const TrackedTensor& dy) { return dy * y; },
                               {.name = "my_exp"});
  const Values inputs{f64({0.5, -1.5, 2})};
  const auto f = [&](const Values& v) { return rule(v[0]); };
  EXPECT_TRUE(gradcheck(f, inputs));
  const auto second = gradgradcheck(f, inputs);
  EXPECT_TRUE(second) << second.message;
}

TEST(CustomVjp, RunsFOnceACallAndThePullbackOnceAWalk) {
  int forward = 0, reverse = 0;
  const auto rule = custom_vjp(
      [&](const TrackedTensor& x) {
        ++forward;
        return x * 4.0;
      },
      [&](const TrackedTensor&, const TrackedTensor&, const TrackedTensor& dy) {
        ++reverse;
        return dy * 4.0;
      });
  const TrackedTensor x = param(f64({1, 2}));
  const TrackedTensor y = rule(x);
  EXPECT_EQ(forward, 1);
  backward(sum(y * y + y), {}, {.retain_graph = true});  // two uses
  EXPECT_EQ(reverse, 1);
  backward(sum(y));
  EXPECT_EQ(reverse, 2);
  EXPECT_EQ(forward, 1);
  EXPECT_EQ(read(x.grad()), (Doubles{40, 72}));
}

TEST(CustomVjp, WithoutTrackedArgumentsItOnlyComputes) {
  int reverse = 0;
  const auto rule = custom_vjp(
      [](const TrackedTensor& x) { return x + 1.0; },
      [&](const TrackedTensor&, const TrackedTensor&, const TrackedTensor& dy) {
        ++reverse;
        return dy;
      });
  EXPECT_FALSE(rule(f64({1})).is_tracked());
  const TrackedTensor leaf = param(f64({1}));
  {
    const NoGrad off;
    EXPECT_FALSE(rule(leaf).is_tracked());
  }
  EXPECT_TRUE(rule(leaf).is_tracked());
  EXPECT_EQ(reverse, 0);
}

TEST(CustomVjp, SeesConstantsAndRecordsNothingInside) {
  const TrackedTensor x = param(f64({1, 2}));
  const TrackedTensor captured = param(f64({3, 4}));
  bool tracked = true;
  const auto rule = custom_vjp(
      [&](const TrackedTensor& v) {
        tracked = v.is_tracked() || (v * captured).is_tracked();
        return v * captured;
      },
      [](const TrackedTensor&, const TrackedTensor&, const TrackedTensor& dy) {
        return dy;
      });
  backward(sum(rule(x)));
  EXPECT_FALSE(tracked);
  EXPECT_EQ(read(x.grad()), (Doubles{1, 1}));
  EXPECT_FALSE(captured.grad().defined());
}

TEST(CustomVjp, AnIdentityHasTheRulesGradientAndNotItsArguments) {
  const auto reversed =
      custom_vjp([](const TrackedTensor& x) { return x; },
                 [](const TrackedTensor&, const TrackedTensor&,
                    const TrackedTensor& dy) { return -dy; },
                 {.name = "reverse_gradient"});
  const TrackedTensor x = f64({1, 2});
  EXPECT_EQ(
      read(gradient(
          [&](const TrackedTensor& v) { return sum(reversed(v) * v); }, x)),
      (Doubles{0, 0}));
}

TEST(CustomVjp, NothingIsFusedAcrossItsEdge) {
  const auto rule = cube();
  const TrackedTensor x = param(f64({1, 2}));
  const TrackedTensor before = x * 2.0;
  const TrackedTensor y = rule(before);
  EXPECT_FALSE(before.is_pending());
  EXPECT_FALSE(y.is_pending());
}

TEST(CustomVjp, TakesEmptyStridedAndHalfArguments) {
  const auto rule = cube();
  const auto loss = [&](const TrackedTensor& v) { return sum(rule(v)); };
  const TrackedTensor none = zeros({0, 3}, {DType::float64});
  EXPECT_EQ(gradient(loss, none).shape(), Shape({0, 3}));
  const TrackedTensor wide = reshape(f64({1, 2, 3, 4}), {2, 2});
  EXPECT_EQ(read(gradient(loss, transpose(wide))), (Doubles{3, 27, 12, 48}));
  const TrackedTensor half = cast(f64({1, 2}), DType::float16);
  const TrackedTensor g = gradient(loss, half);
  EXPECT_EQ(g.dtype(), DType::float16);
  EXPECT_EQ(read(g), (Doubles{3, 12}));
}

// --- Arguments --------------------------------------------------------------

TEST(CustomVjp, ATupleOfGradientsGoesToTensorsBetweenOtherArguments) {
  const auto rule = custom_vjp(
      [](const TrackedTensor& a, double k, const TrackedTensor& b, int,
         const char*) { return a * k + b * b; },
      [](const TrackedTensor& a, double k, const TrackedTensor& b, int,
         const char*, const TrackedTensor&, const TrackedTensor& dy) {
        return std::tuple(dy * k, dy * 2.0 * b + a * 0.0);
      });
  const auto [da, db] = gradient(
      [&](const TrackedTensor& a, const TrackedTensor& b) {
        return sum(rule(a, 3.0, b, 7, "text"));
      },
      f64({1, 2}), f64({4, 5}));
  EXPECT_EQ(read(da), (Doubles{3, 3}));
  EXPECT_EQ(read(db), (Doubles{8, 10}));
}

struct Affine {
  TrackedTensor weight;
  TrackedTensor bias;
  int calls = 0;
};

TEST(CustomVjp, AStructComesBeforeOrAfterTheTensor) {
  const auto before =
      custom_vjp([](const Affine& m,
                    const TrackedTensor& x) { return x * m.weight + m.bias; },
                 [](const Affine& m, const TrackedTensor& x,
                    const TrackedTensor&, const TrackedTensor& dy) {
                   return std::pair(Affine{dy * x, dy, m.calls}, dy * m.weight);
                 });
  const auto after =
      custom_vjp([](const TrackedTensor& x,
                    const Affine& m) { return x * m.weight + m.bias; },
                 [](const TrackedTensor& x, const Affine& m,
                    const TrackedTensor&, const TrackedTensor& dy) {
                   return std::tuple(dy * m.weight, Affine{dy * x, dy, 0});
                 });
  const Affine m{f64({2, 3}), f64({1, 1}), 5};
  const TrackedTensor x = f64({10, 20});
  const auto [dm, dx] = gradient(
      [&](const Affine& a, const TrackedTensor& v) {
        return sum(before(a, v) + after(v, a));
      },
      m, x);
  EXPECT_EQ(read(dm.weight), (Doubles{20, 40}));
  EXPECT_EQ(read(dm.bias), (Doubles{2, 2}));
  EXPECT_EQ(read(dx), (Doubles{4, 6}));
}

TEST(CustomVjp, TakesAnyNumberOfTensors) {
  int needed = 0;
  const auto rule = custom_vjp(
      [](const auto&... x) { return (x + ...); },
      [&](const Needs& needs, const TrackedTensor& a, const TrackedTensor&,
          const TrackedTensor&, const TrackedTensor&, const TrackedTensor&,
          const TrackedTensor& dy) {
        for (std::size_t i = 0; i < needs.size(); ++i) needed += needs[i];
        return Values{dy, dy * 2.0, dy * 3.0, dy * a};
      });
  const auto [a, d] = gradient(
      [&](const TrackedTensor& v, const TrackedTensor& w) {
        return sum(rule(v, f64({1}), f64({1}), w));
      },
      f64({6}), f64({2}));
  EXPECT_EQ(read(a), (Doubles{1}));
  EXPECT_EQ(read(d), (Doubles{6}));
  EXPECT_EQ(needed, 2);
}

TEST(CustomVjp, AVectorOfTensorsIsOneArgument) {
  const auto rule = custom_vjp(
      [](const Values& v) { return v[0] * v[1] + v[2]; },
      [](const Values& v, const TrackedTensor&, const TrackedTensor& dy) {
        return Values{dy * v[1], dy * v[0], {}};  // the last: a zero
      });
  const Values v{f64({2}), f64({3}), f64({4})};
  const Values g = gradient([&](const Values& x) { return sum(rule(x)); }, v);
  EXPECT_EQ(read(g[0]), (Doubles{3}));
  EXPECT_EQ(read(g[1]), (Doubles{2}));
  EXPECT_TRUE(g[2].is_structural_zero());
}

TEST(CustomVjp, TiedTensorsInOneArgumentGetOneTotal) {
  const auto rule = custom_vjp(
      [](const Values& v) { return v[0] * v[1]; },
      [](const Values& v, const TrackedTensor&, const TrackedTensor& dy) {
        return Values{dy * v[1], dy * v[0]};
      });
  const TrackedTensor w = param(f64({3}));
  backward(sum(rule(Values{w, w})));
  EXPECT_EQ(read(w.grad()), (Doubles{6}));
}

TEST(CustomVjp, IntegersAreNotDifferentiated) {
  const auto rule = custom_vjp(
      [](const TrackedTensor& x, const TrackedTensor& n) { return x * n; },
      [](const Needs& needs, const TrackedTensor&, const TrackedTensor& n,
         const TrackedTensor&, const TrackedTensor& dy) {
        EXPECT_TRUE(needs[0]);
        EXPECT_FALSE(needs[1]);
        return std::tuple(dy * n, TrackedTensor());
      });
  const TrackedTensor n = cast(f64({2, 3}), DType::int64);
  const TrackedTensor g = gradient(
      [&](const TrackedTensor& x) { return sum(rule(x, n)); }, f64({1, 1}));
  EXPECT_EQ(read(g), (Doubles{2, 3}));
}

TEST(CustomVjp, MixesWithBuiltInOperationsAndOtherRules) {
  const auto h = custom_vjp([](const TrackedTensor& x) { return x * 10.0; },
                            [](const TrackedTensor&, const TrackedTensor&,
                               const TrackedTensor& dy) { return dy * 10.0; });
  const auto g = custom_vjp(
      [](const TrackedTensor& x, const TrackedTensor& y) {
        return x * 4.0 + y * 4.0;
      },
      [](const TrackedTensor&, const TrackedTensor&, const TrackedTensor&,
         const TrackedTensor& dy) { return std::pair(dy * 4.0, dy * 4.0); });
  EXPECT_EQ(
      read(gradient([&](const TrackedTensor& x) { return sum(g(x, h(x))); },
                    f64({1, 2}))),
      (Doubles{44, 44}));
}

// --- State and needs --------------------------------------------------------

struct Kept {
  TrackedTensor x;
  double factor = 1;
  std::string note;
};

TEST(CustomVjp, KeepsTheStateInsteadOfArgumentsAndResults) {
  const auto rule = custom_vjp(
      [](const TrackedTensor& x, const TrackedTensor& unused, double k) {
        return with_state(x * x * k + unused * 0.0, Kept{x, k, "note"});
      },
      [](const Kept& kept, const TrackedTensor& dy) {
        EXPECT_EQ(kept.note, "note");
        return std::tuple(dy * 2.0 * kept.factor * kept.x, TrackedTensor());
      });
  const TrackedTensor x = param(f64({1, 2}));
  TrackedTensor big = param(f64({5, 5}));
  const Tensor memory = big.data();
  const long before = memory.use_count();
  const TrackedTensor y = rule(x, big, 3.0);
  EXPECT_EQ(memory.use_count(), before);  // nobody kept it
  backward(sum(y));
  EXPECT_EQ(read(x.grad()), (Doubles{6, 12}));
  const auto second = gradgradcheck(
      [&](const Values& v) { return rule(v[0], v[0], 3.0); }, {f64({1, -2})});
  EXPECT_TRUE(second) << second.message;
}

TEST(CustomVjp, ASecondDerivativeThroughWhatFComputedIntoItsStateIsAnError) {
  const auto make = [](bool constant) {
    return custom_vjp(
        [](const TrackedTensor& x) {
          const TrackedTensor slope = x * 2.0;
          return with_state(x * x, std::tuple(slope));
        },
        [](const std::tuple<TrackedTensor>& state, const TrackedTensor& dy) {
          return dy * std::get<0>(state);
        },
        {.name = "square_by_slope", .constant_state = constant});
  };
  const TrackedTensor x = f64({3});
  const auto rule = make(false);
  const auto loss = [&](const TrackedTensor& v) { return sum(rule(v)); };
  EXPECT_EQ(read(gradient(loss, x)), (Doubles{6}));
  const auto twice = [&] {
    gradient([&](const TrackedTensor& v) { return sum(gradient(loss, v)); }, x);
  };
  const std::string message = message_of<GraphError>(twice);
  EXPECT_TRUE(has(message, "square_by_slope (called at ")) << message;
  EXPECT_TRUE(has(message, "custom_vjp_test.cpp")) << message;
  EXPECT_TRUE(has(message, "constant_state")) << message;
  // Linear in dy: that derivative is there.
  const TrackedTensor mixed = gradient(
      [&](const TrackedTensor& c) {
        return sum(gradient(
            [&](const TrackedTensor& v) { return sum(rule(v) * c); }, x));
      },
      f64({1}));
  EXPECT_EQ(read(mixed), (Doubles{6}));
  const auto stated = make(true);
  EXPECT_EQ(
      read(gradient(
          [&](const TrackedTensor& v) {
            return sum(gradient(
                       [&](const TrackedTensor& u) { return sum(stated(u)); },
                       v)) +
                   sum(v);
          },
          x)),
      (Doubles{1}));
}

TEST(CustomVjp, ComputesNoGradientThatIsNotNeeded) {
  int left = 0, right = 0;
  const auto rule = custom_vjp(
      [](const TrackedTensor& a, const TrackedTensor& b) { return a * b; },
      [&](const Needs& needs, const TrackedTensor& a, const TrackedTensor& b,
          const TrackedTensor&, const TrackedTensor& dy) {
        TrackedTensor da, db;
        if (needs[0]) {
          ++left;
          da = dy * b;
        }
        if (needs.tensor(1)) {
          ++right;
          db = dy * a;
        }
        EXPECT_THROW(needs[2], IndexError);
        return std::pair(da, db);
      });
  const TrackedTensor a = f64({2}), b = f64({3});
  gradient([&](const TrackedTensor& x) { return sum(rule(x, b)); }, a);
  EXPECT_EQ(left, 1);
  EXPECT_EQ(right, 0);
  // Tracked, but not asked for by this walk.
  const TrackedTensor leaf = param(a);
  gradient([&](const TrackedTensor& x) { return sum(rule(leaf, x)); }, b);
  EXPECT_EQ(left, 1);
  EXPECT_EQ(right, 1);
}

TEST(CustomVjp, IsNotRunWhereNothingOfItIsNeeded) {
  int runs = 0;
  const auto rule = custom_vjp(
      [](const TrackedTensor& x) { return x * x; },
      [&](const TrackedTensor&, const TrackedTensor&, const TrackedTensor& dy) {
        ++runs;
        return dy;
      });
  const TrackedTensor leaf = param(f64({2}));
  gradient([&](const TrackedTensor& x) { return sum(rule(leaf) * x); },
           f64({1}));
  EXPECT_EQ(runs, 0);
}

TEST(CustomVjp, OnceDifferentiableNamesItselfWhenAskedForMore) {
  const auto rule =
      custom_vjp([](const TrackedTensor& x) { return x * x; },
                 [](const TrackedTensor& x, const TrackedTensor&,
                    const TrackedTensor& dy) {
                   EXPECT_FALSE(x.is_tracked());
                   EXPECT_FALSE((dy * x).is_tracked());
                   return dy * 2.0 * x;
                 },
                 {.name = "opaque_square", .once_differentiable = true});
  const auto loss = [&](const TrackedTensor& v) { return sum(rule(v)); };
  EXPECT_EQ(read(gradient(loss, f64({3}))), (Doubles{6}));
  const std::string message = message_of<GraphError>([&] {
    gradient([&](const TrackedTensor& v) { return sum(gradient(loss, v)); },
             f64({3}));
  });
  EXPECT_TRUE(has(message, "opaque_square (called at ")) << message;
  EXPECT_TRUE(has(message, "once_differentiable")) << message;
  // A recorded walk whose result isn't differentiated again is no error.
  const TrackedTensor g = gradient(
      [&](const TrackedTensor& v) {
        return sum(stop_gradient(gradient(loss, v)) * v);
      },
      f64({3}));
  EXPECT_EQ(read(g), (Doubles{6}));
}

// --- Forward mode -----------------------------------------------------------

TEST(CustomVjp, WithoutAJvpForwardModeGoesThroughThePullback) {
  const auto rule = cube();
  const auto [y, t] = jvp([&](const TrackedTensor& x) { return rule(x); },
                          f64({2, 3}), f64({1, 10}));
  EXPECT_EQ(read(y), (Doubles{8, 27}));
  EXPECT_EQ(read(t), (Doubles{12, 270}));
}

TEST(CustomVjp, AJvpOfTheUsersIsUsedWhereThereIsOne) {
  int reverse = 0, forward = 0;
  const auto rule =
      custom_vjp(
          [](const Affine& m, double k, const TrackedTensor& x) {
            return Values{m.weight * x * k, x * x};
          },
          [&](const Affine& m, double k, const TrackedTensor& x, const Values&,
              const Values& dy) {
            ++reverse;
            return std::tuple(Affine{dy[0] * x * k, {}, 0},
                              dy[0] * m.weight * k + dy[1] * 2.0 * x);
          },
          {.name = "forward_rule"})
          .with_jvp([&](const Affine& m, double k, const TrackedTensor& x,
                        const Values& y, const Affine& dm,
                        const TrackedTensor& dx) {
            ++forward;
            EXPECT_EQ(y.size(), 2u);
            EXPECT_TRUE(dm.bias.is_structural_zero());
            return Values{dm.weight * x * k + m.weight * dx * k, x * 2.0 * dx};
          });
  const TrackedTensor w = f64({2}), x = f64({3}), b = f64({1});
  const auto f = [&](const TrackedTensor& weight, const TrackedTensor& v) {
    const Values y = rule(Affine{weight, b}, 5.0, v);
    return y[0] * y[1];
  };
  const auto [y, t] = jvp(f, std::tuple(w, x), std::tuple(f64({1}), f64({10})));
  EXPECT_EQ(y.item<double>(), 270);
  EXPECT_EQ(t.item<double>(), (15 + 100) * 9 + 30 * 60);
  EXPECT_EQ(reverse, 0);
  EXPECT_EQ(forward, 2);  // once a result
  // The rule is differentiated itself: (10·x³)'' = 60·x.
  const TrackedTensor g = gradient(
      [&](const TrackedTensor& v) {
        return sum(
            jvp([&](const TrackedTensor& u) { return f(w, u); }, v, f64({1}))
                .tangent);
      },
      x);
  EXPECT_EQ(g.item<double>(), 180);
}

}  // namespace
}  // namespace jacquard
