// Steps along gradients over structures and by path.
#include <map>
#include <unordered_map>

#include "tests/core/transforms/models.h"

namespace jacquard {
namespace {

using namespace testing_models;
using T = TrackedTensor;
using ByPath = std::map<std::string, T>;

struct Outer {
  struct Inner {
    T t;
    int n = 1;
  };
  Inner a;
  T s;
};
Outer outer() { return {{f64({1, 2, 3}), 1}, f64({4})}; }

TEST(ApplyGradients, SubtractsThemUnlessTold) {
  Outer m = outer();
  apply_gradients(m, m);
  EXPECT_EQ(values(m.a.t), (Doubles{0, 0, 0}));
  EXPECT_EQ(values(m.s), (Doubles{0}));
  m = outer();
  apply_gradients(m, m, [](const T& x, const T& g) { return x - 2.0 * g; });
  EXPECT_EQ(values(m.a.t), (Doubles{-1, -2, -3}));
  EXPECT_EQ(m.a.n, 1);
}

TEST(ApplyGradients, ByPath) {
  Outer m = outer();
  apply_gradients(m, ByPath{{"a.t", f64({10, 10, 10})}});
  EXPECT_EQ(values(m.a.t), (Doubles{-9, -8, -7}));
  EXPECT_EQ(values(m.s), (Doubles{4}));
  apply_gradients(m, std::unordered_map<std::string, T>{{"s", f64({2})}},
                  [](const T& x, const T& g) { return x * g; });
  EXPECT_EQ(values(m.s), (Doubles{8}));
}

TEST(ApplyGradients, OfABareTensorAndOfAMap) {
  T x = f64({1, 2});
  apply_gradients(x, f64({1, 1}));
  EXPECT_EQ(values(x), (Doubles{0, 1}));
  ByPath d{{"p", f64({1})}, {"q", f64({2})}};
  apply_gradients(d, ByPath{{"p", f64({5})}, {"q", {}}});
  EXPECT_EQ(values(d.at("p")), (Doubles{-4}));
  EXPECT_EQ(values(d.at("q")), (Doubles{2}));
}

TEST(ApplyGradients, WritesLeavesInPlaceInOneLaunch) {
  const Outer m{{param(f64({1, 2, 3})), 1}, param(f64({4}))};
  const Outer g{{materialize(f64({1, 1, 1})), 1}, materialize(f64({2}))};
  const void* address = m.a.t.data().data_ptr();
  apply_gradients(m, g);
  LaunchLog log;
  apply_gradients(m, g, [](const T& x, const T& d) { return x - 0.5 * d; });
  EXPECT_EQ(log.launches(), 1U) << log.to_string();
  EXPECT_EQ(values(m.a.t), (Doubles{-0.5, 0.5, 1.5}));
  EXPECT_EQ(values(m.s), (Doubles{1}));
  EXPECT_EQ(m.a.t.data().data_ptr(), address);
  EXPECT_TRUE(m.s.is_leaf());
}

TEST(ApplyGradients, ATensorThatOccursTwiceIsUpdatedOnce) {
  const T leaf = param(f64({5})), plain = f64({7});
  std::vector<T> m{leaf, plain, leaf, plain};
  const T one = f64({1});
  apply_gradients(m, std::vector<T>{one, one, one, one});
  EXPECT_EQ(values(leaf), (Doubles{4}));
  EXPECT_EQ(values(m[1]), (Doubles{6}));
  EXPECT_EQ(m[1].value(), m[3].value());
  EXPECT_EQ(values(plain), (Doubles{7}));
}

TEST(ApplyGradients, KeepsDtypesAndLeavesWhatHasNoGradient) {
  std::vector<T> m{cast(f64({1}), DType::bfloat16), param(tensor({2.0F})),
                   tensor<std::int64_t>({3}), T()};
  apply_gradients(m, std::vector<T>{f64({0.5}), f64({0.5}), T(), T()});
  EXPECT_EQ(m[0].dtype(), DType::bfloat16);
  EXPECT_EQ(m[0].item<float>(), 0.5F);
  EXPECT_EQ(m[1].item<float>(), 1.5F);
  EXPECT_EQ(m[2].item<std::int64_t>(), 3);
}

TEST(ApplyGradients, TakesWhatGradientGives) {
  Outer m{{param(f64({1, 2, 3})), 1}, f64({4})};
  for (int i = 0; i < 2; ++i)
    apply_gradients(m, gradient(
                           [](const Outer& o) {
                             return sum(square(o.a.t)) * 0.25 + sum(o.s);
                           },
                           m));
  EXPECT_EQ(values(m.a.t), (Doubles{0.25, 0.5, 0.75}));
  EXPECT_EQ(values(m.s), (Doubles{2}));
  EXPECT_FALSE(m.s.is_tracked());
}

TEST(ApplyGradients, ErrorsNameThePathAndChangeNothing) {
  Outer m{{param(f64({1, 2, 3})), 1}, f64({4})};
  EXPECT_EQ(message_of([&] {
              apply_gradients(m, ByPath{{"s", f64({1})}, {"a.x", f64({1})}});
            }),
            "apply_gradients: no tensor \"a.x\"; there are \"a.t\", \"s\"");
  EXPECT_EQ(message_of([&] {
              apply_gradients(m, ByPath{{"s", f64({1})}, {"a.t", f64({1})}});
            }),
            "apply_gradients: \"a.t\": a gradient of shape [1] for a tensor of "
            "shape [3]");
  const Outer& constant = m;
  EXPECT_NE(message_of([&] {
              apply_gradients(constant, outer());
            }).find("\"s\" is no leaf"),
            std::string::npos);
  EXPECT_THROW(
      apply_gradients(m, outer(), [](const T& x, const T&) { return sum(x); }),
      Error);
  std::vector<T> two{f64({1}), f64({2})};
  EXPECT_EQ(message_of([&] { apply_gradients(two, std::vector<T>(3)); }),
            "apply_gradients: the structure of different sizes (2 and 3)");
  EXPECT_EQ(values(m.a.t), (Doubles{1, 2, 3}));
  EXPECT_EQ(values(m.s), (Doubles{4}));
}

TEST(ApplyGradients, FitsALineByStructAndByPath) {
  manual_seed(7);
  const T x = randn({64, 3}, {DType::float64});
  const Linear truth{tensor({{1.0}, {-2.0}, {0.5}}), f64({0.25})};
  const T y = materialize(truth(x));
  const auto loss = [&](const Linear& l) { return mean(square(l(x) - y)); };
  Linear m{param(zeros({3, 1}, {DType::float64})),
           param(zeros({1}, {DType::float64}))};
  const double first = loss(m).item<double>();
  for (int i = 0; i < 60; ++i) {
    const Linear g = gradient(loss, m);
    apply_gradients(m, ByPath{{"weight", g.weight}, {"bias", g.bias}},
                    [](const T& p, const T& d) { return p - 0.2 * d; });
  }
  EXPECT_LT(loss(m).item<double>(), first / 1000);
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_NEAR(values(m.weight)[i], values(truth.weight)[i], 0.05);
}

}  // namespace
}  // namespace jacquard
