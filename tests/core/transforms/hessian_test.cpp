// hessian, hvp and diag_hessian.
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "tests/core/transforms/arrays.h"

namespace jacquard {
namespace {

const JacobianOptions kForward{DerivativeMode::forward};
const JacobianOptions kReverse{DerivativeMode::reverse};

template <class F>
void expect_hessian(F&& f, const TrackedTensor& x, const TrackedTensor& due) {
  expect_near(hessian(f, x), due);
  expect_near(hessian(kForward, f, x), due);
  expect_near(hessian(kReverse, f, x), due);
}

// Zygote's utils.jl.
TEST(Hessian, OfPolynomials) {
  expect_hessian(
      [](const TrackedTensor& x) { return select(x, 0, 0) * select(x, 0, 1); },
      tensor({2.0, 3.0}), tensor({{0.0, 1.0}, {1.0, 0.0}}));
  const TrackedTensor x = tensor({{1.0, 2.0}, {3.0, 4.0}});
  const TrackedTensor h =
      hessian([](const TrackedTensor& a) { return sum(a * a * a); }, x);
  EXPECT_EQ(h.shape(), Shape({2, 2, 2, 2}));
  expect_near(reshape(h, {4, 4}), tensor({{6.0, 0.0, 0.0, 0.0},
                                          {0.0, 12.0, 0.0, 0.0},
                                          {0.0, 0.0, 18.0, 0.0},
                                          {0.0, 0.0, 0.0, 24.0}}));
  const TrackedTensor s =
      hessian([](const TrackedTensor& a) { return sin(a); }, 0.5);
  EXPECT_NEAR(s.item<double>(), -std::sin(0.5), 1e-12);
}

TEST(Hessian, OfALinearFunctionIsZero) {
  const TrackedTensor h = hessian([](const TrackedTensor& x) { return sum(x); },
                                  tensor({1.0, 2.0}));
  EXPECT_EQ(h.to_host<double>(), std::vector<double>(4));
}

TEST(Hessian, OfANetworkIsTheSameBothWays) {
  const TrackedTensor data = sample({5, 3}), target = tensor({0, 1, 1, 0, 1});
  auto loss = [&](const TrackedTensor& p) {
    const TrackedTensor w =
        reshape(slice(p, 0, {.start = 0, .stop = 6}), {3, 2});
    const TrackedTensor b = slice(p, 0, {.start = 6, .stop = 8});
    return cross_entropy(tanh(matmul(data, w) + b), target);
  };
  const TrackedTensor p = sample({8}, 5);
  const TrackedTensor h = hessian(kForward, loss, p);
  expect_near(h, hessian(kReverse, loss, p));
  expect_near(h, transpose(h));
  const TrackedTensor v = sample({8}, 6);
  expect_near(hvp(loss, p, v), matmul(h, v));
  std::vector<double> diagonal;
  const auto all = h.to_host<double>();
  for (std::size_t i = 0; i < 8; ++i) diagonal.push_back(all[9 * i]);
  expect_near(diag_hessian(loss, p),
              Tensor::from_host(std::span<const double>(diagonal), {8}));
}

TEST(Hessian, CanBeDifferentiated) {
  const TrackedTensor x = tensor({0.5, 2.0});
  for (const auto& options : {kForward, kReverse}) {
    const auto g = gradient(
        [&](const TrackedTensor& a) {
          return sum(hessian(
              options,
              [](const TrackedTensor& v) { return sum(square(square(v))); },
              a));
        },
        x);
    expect_near(g, 24.0 * x);
  }
}

// One trace and one batch of columns: what is launched does not depend on how
// many variables there are, and the host waits for nothing.
TEST(Hessian, LaunchesNoMoreForMoreVariables) {
  auto f = [](const TrackedTensor& x) {
    const TrackedTensor a = slice(x, 0, {.start = 1, .stop = {}});
    const TrackedTensor b = slice(x, 0, {.start = 0, .stop = -1});
    return sum(sin(a * b)) + sum(square(x));
  };
  std::size_t launches[2];
  for (int i = 0; i < 2; ++i) {
    const TrackedTensor x = sample({i == 0 ? 4 : 64});
    LaunchLog log;
    const TrackedTensor h = hessian(f, x);
    EXPECT_FALSE(h.is_pending());
    launches[i] = log.launches();
    EXPECT_EQ(log.host_reads(), 0u);
  }
  EXPECT_EQ(launches[0], launches[1]);
  EXPECT_LT(launches[1], 60u);
}

TEST(Hessian, AsksForAScalarResult) {
  auto f = [](const TrackedTensor& x) { return x * x; };
  try {
    hessian(f, tensor({1.0, 2.0}));
    FAIL() << "a vector has no Hessian";
  } catch (const GraphError& e) {
    EXPECT_NE(std::string(e.what()).find("hessian"), std::string::npos)
        << e.what();
  }
  EXPECT_THROW(hvp(f, tensor({1.0, 2.0}), tensor({1.0, 2.0})), GraphError);
  EXPECT_THROW(diag_hessian(f, tensor({1.0, 2.0})), GraphError);
  EXPECT_THROW(hessian([](const TrackedTensor& x) { return sum(x * x); },
                       zeros({1, 1, 1, 1, 2}, kDouble)),
               ShapeError);
}

TEST(Hvp, OfAStructure) {
  struct Model {
    TrackedTensor w, b;
  };
  const Model m{sample({2, 3}), sample({2}, 4)};
  const Model v{sample({2, 3}, 5), sample({2}, 6)};
  const TrackedTensor x = sample({3}, 7);
  auto loss = [&](const Model& p) {
    return sum(square(sigmoid(matmul(p.w, x) + p.b)));
  };
  const Model h = hvp(loss, m, v);
  const Model due = gradient(
      [&](const Model& p) {
        const Model g = gradient(loss, p);
        return sum(g.w * v.w) + sum(g.b * v.b);
      },
      m);
  expect_near(h.w, due.w);
  expect_near(h.b, due.b);
}

TEST(DiagHessian, OfSeveralArguments) {
  auto f = [](const TrackedTensor& x, const TrackedTensor& y) {
    return sum(square(x) * sum(x) * y) + square(y) * y;
  };
  const TrackedTensor x = tensor({{1.0, 2.0, 3.0}, {-1.0, 0.5, 2.0}});
  const auto [by_x, by_y] = diag_hessian(f, x, 2.0);
  EXPECT_EQ(by_x.shape(), x.shape());
  // ∂²/∂xᵢ² of y·Σx²·Σx is 2y·Σx + 4y·xᵢ.
  expect_near(by_x, 4.0 * sum(x) + 8.0 * x);
  EXPECT_NEAR(by_y.item<double>(), 12, 1e-12);
}

// Zygote's check of a chunked sweep.
TEST(DiagHessian, OfMoreElementsThanAChunk) {
  const TrackedTensor x = sample({7, 13});
  auto f = [](const TrackedTensor& a) { return sum(square(a) * a); };
  expect_near(diag_hessian(f, x), 6.0 * x);
}

// Tracker's T125.
TEST(ForwardMode, OfASumAndAProduct) {
  const auto j = jacobian(
      kForward, [](const TrackedTensor& x) { return unsqueeze(sum(x), 0); },
      sample({5, 5}));
  expect_near(j, ones({1, 5, 5}, kDouble));
  expect_near(jacobian(
                  kForward,
                  [](const TrackedTensor& x) {
                    return select(x, 0, 0) * select(x, 0, 1);
                  },
                  tensor({2.0, 3.0})),
              tensor({3.0, 2.0}));
}

// Tracker's T126.
TEST(ForwardMode, OfAFunctionOfOneNumberWithTwoResults) {
  const auto [y, pull] = pullback(
      [](const TrackedTensor& x) {
        return stack({3.0 * x * x, 2.0 * x}, 0);
      },
      5.0);
  EXPECT_EQ(pull(tensor({1.0, 1.0})).item<double>(), 32);
}

}  // namespace
}  // namespace jacquard
