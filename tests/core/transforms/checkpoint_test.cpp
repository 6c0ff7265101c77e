// checkpoint: replayed, with the gradients that f alone would have.
#include "jacquard/checkpoint.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "jacquard/jacquard.h"
#include "jacquard/memory.h"

namespace jacquard {
namespace {

using Doubles = std::vector<double>;
using Values = std::vector<TrackedTensor>;

TrackedTensor f64(std::initializer_list<double> v) { return tensor(v); }
Doubles host(const TrackedTensor& t) { return t.to_host<double>(); }

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(Checkpoint, HasTheValueAndGradientOfTheFunction) {
  const TrackedTensor x = f64({1, 2, 3});
  const auto same = [](const TrackedTensor& a) { return a; };
  const auto cosines = [](const TrackedTensor& a) { return sum(cos(a)); };
  const auto largest = [](const TrackedTensor& a) { return max(a); };
  EXPECT_EQ(
      host(gradient([&](auto& a) { return sum(checkpoint(same, a)); }, x)),
      (Doubles{1, 1, 1}));
  EXPECT_EQ(host(gradient([&](auto& a) { return checkpoint(cosines, a); }, x)),
            host(gradient(cosines, x)));
  EXPECT_EQ(host(gradient([&](auto& a) { return checkpoint(largest, a); }, x)),
            (Doubles{0, 0, 1}));
  const auto [ga, gb] = gradient(
      [](auto& a, auto& b) {
        return checkpoint([](auto& p, auto& q) { return p * q; }, a, b);
      },
      scalar(3, {DType::float64}), scalar(4, {DType::float64}));
  EXPECT_EQ(ga.template item<double>(), 4);
  EXPECT_EQ(gb.template item<double>(), 3);
}

TEST(Checkpoint, RunsTheFunctionOnceMoreInTheReverse) {
  int calls = 0;
  const auto f = [&](const TrackedTensor& a) {
    ++calls;
    return a * a + a;
  };
  const TrackedTensor x = f64({2});
  EXPECT_EQ(host(gradient(f, x)), (Doubles{5}));
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(
      host(gradient([&](auto& a) { return checkpoint(std::ref(f), a); }, x)),
      (Doubles{5}));
  EXPECT_EQ(calls, 3);
}

TEST(Checkpoint, APullbackReplaysAtEachCall) {
  int calls = 0;
  const auto f = [&](const TrackedTensor& a) {
    ++calls;
    return a * a;
  };
  const auto [y, back] =
      pullback([&](auto& a) { return checkpoint(f, a); }, f64({3}));
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(host(back(f64({1}))), (Doubles{6}));
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(host(back(f64({2}))), (Doubles{12}));
  EXPECT_EQ(calls, 3);
}

TEST(Checkpoint, Nests) {
  int calls[3] = {};
  const auto f3 = [&](const TrackedTensor& a) {
    ++calls[2];
    return sin(a);
  };
  const auto f2 = [&](const TrackedTensor& a) {
    ++calls[1];
    return checkpoint(f3, a) * a;
  };
  const auto f1 = [&](const TrackedTensor& a) {
    ++calls[0];
    return checkpoint(f2, a * 2.0);
  };
  const TrackedTensor x = f64({0.3, 0.7});
  const auto checkpointed = [&](auto& a) { return sum(checkpoint(f1, a)); };
  const auto plain = [](auto& a) { return sum(sin(a * 2.0) * (a * 2.0)); };
  const Doubles got = host(gradient(checkpointed, x));
  EXPECT_EQ(std::vector(calls, calls + 3), (std::vector{2, 3, 4}));
  const Doubles want = host(gradient(plain, x));
  for (int i = 0; i < 2; ++i) EXPECT_NEAR(got[i], want[i], 1e-14);
}

TEST(Checkpoint, KeepsTheGradientOfCaptures) {
  const TrackedTensor w = param(f64({2, 5}));
  const TrackedTensor b = param(f64({1, 1}));
  const TrackedTensor x = param(f64({3, 4}));
  const TrackedTensor scaled = w * 10.0;
  ASSERT_TRUE(scaled.is_pending());
  backward(sum(checkpoint(
      [&](const TrackedTensor& a) { return a * scaled + b * w; }, x)));
  EXPECT_EQ(host(x.grad()), (Doubles{20, 50}));
  EXPECT_EQ(host(w.grad()), (Doubles{31, 41}));
  EXPECT_EQ(host(b.grad()), (Doubles{2, 5}));
}

TEST(Checkpoint, NeedsNoTrackedArgument) {
  const TrackedTensor w = param(f64({2}));
  backward(
      checkpoint([&](const TrackedTensor& a) { return a * w * w; }, f64({3})));
  EXPECT_EQ(host(w.grad()), (Doubles{12}));
  const TrackedTensor constant =
      checkpoint([](const TrackedTensor& a) { return a * 2.0; }, f64({3}));
  EXPECT_FALSE(constant.is_tracked());
  EXPECT_EQ(host(constant), (Doubles{6}));
}

TEST(Checkpoint, AnArgumentThatWasMadeOfACaptureGetsItsPartOnly) {
  const TrackedTensor w = param(f64({3}));
  const TrackedTensor x = materialize(w * w);
  backward(checkpoint([&](const TrackedTensor& a) { return a * w; }, x));
  EXPECT_EQ(host(w.grad()), (Doubles{27}));
}

struct Layer {
  TrackedTensor weight;
  TrackedTensor bias;
  std::string name = "layer";
};
struct Two {
  TrackedTensor loss;
  std::vector<TrackedTensor> more;
  int count = 0;
};

TEST(Checkpoint, TakesStructuresAndGivesStructures) {
  int calls = 0;
  const auto f = [&](const Layer& l, const TrackedTensor& x, int times) {
    ++calls;
    const TrackedTensor y = x * l.weight + l.bias;
    return Two{sum(y), {y * double(times), zeros({2})}, times};
  };
  const Layer layer{param(f64({2, 3})), param(f64({1, 1})), "first"};
  const TrackedTensor x = param(f64({4, 5}));
  const Two r = checkpoint(f, layer, x, 7);
  EXPECT_EQ(r.count, 7);
  EXPECT_EQ(r.loss.item<double>(), 25);
  EXPECT_FALSE(r.more[1].is_tracked());
  backward(r.loss + sum(r.more[0]));
  EXPECT_EQ(calls, 2);  // not once for each result
  EXPECT_EQ(host(layer.weight.grad()), (Doubles{32, 40}));
  EXPECT_EQ(host(layer.bias.grad()), (Doubles{8, 8}));
  EXPECT_EQ(host(x.grad()), (Doubles{16, 24}));
}

TEST(Checkpoint, OfSeveralResultsUsesThoseThatMatter) {
  const auto f = [](const TrackedTensor& a) {
    return std::tuple(a * 2.0, exp(a), a * a);
  };
  const TrackedTensor x = f64({3});
  const auto third = [&](auto& a) { return std::get<2>(checkpoint(f, a)); };
  EXPECT_EQ(host(gradient(third, x)), (Doubles{6}));
  const auto two = [&](auto& a) {
    auto [p, q, r] = checkpoint(f, a);
    return p * r;
  };
  EXPECT_EQ(host(gradient(two, x)), (Doubles{54}));
  const auto passed_on = [](auto& a) {
    auto [p, q] = checkpoint([](auto& b) { return std::pair(b, b); }, a);
    return p * q;
  };
  EXPECT_EQ(host(gradient(passed_on, x)), (Doubles{6}));
}

TEST(Checkpoint, ReplaysRandomNumbers) {
  const auto f = [](const TrackedTensor& a) {
    return dropout(a, 0.5) * rand(a.shape(), {DType::float64});
  };
  const TrackedTensor x = ones({64}, {DType::float64});
  manual_seed(5);
  const Doubles plain = host(gradient([&](auto& a) { return sum(f(a)); }, x));
  const Doubles next = host(rand({3}, {DType::float64}));
  manual_seed(5);
  const auto [y, back] =
      pullback([&](auto& a) { return sum(checkpoint(f, a)); }, x);
  EXPECT_EQ(host(rand({3}, {DType::float64})), next);
  const GeneratorState before = generator_state();
  EXPECT_EQ(host(back(scalar(1, {DType::float64}))), plain);
  EXPECT_EQ(generator_state().offset, before.offset);
}

TEST(Checkpoint, RestoresTheGeneratorWhenTheReplayThrows) {
  bool fails = false;
  const TrackedTensor x = param(f64({1, 2}));
  const TrackedTensor y = checkpoint(
      [&](const TrackedTensor& a) {
        const TrackedTensor r = a * rand({2}, {DType::float64});
        if (fails) throw std::runtime_error("no");
        return r;
      },
      x);
  const GeneratorState before = generator_state();
  fails = true;
  EXPECT_THROW(backward(sum(y), {}, {.retain_graph = true}),
               std::runtime_error);
  EXPECT_EQ(generator_state().offset, before.offset);
  EXPECT_EQ(generator_state().seed, before.seed);
  EXPECT_FALSE(x.grad().defined());
  EXPECT_TRUE(is_grad_enabled());
  fails = false;
  backward(sum(y));
  EXPECT_TRUE(x.grad().defined());
}

TEST(Checkpoint, AThrowInTheFirstRunLeavesNothing) {
  const TrackedTensor x = param(f64({1}));
  EXPECT_THROW(checkpoint(
                   [&](const TrackedTensor& a) {
                     NoGrad off;
                     if (a.defined()) throw std::runtime_error("no");
                     return a;
                   },
                   x),
               std::runtime_error);
  EXPECT_TRUE(is_grad_enabled());
  const TrackedTensor pending = x * 2.0;
  const TrackedTensor outside = pending + 1.0;
  EXPECT_TRUE(pending.is_pending());
}

TEST(Checkpoint, HasDerivativesOfAnyOrder) {
  const auto f = [](const Values& v) {
    const auto inner = [v](const TrackedTensor& a) {
      return tanh(a * v[1]) * a;
    };
    return checkpoint(
        [inner](const TrackedTensor& a) {
          return checkpoint(inner, a) * sin(a);
        },
        v[0]);
  };
  const Values at{f64({0.3, -0.8, 1.1}), f64({0.7, 0.2, -0.4})};
  const GradcheckResult first = gradcheck(f, at);
  EXPECT_TRUE(first.ok) << first.message;
  const GradcheckResult second = gradgradcheck(f, at);
  EXPECT_TRUE(second.ok) << second.message;

  const auto cube = [](const TrackedTensor& a) {
    return checkpoint([](const TrackedTensor& b) { return b * b * b * b; }, a);
  };
  const auto d1 = [&](const TrackedTensor& a) { return gradient(cube, a); };
  const auto d2 = [&](const TrackedTensor& a) { return gradient(d1, a); };
  EXPECT_EQ(host(gradient(d2, f64({2}))), (Doubles{48}));
}

TEST(Checkpoint, DifferentiatesAGradientInside) {
  // The replay is inside the same levels as the first run.
  const auto f = [](const TrackedTensor& a) {
    return gradient([](const TrackedTensor& b) { return b * b * b; }, a);
  };
  EXPECT_EQ(host(gradient([&](auto& a) { return checkpoint(f, a); }, f64({2}))),
            (Doubles{12}));
}

TEST(Checkpoint, NoRegionSpansItsEdge) {
  const TrackedTensor x = param(f64({1, 2}));
  const TrackedTensor outside = x * 2.0;
  TrackedTensor inside;
  const TrackedTensor y = checkpoint(
      [&](const TrackedTensor& a) {
        EXPECT_FALSE(a.is_pending());
        inside = a + outside;
        EXPECT_FALSE(outside.is_pending());
        EXPECT_TRUE(inside.is_pending());
        return inside * 3.0;
      },
      x * 5.0);
  EXPECT_FALSE(y.is_pending());
  backward(sum(y));
  EXPECT_EQ(host(x.grad()), (Doubles{21, 21}));
}

TEST(Checkpoint, JustRunsWithoutATape) {
  const TrackedTensor x = param(f64({1, 2}));
  NoGrad off;
  const TrackedTensor y =
      checkpoint([](const TrackedTensor& a) { return a * 2.0; }, x);
  EXPECT_TRUE(y.is_pending());
  EXPECT_FALSE(y.is_tracked());
}

TEST(Checkpoint, SeesTheArraysThatLeavesHeldThen) {
  const TrackedTensor w = param(f64({2}));
  const TrackedTensor x = param(f64({3}));
  const auto f = [&](const TrackedTensor& a, const TrackedTensor& v) {
    return a * a * w * v;
  };
  const TrackedTensor y = checkpoint(f, x, w);
  update_in_place({{w}}, 1,
                  [](const Values& t) { return Values{t[0] + 100.0}; });
  EXPECT_EQ(host(w), (Doubles{102}));
  x.assign(f64({7}).data());
  backward(y);
  EXPECT_EQ(host(x.grad()), (Doubles{24}));
  EXPECT_EQ(host(w.grad()), (Doubles{36}));
  EXPECT_EQ(host(w), (Doubles{102}));
}

TEST(Checkpoint, DoesNotCountRunningStatisticsTwice) {
  const TrackedTensor mean = param(f64({10}));
  const TrackedTensor x = param(f64({2}));
  const TrackedTensor y = checkpoint(
      [&](const TrackedTensor& a) {
        const TrackedTensor r = a * stop_gradient(mean) * a;
        mean.assign((mean + 1.0).data());
        return r + stop_gradient(mean);
      },
      x);
  EXPECT_EQ(host(mean), (Doubles{11}));
  backward(y, {}, {.retain_graph = true});
  EXPECT_EQ(host(mean), (Doubles{11}));
  backward(y);
  EXPECT_EQ(host(mean), (Doubles{11}));
  EXPECT_EQ(host(x.grad()), (Doubles{80}));
}

TEST(Checkpoint, SaysWhenTheFunctionIsNotTheSame) {
  int calls = 0;
  const TrackedTensor x = param(f64({2}));
  const TrackedTensor w = param(f64({2}));
  const auto run = [&](auto f) {
    calls = 0;
    return message_of([&] { backward(sum(checkpoint(f, x))); });
  };
  EXPECT_NE(run([&](const TrackedTensor& a) {
              return calls++ ? a * w : a * a;
            }).find("used other tracked values"),
            std::string::npos);
  const std::string shape = run([&](const TrackedTensor& a) {
    return calls++ ? cat({a, a}, 0) : a * a;
  });
  EXPECT_NE(shape.find("float64[2] instead of float64[1]"), std::string::npos)
      << shape;
  EXPECT_NE(shape.find("checkpoint_test.cpp"), std::string::npos) << shape;
  EXPECT_NE(run([&](const TrackedTensor& a) {
              return calls++ ? f64({1}) : a * a;
            }).find("a constant"),
            std::string::npos);
  EXPECT_FALSE(x.grad().defined());
}

TEST(Checkpoint, IsGivenUpByNeed) {
  const TrackedTensor x = param(f64({2}));
  const TrackedTensor y =
      checkpoint([](const TrackedTensor& a) { return a * a; }, x);
  const TrackedTensor a = materialize(y * 2.0), b = materialize(y * 3.0);
  backward(a);
  backward(b);
  EXPECT_EQ(host(x.grad()), (Doubles{20}));
  EXPECT_THROW(backward(y), GraphError);
}

TEST(Checkpoint, MayBeReversedByAnotherThread) {
  manual_seed(3);
  const TrackedTensor x = param(ones({32}, {DType::float64}).data());
  const TrackedTensor y = sum(
      checkpoint([](const TrackedTensor& a) { return dropout(a, 0.5); }, x));
  const double total = y.item<double>();
  std::thread([&] { backward(y); }).join();
  EXPECT_EQ(sum(x.grad()).item<double>(), total);
}

TEST(Checkpoint, CallsHooksAndKeepsGradientsInside) {
  TrackedTensor h;
  int hooks = 0;
  const TrackedTensor x = param(f64({2}));
  backward(checkpoint(
      [&](const TrackedTensor& a) {
        h = a * a;
        h.retain_grad();
        h.hook([&](const TrackedTensor& g) {
          ++hooks;
          return g * 10.0;
        });
        return h * a;
      },
      x));
  EXPECT_EQ(hooks, 1);
  EXPECT_EQ(host(h.grad()), (Doubles{20}));
  EXPECT_EQ(host(x.grad()), (Doubles{84}));
}

TEST(Checkpoint, OfHalfTypesRoundsOnceAtTheLeaf) {
  const TrackedTensor x = param(cast(f64({1, 2, 3}), DType::float16).data());
  const auto f = [](const TrackedTensor& a) {
    return sum(a * 0.1) + sum(a * 0.001);
  };
  const TrackedTensor plain = gradient(f, x);
  const TrackedTensor got =
      gradient([&](auto& a) { return checkpoint(f, a); }, x);
  EXPECT_EQ(got.dtype(), DType::float16);
  EXPECT_EQ(host(got), host(plain));
}

TEST(Checkpoint, TakesEmptyAndNonContiguousTensors) {
  const auto f = [](const TrackedTensor& a) {
    return checkpoint([](const TrackedTensor& b) { return b * b; }, a);
  };
  EXPECT_EQ(gradient([&](auto& a) { return sum(f(a)); },
                     zeros({0, 3}, {DType::float64}))
                .shape(),
            (Shape{0, 3}));
  const TrackedTensor m = param(tensor({{1., 2.}, {3., 4.}}));
  backward(sum(f(transpose(m, 0, 1)) * tensor({{1., 10.}, {100., 1000.}})));
  EXPECT_EQ(host(m.grad()), (Doubles{2, 400, 60, 8000}));
}

// The bytes that a step needs at its peak, beyond what is there before.
template <class Step>
std::size_t peak_of(Step step) {
  const Device device = default_device();
  const std::size_t before = memory_stats(device).in_use;
  reset_peak_memory(device);
  step();
  return memory_stats(device).peak - before;
}

TEST(Checkpoint, OfEightLayersEachMakesAnMlpNeedAThirdOfTheMemory) {
  constexpr int kLayers = 64, kEach = 8;
  Values weights;
  for (int i = 0; i < kLayers; ++i)
    weights.push_back(param((eye(16) * 0.9).data()));
  const TrackedTensor x = materialize(ones({256, 16}));
  const auto layers = [&](TrackedTensor h, int from, int to) {
    for (int i = from; i < to; ++i) h = relu(matmul(h, weights[i]) + 0.01);
    return h;
  };
  const auto step = [&](int each) {
    TrackedTensor h = x;
    for (int i = 0; i < kLayers; i += each)
      h = each < kLayers ? checkpoint(layers, h, i, i + each)
                         : layers(h, 0, kLayers);
    backward(mean(h));
  };
  const auto total = [&] {
    Doubles t;
    for (const TrackedTensor& w : weights) {
      t.push_back(sum(w.grad()).item<double>());
      w.clear_grad();
    }
    return t;
  };
  step(kLayers);  // what is kept for good is there now
  const Doubles want = total();
  const std::size_t plain = peak_of([&] { step(kLayers); });
  total();
  const std::size_t checkpointed = peak_of([&] { step(kEach); });
  EXPECT_EQ(total(), want);
  EXPECT_LE(static_cast<double>(checkpointed), 0.3 * static_cast<double>(plain))
      << checkpointed << " of " << plain;
}

TEST(Checkpoint, FreesWhatTheFunctionComputed) {
  const Device device = default_device();
  const TrackedTensor x = param(ones({1 << 10}).data());
  const auto deep = [](TrackedTensor a) {
    for (int i = 0; i < 10; ++i) a = materialize(sin(a));
    return a;
  };
  // The first backward of a thread keeps its seed.
  backward(sum(x));
  x.clear_grad();
  const std::size_t before = memory_stats(device).in_use;
  TrackedTensor y = checkpoint(deep, x);
  EXPECT_LE(memory_stats(device).in_use - before, std::size_t{2} << 12);
  backward(sum(y));
  y = {};
  x.clear_grad();
  EXPECT_EQ(memory_stats(device).in_use, before);
}

}  // namespace
}  // namespace jacquard
