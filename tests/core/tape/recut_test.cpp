// Questions about values that others were fused with: nodes are cut again.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "jacquard/jacquard.h"
#include "jacquard/memory.h"

namespace jacquard {
namespace {

using Doubles = std::vector<double>;
using Numbers = std::vector<Doubles>;

TrackedTensor f64(std::initializer_list<double> v) { return tensor(v); }

Doubles grad_of(const TrackedTensor& x) {
  EXPECT_TRUE(x.grad().defined());
  return x.grad().defined() ? x.grad().to_host<double>() : Doubles();
}

// What f returns, and that it returns the same without fusion.
Numbers either_way(const std::function<Numbers()>& f) {
  const Numbers fused = f();
  set_fusion(false);
  const Numbers unfused = f();
  set_fusion(true);
  EXPECT_EQ(fused.size(), unfused.size());
  for (std::size_t i = 0; i < fused.size() && i < unfused.size(); ++i) {
    EXPECT_EQ(fused[i].size(), unfused[i].size());
    for (std::size_t k = 0; k < fused[i].size() && k < unfused[i].size(); ++k)
      EXPECT_NEAR(fused[i][k], unfused[i][k], 1e-12) << i << ", " << k;
  }
  return fused;
}

TEST(Recut, AGradientIsKeptOfAValueThatWasFusedBefore) {
  const Numbers g = either_way([] {
    TrackedTensor x = param(f64({3}));
    TrackedTensor h = x * x;
    TrackedTensor y = materialize(h * 2.0);
    EXPECT_EQ(h.is_pending(), fusion_enabled());
    h.retain_grad();
    backward(y);
    return Numbers{grad_of(h), grad_of(x)};
  });
  EXPECT_EQ(g, (Numbers{{2}, {12}}));
}

TEST(Recut, ALateHookSeesWhatAllConsumersSend) {
  const Numbers g = either_way([] {
    TrackedTensor x = param(f64({3}));
    TrackedTensor h = x * x;
    TrackedTensor a = sum(h * 2.0), b = sum(h * 5.0 + x);
    Doubles seen;
    h.hook([&](const TrackedTensor& g) {
      seen.push_back(g.item<double>());
      return -g;
    });
    backward(a + b);
    return Numbers{seen, grad_of(x)};
  });
  EXPECT_EQ(g, (Numbers{{7}, {-42 + 1}}));
}

TEST(Recut, AValueThatIsWrittenLaterDoesNotLoseItsEarlierConsumers) {
  const Numbers g = either_way([] {
    TrackedTensor v1 = param(f64({1, 4}));
    TrackedTensor v2 = maximum(v1, v1);
    TrackedTensor v3 = mean(v2);
    backward(mean(v2));
    backward(v3 + mean(v2));
    return Numbers{grad_of(v1)};
  });
  EXPECT_EQ(g, (Numbers{{1.5, 1.5}}));
}

TEST(Recut, ValuesInsideOfEachOtherAreAskedInAnyOrder) {
  for (int order = 0; order < 6; ++order) {
    SCOPED_TRACE(order);
    either_way([&] {
      TrackedTensor x = param(f64({0.5, -2}));
      TrackedTensor u = exp(x), v = u * u, w = sin(v) + u;
      TrackedTensor y = sum(w * v);
      TrackedTensor all[] = {u, v, w};
      const int first = order / 2, second = (first + 1 + order % 2) % 3;
      for (int i : {first, second, 3 - first - second}) all[i].retain_grad();
      backward(y, {}, {.retain_graph = true});
      return Numbers{grad_of(x), grad_of(u), grad_of(v), grad_of(w)};
    });
  }
}

TEST(Recut, AQuestionBetweenTwoWalks) {
  either_way([] {
    TrackedTensor x = param(f64({1, 2}));
    TrackedTensor u = square(x), v = exp(u);
    TrackedTensor y = sum(v * u);
    backward(y, {}, {.retain_graph = true});
    v.retain_grad();
    backward(y, {}, {.retain_graph = true});
    u.retain_grad();
    backward(y);
    EXPECT_THROW(backward(y), GraphError);
    return Numbers{grad_of(x), grad_of(u), grad_of(v)};
  });
}

TEST(Recut, AWalkGoesByTheTapeThatItBeganWith) {
  TrackedTensor x = param(f64({3}));
  TrackedTensor h = x * x;
  TrackedTensor k = materialize(h * 2.0);
  TrackedTensor y = materialize(k * 5.0);
  k.hook([&](const TrackedTensor&) -> TrackedTensor {
    h.retain_grad();
    return {};
  });
  backward(y, {}, {.retain_graph = true});
  EXPECT_EQ(grad_of(x), (Doubles{60}));
  backward(y);
  EXPECT_EQ(grad_of(x), (Doubles{120}));
  EXPECT_EQ(grad_of(h), (Doubles{10}));
}

TEST(Recut, WhatTheReverseDidNotNeedIsThereForALaterCut) {
  // Nothing flows through floor, so the reverse up to x reads nothing.
  const Numbers g = either_way([] {
    TrackedTensor x = param(f64({1.5, 2.5}));
    TrackedTensor c = f64({5, 7}) * 1.0;
    TrackedTensor h = floor(x);
    TrackedTensor y = sum(materialize(tanh(h) * c));
    c = {};
    h.retain_grad();
    backward(y);
    return Numbers{grad_of(h)};
  });
  EXPECT_NEAR(g[0][0], 5 / std::pow(std::cosh(1.0), 2), 1e-12);
}

TEST(Recut, TheOutputIsThereForALaterCut) {
  either_way([] {
    TrackedTensor x = param(f64({1.5, 2.5}));
    TrackedTensor h = ceil(x);
    TrackedTensor y = sum(materialize(tanh(h)));
    h.retain_grad();
    backward(y);
    return Numbers{grad_of(h)};
  });
}

TEST(Recut, OfBroadcastReducedAndRowWiseValues) {
  const auto ask = [](const TrackedTensor& x, const TrackedTensor& h,
                      const TrackedTensor& y) {
    h.retain_grad();
    backward(y);
    return Numbers{grad_of(x), grad_of(h)};
  };
  TrackedTensor matrix = tensor({{0.5, -1., 2.}, {3., 0.25, -2.}});
  TrackedTensor row = f64({1, -2, 0.5});
  either_way([&] {
    TrackedTensor x = param(row.data()), h = x * 2.0;
    return ask(x, h, sum(square(h * matrix)));
  });
  either_way([&] {
    TrackedTensor x = param(matrix.data()), h = x * row;
    return ask(x, h, sum(square(mean(h * h, {0}))));
  });
  either_way([&] {
    TrackedTensor x = param(matrix.data()), h = x * row;
    return ask(x, h, sum(square(softmax(h, -1))));
  });
  either_way([&] {
    TrackedTensor x = param(row.data()), h = x * x;
    return ask(x, h, sum(square(log_softmax(matrix + h, -1))));
  });
  either_way([&] {
    TrackedTensor x = param(tensor({{1.}, {2.}})), h = x * x;
    return ask(x, h, sum(square(layer_norm(matrix * h, {}, {}))));
  });
  either_way([&] {
    TrackedTensor x = param(matrix.data()), h = x * 2.0;
    manual_seed(7);
    return ask(x, h, sum(square(dropout(h, 0.5) + rand({2, 3}) * h)));
  });
}

TEST(Recut, OfHalfTypes) {
  TrackedTensor x = param(cast(tensor({1.f, 2.f}), DType::bfloat16).data());
  TrackedTensor h = x * x;
  TrackedTensor y = sum(h * h);
  h.retain_grad();
  backward(y);
  EXPECT_EQ(h.grad().dtype(), DType::bfloat16);
  EXPECT_EQ(h.grad().to_host<float>(), (std::vector<float>{2, 8}));
  EXPECT_EQ(x.grad().to_host<float>(), (std::vector<float>{4, 32}));
}

TEST(Recut, OfMoreValuesThanARegionHasRoomForAsLeaves) {
  // 47 leaves, and 20 products of them inside: a mask has 64 bits.
  either_way([] {
    std::vector<TrackedTensor> leaves, products;
    for (int i = 0; i < 24; ++i) leaves.push_back(param(f64({1.0 + i, 2})));
    TrackedTensor y = leaves[0];
    for (std::size_t i = 0; i < 23; ++i) {
      TrackedTensor condition = materialize(f64({i % 2 ? 1.0 : 0.0, 1}) > 0.5);
      y = where(condition, leaves[i + 1], y);
    }
    for (std::size_t i = 0; i < 20; ++i) {
      products.push_back(leaves[i] * leaves[i + 1]);
      y = y + products.back();
    }
    materialize(y);
    for (const TrackedTensor& p : products) p.retain_grad();
    backward(y, f64({1, 1}));
    Numbers all;
    for (const TrackedTensor& x : leaves) all.push_back(grad_of(x));
    for (const TrackedTensor& p : products) all.push_back(grad_of(p));
    return all;
  });
}

TEST(Recut, CostsOneLaunchThatWritesTheValue) {
  TrackedTensor x = param(f64({1, 2, 3}));
  TrackedTensor h = exp(x);
  TrackedTensor y = materialize(h * 2.0);
  LaunchLog log;
  h.retain_grad();
  EXPECT_EQ(log.launches(), 1u) << log.to_string();
}

TEST(Recut, WalksNothingBehindAStop) {
  either_way([] {
    TrackedTensor x = param(f64({3}));
    TrackedTensor trunk = materialize(x * x);
    TrackedTensor h = trunk * 2.0;
    TrackedTensor y = materialize(x * stop_gradient(h));
    backward(materialize(h));
    backward(y);
    return Numbers{grad_of(x)};
  });
}

TEST(Recut, AnInnerGradientPassesThroughTheValue) {
  // h's consumer was computed before h became the x of a gradient.
  const Numbers g = either_way([] {
    TrackedTensor x = param(f64({3}));
    TrackedTensor h = x * x;
    TrackedTensor y = materialize(h * 2.0);
    TrackedTensor slope = gradient(
        {.create_graph = true}, [](const TrackedTensor& t) { return t * t; },
        h);
    h.retain_grad();
    backward(y + slope);
    return Numbers{grad_of(h), grad_of(x)};
  });
  EXPECT_EQ(g, (Numbers{{4}, {24}}));
}

TEST(Recut, ARecordedReverseLeadsToTheValuesInside) {
  // The inner gradient is 2xw: it depends on w, not only on what w is made of.
  const Numbers g = either_way([] {
    TrackedTensor v = param(f64({3})), x = param(f64({5}));
    TrackedTensor w = v * 2.0;
    TrackedTensor slope = gradient(
        {.create_graph = true},
        [&](const TrackedTensor& t) { return t * t * w; }, x);
    w.retain_grad();
    backward(slope);
    return Numbers{grad_of(w), grad_of(v), grad_of(x)};
  });
  EXPECT_EQ(g, (Numbers{{10}, {20}, {12}}));
}

constexpr std::int64_t kMany = 1 << 16;

std::size_t in_use() { return memory_stats(default_device()).in_use; }

TEST(RecutMemory, ALeafThatTheReverseDoesNotReadIsKeptForAnInnerValueOnly) {
  TrackedTensor x = param(ones({kMany}));
  TrackedTensor c = materialize(rand({kMany}));
  TrackedTensor h = x * 2.0;
  TrackedTensor y = materialize(h + c);
  const std::size_t before = in_use();
  c = {};
  EXPECT_EQ(in_use(), before);
  h = {};
  EXPECT_LE(in_use(), before - 4 * kMany);
  backward(sum(y));
  EXPECT_EQ(x.grad().to_host<float>()[7], 2);
}

TEST(RecutMemory, AnInnerValueThatNobodyHoldsKeepsNothing) {
  TrackedTensor x = param(ones({kMany}));
  TrackedTensor c = materialize(rand({kMany}));
  TrackedTensor y = materialize(x * 2.0 + c);
  const std::size_t before = in_use();
  c = {};
  EXPECT_LE(in_use(), before - 4 * kMany);
}

TEST(RecutMemory, AWalkThatGivesTheNodeUpLetsGoOfItsLeaves) {
  TrackedTensor x = param(ones({kMany}));
  TrackedTensor c = materialize(rand({kMany}));
  TrackedTensor h = x * 2.0;
  TrackedTensor y = materialize(h + c);
  TrackedTensor seed = materialize(ones({kMany}));
  backward(y, seed);
  const std::size_t before = in_use();
  c = {};
  EXPECT_LE(in_use(), before - 4 * kMany);
  h.retain_grad();
  EXPECT_THROW(backward(y, seed), GraphError);
}

TEST(RecutMemory, ANodeThatIsGoneNeedsNoCut) {
  TrackedTensor x = param(f64({3}));
  TrackedTensor h = x * x;
  TrackedTensor y = materialize(h * 2.0);
  y = {};
  h.retain_grad();
  backward(h * 1.0);
  EXPECT_EQ(grad_of(h), (Doubles{1}));
  EXPECT_EQ(grad_of(x), (Doubles{6}));
}

TEST(RecutMemory, ALongChainAroundInnerValuesIsDestroyed) {
  TrackedTensor x = param(f64({1}));
  const std::size_t before = in_use();
  std::vector<TrackedTensor> inner;
  TrackedTensor y = x;
  for (int i = 0; i < 200'000; ++i) {
    inner.push_back(y * 1.0);
    y = materialize(inner.back() + x);
  }
  y = {};
  EXPECT_GT(in_use(), before);
  inner.clear();
  EXPECT_EQ(in_use(), before);
}

}  // namespace
}  // namespace jacquard
