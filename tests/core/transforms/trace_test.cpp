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
  if (!fusion_enabled()) GTEST_SKIP();
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

Tape small() {
  const auto f = [](const TrackedTensor& x, const Linear& m) {
    return sum(tanh(matmul(x, m.W) + m.b), {0});
  };
  return trace(f, ones({2, 3}), Linear{param(ones({3, 4})), param(ones({4}))});
}

// The lines of this file change; those of the golden text don't.
std::string without_lines(std::string text) {
  for (std::size_t at;
       (at = text.find("trace_test.cpp:")) != std::string::npos;)
    text.erase(at, text.find_first_not_of("0123456789", at + 15) - at);
  std::istringstream in(text);
  std::string out, line;
  while (std::getline(in, line)) {
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

TEST(Tape, PrintsAsATable) {
  if (!fusion_enabled()) GTEST_SKIP();
  EXPECT_EQ(
      without_lines(small().to_string()),
      R"(    operation     operands  attributes  result         kept  launch  line
%0  argument 0                          float32[2, 3]
%1  argument 1.W                        float32[3, 4]
%2  argument 1.b                        float32[4]
%3  matmul        %0 %1                 float32[2, 4]  24 B
%4  add           %3 %2                 float32[2, 4]        #0
%5  tanh          %4                    float32[2, 4]        #0
%6  sum           %5        (0), false  float32[4]     48 B  #0
returns %6; 7 entries, 1 fused launches, 72 B kept
)");
}

TEST(Tape, PrintsForGraphviz) {
  if (!fusion_enabled()) GTEST_SKIP();
  EXPECT_EQ(without_lines(small().to_dot()), R"(digraph tape {
  rankdir=TB;
  node [fontname="monospace", fontsize=10];
  n0 [label="%0 argument 0\nfloat32[2, 3]", shape=ellipse, tooltip=""];
  n1 [label="%1 argument 1.W\nfloat32[3, 4]", shape=ellipse, tooltip=""];
  n2 [label="%2 argument 1.b\nfloat32[4]", shape=ellipse, tooltip=""];
  n3 [label="%3 matmul\nfloat32[2, 4]", shape=box, tooltip=""];
  subgraph cluster_0 {
    label="launch 0";
    style=dashed;
    n4 [label="%4 add\nfloat32[2, 4]", shape=box, tooltip=""];
    n5 [label="%5 tanh\nfloat32[2, 4]", shape=box, tooltip=""];
    n6 [label="%6 sum\nfloat32[4]", shape=box, tooltip=""];
  }
  n0 -> n3;
  n1 -> n3;
  n3 -> n4;
  n2 -> n4;
  n4 -> n5;
  n5 -> n6;
  r0 [label="result", shape=plaintext];
  n6 -> r0;
}
)");
}

// Whether every tag is closed in order, attributes are quoted, and nothing else
// begins with '<' or '&'.
std::string flaw_of(const std::string& text) {
  std::vector<std::string> open;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '&') {
      const std::string name = text.substr(i, text.find(';', i) - i + 1);
      if (name != "&lt;" && name != "&gt;" && name != "&amp;" &&
          name != "&quot;")
        return "bad entity " + name.substr(0, 10);
    }
    if (text[i] != '<') continue;
    const std::size_t end = text.find('>', i);
    if (end == std::string::npos) return "a tag without end";
    std::string tag = text.substr(i + 1, end - i - 1);
    if (tag.find('<') != std::string::npos) return "< in " + tag;
    if (std::ranges::count(tag, '"') % 2 != 0) return "quotes in " + tag;
    i = end;
    if (tag.starts_with("!DOCTYPE")) continue;
    if (tag.ends_with("/")) continue;
    const std::string name = tag.substr(0, tag.find(' '));
    if (!name.starts_with("/")) {
      open.push_back(name);
    } else if (open.empty() || open.back() != name.substr(1)) {
      return "unexpected <" + tag + ">";
    } else {
      open.pop_back();
    }
  }
  return open.empty() ? "" : open.back() + " is not closed";
}

struct Box {
  double x, y, width, height;
};

std::vector<Box> boxes_of(const std::string& html) {
  std::vector<Box> boxes;
  const auto number = [&](std::size_t from, const char* name) {
    const std::size_t at = html.find(name, from) + std::string(name).size();
    return std::stod(html.substr(at));
  };
  for (std::size_t at = 0; (at = html.find("<rect ", at)) != std::string::npos;
       ++at)
    boxes.push_back({number(at, " x=\""), number(at, " y=\""),
                     number(at, " width=\""), number(at, " height=\"")});
  return boxes;
}

TEST(Tape, ThePictureIsAWellFormedPageOfBoxesThatDoNotOverlap) {
  // Branches, long edges, many inputs: a net with skips.
  const auto f = [](const std::vector<TrackedTensor>& ws,
                    const TrackedTensor& x) {
    TrackedTensor h = x, first = x * 2.0;
    std::vector<TrackedTensor> all;
    for (const TrackedTensor& w : ws) {
      h = tanh(matmul(h, w) + first) + h;
      all.push_back(sum(h));
    }
    return sum(stack(all)) * mean(first);
  };
  const auto tape =
      trace(f, std::vector<TrackedTensor>(30, ones({2, 2})), ones({2, 2}));
  ASSERT_GT(tape.size(), 150u);
  const std::string html = tape.to_html("a <b> & \"c\"");
  EXPECT_EQ(flaw_of(html), "");
  const std::vector<Box> boxes = boxes_of(html);
  ASSERT_EQ(boxes.size(), tape.size());
  for (std::size_t i = 0; i < boxes.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) {
      const Box &a = boxes[i], &b = boxes[j];
      EXPECT_TRUE(a.x + a.width <= b.x + 0.2 || b.x + b.width <= a.x + 0.2 ||
                  a.y + a.height <= b.y || b.y + b.height <= a.y)
          << i << " and " << j;
    }
  EXPECT_NE(html.find("trace_test.cpp:"), std::string::npos);
  EXPECT_EQ(flaw_of("<a><b></a></b>"), "unexpected </a>");
}

TEST(Tape, IsSavedByExtension) {
  const Tape tape = small();
  const std::string path = testing::TempDir() + "/jacquard_tape.";
  for (const char* extension : {"txt", "dot", "gv", "html", "svg"}) {
    tape.save(path + extension);
    std::stringstream text;
    text << std::ifstream(path + extension).rdbuf();
    EXPECT_GT(text.str().size(), 100u) << extension;
    std::remove((path + extension).c_str());
  }
  EXPECT_THROW(tape.save(path + "pdf"), Error);
  EXPECT_THROW(tape.save("/nowhere/at/all.html"), Error);
}

}  // namespace
}  // namespace jacquard
