// Values, tapes and leaves shared by threads.
#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <cmath>
#include <functional>
#include <thread>
#include <vector>

#include "jacquard/jacquard.h"

namespace jacquard {
namespace {

using Doubles = std::vector<double>;

TrackedTensor f64(std::initializer_list<double> v) { return tensor(v); }

// Runs f(0) … f(n − 1) at once, each on a thread of its own.
void together(int n, const std::function<void(int)>& f) {
  std::barrier start(n);
  std::vector<std::thread> threads;
  for (int t = 0; t < n; ++t)
    threads.emplace_back([&, t] {
      start.arrive_and_wait();
      f(t);
    });
  for (std::thread& t : threads) t.join();
}

TEST(Threads, ReverseTwoLossesOverOneTrunk) {
  for (int round = 0; round < 100; ++round) {
    TrackedTensor x = param(f64({3}));
    TrackedTensor trunk = x;
    for (int i = 0; i < 10; ++i) trunk = materialize(trunk * 1.0);
    std::vector<TrackedTensor> losses{materialize(trunk * 2.0),
                                      materialize(trunk * 5.0)};
    together(2, [&](int t) { backward(losses[static_cast<std::size_t>(t)]); });
    EXPECT_EQ(x.grad().to_host<double>(), (Doubles{7}));
    EXPECT_THROW(backward(trunk * 1.0), GraphError);
  }
}

TEST(Threads, ReverseOneLossTogether) {
  for (int round = 0; round < 100; ++round) {
    TrackedTensor x = param(f64({3}));
    TrackedTensor y = x;
    for (int i = 0; i < 5; ++i) y = materialize(y * 1.0);
    std::atomic<int> passed{0};
    together(2, [&](int) {
      try {
        backward(y);
        ++passed;
      } catch (const GraphError&) {
      }
    });
    ASSERT_GE(passed.load(), 1);
    EXPECT_EQ(x.grad().to_host<double>(),
              (Doubles{static_cast<double>(passed.load())}));
  }
}

TEST(Threads, CommitToOneLeafInTurns) {
  TrackedTensor x = param(f64({1, 2}));
  together(3, [&](int) {
    for (int i = 0; i < 200; ++i) backward(sum(x * 1.0));
  });
  EXPECT_EQ(x.grad().to_host<double>(), (Doubles{600, 600}));
}

TEST(Threads, BuildOnATrunkThatAnotherReverses) {
  for (int round = 0; round < 100; ++round) {
    TrackedTensor x = param(f64({3}));
    TrackedTensor trunk = materialize(x * x);
    TrackedTensor loss = materialize(trunk * 1.0);
    std::atomic<int> passed{0};
    together(2, [&](int t) {
      if (t == 0) {
        backward(loss);
        return;
      }
      TrackedTensor y = trunk * 2.0;
      EXPECT_EQ(y.item<double>(), 18);
      try {
        backward(y);
        ++passed;
      } catch (const GraphError&) {
      }
    });
    EXPECT_EQ(x.grad().to_host<double>(), (Doubles{passed ? 18.0 : 6.0}));
  }
}

TEST(Threads, AddHooksToAValueThatAnotherReverses) {
  for (int round = 0; round < 50; ++round) {
    TrackedTensor x = param(f64({3}));
    TrackedTensor h = materialize(x * x);
    TrackedTensor loss = materialize(h * 1.0);
    std::atomic<int> calls{0};
    const auto count = [&](const TrackedTensor&) -> TrackedTensor {
      ++calls;
      return {};
    };
    h.hook(count);
    together(2, [&](int t) {
      if (t == 0) {
        backward(loss);
      } else {
        for (int i = 0; i < 10; ++i) h.hook(count);
        h.retain_grad();
      }
    });
    EXPECT_GE(calls.load(), 1);
    EXPECT_EQ(x.grad().to_host<double>(), (Doubles{6}));
  }
}

TEST(Threads, AskForInnerValuesThatOthersReverseAndInline) {
  for (int round = 0; round < 200; ++round) {
    TrackedTensor x = param(f64({3}));
    TrackedTensor u = x * x;
    TrackedTensor h = u * 2.0;
    TrackedTensor y = materialize(h * 5.0 + u);
    std::atomic<int> calls{0};
    together(4, [&](int t) {
      const auto count = [&](const TrackedTensor&) -> TrackedTensor {
        ++calls;
        return {};
      };
      if (t == 0) {
        backward(y, {}, {.retain_graph = true});
      } else if (t == 1) {
        h.hook(count);
        backward(y, {}, {.retain_graph = true});
      } else if (t == 2) {
        u.hook(count);
        backward(y, {}, {.retain_graph = true});
      } else {
        backward(materialize(h * u), {}, {.retain_graph = true});
      }
    });
    // Each hook is seen by its own thread's walk at least.
    EXPECT_GE(calls.load(), 2);
    // 3 · d(11x²) + d(2x⁴)
    EXPECT_EQ(x.grad().to_host<double>(), (Doubles{3 * 66 + 216}));
  }
}

TEST(Threads, DropInnerValuesWhileOthersCutAgain) {
  for (int round = 0; round < 200; ++round) {
    TrackedTensor x = param(f64({3}));
    TrackedTensor u = x * x, h = u * 2.0;
    TrackedTensor y = materialize(h * 5.0 + u);
    together(3, [&](int t) {
      if (t == 0)
        h = {};
      else if (t == 1)
        u.retain_grad();
      else
        y = {};
    });
    backward(u * 1.0);
    EXPECT_EQ(x.grad().to_host<double>(), (Doubles{6}));
  }
}

TEST(Threads, ForceOverlappingExpressionsOfRandomLeaves) {
  for (int round = 0; round < 50; ++round) {
    TrackedTensor u = rand({64}, {DType::float32, default_device()});
    TrackedTensor x = param(ones({64}, {DType::float32, default_device()}));
    TrackedTensor a = x * u;
    TrackedTensor b = a + u;
    TrackedTensor c = exp(b) * u;
    const TrackedTensor all[] = {u, a, b, c};
    std::vector<std::vector<float>> seen(4);
    together(4, [&](int t) {
      seen[static_cast<std::size_t>(t)] = all[t].to_host<float>();
    });
    EXPECT_EQ(seen[0], seen[1]);
    backward(sum(c));
    const auto g = x.grad().to_host<float>();
    for (std::size_t i = 0; i < g.size(); ++i)
      EXPECT_NEAR(g[i], seen[3][i] * seen[0][i], 1e-5);
  }
}

TEST(Threads, DropTheLastHandleOfAValueThatAnotherForces) {
  for (int round = 0; round < 100; ++round) {
    TrackedTensor x = param(f64({1, 2, 3}));
    TrackedTensor inner = exp(x) * 0.0;
    TrackedTensor outer = inner + x;
    together(2, [&](int t) {
      if (t == 0) {
        EXPECT_EQ(outer.to_host<double>(), (Doubles{1, 2, 3}));
      } else {
        materialize(inner);
        inner = {};
      }
    });
    outer = {};
  }
}

TEST(Threads, AssignToALeafThatOthersRead) {
  TrackedTensor x = param(f64({1, 1}));
  together(3, [&](int t) {
    for (int i = 0; i < 200; ++i) {
      if (t == 0) {
        const double v = i;
        x.assign(f64({v, v}).data());
      } else {
        const Doubles seen = (x * 2.0).to_host<double>();
        EXPECT_EQ(seen[0], seen[1]);
      }
    }
  });
}

}  // namespace
}  // namespace jacquard
