// Launches that a walk makes with one for two: the loss along with its reverse,
// narrow products inside the launch that reads them.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <tuple>
#include <vector>

#include "core/tape/modes.h"
#include "jacquard/jacquard.h"

namespace jacquard {
namespace {

TrackedTensor leaf(const Shape& shape, DType dtype = DType::float32) {
  return param(materialize(randn(shape, {dtype, default_device()})));
}

std::vector<double> values(const TrackedTensor& t) {
  return t.data().to_host<double>();
}

std::size_t count(const LaunchLog& log, const std::string& kind) {
  std::size_t n = 0;
  for (const LaunchRecord& r : log.records()) n += r.kind == kind;
  return n;
}

class WalkLaunches : public testing::Test {
 protected:
  void SetUp() override {
    if (!fusion_enabled()) GTEST_SKIP() << "nothing is joined";
    tape::set_epilogues(true);
  }
  void TearDown() override { tape::set_epilogues(before_); }

  bool before_ = tape::epilogues_enabled();
};

using Loss = std::function<TrackedTensor(const TrackedTensor&)>;

TEST_F(WalkLaunches, ALossIsWrittenAlongWithItsReverse) {
  const TrackedTensor y = materialize(randint(0, 30, {50}));
  const TrackedTensor b = materialize(randn({30}));
  for (const DType dtype : {DType::float32, DType::float64, DType::float16}) {
    const TrackedTensor z = leaf({50, 30}, dtype);
    const TrackedTensor c = materialize(cast(b, dtype));
    for (const auto reduction : {LossReduction::mean, LossReduction::sum}) {
      LaunchLog log;
      const auto [loss, g] = withgradient(
          [&](const TrackedTensor& z) {
            return cross_entropy(z + c, y, reduction);
          },
          z);
      if (!is_half(dtype)) {
        EXPECT_EQ(log.launches(), 1u) << log.to_string();
      }
      const auto [forced, h] = withgradient(
          [&](const TrackedTensor& z) {
            return materialize(cross_entropy(z + c, y, reduction));
          },
          z);
      EXPECT_EQ(values(loss), values(forced));
      EXPECT_EQ(values(g), values(h));
    }
  }
}

TEST_F(WalkLaunches, ALossThatIsUsedFurtherIsWrittenBefore) {
  const TrackedTensor y = materialize(randint(0, 30, {50}));
  const TrackedTensor z = leaf({50, 30});
  const Loss uses[] = {
      [&](const TrackedTensor& z) {
        return cross_entropy(z, y) + 0.1 * sum(square(z));
      },
      [&](const TrackedTensor& z) { return cross_entropy(z, y) * 1.0; },
      [&](const TrackedTensor& z) {
        const TrackedTensor loss = cross_entropy(z, y);
        return stop_gradient(loss) * loss;
      },
      [&](const TrackedTensor& z) {
        return reshape(cross_entropy(z, y), {1, 1});
      },
      [&](const TrackedTensor& z) {
        const TrackedTensor logits = z * 1.0;
        const TrackedTensor loss = cross_entropy(logits, y);
        materialize(logits);
        return loss;
      }};
  for (const Loss& f : uses) {
    const auto [loss, g] = withgradient(f, z);
    const auto written = [&](const TrackedTensor& z) {
      TrackedTensor l = f(z);
      return materialize(l);
    };
    const auto [again, h] = withgradient(written, z);
    EXPECT_EQ(values(loss), values(again));
    EXPECT_EQ(values(g), values(h));
  }
}

TEST_F(WalkLaunches, ALossThatHoldsItsPartsHasTheirGradients) {
  const TrackedTensor y = materialize(randint(0, 30, {50}));
  const TrackedTensor z = leaf({50, 30});
  TrackedTensor kept;
  const auto g = gradient(
      [&](const TrackedTensor& z) {
        kept = z * 2.0;
        kept.retain_grad();
        return cross_entropy(kept, y);
      },
      z);
  ASSERT_TRUE(kept.grad().defined());
  const auto inner = values(kept.grad()), outer = values(g);
  for (std::size_t i = 0; i < outer.size(); ++i)
    EXPECT_EQ(outer[i], 2 * inner[i]);
}

TEST_F(WalkLaunches, ALossOfALossHasASecondGradient) {
  const TrackedTensor y = materialize(randint(0, 6, {5}));
  const auto squares = [&](const std::vector<TrackedTensor>& in) {
    const auto g = gradient(
        [&](const TrackedTensor& z) { return cross_entropy(z, y); }, in[0]);
    return sum(g * g);
  };
  const auto checked = gradcheck(squares, {leaf({5, 6}, DType::float64)});
  EXPECT_TRUE(checked.ok) << checked.message;
}

TEST_F(WalkLaunches, ALossThatFailsIsStillPending) {
  if (default_device().type != DeviceType::cpu)
    GTEST_SKIP() << "elsewhere a bad index is reported later";
  const TrackedTensor bad = materialize(randint(7, 9, {5}));
  const TrackedTensor z = leaf({5, 6});
  TrackedTensor loss;
  const auto f = [&](const TrackedTensor& z) {
    return loss = cross_entropy(z, bad);
  };
  try {
    gradient(f, z);
    FAIL() << "nothing was thrown";
  } catch (const IndexError& e) {
    EXPECT_NE(std::string(e.what()).find("walk_launches_test.cpp"),
              std::string::npos)
        << e.what();
  }
  EXPECT_TRUE(loss.is_pending());
  EXPECT_THROW(materialize(loss), IndexError);
}

// Gradients by all parameters, and by what is added for each use of w.
struct Net {
  TrackedTensor x = leaf({40, 24}), first = leaf({32, 24}), b = leaf({32}),
                w = leaf({10, 32});

  using Head = std::function<TrackedTensor(const TrackedTensor& h,
                                           const TrackedTensor& w)>;
  std::vector<std::vector<double>> gradients(const Head& head,
                                             LaunchLog* log = nullptr) const {
    const auto loss = [&](const TrackedTensor& x, const TrackedTensor& first,
                          const TrackedTensor& b, const TrackedTensor& w) {
      return sum(sin(head(relu(matmul(x, transpose(first, 0, 1)) + b), w)));
    };
    if (log) log->clear();
    const auto all = gradient(loss, x, first, b, w);
    std::vector<std::vector<double>> result;
    std::apply([&](const auto&... g) { (result.push_back(values(g)), ...); },
               all);
    return result;
  }
};

void expect_close(const std::vector<std::vector<double>>& a,
                  const std::vector<std::vector<double>>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i].size(), b[i].size());
    double scale = 1e-6;
    for (const double v : b[i]) scale = std::max(scale, std::abs(v));
    for (std::size_t j = 0; j < a[i].size(); ++j)
      EXPECT_NEAR(a[i][j], b[i][j], 2e-5 * scale) << i << " " << j;
  }
}

TEST_F(WalkLaunches, NarrowProductsHaveTheSameGradients) {
  const Net::Head heads[] = {
      [](const auto& h, const auto& w) {
        return matmul(h, transpose(w, 0, 1));
      },
      // The other layout of the weight's gradient.
      [](const auto& h, const auto& w) {
        return matmul(h, reshape(w, {32, 10}));
      },
      // Twice the same matrix, and other uses of the inner value.
      [](const auto& h, const auto& w) {
        const TrackedTensor t = transpose(w, 0, 1);
        return matmul(h, t) + matmul(h * 2.0, t);
      },
      [](const auto& h, const auto& w) {
        return matmul(h, transpose(w, 0, 1)) + sum(h * h, {1}, true);
      },
      [](const auto& h, const auto& w) {
        return matmul(h + 1.0, transpose(w, 0, 1));
      },
      [](const auto& h, const auto& w) {
        const TrackedTensor scale = materialize(h * 0.5);
        return matmul(scale, transpose(w, 0, 1));
      },
      // As wide as it is tall, and the product with itself.
      [](const auto& h, const auto& w) {
        return matmul(transpose(h, 0, 1), h) * sum(w);
      }};
  const Net net;
  for (const auto& head : heads) {
    const auto with = net.gradients(head);
    tape::set_epilogues(false);
    const auto without = net.gradients(head);
    tape::set_epilogues(true);
    expect_close(with, without);
  }
}

TEST_F(WalkLaunches, NarrowProductsAddToWhatTheirOperandsShare) {
  const std::function<TrackedTensor(const TrackedTensor&, const TrackedTensor&)>
      cases[] = {
          [](const auto& x, const auto& w) {
            const TrackedTensor h = relu(x * w);
            return matmul(h, h);
          },
          [](const auto& x, const auto& w) { return matmul(x + w, w); },
          [](const auto& x, const auto& w) { return matmul(relu(x + w), w); },
          [](const auto& x, const auto& w) {
            return matmul(matmul(x * w, w) + w, w);
          }};
  const TrackedTensor x = leaf({10, 10}), w = leaf({10, 10});
  for (const auto& f : cases) {
    const auto both = [&] {
      const auto [gx, gw] =
          gradient([&](const TrackedTensor& x,
                       const TrackedTensor& w) { return sum(sin(f(x, w))); },
                   x, w);
      return std::vector{values(gx), values(gw)};
    };
    const auto with = both();
    tape::set_epilogues(false);
    const auto without = both();
    tape::set_epilogues(true);
    expect_close(with, without);
  }
}

TEST_F(WalkLaunches, NarrowProductsAreLaunchedWhereAProductIsCheap) {
  const Net net;
  LaunchLog log;
  net.gradients([](const auto& h,
                   const auto& w) { return matmul(h, transpose(w, 0, 1)); },
                &log);
  // Two forward, two for the first layer.
  const std::size_t narrow = default_device().type == DeviceType::cuda ? 0 : 2;
  EXPECT_EQ(count(log, "matmul"), 4 + narrow) << log.to_string();
}

TEST_F(WalkLaunches, NarrowProductsKeepHooks) {
  const TrackedTensor x = leaf({40, 24}), w = leaf({24, 10});
  int calls = 0;
  const auto hooked = [&](bool on) {
    const TrackedTensor h = relu(x);
    if (on)
      h.hook([&](const TrackedTensor& g) {
        ++calls;
        return g * 3.0;
      });
    x.clear_grad();
    w.clear_grad();
    backward(sum(sin(matmul(h, w))));
    return std::vector{values(x.grad()), values(w.grad())};
  };
  auto plain = hooked(false);
  for (double& v : plain[0]) v *= 3;
  expect_close(hooked(true), plain);
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace jacquard
