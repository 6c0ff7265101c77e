// The kinds of structures, copies of them, and which members are trained.
#include <gtest/gtest.h>

#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <variant>
#include <vector>

#include "jacquard/structure.h"

namespace jacquard {
namespace {

using detail::copies;
using detail::copy_of;
using detail::holds_tensors;
using Strings = std::vector<std::string>;
using T = TrackedTensor;

T one(float value) {
  return Tensor::from_host(std::span<const float>(&value, 1), {1}, cpu());
}
float value(const T& t) { return t.item<float>(); }
T twice(const T& t) { return one(2 * value(t)); }
template <class S>
std::vector<float> values_of(const S& x) {
  std::vector<float> all;
  for (const T& t : tensors_of(x)) all.push_back(value(t));
  return all;
}
template <class F>
std::string message_of(F f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "nothing was thrown";
}
const auto nothing = [](const std::string&, auto&...) {};

struct Linear {
  T weight, bias;
};

TEST(Kinds, AVariantIsWhatItHolds) {
  using V = std::variant<int, T, Linear>;
  static_assert(holds_tensors<V>);
  static_assert(!holds_tensors<std::variant<int, std::string>>);
  EXPECT_EQ(paths_of(V(3)), Strings{});
  EXPECT_EQ(paths_of(V(one(1))), Strings{""});
  const std::vector<V> x{V(Linear{one(1), one(2)}), V(7), V(one(3))};
  EXPECT_EQ(paths_of(x), (Strings{"0.weight", "0.bias", "2"}));
  const auto y = map_tensors(x, twice);
  EXPECT_EQ(values_of(y), (std::vector<float>{2, 4, 6}));
  EXPECT_EQ(std::get<0>(y[1]), 7);
  std::vector<V> z = x;
  z[2] = 4;
  EXPECT_EQ(message_of([&] { zip_tensors(nothing, x, z); }),
            "zip_tensors: \"2\" holds different alternatives");
}

TEST(Kinds, AnUnorderedMapIsInTheOrderOfItsKeys) {
  std::unordered_map<std::string, T> x;
  for (const char* key : {"delta", "alpha", "charlie", "bravo", "echo"})
    x.emplace(key, one(static_cast<float>(key[0] - 'a')));
  EXPECT_EQ(paths_of(x),
            (Strings{"alpha", "bravo", "charlie", "delta", "echo"}));
  std::unordered_map<std::string, T> y(100);  // another order inside
  for (const char* key : {"echo", "bravo", "charlie", "alpha", "delta"})
    y.emplace(key, one(10));
  zip_tensors(
      [](const std::string& path, const T& a, const T& b) {
        EXPECT_EQ(value(a), path[0] - 'a');
        EXPECT_EQ(value(b), 10);
      },
      x, y);
  EXPECT_EQ(value(map_tensors(x, twice).at("charlie")), 4);
  y.erase("alpha");
  y.emplace("zulu", one(1));
  EXPECT_EQ(message_of([&] { zip_tensors(nothing, x, y); }),
            "zip_tensors: \"alpha\" is in one, not in another");
}

enum class Color { red = 3, green = 1 };

TEST(Kinds, KeysMayBeNumbersAndEnumerators) {
  const std::map<int, T> numbers{{10, one(1)}, {-2, one(2)}};
  EXPECT_EQ(paths_of(numbers), (Strings{"-2", "10"}));
  EXPECT_EQ(value(tensor_at(numbers, "10")), 1);
  const std::unordered_map<Color, T> colors{{Color::red, one(1)},
                                            {Color::green, one(2)}};
  EXPECT_EQ(paths_of(colors), (Strings{"1", "3"}));
}

TEST(Kinds, ListsAndDequesAreSequences) {
  std::list<std::deque<T>> x{{one(1), one(2)}, {}, {one(3)}};
  EXPECT_EQ(paths_of(x), (Strings{"0.0", "0.1", "2.0"}));
  EXPECT_EQ(values_of(map_tensors(x, twice)), (std::vector<float>{2, 4, 6}));
  visit_tensors(x, [](const std::string&, T& t) { t = one(9); });
  EXPECT_EQ(value(x.back().front()), 9);
  static_assert(!holds_tensors<std::string>);
  static_assert(!holds_tensors<std::set<int>>);
}

struct Layers : std::vector<Linear> {
  using std::vector<Linear>::vector;
};
class Bag {
 public:
  explicit Bag(T t) : seen_{std::move(t)} {}
  auto begin() const { return seen_.begin(); }
  auto end() const { return seen_.end(); }

 private:
  std::vector<T> seen_;
  JACQUARD_FIELDS(seen_)
};

TEST(Kinds, AClassMayBeAContainer) {
  EXPECT_EQ(paths_of(Layers{{one(1), one(2)}}),
            (Strings{"0.weight", "0.bias"}));
  EXPECT_EQ(paths_of(Bag(one(1))), (Strings{"seen_.0"}));
}

TEST(Kinds, MapMayAskForThePath) {
  const Linear x{one(1), one(2)};
  const Linear y = map_tensors(x, [](const std::string& path, const T& t) {
    return path == "bias" ? twice(t) : t;
  });
  EXPECT_EQ(y.weight.value(), x.weight.value());
  EXPECT_EQ(value(y.bias), 4);
}

// A class that copies what its pointer holds.
class Owner {
 public:
  explicit Owner(T t) : held_(std::make_unique<T>(std::move(t))) {}
  Owner(const Owner& other) : held_(std::make_unique<T>(*other.held_)) {}
  const T& held() const { return *held_; }

 private:
  std::unique_ptr<T> held_;
  JACQUARD_FIELDS(held_)
};

TEST(Copies, AreMadePartByPartWhereTheLanguageMakesNone) {
  using Pointer = std::unique_ptr<T>;
  struct Everything {
    std::array<Pointer, 2> array;
    std::pair<Pointer, int> pair;
    std::map<std::string, Pointer> map;
    std::list<Pointer> list;
    std::variant<int, Pointer> variant;
    std::optional<Pointer> optional;
    std::shared_ptr<Pointer> shared;
    std::unique_ptr<int> null;
    std::vector<Owner> owners;
    const std::string name;
  };
  static_assert(!copies<Everything>());
  const auto p = [](float v) { return std::make_unique<T>(one(v)); };
  Everything x{{p(1), p(2)},
               {p(3), 4},
               {},
               {},
               p(5),
               p(6),
               std::make_shared<Pointer>(p(7)),
               nullptr,
               {Owner(one(8))},
               "name"};
  x.map["a"] = p(9);
  x.list.push_back(p(10));
  const Everything y = map_tensors(x, twice);
  EXPECT_EQ(values_of(x), (std::vector<float>{1, 2, 3, 9, 10, 5, 6, 7, 8}));
  EXPECT_EQ(values_of(y),
            (std::vector<float>{2, 4, 6, 18, 20, 10, 12, 14, 16}));
  EXPECT_EQ(y.pair.second, 4);
  EXPECT_EQ(y.null, nullptr);
  EXPECT_EQ(y.name, "name");
  EXPECT_NE(x.shared, y.shared);
}

struct Tree {
  T value;
  std::vector<std::unique_ptr<Tree>> children;
};

TEST(Copies, OfATreeOfUniquePointers) {
  Tree x{one(1), {}};
  x.children.push_back(std::make_unique<Tree>(Tree{one(2), {}}));
  x.children.push_back(nullptr);
  x.children[0]->children.push_back(std::make_unique<Tree>(Tree{one(3), {}}));
  const Tree y = copy_of(x);
  EXPECT_EQ(paths_of(y), (Strings{"value", "children.0.value",
                                  "children.0.children.0.value"}));
  EXPECT_NE(x.children[0], y.children[0]);
  EXPECT_EQ(tensors_of(x)[2].value(), tensors_of(y)[2].value());
}

struct Norm {
  T gain, mean, count;
  JACQUARD_TRAINABLE(gain)
};
struct Block : Norm {
  T weight;
  JACQUARD_FIELDS(gain, mean, weight)
  JACQUARD_TRAINABLE(weight, gain)
};
struct NothingTrained {
  Linear inside;
  JACQUARD_TRAINABLE()
};

template <class S>
Strings trained_paths(const S& x) {
  Strings all;
  auto leaf = [&](const detail::Path& path, const T&) {
    if (path.trainable()) all.push_back(path.text());
  };
  detail::walk({}, leaf, x);
  return all;
}

TEST(Trained, AreTheMembersThatTheClassLists) {
  static_assert(std::is_aggregate_v<Norm>);
  EXPECT_EQ(paths_of(Norm()), (Strings{"gain", "mean", "count"}));
  EXPECT_EQ(trained_paths(Norm()), (Strings{"gain"}));
  EXPECT_EQ(trained_paths(std::vector<Norm>(2)), (Strings{"0.gain", "1.gain"}));
  EXPECT_EQ(trained_paths(Block()), (Strings{"gain", "weight"}));
  EXPECT_EQ(trained_paths(NothingTrained()), Strings{});
  EXPECT_EQ(trained_paths(std::pair(Linear(), NothingTrained())),
            (Strings{"0.weight", "0.bias"}));
}

}  // namespace
}  // namespace jacquard
