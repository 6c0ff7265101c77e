// A tape as a table, as text for Graphviz, and as a page with a picture.
#include <gtest/gtest.h>

#include <algorithm>
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

Tape small() {
  const auto f = [](const TrackedTensor& x, const Linear& m) {
    return sum(tanh(matmul(x, m.W) + m.b), {0});
  };
  return trace(f, ones({2, 3}), Linear{param(ones({3, 4})), param(ones({4}))});
}

// The lines of this file change; those of the golden text don't.
std::string without_lines(std::string text) {
  for (std::size_t at;
       (at = text.find("tape_print_test.cpp:")) != std::string::npos;)
    text.erase(at, text.find_first_not_of("0123456789", at + 20) - at);
  std::istringstream in(text);
  std::string out, line;
  while (std::getline(in, line)) {
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

TEST(Tape, PrintsAsATable) {
  if (!fusion_enabled()) GTEST_SKIP() << "each operation is a launch";
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
  if (!fusion_enabled()) GTEST_SKIP() << "each operation is a launch";
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
  EXPECT_NE(html.find("tape_print_test.cpp:"), std::string::npos);
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
