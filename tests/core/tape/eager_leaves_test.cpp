// Leaves whose gradients are handed out within backward.
#include <gtest/gtest.h>

#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "jacquard/jacquard.h"
#include "jacquard/memory.h"

namespace jacquard {
namespace {

using Doubles = std::vector<double>;
using Values = std::vector<TrackedTensor>;

TrackedTensor f64(std::initializer_list<double> v) { return tensor(v); }
Doubles host(const TrackedTensor& t) { return t.to_host<double>(); }

// Subtracts the gradient at once.
EagerLeaves descend(const Values& leaves) {
  return {leaves, [leaves](std::size_t i, const TrackedTensor& g) {
            update_in_place({{leaves[i], g}}, 1, [](const Values& t) {
              return Values{t[0] - t[1]};
            });
          }};
}

TEST(EagerLeaves, GetEachGradientOnceAndStoreNone) {
  const TrackedTensor a = param(f64({2})), b = param(f64({3})),
                      unused = param(f64({1})), other = param(f64({5}));
  std::vector<std::pair<std::size_t, Doubles>> got;
  const TrackedTensor y = materialize(a * b) * a * other;
  backward(y, {}, {.eager = {{b, unused, a}, [&](std::size_t i, auto& g) {
                               EXPECT_FALSE(is_grad_enabled());
                               got.emplace_back(i, host(g));
                             }}});
  EXPECT_EQ(got, (std::vector<std::pair<std::size_t, Doubles>>{{2, {60}},
                                                               {0, {20}}}));
  EXPECT_FALSE(a.grad().defined());
  EXPECT_FALSE(b.grad().defined());
  EXPECT_EQ(host(other.grad()), (Doubles{12}));
}

TEST(EagerLeaves, AreHandedOutWhenTheLastConsumerHasRun) {
  // a is used in the first and in the last operation, b in the middle.
  const TrackedTensor a = param(f64({2})), b = param(f64({3}));
  std::vector<std::string> order;
  const auto noted = [&](const char* name, const TrackedTensor& x) {
    return hook(
        [&order, name](const TrackedTensor&) {
          order.emplace_back(name);
          return TrackedTensor();
        },
        x);
  };
  const TrackedTensor first = noted("first", a * 2.0);
  const TrackedTensor second = noted("second", first * b);
  backward(noted("third", second * a), {},
           {.eager = {{a, b}, [&](std::size_t i, auto&) {
                        order.emplace_back(i == 0 ? "a" : "b");
                      }}});
  EXPECT_EQ(order,
            (std::vector<std::string>{"third", "second", "b", "first", "a"}));
}

TEST(EagerLeaves, MayBeUpdatedWhileTheWalkGoesOn) {
  // The weight of each layer is read by the reverse of the layer itself only.
  const TrackedTensor x = f64({1.5});
  const auto grads = [&](const Values& w) {
    return gradient(
        [&](const Values& v) {
          TrackedTensor h = x;
          for (const TrackedTensor& e : v) h = sin(h * e);
          return h;
        },
        w);
  };
  Values w;
  for (int i = 0; i < 5; ++i) w.push_back(param(f64({0.5 + i})));
  const Values g = grads(w);
  Doubles want;
  for (int i = 0; i < 5; ++i) want.push_back(host(w[i] - g[i])[0]);
  TrackedTensor h = x;
  for (const TrackedTensor& e : w) h = materialize(sin(h * e));
  backward(h, {}, {.eager = descend(w)});
  for (int i = 0; i < 5; ++i) EXPECT_EQ(host(w[i]), (Doubles{want[i]}));
}

TEST(EagerLeaves, OfATiedWeightGetTheWholeGradient) {
  const TrackedTensor w = param(f64({2}));
  int received = 0;
  backward(materialize(w * 3.0) * materialize(w * w), {},
           {.eager = {{w, w}, [&](std::size_t, auto& g) {
                        ++received;
                        EXPECT_EQ(host(g), (Doubles{36}));
                      }}});
  EXPECT_EQ(received, 1);
}

TEST(EagerLeaves, AnUpdateLeavesAnOlderGraphItsValues) {
  const TrackedTensor w = param(f64({2}));
  const void* address = w.data().data_ptr();
  const TrackedTensor older = materialize(w * w * w);
  backward(w * w, {}, {.eager = descend({w})});
  EXPECT_EQ(host(w), (Doubles{-2}));
  EXPECT_EQ(w.data().data_ptr(), address);
  backward(older);
  EXPECT_EQ(host(w.grad()), (Doubles{12}));
}

TEST(EagerLeaves, WorkWithRetainGraphAndCheckpoints) {
  const TrackedTensor w = param(f64({2})), x = param(f64({3}));
  const TrackedTensor y =
      checkpoint([&](const TrackedTensor& a) { return a * w * w; }, x);
  backward(y, {}, {.retain_graph = true, .eager = descend({w})});
  EXPECT_EQ(host(w), (Doubles{-10}));
  EXPECT_EQ(host(x.grad()), (Doubles{4}));
  backward(y, {}, {.eager = descend({w})});
  EXPECT_EQ(host(w), (Doubles{-22}));
  EXPECT_EQ(host(x.grad()), (Doubles{8}));
}

TEST(EagerLeaves, CallHooksFirst) {
  const TrackedTensor w = param(f64({2}));
  w.hook([](const TrackedTensor& g) { return g * 10.0; });
  backward(w * 1.0, {}, {.eager = descend({w})});
  EXPECT_EQ(host(w), (Doubles{-8}));
  w.hook([](const TrackedTensor& g) { return structural_zero(g); });
  backward(w * 1.0, {}, {.eager = descend({w})});
  EXPECT_EQ(host(w), (Doubles{-8}));
}

TEST(EagerLeaves, TakeALeafThatIsTheRoot) {
  const TrackedTensor w = param(f64({2}));
  backward(w, {}, {.eager = descend({w})});
  EXPECT_EQ(host(w), (Doubles{1}));
}

TEST(EagerLeaves, MustBeLeaves) {
  const TrackedTensor w = param(f64({2}));
  EXPECT_THROW(backward(w * 2.0, {}, {.eager = descend({w * 1.0})}),
               GraphError);
  EXPECT_THROW(backward(w * 2.0, {}, {.eager = descend({TrackedTensor()})}),
               GraphError);
}

TEST(EagerLeaves, AThrowKeepsWhatWasNotReceived) {
  const TrackedTensor a = param(f64({2})), b = param(f64({3}));
  EXPECT_THROW(backward(a * b, {},
                        {.eager = {{a},
                                   [](std::size_t, auto&) {
                                     throw std::runtime_error("no");
                                   }}}),
               std::runtime_error);
  EXPECT_FALSE(b.grad().defined());
  EXPECT_TRUE(is_grad_enabled());
}

TEST(EagerLeaves, NeedTheMemoryOfOneGradientAtATime) {
  constexpr int kLayers = 16;
  constexpr std::size_t kWeight = 64 * 64 * sizeof(float);
  const Device device = default_device();
  Values weights;
  for (int i = 0; i < kLayers; ++i) weights.push_back(param(eye(64).data()));
  const TrackedTensor x = materialize(ones({1, 64}));
  const auto peak = [&](bool eager) {
    TrackedTensor h = x;
    for (const TrackedTensor& w : weights) h = matmul(h, w);
    h = materialize(mean(h));
    const std::size_t before = memory_stats(device).in_use;
    reset_peak_memory(device);
    backward(h, {}, {.eager = eager ? descend(weights) : EagerLeaves{}});
    for (const TrackedTensor& w : weights) w.clear_grad();
    return memory_stats(device).peak - before;
  };
  peak(true);
  EXPECT_GE(peak(false), (kLayers - 1) * kWeight);
  EXPECT_LE(peak(true), 3 * kWeight);
}

}  // namespace
}  // namespace jacquard
