// What transforms take as arguments, and the shape of what they give.
#include <array>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <tuple>
#include <unordered_map>
#include <variant>

#include "tests/core/transforms/models.h"

namespace jacquard {
namespace {

using namespace testing_models;

TEST(Arguments, AFloatingScalarIsATensorOfItsDtype) {
  auto [a, b] = gradient(
      [](const TrackedTensor& x, const TrackedTensor& y) {
        EXPECT_EQ(x.dtype(), DType::float64);
        EXPECT_EQ(y.dtype(), DType::float32);
        EXPECT_EQ(x.rank(), 0);
        return 3.0 * x * x + y;
      },
      2.0, 5.0F);
  EXPECT_EQ(a.item<double>(), 12);
  EXPECT_EQ(b.dtype(), DType::float32);
  EXPECT_EQ(b.item<float>(), 1);
  EXPECT_FALSE(a.is_tracked());
}

TEST(Arguments, ScalarsAreWhereTheTensorsAre) {
  const TrackedTensor x = tensor(std::vector<double>{1, 2}, {2}, cpu());
  auto [g, x_bar] = gradient(
      [](const TrackedTensor& s, const TrackedTensor& t) {
        EXPECT_EQ(s.device(), cpu());
        return sum(s * t);
      },
      2.0, x);
  EXPECT_EQ(g.item<double>(), 3);
  EXPECT_EQ(values(x_bar), (Doubles{2, 2}));
  auto on_default = gradient(
      [](const TrackedTensor& s) {
        EXPECT_EQ(s.device(), default_device());
        return s * s;
      },
      3.0);
  EXPECT_EQ(on_default.item<double>(), 6);
}

TEST(Arguments, IntegersStringsAndFunctionsAreHandedOn) {
  const auto g = gradient(
      [](const TrackedTensor& x, int n, const std::string& name, auto f) {
        EXPECT_EQ(name, "cube");
        TrackedTensor y = x;
        for (int i = 1; i < n; ++i) y = f(y, x);
        return y;
      },
      2.0, 3, std::string("cube"),
      [](const TrackedTensor& a, const TrackedTensor& b) { return a * b; });
  EXPECT_EQ(std::get<0>(g).item<double>(), 12);
  EXPECT_EQ(std::get<1>(g), NoGradient());
  EXPECT_EQ(std::get<2>(g), NoGradient());
  EXPECT_EQ(std::get<3>(g), NoGradient());
}

TEST(Arguments, WhatIsNoStructureIsPassedByReferenceAndNeverCopied) {
  std::mt19937 generator(1);
  const std::mt19937 before = generator;
  const std::unique_ptr<int> number = std::make_unique<int>(4);
  std::mutex mutex;
  auto g = gradient(
      [](const TrackedTensor& x, std::mt19937& random,
         const std::unique_ptr<int>& n, std::mutex& m) {
        const std::lock_guard lock(m);
        random();
        return x * static_cast<double>(*n);
      },
      1.0, generator, number, mutex);
  EXPECT_EQ(std::get<0>(g).item<double>(), 4);
  EXPECT_FALSE(generator == before);
}

TEST(Arguments, ATensorIsAParameter) {
  const Tensor x = f64({1, 2}).data();
  const TrackedTensor g = gradient(
      [](const TrackedTensor& t) {
        EXPECT_TRUE(t.is_tracked());
        return sum(t * t);
      },
      x);
  EXPECT_EQ(values(g), (Doubles{2, 4}));
}

TEST(Arguments, AnIntegerTensorIsNone) {
  auto f = [](const TrackedTensor& x, const TrackedTensor& i) {
    EXPECT_FALSE(i.is_tracked());
    return sum(x * i);
  };
  auto [a, b] = gradient(f, f64({1, 2}), tensor<std::int64_t>({3, 4}));
  EXPECT_EQ(values(a), (Doubles{3, 4}));
  EXPECT_FALSE(b.defined());
  EXPECT_EQ(
      message_of([] {
        gradient([](const TrackedTensor& i) { return sum(i * 1.5); },
                 tensor<std::int64_t>({3, 4}));
      }),
      "gradient: no argument has a parameter: floating scalars and tensors of "
      "a floating dtype that are trainable");
}

TEST(Arguments, TheGradientOfAModelIsAModel) {
  Model m = small_model();
  const TrackedTensor x = randn({4, 2}, {DType::float64});
  const Model g = gradient(
      [&](const Model& inside) {
        EXPECT_EQ(inside.name, "small");
        EXPECT_TRUE(inside.layers[1].bias.is_tracked());
        return sum(inside(x));
      },
      m);
  EXPECT_EQ(g.name, "small");
  EXPECT_EQ(g.width, 3);
  EXPECT_EQ(paths_of(g), paths_of(m));
  zip_tensors(
      [&](const std::string& path, const TrackedTensor& t,
          const TrackedTensor& t_bar) {
        EXPECT_EQ(t_bar.shape(), t.shape()) << path;
        Model moved = m;
        auto at = [&](const TrackedTensor& v) {
          tensor_at(moved, path) = v;
          return sum(moved(x));
        };
        const Tensor numeric = ngradient(
            [&](const std::vector<TrackedTensor>& v) { return at(v[0]); }, {t},
            scalar(1, {DType::float64}))[0];
        const Doubles expected = TrackedTensor(numeric).to_host<double>();
        for (std::size_t i = 0; i < expected.size(); ++i)
          EXPECT_NEAR(values(t_bar)[i], expected[i], 1e-6) << path;
      },
      m, g);
}

TEST(Arguments, AnyContainerNestsToAnyDepth) {
  using T = TrackedTensor;
  std::unordered_map<std::string, std::vector<T>> by_name;
  by_name["b"] = {f64({2})};
  by_name["a"] = {f64({3}), f64({4})};
  std::variant<int, T, Linear> either = Linear{f64({5}), f64({6})};
  auto x = std::tuple(by_name, std::map<int, T>{{-7, f64({7})}}, either,
                      std::optional<std::deque<T>>(std::deque<T>{f64({8})}),
                      std::array<std::pair<T, int>, 1>{{{f64({9}), 10}}},
                      std::make_shared<Linear>(Linear{f64({11}), {}}));
  EXPECT_EQ(paths_of(x), (std::vector<std::string>{
                             "0.a.0", "0.a.1", "0.b.0", "1.-7", "2.weight",
                             "2.bias", "3.0", "4.0.0", "5.weight", "5.bias"}));
  const auto g = gradient(
      [](const auto& in) {
        T total = f64({0});
        visit_tensors(in, [&](const std::string&, const T& t) {
          if (t.defined()) total = total + t * t;
        });
        return total;
      },
      x);
  zip_tensors(
      [](const std::string& path, const T& t, const T& t_bar) {
        ASSERT_EQ(t_bar.defined(), t.defined()) << path;
        if (t.defined()) {
          EXPECT_EQ(t_bar.item<double>(), 2 * t.item<double>()) << path;
        }
      },
      x, g);
  EXPECT_EQ(std::get<4>(g)[0].second, 10);
}

TEST(Arguments, UniquePointersAreCopiedPartByPart) {
  struct Owner {
    std::string name;
    std::unique_ptr<Linear> layer;
    std::vector<std::unique_ptr<TrackedTensor>> more;
    std::optional<std::unique_ptr<int>> number;
  };
  Owner x{"o", std::make_unique<Linear>(Linear{f64({2}), f64({3})}), {}, {}};
  x.more.push_back(std::make_unique<TrackedTensor>(f64({5})));
  x.more.push_back(nullptr);
  x.number = std::make_unique<int>(7);
  const Owner g = gradient(
      [&](const Owner& in) {
        EXPECT_NE(in.layer.get(), x.layer.get());
        EXPECT_EQ(**in.number, 7);
        return in.layer->weight * in.layer->bias * *in.more[0];
      },
      x);
  EXPECT_EQ(g.name, "o");
  EXPECT_EQ(g.layer->weight.item<double>(), 15);
  EXPECT_EQ(g.layer->bias.item<double>(), 10);
  EXPECT_EQ(g.more[0]->item<double>(), 6);
  EXPECT_EQ(g.more[1], nullptr);
  EXPECT_EQ(x.layer->weight.item<double>(), 2);
}

TEST(Arguments, EmptyStridedAndBroadcastOnesKeepTheirShapes) {
  const TrackedTensor base = tensor({{1.0, 2.0, 3.0}, {4.0, 5.0, 6.0}});
  const std::vector<TrackedTensor> x{
      transpose(base), expand(tensor({{1.0, 2.0}}), {3, 2}),
      zeros({0, 2}, {DType::float64}), scalar(2, {DType::float64})};
  const auto g = gradient(
      [](const std::vector<TrackedTensor>& in) {
        return sum(in[0] * in[1] * in[3]) + sum(in[2]);
      },
      x);
  EXPECT_EQ(g[0].shape(), Shape({3, 2}));
  EXPECT_EQ(values(g[0]), (Doubles{2, 4, 2, 4, 2, 4}));
  EXPECT_EQ(values(g[1]), (Doubles{2, 8, 4, 10, 6, 12}));
  EXPECT_EQ(g[2].shape(), Shape({0, 2}));
  EXPECT_EQ(values(g[3]), (Doubles{36}));
}

TEST(Arguments, ATiedWeightShowsItsTotalAtEachPlace) {
  const TrackedTensor w = param(f64({3}));
  Model m;
  m.layers = {{w, f64({2})}, {w, f64({5})}};
  const Model g = gradient(
      [](const Model& in) {
        return in.layers[0].weight * in.layers[0].bias +
               in.layers[1].weight * in.layers[1].bias;
      },
      m);
  EXPECT_EQ(g.layers[0].weight.item<double>(), 7);
  EXPECT_EQ(g.layers[1].weight.item<double>(), 7);
  auto [a, b] = gradient(
      [](const TrackedTensor& x, const std::vector<TrackedTensor>& y) {
        return x * 2.0 + y[0] * 3.0;
      },
      w, std::vector{w});
  EXPECT_EQ(a.item<double>(), 2);
  EXPECT_EQ(b[0].item<double>(), 3);
}

TEST(Arguments, ATiedValueThatIsPendingIsOneParameter) {
  const TrackedTensor w = param(f64({3})), c = f64({4});
  for (const TrackedTensor& x : {w * 2.0, c * 2.0, materialize(w * 2.0)}) {
    const auto g = gradient(
        [](const std::vector<TrackedTensor>& in) { return in[0] * in[1]; },
        std::vector{x, x});
    EXPECT_EQ(values(g[0]), values(x * 2.0));
    EXPECT_EQ(values(g[1]), values(x * 2.0));
  }
}

TEST(Arguments, ManyTiedAndUntiedTensorsAreToldApart) {
  std::vector<TrackedTensor> x;
  for (int i = 0; i < 20; ++i) x.push_back(f64({1.0 * i}));
  for (int i = 0; i < 20; ++i) x.push_back(x[static_cast<std::size_t>(i)]);
  const auto g = gradient(
      [](const std::vector<TrackedTensor>& in) {
        TrackedTensor total = f64({0});
        for (std::size_t i = 0; i < in.size(); ++i)
          total = total + in[i] * static_cast<double>(i);
        return total;
      },
      x);
  for (std::size_t i = 0; i < 40; ++i)
    EXPECT_EQ(g[i].item<double>(), 20.0 + 2.0 * static_cast<double>(i % 20));
}

TEST(Arguments, UnusedPartsAreStructuralZeros) {
  const Model g = gradient([](const Model& in) { return sum(in.scale * 2.0); },
                           small_model());
  EXPECT_TRUE(g.layers[0].weight.is_structural_zero());
  EXPECT_EQ(g.layers[0].weight.shape(), Shape({2, 3}));
  EXPECT_EQ(values(g.layers[1].bias), (Doubles{0, 0}));
  EXPECT_EQ(values(g.scale), (Doubles{2, 2}));
}

// A norm layer: `mean` is state, not a parameter.
struct Norm {
  TrackedTensor gain, mean;
  double eps = 0.5;
  JACQUARD_TRAINABLE(gain)
};
class Hidden {
 public:
  Hidden(TrackedTensor a, TrackedTensor b, TrackedTensor c)
      : a_(std::move(a)), b_(std::move(b)), c_(std::move(c)) {}
  TrackedTensor product() const { return a_ * b_ * c_; }
  const TrackedTensor& a() const { return a_; }
  const TrackedTensor& b() const { return b_; }
  const TrackedTensor& c() const { return c_; }

 private:
  TrackedTensor a_, b_, c_;
  JACQUARD_FIELDS(a_, c_)
  JACQUARD_TRAINABLE(a_)
};
struct Frozen {
  Norm norm;
  TrackedTensor w;
  JACQUARD_TRAINABLE()
};

TEST(Trainable, AClassSaysWhichOfItsMembersAre) {
  const Norm x{f64({2}), param(f64({3})), 0.25};
  const Norm g = gradient(
      [](const Norm& n) {
        EXPECT_TRUE(n.mean.is_leaf());
        return n.gain * n.mean + n.eps;
      },
      x);
  EXPECT_EQ(g.gain.item<double>(), 3);
  EXPECT_FALSE(g.mean.defined());
  EXPECT_EQ(g.eps, 0.25);
  EXPECT_EQ(paths_of(x), (std::vector<std::string>{"gain", "mean"}));
}

TEST(Trainable, AllFieldsStayUsable) {
  const Hidden g = gradient([](const Hidden& h) { return h.product(); },
                            Hidden(f64({2}), f64({3}), f64({5})));
  EXPECT_EQ(g.a().item<double>(), 15);
  EXPECT_FALSE(g.c().defined());
  EXPECT_EQ(g.b().item<double>(), 3);  // no field: keeps its value
}

TEST(Trainable, WhatIsInsideAnUntrainedMemberIsNot) {
  const Frozen x{{f64({1}), f64({2}), 0}, f64({3})};
  auto [a, b] =
      gradient([](const Frozen& f,
                  const TrackedTensor& y) { return f.norm.gain * f.w * y; },
               x, f64({4}));
  EXPECT_FALSE(a.norm.gain.defined());
  EXPECT_FALSE(a.w.defined());
  EXPECT_EQ(b.item<double>(), 3);
}

TEST(Trainable, ACallChoosesByPath) {
  std::vector<std::string> asked;
  GradientOptions only_biases;
  only_biases.trainable = [&](const std::string& path, const TrackedTensor& t) {
    asked.push_back(path);
    EXPECT_TRUE(is_floating(t.dtype()));
    return path.ends_with("bias");
  };
  auto loss = [](const Model& m) {
    return sum(m.layers[0].weight) + sum(m.layers[0].bias);
  };
  const Model g = gradient(only_biases, loss, small_model());
  EXPECT_EQ(asked, paths_of(g));
  EXPECT_FALSE(g.layers[0].weight.defined());
  EXPECT_EQ(values(g.layers[0].bias), (Doubles{1, 1, 1}));
  EXPECT_TRUE(g.layers[1].bias.is_structural_zero());

  asked.clear();
  only_biases.trainable = [&](const std::string& path, const TrackedTensor&) {
    asked.push_back(path);
    return path != "0";
  };
  auto [a, b] = gradient(
      only_biases,
      [](const TrackedTensor& x, const Linear& l) { return x * l.bias; }, 2.0,
      Linear{{}, scalar(3, {DType::float64})});
  EXPECT_EQ(asked, (std::vector<std::string>{"0", "1.bias"}));
  EXPECT_FALSE(a.defined());
  EXPECT_EQ(b.bias.item<double>(), 2);
}

TEST(Trainable, NothingChosenIsAnError) {
  GradientOptions none;
  none.trainable = [](const std::string&, const TrackedTensor&) {
    return false;
  };
  EXPECT_THROW(
      gradient(
          none, [](const TrackedTensor& x) { return x * x; }, f64({1})),
      GraphError);
}

}  // namespace
}  // namespace jacquard
