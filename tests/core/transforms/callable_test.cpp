// Gradients with respect to the state of a callable.
#include <tuple>

#include "tests/core/transforms/models.h"

namespace jacquard {
namespace {

using namespace testing_models;

struct Scale {
  TrackedTensor a;
  int calls = 0;
  TrackedTensor operator()(const TrackedTensor& x) {
    ++calls;
    return sum(a * x);
  }
};

TEST(Callable, ItsStateComesFirst) {
  const Scale f{f64({3})};
  const auto [df, dx] = gradient_full(f, f64({1, 2}));
  EXPECT_EQ(values(df.a), (Doubles{3}));
  EXPECT_EQ(values(dx), (Doubles{3, 3}));
  EXPECT_EQ(values(f.a), (Doubles{3}));
}

TEST(Callable, TheCopyIsCalledOnce) {
  const Scale f{f64({3})};
  const auto df = std::get<0>(gradient_full(f, 2.0));
  EXPECT_EQ(f.calls, 0);
  EXPECT_EQ(df.calls, 0);
}

TEST(Callable, WithoutOtherArgumentsItIsBare) {
  struct Loss {
    TrackedTensor w;
    TrackedTensor operator()() const { return sum(w * w); }
  };
  const Loss g = gradient_full(Loss{f64({1, 2})});
  EXPECT_EQ(values(g.w), (Doubles{2, 4}));
}

TEST(Callable, AModelIsOne) {
  struct Network {
    Linear layer;
    double rate = 0.5;
    auto operator()(const TrackedTensor& x, double factor) const {
      const TrackedTensor y = layer(x) * factor;
      return std::pair(sum(y), y);
    }
  };
  const Network f{{tensor({{1.0}, {2.0}}), f64({3})}};
  // A scalar argument would be a tensor: bind it instead.
  struct Bound {
    Network net;
    auto operator()(const TrackedTensor& x) const { return net(x, 10); }
  };
  const auto r = withgradient_full(Bound{f}, tensor({{4.0, 5.0}}));
  EXPECT_EQ(values(r.value.second), (Doubles{170}));
  const auto& [df, dx] = r.gradient;
  EXPECT_EQ(values(df.net.layer.weight), (Doubles{40, 50}));
  EXPECT_EQ(values(df.net.layer.bias), (Doubles{10}));
  EXPECT_EQ(df.net.rate, 0.5);
  EXPECT_EQ(values(dx), (Doubles{10, 20}));
}

TEST(Callable, PulledBack) {
  auto [y, back] = pullback_full(Linear{tensor({{1.0}, {2.0}}), f64({3})},
                                 tensor({{4.0, 5.0}}));
  EXPECT_EQ(values(y), (Doubles{17}));
  for (double seed : {1.0, 3.0}) {
    const auto [df, dx] = back(tensor({{seed}}));
    EXPECT_EQ(values(df.weight), (Doubles{4 * seed, 5 * seed}));
    EXPECT_EQ(values(df.bias), (Doubles{seed}));
    EXPECT_EQ(values(dx), (Doubles{seed, 2 * seed}));
  }
}

TEST(Callable, IsAnArgumentLikeAnyOther) {
  const Scale g =
      gradient([](Scale& f) { return f(f64({5})); }, Scale{f64({2})});
  EXPECT_EQ(values(g.a), (Doubles{5}));
}

TEST(Callable, SharedWithAnArgumentItIsAnotherParameter) {
  const TrackedTensor w = param(f64({3}));
  const auto [df, dx] = gradient_full(Scale{w}, w);
  EXPECT_EQ(values(df.a), (Doubles{3}));
  EXPECT_EQ(values(dx), (Doubles{3}));
}

}  // namespace
}  // namespace jacquard
