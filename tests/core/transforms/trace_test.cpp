#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "jacquard/jacquard.h"

namespace jacquard {
namespace {

struct Linear {
  TrackedTensor W, b;
};

TrackedTensor numbers(const Shape& shape, double first = 1) {
  return reshape(arange(static_cast<double>(shape.numel())), shape) * 0.1 +
         first;
}

double difference(const TrackedTensor& a, const TrackedTensor& b) {
  return max(abs(a - b)).item<double>();
}

std::string operations_of(const Tape& tape) {
  std::string all;
  for (const TapeEntry& e : tape)
    if (e.kind == TapeEntry::Kind::operation)
      all += (all.empty() ? "" : " ") + e.operation;
  return all;
}

TEST(Trace, ListsArgumentsOperationsAndTheResult) {
  const auto x = scalar(3), y = scalar(4);
  const auto tape =
      trace([](const TrackedTensor& a,
               const TrackedTensor& b) { return 2.0 * pow(a, 2.0) + b; },
            x, y);
  EXPECT_EQ(tape.size(), 5u);
  EXPECT_EQ(tape[0].kind, TapeEntry::Kind::argument);
  EXPECT_EQ(tape[1].operation, "1");
  EXPECT_EQ(operations_of(tape), "pow mul add");
  EXPECT_EQ(tape[4].operands.size(), 2u);
  EXPECT_EQ(tape[4].operands[1].entry, 1);
  EXPECT_EQ(tape.results().at(0).entry, 4);
  EXPECT_EQ(tape.result().item<float>(), 22);
  EXPECT_THROW(tape[5], IndexError);
}

TEST(Trace, KnowsShapesAndWhatIsTracked) {
  const auto x = numbers({3, 4}), y = numbers({4, 3});
  const auto tape =
      trace([](const TrackedTensor& a,
               const TrackedTensor& b) { return matmul(a, b) + 1.0; },
            param(x), y);
  EXPECT_EQ(operations_of(tape), "matmul add");
  EXPECT_EQ(tape[0].results[0].shape, (Shape{3, 4}));
  EXPECT_TRUE(tape[0].results[0].tracked);
  EXPECT_FALSE(tape[1].results[0].tracked);
  EXPECT_EQ(tape[2].results[0].shape, (Shape{3, 3}));
  EXPECT_TRUE(tape[2].results[0].tracked);
}

TEST(Trace, WhatFCapturesIsAnEntryOnce) {
  const auto w = param(numbers({3, 3}));
  const auto c = numbers({3, 3});
  const auto tape = trace(
      [&](const TrackedTensor& x) { return matmul(x, w) + matmul(c, w) + c; },
      numbers({3, 3}));
  std::string captured;
  for (const TapeEntry& e : tape)
    if (e.kind == TapeEntry::Kind::captured) captured += e.operation + " ";
  EXPECT_EQ(captured.size(), std::string("param constant ").size());
  EXPECT_NE(captured.find("param "), std::string::npos);
}

TEST(Trace, AttributesAndLinesAreThere) {
  const auto tape = trace(
      [](const TrackedTensor& x, const TrackedTensor& y) {
        return sum(matmul(x, y) * 2.0, {0}, true);
      },
      numbers({3, 4}), numbers({4, 3}));
  EXPECT_EQ(operations_of(tape), "matmul mul sum");
  EXPECT_EQ(tape[4].attributes, "(0), true");
  EXPECT_EQ(tape[4].site.line, __LINE__ - 5);
  EXPECT_EQ(tape[4].results[0].shape, (Shape{1, 3}));
}

TEST(Trace, AFunctionOfTheUsersIsListedAndReplayed) {
  const auto my_relu = primitive(
      "my_relu", [](const auto& x) { return where(x > 0.0, x, 0.0); },
      [](const auto& x) { return where(x > 0.0, 1.0, 0.0); });
  const auto f = [&](const TrackedTensor& x) {
    return gradient([&](const TrackedTensor& v) { return sum(my_relu(v)); }, x);
  };
  const auto x = arange(-2.0, 3.0, 1.0);
  const auto tape = trace(f, x);
  EXPECT_EQ(difference(tape.replay(-x), f(-x)), 0);
}

TEST(Trace, StructuresComeInAndGoOut) {
  const auto f = [](const Linear& m, const TrackedTensor& x) {
    return std::pair(matmul(m.W, x), std::vector{m.b + 1.0});
  };
  const Linear m{numbers({3, 4}), numbers({3})};
  const auto x = numbers({4, 5});
  const auto tape = trace(f, m, x);
  EXPECT_EQ(tape[0].operation, "0.W");
  EXPECT_EQ(tape[1].operation, "0.b");
  const Linear other{m.W * 3.0, m.b * 2.0};
  const auto [y, list] = tape.replay(other, x + 1.0);
  EXPECT_EQ(difference(y, matmul(other.W, x + 1.0)), 0);
  EXPECT_EQ(difference(list.at(0), other.b + 1.0), 0);
}

TEST(Trace, FloatingScalarsAreTensorsAndOthersMustBeTheSame) {
  const auto f = [](const TrackedTensor& x, const TrackedTensor& rate, int n) {
    return x * rate + n;
  };
  const auto tape = trace(f, numbers({2}), 0.5, 3);
  EXPECT_FLOAT_EQ(
      static_cast<float>(sum(tape.replay(ones({2}), 0.25, 3)).item<double>()),
      6.5f);
  EXPECT_THROW(tape.replay(ones({2}), 0.25, 4), GraphError);
}

TEST(Replay, AgreesWithTheFunctionOnNewValues) {
  const auto H = numbers({3, 3});
  const auto f = [&](const TrackedTensor& x) {
    return 0.5 * matmul(x, matmul(H, x));
  };
  const auto x = numbers({3}), z = numbers({3}, -0.3);
  const auto tape = trace(f, x);
  EXPECT_EQ(tape.replay(x).item<float>(), f(x).item<float>());
  EXPECT_EQ(tape.replay(z).item<float>(), f(z).item<float>());
}

TEST(Replay, GradientsFlowThroughItToAnyOrder) {
  const auto f = [](const TrackedTensor& x) {
    return sum(tanh(x) *
               slice(cat({x, x * x}), 0, {.start = 1, .stop = 4, .step = 1}));
  };
  const auto x = cast(numbers({3}), DType::float64);
  const auto tape = trace(f, x);
  const auto again = [&](const TrackedTensor& v) { return tape.replay(v); };
  EXPECT_EQ(difference(gradient(again, x), gradient(f, x)), 0);
  gradcheck([&](const std::vector<TrackedTensor>& v) { return again(v[0]); },
            {x});
  const auto second = [&](auto g) {
    return gradient(
        [&](const TrackedTensor& v) { return sum(square(gradient(g, v))); }, x);
  };
  EXPECT_LT(difference(second(again), second(f)), 1e-12);
}

TEST(Replay, AGradientInsideTheFunctionIsPartOfIt) {
  const auto f = [](const Linear& m, const TrackedTensor& x) {
    return gradient(
        [&](const Linear& l) { return sum(square(matmul(l.W, x) + l.b)); }, m);
  };
  const Linear m{numbers({3, 4}), numbers({3, 1})};
  const auto x = numbers({4, 5});
  const auto tape = trace(f, m, x);
  EXPECT_NE(operations_of(tape).find("argument argument matmul"),
            std::string::npos);
  const auto direct = f(m, x * 2.0);
  const auto replayed = tape.replay(m, x * 2.0);
  EXPECT_EQ(difference(direct.W, replayed.W), 0);
  EXPECT_EQ(difference(direct.b, replayed.b), 0);
  // Differentiated again from outside: recorded although the trace wasn't.
  const auto through = [&](const auto& g) {
    return gradient([&](const TrackedTensor& v) { return sum(g(m, v).W); }, x);
  };
  EXPECT_LT(difference(through(f),
                       through([&](const Linear& l, const TrackedTensor& v) {
                         return tape.replay(l, v);
                       })),
            1e-3);
}

TEST(Replay, DifferentiatesWhatTheFunctionReturnedNotItsLastOperation) {
  const auto f = [](const TrackedTensor& x) {
    const auto y = sum(x * x);
    const auto dead = exp(x) * 7.0;
    EXPECT_TRUE(dead.defined());
    return y;
  };
  const auto x = numbers({3});
  const auto tape = trace(f, x);
  EXPECT_EQ(operations_of(tape), "mul sum exp mul");
  const auto g =
      gradient([&](const TrackedTensor& v) { return tape.replay(v); }, x);
  EXPECT_EQ(difference(g, 2.0 * x), 0);
}

TEST(Replay, ItsResultsAreNeverOverwritten) {
  const auto tape = trace([](const TrackedTensor& x) { return matmul(x, x); },
                          numbers({2, 2}));
  const auto first = tape.replay(ones({2, 2}));
  const auto before = first.to_host<float>();
  const auto second = tape.replay(full({2, 2}, 3));
  EXPECT_EQ(first.to_host<float>(), before);
  EXPECT_EQ(second.to_host<float>()[0], 18);
  EXPECT_NE(first.data().data_ptr(), second.data().data_ptr());
  EXPECT_NE(tape.result().data().data_ptr(), second.data().data_ptr());
}

TEST(Replay, RefusesOtherDtypesShapesAndStructures) {
  const auto f = [](const std::vector<TrackedTensor>& xs) {
    TrackedTensor total = sum(xs[0]);
    for (std::size_t i = 1; i < xs.size(); ++i) total = total + sum(xs[i]);
    return total;
  };
  const std::vector xs{ones({2}), ones({3})};
  const auto tape = trace(f, xs);
  EXPECT_EQ(tape.replay(xs).item<float>(), 5);
  using List = std::vector<TrackedTensor>;
  EXPECT_THROW(tape.replay(List{ones({2})}), GraphError);
  EXPECT_THROW(tape.replay(List{ones({2}), ones({3}), ones({1})}), GraphError);
  EXPECT_THROW(tape.replay(List{ones({2}), cast(ones({3}), DType::float64)}),
               DTypeError);
  EXPECT_THROW(tape.replay(List{ones({2}), ones({4})}), ShapeError);
  EXPECT_THROW(tape.replay(List{ones({2}), {}}), GraphError);
  EXPECT_EQ(tape.replay_with({.other_shapes = true}, List{ones({2}), ones({4})})
                .item<float>(),
            6);
}

TEST(Replay, AnErrorOfAnOperationNamesItsEntry) {
  const auto w = ones({3, 2});
  const auto tape =
      trace([&](const TrackedTensor& x) { return matmul(x, w); }, ones({2, 3}));
  try {
    tape.replay_with({.other_shapes = true}, ones({2, 4}));
    FAIL();
  } catch (const ShapeError& e) {
    const std::string what = e.what();
    EXPECT_NE(what.find("%2 matmul"), std::string::npos) << what;
    EXPECT_NE(what.find("trace_test"), std::string::npos) << what;
  }
}

TEST(Replay, RefusesWhatTheHostMadeOfAValue) {
  const auto f = [](const TrackedTensor& x) {
    return x * sum(x).item<double>();
  };
  const auto tape = trace(f, ones({2}));
  EXPECT_THROW(tape.replay(ones({2})), GraphError);
  EXPECT_EQ(
      tape.replay_with({.host_reads = true}, full({2}, 3)).to_host<float>()[0],
      6);
}

TEST(Replay, AllowsTheHostToReadWhatNeverChanges) {
  const auto f = [](const TrackedTensor& x) {
    return x * sum(ones({3}) + 1.0).item<double>();
  };
  const auto tape = trace(f, ones({2}));
  EXPECT_EQ(tape.replay(full({2}, 2)).to_host<float>()[0], 12);
  const auto cube = [](const TrackedTensor& x) { return sum(x * x * x); };
  const auto second = [&](const TrackedTensor& x) { return hessian(cube, x); };
  const auto x = numbers({2});
  EXPECT_EQ(difference(trace(second, x * 2.0).replay(x), second(x)), 0);
}

TEST(Replay, DrawsNewRandomNumbers) {
  const auto f = [](const TrackedTensor& x) {
    return dropout(x + rand({8}), 0.5);
  };
  const auto tape = trace(f, ones({8}));
  manual_seed(3);
  const auto a = f(ones({8})), b = f(ones({8}));
  manual_seed(3);
  EXPECT_EQ(difference(tape.replay(ones({8})), a), 0);
  EXPECT_EQ(difference(tape.replay(ones({8})), b), 0);
}

TEST(Replay, KeepsTheModesThatTheFunctionSet) {
  const auto f = [](const TrackedTensor& x) {
    TrackedTensor constant;
    {
      const NoGrad off;
      constant = x * x;
    }
    return sum(constant * x);
  };
  const auto x = numbers({3});
  const auto tape = trace(f, x);
  const auto again = [&](const TrackedTensor& v) { return tape.replay(v); };
  EXPECT_EQ(difference(gradient(again, x), x * x), 0);
  const NoGrad off;
  EXPECT_FALSE(tape.replay(param(x)).is_tracked());
}

TEST(Replay, AStepOfTrainingIsMadeAgain) {
  const auto x = numbers({4, 3}), y = numbers({4, 2});
  const auto step = [](const TrackedTensor& w, const TrackedTensor& a,
                       const TrackedTensor& b) {
    const auto loss = mean(square(matmul(a, w) - b));
    backward(loss);
    const auto g = w.grad();
    w.clear_grad();
    update_in_place({{w, g}}, 1, [](const std::vector<TrackedTensor>& t) {
      return std::vector<TrackedTensor>{t[0] - t[1] * 0.05};
    });
    return loss;
  };
  const auto direct = param(zeros({3, 2})), other = param(zeros({3, 2}));
  for (int i = 0; i < 4; ++i) step(direct, x, y);
  const auto tape = trace(step, other, x, y);
  for (int i = 0; i < 3; ++i) tape.replay(other, x, y);
  EXPECT_EQ(difference(direct, other), 0);
}

TEST(Replay, CanBeTracedItself) {
  const auto f = [](const TrackedTensor& x) {
    return sum(softmax(x + 1.0, 0));
  };
  const auto tape = trace(f, ones({4}));
  const auto outer = trace(
      [&](const TrackedTensor& x) { return tape.replay(x) * 2.0; }, ones({4}));
  EXPECT_EQ(operations_of(outer), "add softmax sum mul");
  EXPECT_EQ(outer.replay(ones({4})).item<float>(), 2);
}

TEST(Trace, AfterAnExceptionNothingIsObserved) {
  EXPECT_THROW(
      trace([](const TrackedTensor& x) { return matmul(x, ones({9})); },
            ones({2})),
      ShapeError);
  const auto tape = trace([](const TrackedTensor& x) { return x; }, ones({2}));
  ones({3}) + 1.0;
  EXPECT_EQ(tape.size(), 1u);
}

TEST(Trace, NestedListsWhatOperationsDoInside) {
  const auto f = [](const TrackedTensor& x) { return norm(x); };
  const auto tape = trace(TraceOptions{.nested = true}, f, numbers({3}));
  EXPECT_EQ(tape[1].operation, "norm");
  EXPECT_EQ(tape[1].depth, 0);
  ASSERT_GT(tape.size(), 2u);
  EXPECT_EQ(tape[2].depth, 1);
  EXPECT_EQ(tape.replay(numbers({3})).item<float>(),
            norm(numbers({3})).item<float>());
}

TEST(Trace, OperationsOfOneLaunchAreMarked) {
  if (!fusion_enabled()) GTEST_SKIP() << "each operation is a launch";
  const auto f = [](const TrackedTensor& a, const TrackedTensor& b) {
    const auto wide = matmul(reshape(exp((a - b) * 2.0), {2, 2}), ones({2, 2}));
    const auto total = sum(square(b));
    return wide + total;
  };
  const auto tape = trace(f, ones({4}), full({4}, 2));
  int of_sub = -2, of_exp = -3, of_sum = -4, of_square = -5;
  for (const TapeEntry& e : tape) {
    if (e.operation == "sub") of_sub = e.launch;
    if (e.operation == "exp") of_exp = e.launch;
    if (e.operation == "sum") of_sum = e.launch;
    if (e.operation == "square") of_square = e.launch;
    if (e.operation == "matmul") {
      EXPECT_EQ(e.launch, -1);
    }
  }
  EXPECT_EQ(of_sub, of_exp);
  EXPECT_EQ(of_sum, of_square);
  EXPECT_NE(of_sum, of_exp);
}

TEST(TapeOf, TellsWhatIsKeptAndWhatWasGivenUp) {
  const auto x = param(numbers({8, 4})), w = param(numbers({4, 2}));
  const auto y = sum(relu(matmul(x, w)));
  Tape tape = tape_of(y);
  // Unfused, relu is an entry of its own.
  const std::size_t last = fusion_enabled() ? 3 : 4;
  ASSERT_EQ(tape.size(), last + 1);
  EXPECT_EQ(tape[0].operation, "param");
  EXPECT_EQ(tape[2].operation, "matmul");
  EXPECT_EQ(tape[2].bytes_saved, (8 * 4 + 4 * 2) * sizeof(float));
  EXPECT_EQ(tape[2].operands.size(), 2u);
  EXPECT_EQ(tape[last].operation, "sum");
  EXPECT_GT(tape[3].bytes_saved, 0u);
  EXPECT_EQ(tape.results().at(0).entry, static_cast<int>(last));
  backward(y);
  tape = tape_of(y);
  EXPECT_EQ(tape.bytes_saved(), 0u);
  EXPECT_TRUE(tape[tape.size() - 1].given_up);
  EXPECT_EQ(tape_of(ones({2})).size(), 0u);
}

}  // namespace
}  // namespace jacquard
