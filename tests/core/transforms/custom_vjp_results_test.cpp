// Rules of several results, under observers, and what errors of the user's say.
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "core/tape/call.h"
#include "tests/core/transforms/arrays.h"

namespace jacquard {
namespace {

// --- Several results --------------------------------------------------------

struct Parts {
  TrackedTensor sine;
  TrackedTensor cosine;
  TrackedTensor rounded;
};

TEST(CustomVjp, SeveralResultsArePulledBackTogether) {
  int runs = 0;
  const auto rule = custom_vjp(
      [](const TrackedTensor& x) {
        return Parts{sin(x), cos(x), cast(round(x), DType::int64)};
      },
      [&](const TrackedTensor&, const Parts& y, const Parts& dy) {
        ++runs;
        EXPECT_FALSE(dy.rounded.defined());
        return dy.sine * y.cosine - dy.cosine * y.sine;
      });
  const auto both = [&](const Values& v) {
    const Parts p = rule(v[0]);
    EXPECT_FALSE(p.rounded.is_tracked());
    return p.sine * 2.0 + p.cosine * p.sine;
  };
  const Values at{f64({0.3, -1.2})};
  const auto first = gradcheck(both, at);
  EXPECT_TRUE(first) << first.message;
  const auto second = gradgradcheck(both, at);
  EXPECT_TRUE(second) << second.message;
  runs = 0;
  gradient([&](const TrackedTensor& x) { return sum(both({x})); }, at[0]);
  EXPECT_EQ(runs, 1);
}

TEST(CustomVjp, AResultThatNobodyUsesHasAStructuralZeroCotangent) {
  bool zero = false;
  const auto rule = custom_vjp(
      [](const TrackedTensor& x) { return std::pair(x * 2.0, x * x); },
      [&](const TrackedTensor& x, const auto&,
          const std::pair<TrackedTensor, TrackedTensor>& dy) {
        zero = dy.second.is_structural_zero();
        EXPECT_EQ(dy.second.shape(), Shape({2}));
        return dy.first * 2.0 + dy.second * 2.0 * x;
      });
  const TrackedTensor g = gradient(
      [&](const TrackedTensor& x) { return sum(rule(x).first); }, f64({1, 2}));
  EXPECT_TRUE(zero);
  EXPECT_EQ(read(g), (Doubles{2, 2}));
}

TEST(CustomVjp, ResultsAreReversedByWalksOfTheirOwn) {
  const auto rule = custom_vjp(
      [](const TrackedTensor& x) {
        return Values{x * 2.0, x * 3.0};
      },
      [](const TrackedTensor&, const Values&, const Values& dy) {
        return dy[0] * 2.0 + dy[1] * 3.0;
      });
  const TrackedTensor x = param(f64({1}));
  const Values y = rule(x);
  backward(sum(y[0]), {}, {.retain_graph = true});
  EXPECT_EQ(read(x.grad()), (Doubles{2}));
  backward(sum(y[1]));
  EXPECT_EQ(read(x.grad()), (Doubles{5}));
  backward(sum(y[0]));  // it led to the call, which was not given up
  EXPECT_EQ(read(x.grad()), (Doubles{7}));
  EXPECT_THROW(backward(sum(y[0])), GraphError);
}

TEST(CustomVjp, WalksAtOneTimeDoNotMixTheirCotangents) {
  // A hook on one result starts another walk through the same call.
  const auto rule = custom_vjp(
      [](const TrackedTensor& x) {
        return Values{x * 2.0, x * 3.0};
      },
      [](const TrackedTensor&, const Values&, const Values& dy) {
        return dy[0] * 2.0 + dy[1] * 3.0;
      });
  const TrackedTensor x = param(f64({1}));
  const Values y = rule(x);
  const TrackedTensor other = sum(y[0] * 10.0);
  int depth = 0;
  y[0].hook([&](const TrackedTensor& g) {
    if (depth++ == 0) backward(other, {}, {.retain_graph = true});
    return g;
  });
  backward(sum(y[0] + y[1]), {}, {.retain_graph = true});
  EXPECT_EQ(read(x.grad()), (Doubles{25}));
  x.clear_grad();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i)
        backward(sum(y[static_cast<std::size_t>(t % 2)]), {},
                 {.retain_graph = true});
    });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(read(x.grad()), (Doubles{40 * 2 + 40 * 3}));
}

TEST(CustomVjp, AnErrorInAWalkLeavesTheCallUsable) {
  bool fail = true;
  const auto rule = custom_vjp(
      [](const TrackedTensor& x) {
        return Values{x * 2.0, x * 3.0};
      },
      [&](const TrackedTensor&, const Values&, const Values& dy) {
        if (fail) throw ShapeError("not today");
        return dy[0] * 2.0 + dy[1] * 3.0;
      },
      {.name = "moody"});
  const TrackedTensor x = param(f64({1}));
  const Values y = rule(x);
  const std::string message = message_of<ShapeError>(
      [&] { backward(sum(y[0]), {}, {.retain_graph = true}); });
  EXPECT_TRUE(has(message, "in the pullback of moody (called at ")) << message;
  EXPECT_TRUE(has(message, "not today")) << message;
  EXPECT_FALSE(x.grad().defined());
  fail = false;
  backward(sum(y[1]));
  EXPECT_EQ(read(x.grad()), (Doubles{3}));
}

// --- The call layer ---------------------------------------------------------

struct Affine {
  TrackedTensor weight;
  TrackedTensor bias;
  int calls = 0;
};

// Notes the names of calls, and what runs the first one again.
struct Observer final : tape::CallObserver {
  void call(tape::Call& c) override {
    names.emplace_back(c.name);
    has_function = has_function || c.has_function;
    if (!again) again = c.body();
    c.run();
  }
  void user_code(const char* what, CallSite) override {
    names.emplace_back(what);
  }
  std::vector<std::string> names;
  bool has_function = false;
  tape::Body again;
};

TEST(CustomVjp, IsOneCallThatCanBeRunAgainOnOtherTensors) {
  const auto rule = custom_vjp(
      [](const Affine& m, double k) {
        return Values{m.weight * k, m.bias * m.bias};
      },
      [](const Affine& m, double k, const Values&, const Values& dy) {
        return Affine{dy[0] * k, dy[1] * 2.0 * m.bias, 0};
      },
      {.name = "affine_parts"});
  const Affine m{param(f64({1})), param(f64({2})), 3};
  Observer observer;
  {
    const tape::Observing on(observer);
    EXPECT_EQ(rule(m, 3.0).size(), 2u);
  }
  EXPECT_EQ(observer.names, std::vector<std::string>{"affine_parts"});
  EXPECT_TRUE(observer.has_function);
  const Values others{param(f64({5})), param(f64({7}))};
  tape::Results results;
  observer.again({.operands = others.data()}, results);
  ASSERT_EQ(results.size(), 2);
  EXPECT_EQ(read(results[0]), (Doubles{15}));
  backward(sum(results[0] + results[1]));
  EXPECT_EQ(read(others[0].grad()), (Doubles{3}));
  EXPECT_EQ(read(others[1].grad()), (Doubles{14}));
  EXPECT_FALSE(m.weight.grad().defined());
}

TEST(CustomVjp, AnObserverHearsOfThePullback) {
  const auto rule =
      custom_vjp([](const TrackedTensor& x) { return 2.0 * x; },
                 [](const TrackedTensor&, const TrackedTensor&,
                    const TrackedTensor& dy) { return 2.0 * dy; });
  const TrackedTensor y = sum(rule(param(f64({2}))));
  Observer observer;
  const tape::Observing on(observer);
  backward(y);
  EXPECT_EQ(std::ranges::count(observer.names, "pullback"), 1);
}

// --- Errors -----------------------------------------------------------------

// The message for a pullback that returns what `wrong` makes of the cotangent.
template <class E, class Wrong>
std::string complaint(Wrong wrong) {
  const auto rule = custom_vjp(
      [](const Affine& m, const TrackedTensor& x) { return x * m.weight; },
      [wrong](const Affine&, const TrackedTensor&, const TrackedTensor&,
              const TrackedTensor& dy) {
        return std::pair(Affine{wrong(dy), {}, 0}, dy);
      },
      {.name = "scale"});
  return message_of<E>([&] {
    gradient(
        [&](const Affine& m) {
          return sum(rule(m, f64({1, 2})));
        },
        Affine{f64({1, 2}), f64({1, 2})});
  });
}

TEST(CustomVjp, AWrongShapeSaysWhatWasExpected) {
  const std::string m =
      complaint<ShapeError>([](const TrackedTensor& dy) { return sum(dy); });
  EXPECT_TRUE(has(m, "scale (called at ")) << m;
  EXPECT_TRUE(has(m, "custom_vjp_results_test.cpp:")) << m;
  EXPECT_TRUE(has(m, "argument 0 (weight) has shape []")) << m;
  EXPECT_TRUE(has(m, "[2]")) << m;
}

TEST(CustomVjp, AWrongDTypeSaysWhatWasExpected) {
  const std::string m = complaint<DTypeError>(
      [](const TrackedTensor& dy) { return cast(dy, DType::int64); });
  EXPECT_TRUE(has(m, "has dtype int64")) << m;
  EXPECT_TRUE(has(m, "float64")) << m;
  EXPECT_TRUE(has(complaint<DTypeError>([](const TrackedTensor& dy) {
                    return cast(dy, DType::float32);
                  }),
                  "has dtype float32"));
}

TEST(CustomVjp, AWrongDeviceSaysWhatWasExpected) {
  if (default_device() == cpu()) GTEST_SKIP() << "needs a second device";
  const std::string m = complaint<DeviceError>([](const TrackedTensor& dy) {
    return TrackedTensor(dy.data().to(cpu()));
  });
  EXPECT_TRUE(has(m, "has device cpu")) << m;
}

TEST(CustomVjp, AWrongCountSaysWhatWasExpected) {
  const auto rule =
      custom_vjp([](const Values& v) { return v[0] + v[1]; },
                 [](const Values&, const TrackedTensor&,
                    const TrackedTensor& dy) { return Values{dy}; },
                 {.name = "pair_sum"});
  const std::string m = message_of<GraphError>([&] {
    gradient([&](const Values& v) { return sum(rule(v)); },
             Values{f64({1}), f64({2})});
  });
  EXPECT_TRUE(has(m, "pair_sum (called at ")) << m;
  EXPECT_TRUE(has(m, "argument 0 has 1 tensors, but there are 2")) << m;
}

TEST(CustomVjp, AGradientThatIsNotImplementedIsALoudError) {
  const auto rule = custom_vjp([](const TrackedTensor& x) { return x * x; },
                               [](const TrackedTensor&, const TrackedTensor&,
                                  const TrackedTensor&) -> TrackedTensor {
                                 throw GraphError("not implemented");
                               },
                               {.name = "half_done"});
  const std::string m = message_of<GraphError>([&] {
    gradient([&](const TrackedTensor& x) { return sum(rule(x)); }, f64({1}));
  });
  EXPECT_TRUE(has(m, "half_done")) << m;
  EXPECT_TRUE(has(m, "not implemented")) << m;
}

TEST(CustomVjp, AnErrorInFLeavesNothingBehind) {
  const auto rule = custom_vjp(
      [](const TrackedTensor& x) -> TrackedTensor {
        throw ShapeError("no: " + to_string(x.shape()));
      },
      [](const TrackedTensor&, const TrackedTensor&, const TrackedTensor& dy) {
        return dy;
      });
  EXPECT_THROW(rule(param(f64({1}))), ShapeError);
  EXPECT_TRUE(is_grad_enabled());
}

TEST(CustomVjp, NoMemoryIsLeftWhenTheHandlesAreGone) {
  const auto rule = custom_vjp(
      [](const TrackedTensor& x) {
        return Values{exp(x), x * 3.0};
      },
      [](const TrackedTensor&, const Values& y, const Values& dy) {
        return dy[0] * y[0] + dy[1] * 3.0;
      });
  const Tensor memory = f64({1, 2}).data();
  const long before = memory.use_count();
  {
    const TrackedTensor x = param(memory);
    const Values y = rule(x);
    gradient(
        [&](const TrackedTensor& v) {
          return sum(gradient(
              [&](const TrackedTensor& u) { return sum(rule(u)[0]); }, v));
        },
        x);
  }
  EXPECT_EQ(memory.use_count(), before);
}

}  // namespace
}  // namespace jacquard
