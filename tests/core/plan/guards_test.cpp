// Whatever changes between two calls of a compiled function is noticed.
#include <gtest/gtest.h>

#include <stdexcept>
#include <thread>

#include "jacquard/compile.h"
#include "jacquard/create.h"
#include "jacquard/gradient.h"
#include "jacquard/index_ops.h"
#include "jacquard/linalg.h"
#include "jacquard/pointwise.h"
#include "jacquard/reduce.h"
#include "jacquard/row_ops.h"
#include "jacquard/shape_ops.h"
#include "jacquard/update.h"

namespace jacquard {
namespace {

using Floats = std::vector<float>;
TrackedTensor numbers(const Floats& v) {
  return Tensor::from_host(std::span<const float>(v),
                           {static_cast<std::int64_t>(v.size())});
}

TEST(CompileGuards, ACapturedTensorThatWasReplacedIsNoticed) {
  TrackedTensor c = numbers({1, 2});
  auto f = compile([&](const TrackedTensor& x) { return x * c; });
  EXPECT_EQ(f(numbers({1, 1})).to_host<float>(), Floats({1, 2}));
  EXPECT_EQ(f(numbers({2, 2})).to_host<float>(), Floats({2, 4}));
  c = numbers({10, 20});
  EXPECT_EQ(f(numbers({1, 1})).to_host<float>(), Floats({10, 20}));
  c = numbers({5});
  EXPECT_EQ(f(numbers({1, 1})).to_host<float>(), Floats({5, 5}));
  c = transpose(materialize(rand({2, 2})), 0, 1);
  EXPECT_EQ(f(numbers({1, 1})).to_host<float>(), c.to_host<float>());
  c = full({2}, 3.0);  // pending
  EXPECT_EQ(f(numbers({1, 1})).to_host<float>(), Floats({3, 3}));
}

TEST(CompileGuards, TheSameTensorTwiceIsNotTwoTensors) {
  auto f = compile([](const TrackedTensor& a, const TrackedTensor& b) {
    return gradient([](auto x, auto y) { return sum(x * x * y); }, a, b);
  });
  const auto a = numbers({2}), b = numbers({3});
  for (int i = 0; i < 2; ++i) {
    const auto [da, db] = f(a, b);
    EXPECT_EQ(da.item<float>(), 12);
    EXPECT_EQ(db.item<float>(), 4);
    const auto [dx, dy] = f(a, a);
    EXPECT_EQ(dx.item<float>(), 8);
    EXPECT_EQ(dy.item<float>(), 4);
  }
}

TEST(CompileGuards, ALeafMayHoldSomethingElseOrBeAnother) {
  TrackedTensor w = param(numbers({1, 2}));
  auto f = compile([&] { return stop_gradient(w * 2.0); });
  EXPECT_EQ(f().to_host<float>(), Floats({2, 4}));
  EXPECT_EQ(f().to_host<float>(), Floats({2, 4}));
  w.assign(numbers({5, 6}).data());
  EXPECT_EQ(f().to_host<float>(), Floats({10, 12}));
  EXPECT_EQ(f.stats().replayed, 2u);
  w = param(numbers({7, 8}));
  EXPECT_EQ(f().to_host<float>(), Floats({14, 16}));
}

TEST(CompileGuards, ModesOfTheThreadAreCompared) {
  const TrackedTensor w = param(numbers({1, 2}));
  bool recorded = false;
  auto f = compile([&] {
    const TrackedTensor y = w * w;
    recorded = y.is_tracked();
    return stop_gradient(sum(y));
  });
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(f().item<float>(), 5);
    EXPECT_TRUE(recorded);
    const NoGrad constant;
    EXPECT_EQ(f().item<float>(), 5);
    EXPECT_FALSE(recorded);
  }
}

TEST(CompileGuards, AnyDeviceWillDo) {
  auto f = compile([](const TrackedTensor& x) {
    return rand({2}, {DType::float32, cpu()}) + x * 2.0;
  });
  for (int i = 0; i < 3; ++i) {
    const auto x = to_device(numbers({1, 2}), cpu());
    EXPECT_EQ(floor(f(x)).to_host<float>(), Floats({2, 4}));
  }
  EXPECT_EQ(f.stats().replayed, 2u);
}

TEST(CompileGuards, AttributesAreCompared) {
  std::int64_t start = 0;
  const auto x = numbers({1, 2, 3, 4});
  auto f = compile([&] { return slice(x, 0, {start, start + 2}) * 2.0; });
  for (int i = 0; i < 6; ++i) {
    start = i % 3;
    const auto s = static_cast<float>(start);
    EXPECT_EQ(f().to_host<float>(), Floats({2 * s + 2, 2 * s + 4}));
  }
  EXPECT_EQ(f.stats().replayed, 3u);
}

TEST(CompileGuards, CallsThatAlwaysDifferAreLeftAlone) {
  std::int64_t start = 0;
  const auto x = materialize(cast(arange(100), DType::float32));
  auto f = compile([&] { return slice(x, 0, {start, start + 2}) * 2.0; });
  testing::internal::CaptureStderr();
  for (int i = 0; i < 40; ++i) {
    start = i;
    EXPECT_EQ(f().to_host<float>()[0], 2 * static_cast<float>(i));
  }
  EXPECT_NE(testing::internal::GetCapturedStderr().find("others at each call"),
            std::string::npos);
  EXPECT_GE(f.stats().plain, 16u);
}

TEST(CompileGuards, ACarriedStateIsAnInputOfTheNextCall) {
  auto f = compile([](const TrackedTensor& h, const TrackedTensor& x) {
    return tanh(h * 0.5 + x);
  });
  TrackedTensor h = zeros({3}), wanted = h;
  std::vector<TrackedTensor> all;
  for (int i = 0; i < 6; ++i) {
    const auto x = materialize(rand({3}));
    h = f(h, x);
    all.push_back(h);
    wanted = tanh(wanted * 0.5 + x);
    EXPECT_EQ(h.to_host<float>(), wanted.to_host<float>());
  }
  EXPECT_GE(f.stats().replayed, 4u);
}

TEST(CompileGuards, TwoFunctionsShareParameters) {
  const auto make = [](TrackedTensor& w, double rate) {
    return [&w, rate](const TrackedTensor& x) {
      const auto [loss, g] =
          withgradient([&](auto p) { return sum(square(p - x)); }, w);
      update_in_place({{w, g}}, 1, [&](const auto& t) {
        return std::vector<TrackedTensor>{t[0] - rate * t[1]};
      });
      return loss;
    };
  };
  TrackedTensor w = param(numbers({1, 2})), v = param(numbers({1, 2}));
  auto a = compile(make(w, 0.1)), b = compile(make(w, 0.01));
  auto plain_a = make(v, 0.1), plain_b = make(v, 0.01);
  TrackedTensor old;
  for (int i = 0; i < 6; ++i) {
    const auto x = materialize(rand({2}));
    const bool first = i % 3 != 0;
    EXPECT_EQ((first ? a(x) : b(x)).item<float>(),
              (first ? plain_a(x) : plain_b(x)).item<float>());
    EXPECT_EQ(w.to_host<float>(), v.to_host<float>());
    if (i == 3) old = TrackedTensor(w.data());
  }
  EXPECT_NE(old.to_host<float>(), w.to_host<float>());
  EXPECT_GE(a.stats().replayed, 3u);
}

TEST(CompileGuards, AnExceptionOfTheFunctionLeavesWhatItDidBefore) {
  const TrackedTensor w = param(numbers({1, 2}));
  int call = 0;
  TrackedTensor escaped;
  auto f = compile([&](const TrackedTensor& x) {
    w.clear_grad();
    backward(sum(w * x));
    escaped = x * 3.0;
    if (++call == 4) throw std::runtime_error("mine");
    w.clear_grad();
    return escaped + 1.0;
  });
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(f(numbers({1, 2})).to_host<float>(), Floats({4, 7}));
  EXPECT_EQ(escaped.to_host<float>(), Floats({3, 6}));
  EXPECT_THROW(f(numbers({5, 6})), std::runtime_error);
  EXPECT_EQ(escaped.to_host<float>(), Floats({15, 18}));
  EXPECT_EQ(w.grad().to_host<float>(), Floats({5, 6}));
  EXPECT_EQ(f(numbers({1, 2})).to_host<float>(), Floats({4, 7}));
  EXPECT_FALSE(w.grad().defined());
}

TEST(CompileGuards, ErrorsOfOperationsComeWhereTheyDoUncompiled) {
  std::int64_t width = 2;
  auto f = compile([&](const TrackedTensor& x) {
    const TrackedTensor y = x + 1.0;
    return y + zeros({width});
  });
  f(numbers({1, 2}));
  f(numbers({1, 2}));
  width = 3;
  EXPECT_THROW(f(numbers({1, 2})), ShapeError);
  width = 2;
  EXPECT_EQ(f(numbers({1, 2})).to_host<float>(), Floats({2, 3}));
}

TEST(CompileGuards, RunsOnOneThreadAtATimeAndInsideAnother) {
  auto inner = compile([](const TrackedTensor& x) { return x * 2.0; });
  auto outer = compile([&](const TrackedTensor& x) { return inner(x) + 1.0; });
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(outer(numbers({1, 2})).to_host<float>(), Floats({3, 5}));
  EXPECT_EQ(outer.stats().replayed, 2u);
  EXPECT_EQ(inner.stats().replayed, 0u);

  std::string error;
  auto f = compile([&](const TrackedTensor& x) {
    std::thread([&] {
      try {
        inner(x);
        outer(x);
      } catch (const Error& e) {
        error = e.what();
      }
    }).join();
    return x;
  });
  f(numbers({1}));
  EXPECT_EQ(error, "");
  std::string refused;
  auto busy = compile([](const TrackedTensor& x, auto&& inside) {
    inside();
    return x * 2.0;
  });
  const auto nothing = [] {};
  for (int i = 0; i < 3; ++i) busy(numbers({1}), nothing);
  busy(numbers({1}), [&] {
    std::thread([&] {
      try {
        busy(numbers({1}), nothing);
      } catch (const Error& e) {
        refused = e.what();
      }
    }).join();
  });
  EXPECT_NE(refused.find("another thread"), std::string::npos);
}

TEST(CompileGuards, AHookIsNotPlannedAndStillRuns) {
  const TrackedTensor w = param(numbers({1, 2}));
  int calls = 0;
  w.hook([&](const TrackedTensor& g) {
    ++calls;
    return g * static_cast<double>(calls);
  });
  auto f = compile([&] {
    w.clear_grad();
    backward(sum(w * 2.0));
  });
  testing::internal::CaptureStderr();
  for (int i = 1; i < 5; ++i) {
    f();
    EXPECT_EQ(
        w.grad().to_host<float>(),
        Floats({2.0f * static_cast<float>(i), 2.0f * static_cast<float>(i)}));
  }
  EXPECT_NE(testing::internal::GetCapturedStderr().find("hook"),
            std::string::npos);
  EXPECT_EQ(f.stats().replayed, 0u);
}

TEST(CompileGuards, AHookThatIsAddedLaterRuns) {
  const TrackedTensor w = param(numbers({1, 2}));
  int calls = 0;
  auto f = compile([&] {
    w.clear_grad();
    backward(sum(w * 2.0));
  });
  for (int i = 0; i < 4; ++i) f();
  EXPECT_GE(f.stats().replayed, 1u);
  w.hook([&](const TrackedTensor& g) {
    ++calls;
    return g * 3.0;
  });
  testing::internal::CaptureStderr();
  for (int i = 0; i < 3; ++i) {
    f();
    EXPECT_EQ(w.grad().to_host<float>(), Floats({6, 6}));
  }
  testing::internal::GetCapturedStderr();
  EXPECT_EQ(calls, 3);
}

// On other devices an index is checked later.
TEST(CompileGuards, AnErrorOfALaunchLeavesLeavesAndGradients) {
  if (!(default_device() == cpu())) return;
  const TrackedTensor w = param(numbers({1, 2, 3}));
  TrackedTensor escaped;
  auto f = compile([&](const TrackedTensor& index) {
    w.clear_grad();
    escaped = index_select(w, 0, index);
    backward(sum(escaped * escaped));
    escaped = stop_gradient(escaped);
  });
  const auto at = [](std::int64_t i) {
    return TrackedTensor(
        Tensor::from_host(std::span<const std::int64_t>(&i, 1), {1}));
  };
  for (int i = 0; i < 4; ++i) f(at(i % 3));
  EXPECT_EQ(w.grad().to_host<float>(), Floats({2, 0, 0}));
  EXPECT_THROW(f(at(7)), IndexError);
  EXPECT_EQ(w.to_host<float>(), Floats({1, 2, 3}));
  EXPECT_EQ(w.grad().to_host<float>(), Floats({2, 0, 0}));
  EXPECT_THROW(escaped.to_host<float>(), GraphError);
  f(at(2));
  EXPECT_EQ(escaped.to_host<float>(), Floats({3}));
  EXPECT_EQ(w.grad().to_host<float>(), Floats({0, 0, 6}));
}

TEST(CompileGuards, ResultsThatAreStillRecordedAreNotPlanned) {
  const TrackedTensor w = param(numbers({1, 2}));
  auto f = compile([&](const TrackedTensor& x) { return sum(w * x); });
  testing::internal::CaptureStderr();
  for (float i = 1; i < 4; ++i) {
    w.clear_grad();
    backward(f(numbers({i, 2})));
    EXPECT_EQ(w.grad().to_host<float>(), Floats({i, 2}));
  }
  EXPECT_NE(testing::internal::GetCapturedStderr().find("recorded on a tape"),
            std::string::npos);
}

TEST(CompileGuards, FunctionsOfTheWholeLibraryAreReplayed) {
  const auto work = [](const TrackedTensor& x, const TrackedTensor& i) {
    const TrackedTensor w = softmax(matmul(x, transpose(x, 0, 1)), -1);
    const TrackedTensor picked = gather(w, 1, i);
    return std::vector{cat({picked, w}, 1),
                       argmax(w, -1),
                       var(x, {0}),
                       one_hot(argmax(x, -1), 4),
                       sum(clamp(x, 0.25, 0.75)),
                       index_add(w, 0, reshape(i, {3}), picked * x)};
  };
  auto f = compile(work);
  const NoGrad constant;
  for (int k = 0; k < 4; ++k) {
    const auto x = materialize(rand({3, 4}));
    const auto i = materialize(randint(0, 3, {3, 1}));
    const auto square = slice(x, 1, {0, 3});
    const auto got = f(square, i), wanted = work(square, i);
    for (std::size_t n = 0; n < wanted.size(); ++n)
      EXPECT_EQ(got[n].to_host<double>(), wanted[n].to_host<double>());
  }
  EXPECT_EQ(f.stats().replayed, 3u);
}

}  // namespace
}  // namespace jacquard
