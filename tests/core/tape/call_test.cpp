#include "core/tape/call.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "jacquard/jacquard.h"
#include "jacquard/memory.h"

namespace jacquard {
namespace {

using tape::Body;
using tape::Call;
using tape::Observing;

// Runs every call and takes down what it was.
struct Recorder : tape::CallObserver {
  struct Seen {
    std::string name, text;
    CallSite site;
    std::vector<TrackedTensor> operands;
    std::vector<std::int64_t> attributes;
    std::vector<tape::Literal> scalars;
    bool random = false;
    Body body;
    std::vector<TrackedTensor> results;
  };
  std::vector<Seen> seen;
  std::vector<const void*> reads;
  bool inside = false;

  void call(Call& c) override {
    Seen s;
    s.name = c.name;
    s.text = c.text();
    s.site = c.site;
    for (const TrackedTensor* x : c.operands) s.operands.push_back(*x);
    s.attributes.assign(c.attributes.begin(), c.attributes.end());
    s.scalars.assign(c.scalars.begin(), c.scalars.end());
    s.random = c.random;
    s.body = c.body();
    c.run();
    s.results.assign(c.results.begin(), c.results.end());
    seen.push_back(std::move(s));
  }
  void read(const TrackedTensor& x) override { reads.push_back(x.value()); }
  bool nested() const override { return inside; }

  std::string names() const {
    std::string all;
    for (const Seen& s : seen) all += (all.empty() ? "" : " ") + s.name;
    return all;
  }
};

TrackedTensor run_again(const Body& body, std::vector<TrackedTensor> operands,
                        std::vector<tape::Literal> scalars = {}) {
  tape::Results out;
  body({operands.data(), scalars.empty() ? nullptr : scalars.data()}, out);
  return out[0];
}

tape::Literal number(double f) {
  tape::Literal l{};
  l.f = f;
  return l;
}

TEST(Call, WithoutAnObserverNothingIsShown) {
  Recorder r;
  const TrackedTensor x = ones({2});
  const TrackedTensor y = sum(x * x);
  EXPECT_TRUE(r.seen.empty());
  EXPECT_EQ(y.item<float>(), 2);
}

TEST(Call, ShowsEachPublicOperationOnceAndNothingInsideIt) {
  Recorder r;
  const TrackedTensor x = ones({2, 3});
  TrackedTensor y;
  {
    const Observing on(r);
    y = softmax(transpose(gelu(x + 1.0)), 0);
    y = norm(y);
    y = y + var(y);
  }
  EXPECT_EQ(r.names(), "add gelu transpose softmax norm var add");
  EXPECT_TRUE(r.reads.empty());
}

TEST(Call, ANestedObserverSeesWhatIsDoneInside) {
  Recorder r;
  r.inside = true;
  const TrackedTensor x = ones({2, 3});
  {
    const Observing on(r);
    norm(x);
  }
  ASSERT_GT(r.seen.size(), 1u);
  EXPECT_EQ(r.seen.back().name, "norm");
}

TEST(Call, KnowsLineOperandsAndAttributes) {
  Recorder r;
  const TrackedTensor x = ones({2, 3});
  {
    const Observing on(r);
    sum(x, {1}, true);
    sum(x, {0}, true);
    sum(x, {1}, true);
  }
  ASSERT_EQ(r.seen.size(), 3u);
  EXPECT_EQ(r.seen[0].site.line, __LINE__ - 5);
  EXPECT_NE(std::string(r.seen[0].site.file).find("call_test"),
            std::string::npos);
  EXPECT_EQ(r.seen[0].operands[0].value(), x.value());
  EXPECT_EQ(r.seen[0].attributes, r.seen[2].attributes);
  EXPECT_NE(r.seen[0].attributes, r.seen[1].attributes);
  EXPECT_EQ(r.seen[0].text, "(1), true");
}

TEST(Call, HostScalarsAreNotAttributes) {
  Recorder r;
  const TrackedTensor x = ones({2});
  {
    const Observing on(r);
    x * 2.0;
    x * 3.0;
    x * 3;
  }
  EXPECT_EQ(r.seen[0].attributes, r.seen[1].attributes);
  EXPECT_NE(r.seen[1].attributes, r.seen[2].attributes);  // another kind
  EXPECT_EQ(r.seen[0].scalars.at(0).f, 2);
  EXPECT_EQ(r.seen[1].scalars.at(0).f, 3);
  EXPECT_EQ(r.seen[2].scalars.at(0).i, 3);
}

TEST(Call, AnExponentThatDecidesWhatIsComputedIsAnAttribute) {
  Recorder r;
  const TrackedTensor x = full({2}, 3);
  {
    const Observing on(r);
    pow(x, 2.0);
    pow(x, 3.0);
    pow(x, 2.5);
    pow(x, 2.6);
  }
  EXPECT_NE(r.seen[0].attributes, r.seen[1].attributes);
  EXPECT_EQ(r.seen[2].attributes, r.seen[3].attributes);
  EXPECT_EQ(r.seen[0].results[0].to_host<float>()[0], 9);
}

TEST(Call, ABodyRunsAgainOnOtherOperandsAndScalars) {
  Recorder r;
  const TrackedTensor x = ones({2});
  {
    const Observing on(r);
    x * 2.0;
    slice(x, 0, {.start = 1, .stop = {}, .step = 1});
    cat({x, x});
    norm(x);
    layer_norm(x, x, {});
    index(x, {Index(TrackedTensor(tensor<std::int64_t>({1, 0, 1})))});
  }
  const TrackedTensor z = full({2}, 5);
  EXPECT_EQ(run_again(r.seen[0].body, {z}).to_host<float>()[0], 10);
  EXPECT_EQ(run_again(r.seen[0].body, {z}, {number(3)}).to_host<float>()[0],
            15);
  EXPECT_EQ(run_again(r.seen[1].body, {z}).shape(), Shape{1});
  EXPECT_EQ(run_again(r.seen[2].body, {z, x}).to_host<float>(),
            (std::vector<float>{5, 5, 1, 1}));
  EXPECT_FLOAT_EQ(run_again(r.seen[3].body, {z}).item<float>(),
                  5 * std::sqrt(2.0f));
  ASSERT_EQ(r.seen[4].operands.size(), 3u);
  EXPECT_FALSE(r.seen[4].operands[2].defined());
  EXPECT_EQ(run_again(r.seen[4].body, {z, z, {}}).shape(), Shape{2});
  const auto places = tensor<std::int64_t>({0});
  EXPECT_EQ(run_again(r.seen[5].body, {z, places}).to_host<float>(),
            std::vector<float>{5});
}

TEST(Call, ABodyHoldsNoOperands) {
  Recorder r;
  Body body;
  {
    TrackedTensor x = ones({1000});
    materialize(x);
    {
      const Observing on(r);
      reshape(x, {10, 100});
    }
    body = r.seen[0].body;
    r.seen.clear();
  }
  const auto before = memory_stats(default_device()).in_use;
  body = {};
  EXPECT_EQ(memory_stats(default_device()).in_use, before);
}

TEST(Call, SeesWhatChangesLeavesAndWhatTheHostReads) {
  Recorder r;
  const TrackedTensor w = param(ones({2}).data());
  {
    const Observing on(r);
    const TrackedTensor y = sum(w * w);
    backward(y);
    w.grad().to_host<float>();
    w.clear_grad();
    w.assign(zeros({2}).data());
    EXPECT_EQ(y.item<float>(), 2);
  }
  EXPECT_EQ(r.names(), "mul sum backward grad clear_grad zeros assign");
  EXPECT_EQ(r.reads.size(), 3u);
  EXPECT_EQ(r.seen[0].operands[0].value(), w.value());  // the leaf itself
}

TEST(Call, ATransformIsItsArgumentsItsWalkAndItsResult) {
  Recorder r;
  const TrackedTensor x = full({2}, 3);
  TrackedTensor g;
  {
    const Observing on(r);
    g = gradient([](const TrackedTensor& v) { return sum(v * v); }, x);
  }
  EXPECT_EQ(r.names(), "argument mul sum gradient result");
  EXPECT_EQ(g.to_host<float>()[0], 6);
}

TEST(Call, DrawsTellSeedAndOffset) {
  Recorder r;
  manual_seed(7);
  {
    const Observing on(r);
    rand({2});
    dropout(ones({2}), 0.5);
  }
  EXPECT_EQ(r.names(), "rand ones dropout");
  EXPECT_TRUE(r.seen[0].random);
  EXPECT_TRUE(r.seen[2].random);
  EXPECT_EQ(r.seen[0].scalars.at(0).i, 7);
  EXPECT_EQ(r.seen[0].scalars.at(1).i + 1, r.seen[2].scalars.at(1).i);
}

TEST(Call, AnUpdateShowsItsNumbersAsScalars) {
  Recorder r;
  const TrackedTensor w = param(ones({2}).data());
  const TrackedTensor g = full({2}, 2);
  const auto step = [&](double rate) {
    update_in_place({{w, g}}, 1, [&](const std::vector<TrackedTensor>& t) {
      return std::vector<TrackedTensor>{t[0] - t[1] * rate};
    });
  };
  {
    const Observing on(r);
    step(0.5);
    step(0.25);
  }
  EXPECT_EQ(r.names(), "update_in_place update_in_place");
  EXPECT_EQ(r.seen[0].attributes, r.seen[1].attributes);
  EXPECT_EQ(r.seen[0].scalars.at(0).f, 0.5);
  EXPECT_EQ(r.seen[1].scalars.at(0).f, 0.25);
  EXPECT_EQ(w.to_host<float>()[0], -0.5f);
}

TEST(Call, ABuilderIsItsWritesAndWhatMakesTheArray) {
  const TrackedTensor x = param({1.0, 2.0, 3.0});
  Recorder r;
  {
    const Observing on(r);
    TensorBuilder b(x);
    b.write({0}, 7);
    b.write({1}, b.read({2}) * 2.0);
    b.freeze();
  }
  EXPECT_EQ(r.names(), "TensorBuilder write read mul write freeze");
  const TrackedTensor again = run_again(
      r.seen.back().body, {tensor({4.0, 5.0, 6.0}), scalar(8, {DType::float64}),
                           scalar(9, {DType::float64})});
  EXPECT_EQ(again.to_host<double>(), (std::vector<double>{8, 9, 6}));
}

TEST(Call, ArithmeticOfGradientsIsOneCallWithOneScalar) {
  const TrackedTensor a = param({1.0, 2.0}), b = param({3.0});
  const Grads g(Params{a, b}, {tensor({1.0, 2.0}), tensor({3.0})});
  Recorder r;
  {
    const Observing on(r);
    const Grads half = g * 0.5;
  }
  ASSERT_EQ(r.names(), "grads");
  ASSERT_EQ(r.seen[0].scalars.size(), 1U);
  EXPECT_EQ(run_again(r.seen[0].body, {tensor({4.0, 6.0}), tensor({5.0})},
                      {number(2)})
                .to_host<double>(),
            (std::vector<double>{8, 12}));
}

TEST(Call, AnErrorLeavesTheObserverInPlace) {
  Recorder r;
  const TrackedTensor x = ones({2});
  const Observing on(r);
  EXPECT_THROW(matmul(x, ones({3})), ShapeError);
  r.seen.clear();
  x + x;
  EXPECT_EQ(r.names(), "add");
}

// Answers each call with its first operand.
struct Parrot : tape::CallObserver {
  void call(Call& c) override { c.results.push_back(*c.operands[0]); }
};

TEST(Call, AnObserverMayAnswerInsteadOfRunning) {
  Parrot p;
  const TrackedTensor x = full({2}, 3);
  TrackedTensor y;
  {
    const Observing on(p);
    y = exp(x);
  }
  EXPECT_EQ(y.value(), x.value());
}

}  // namespace
}  // namespace jacquard
