#include "jacquard/structure.h"

#include <gtest/gtest.h>

#include <any>
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

namespace jacquard {
namespace {

using detail::field_names;
using detail::has_fields;
using detail::holds_tensors;
using Strings = std::vector<std::string>;
using Names = std::vector<std::string_view>;

TrackedTensor vector_of(std::vector<float> values) {
  return Tensor::from_host(std::span<const float>(values),
                           {static_cast<std::int64_t>(values.size())}, cpu());
}
TrackedTensor one(float value) { return vector_of({value}); }
float value(const TrackedTensor& t) { return t.item<float>(); }

template <class T>
std::vector<float> values_of(const T& x) {
  std::vector<float> values;
  for (const auto& t : tensors_of(x)) values.push_back(value(t));
  return values;
}

template <class T>
Names names_of() {
  constexpr auto names = field_names<T>();
  return Names(names.begin(), names.end());
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

struct NoDefault {
  NoDefault() = delete;
  explicit NoDefault(int) {}
};
struct Linear {
  TrackedTensor weight, bias;
};
struct Model {
  std::vector<Linear> layers;
  std::string name;
  std::function<TrackedTensor(const TrackedTensor&)> activation;
  int width = 3;
  TrackedTensor scale;
};

Model model(int layers, float from) {
  Model m{{}, "m", [](const TrackedTensor& t) { return t; }, 7, {}};
  for (int i = 0; i < layers; ++i) {
    m.layers.push_back({one(from), one(from + 1)});
    from += 2;
  }
  m.scale = one(from);
  return m;
}

struct Nested {
  int a;
  struct Inner {
    float x, y;
  } b;
  std::array<float, 3> c;
  std::array<Inner, 2> d;
  double e;
};
struct Arrays {
  int a;
  int b[3];
  Nested::Inner c;
  TrackedTensor d[2];
  bool e;
};
struct Matrix {
  float m[2][3];
  int n;
};
struct Awkward {
  NoDefault first;
  std::unique_ptr<int> second_;
  std::vector<NoDefault> third3;
  std::mutex fourth;
  std::function<void(int)> fifth;
  std::string sixth = "s";
  const int seventh;
  std::map<std::string, Linear> eighth;
  std::variant<int, std::string> ninth;
  std::optional<NoDefault> tenth;
  Tensor eleventh;
};
struct Sixteen {
  int a, b, c, d, e, f, g, h, i, j, k, l, m, n, o;
  TrackedTensor last;
};
struct One {
  std::vector<TrackedTensor> only;
};
struct Empty {};
template <class Derived>
struct Layer {};
struct Tag {};
struct WithEmptyBases : Layer<WithEmptyBases>, Tag {
  TrackedTensor w;
  int n;
};
template <class T>
struct Pair {
  T left;
  T right;
};

TEST(StructureFields, AggregatesAreCountedMemberByMember) {
  EXPECT_EQ(names_of<Linear>(), (Names{"weight", "bias"}));
  EXPECT_EQ(names_of<Nested>(), (Names{"a", "b", "c", "d", "e"}));
  EXPECT_EQ(names_of<Model>(),
            (Names{"layers", "name", "activation", "width", "scale"}));
  EXPECT_EQ(names_of<One>(), (Names{"only"}));
  EXPECT_EQ(names_of<Empty>(), Names{});
  EXPECT_EQ(names_of<Pair<Linear>>(), (Names{"left", "right"}));
}

TEST(StructureFields, MembersNeedBeNeitherDefaultConstructibleNorCopyable) {
  EXPECT_EQ(names_of<Awkward>(),
            (Names{"first", "second_", "third3", "fourth", "fifth", "sixth",
                   "seventh", "eighth", "ninth", "tenth", "eleventh"}));
}

TEST(StructureFields, SixteenMembersAreFine) {
  EXPECT_EQ(names_of<Sixteen>().size(), 16u);
  EXPECT_EQ(names_of<Sixteen>()[14], "o");
  EXPECT_EQ(names_of<Sixteen>()[15], "last");
}

TEST(StructureFields, AnArrayIsOneMember) {
  EXPECT_EQ(names_of<Arrays>(), (Names{"a", "b", "c", "d", "e"}));
  EXPECT_EQ(names_of<Matrix>(), (Names{"m", "n"}));
}

TEST(StructureFields, EmptyBasesAreNoMembers) {
  EXPECT_EQ(names_of<WithEmptyBases>(), (Names{"w", "n"}));
}

TEST(StructureFields, LocalAndClosureMembersWork) {
  auto scale = [k = 2.0F](float x) { return k * x; };
  struct Local {
    decltype(scale) f;
    TrackedTensor w;
  };
  EXPECT_EQ(names_of<Local>(), (Names{"f", "w"}));
  Local x{scale, one(4)};
  EXPECT_EQ(values_of(x), (std::vector<float>{4}));
  Local y = map_tensors(x, [](const TrackedTensor&) { return one(5); });
  EXPECT_EQ(values_of(y), (std::vector<float>{5}));
  EXPECT_EQ(y.f(3), 6);
}

TEST(StructureFields, ReferencesAreToTheMembersThemselves) {
  Nested x{1, {2, 3}, {4, 5, 6}, {}, 7};
  auto fields = detail::fields_of(x);
  static_assert(std::is_same_v<std::tuple_element_t<2, decltype(fields)>,
                               std::array<float, 3>&>);
  std::get<0>(fields) = 10;
  std::get<4>(fields) = 11;
  EXPECT_EQ(x.a, 10);
  EXPECT_EQ(x.e, 11);
  const Nested& c = x;
  static_assert(
      std::is_same_v<std::tuple_element_t<0, decltype(detail::fields_of(c))>,
                     const int&>);
  EXPECT_EQ(&std::get<1>(detail::fields_of(c)), &x.b);
}

class Private {
 public:
  Private(TrackedTensor w, TrackedTensor b, TrackedTensor cache)
      : weight_(std::move(w)), bias_(std::move(b)), cache_(std::move(cache)) {}
  const TrackedTensor& cache() const { return cache_; }

 private:
  TrackedTensor weight_, bias_;
  TrackedTensor cache_;
  JACQUARD_FIELDS(weight_, bias_)
};
class Derived : public Private {
 public:
  Derived() : Private(one(1), one(2), one(3)), extra(one(4)) {}
  TrackedTensor extra;
  JACQUARD_FIELDS(extra);
};
struct ListsNothing {
  TrackedTensor secret;
  JACQUARD_FIELDS()
};
struct Seventeen {
  int a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p;
  TrackedTensor w;
  JACQUARD_FIELDS(w)
};
struct Foreign {
  int a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q;
};

}  // namespace

template <>
inline constexpr bool skip_in_structures<Foreign> = true;

namespace {

TEST(StructureFields, PrivateMembersAreListed) {
  static_assert(!std::is_aggregate_v<Private>);
  EXPECT_EQ(names_of<Private>(), (Names{"weight_", "bias_"}));
  const Private x(one(1), one(2), one(3));
  EXPECT_EQ(paths_of(x), (Strings{"weight_", "bias_"}));
  Private y =
      map_tensors(x, [](const TrackedTensor& t) { return one(value(t) + 10); });
  EXPECT_EQ(values_of(y), (std::vector<float>{11, 12}));
  EXPECT_EQ(value(y.cache()), 3);
}

TEST(StructureFields, ADerivedClassHasItsOwnList) {
  EXPECT_EQ(paths_of(Derived()), (Strings{"extra"}));
}

TEST(StructureFields, AListReplacesWhatAnAggregateWouldShow) {
  EXPECT_EQ(paths_of(ListsNothing{one(1)}), Strings{});
  EXPECT_EQ(paths_of(Seventeen{}), (Strings{"w"}));
}

TEST(Structure, TypesWithoutTensorsAreSkipped) {
  struct Mixed {
    Foreign foreign;
    std::any any;
    TrackedTensor w;
  };
  EXPECT_EQ(paths_of(Mixed{{}, {}, one(1)}), (Strings{"w"}));
  static_assert(!holds_tensors<int>);
  static_assert(!holds_tensors<int*>);
  static_assert(!holds_tensors<TrackedTensor*>);
  static_assert(!holds_tensors<Tensor>);
  static_assert(!holds_tensors<std::string>);
  static_assert(!holds_tensors<Nested>);
  static_assert(!holds_tensors<Foreign>);
  static_assert(!holds_tensors<std::vector<bool>>);
  static_assert(!holds_tensors<std::function<TrackedTensor(TrackedTensor)>>);
  static_assert(!holds_tensors<std::variant<int, Tensor>>);
  static_assert(!has_fields<std::string>);
  static_assert(!has_fields<TrackedTensor>);
  int calls = 0;
  auto count = [&](const std::string&, const TrackedTensor&) { ++calls; };
  visit_tensors(3, count);
  visit_tensors(std::vector<bool>{true}, count);
  visit_tensors(Tensor(), count);
  visit_tensors(Foreign{}, count);
  EXPECT_EQ(calls, 0);
}

TEST(Structure, PathsFollowDeclarationDepthFirst) {
  EXPECT_EQ(paths_of(model(2, 0)),
            (Strings{"layers.0.weight", "layers.0.bias", "layers.1.weight",
                     "layers.1.bias", "scale"}));
  EXPECT_EQ(paths_of(one(1)), (Strings{""}));
}

struct Everything {
  std::vector<TrackedTensor> vector;
  std::array<Linear, 2> array;
  std::pair<TrackedTensor, int> pair;
  std::tuple<int, Linear, std::string> tuple;
  std::optional<Linear> optional;
  std::optional<TrackedTensor> none;
  std::map<std::string, TrackedTensor> map;
  std::unique_ptr<Linear> unique;
  std::shared_ptr<Linear> shared;
  std::shared_ptr<Linear> null;
  TrackedTensor rows[2];
  std::vector<std::map<std::string, std::optional<std::array<One, 1>>>> deep;
};

Everything everything() {
  Everything x;
  float next = 0;
  auto t = [&] { return one(next++); };
  x.vector = {t(), t()};
  x.array = {Linear{t(), t()}, Linear{t(), t()}};
  x.pair.first = t();
  std::get<1>(x.tuple) = Linear{t(), t()};
  x.optional = Linear{t(), t()};
  x.map["a"] = t();
  x.map["b"] = t();
  x.unique = std::make_unique<Linear>(Linear{t(), t()});
  x.shared = std::make_shared<Linear>(Linear{t(), t()});
  x.rows[0] = t();
  x.rows[1] = t();
  x.deep.resize(2);
  x.deep[1]["key"] = std::array<One, 1>{One{{t()}}};
  return x;
}

TEST(Structure, EveryKindIsLookedInto) {
  const Everything x = everything();
  EXPECT_EQ(paths_of(x),
            (Strings{"vector.0",        "vector.1",           "array.0.weight",
                     "array.0.bias",    "array.1.weight",     "array.1.bias",
                     "pair.0",          "tuple.1.weight",     "tuple.1.bias",
                     "optional.weight", "optional.bias",      "map.a",
                     "map.b",           "unique.weight",      "unique.bias",
                     "shared.weight",   "shared.bias",        "rows.0",
                     "rows.1",          "deep.1.key.0.only.0"}));
  float next = 0;
  visit_tensors(x, [&](const std::string& path, const TrackedTensor& t) {
    EXPECT_EQ(value(t), next++) << path;
  });
  EXPECT_EQ(next, 20);
}

TEST(Structure, VisitingAMutableStructureGivesMutableTensors) {
  Everything x = everything();
  visit_tensors(
      x, [](std::string_view, TrackedTensor& t) { t = one(value(t) + 100); });
  EXPECT_EQ(value(x.unique->bias), 114);
  EXPECT_EQ(value(x.deep[1]["key"]->at(0).only[0]), 119);
}

TEST(Structure, AConstStructureIsConstThroughout) {
  const Everything x = everything();
  visit_tensors(x, [](const std::string&, auto& t) {
    static_assert(std::is_same_v<decltype(t), const TrackedTensor&>);
  });
}

TEST(Structure, ATupleOfReferencesIsVisitedThroughThem) {
  Linear l{one(1), one(2)};
  TrackedTensor t = one(3);
  visit_tensors(std::tie(l, t), [](const std::string& path, TrackedTensor& x) {
    if (path != "0.bias") x = one(9);
  });
  EXPECT_EQ(value(l.weight), 9);
  EXPECT_EQ(value(l.bias), 2);
  EXPECT_EQ(value(t), 9);
}

TEST(Structure, MapReplacesTensorsAndKeepsTheRest) {
  const Model x = model(2, 0);
  std::vector<float> seen;
  Model y = map_tensors(x, [&](const TrackedTensor& t) {
    seen.push_back(value(t));
    return one(value(t) * 2);
  });
  EXPECT_EQ(seen, (std::vector<float>{0, 1, 2, 3, 4}));
  EXPECT_EQ(values_of(y), (std::vector<float>{0, 2, 4, 6, 8}));
  EXPECT_EQ(values_of(x), (std::vector<float>{0, 1, 2, 3, 4}));
  EXPECT_EQ(y.name, "m");
  EXPECT_EQ(y.width, 7);
  EXPECT_EQ(value(y.activation(one(6))), 6);
}

TEST(Structure, MapWorksOnBareTensorsAndOnOtherTypes) {
  auto twice = [](const TrackedTensor& t) { return one(2 * value(t)); };
  EXPECT_EQ(value(map_tensors(one(4), twice)), 8);
  EXPECT_EQ(map_tensors(5, twice), 5);
  EXPECT_EQ(map_tensors(std::string("s"), twice), "s");
  auto both = map_tensors(std::tuple(one(1), 2, one(3)), twice);
  EXPECT_EQ(value(std::get<0>(both)), 2);
  EXPECT_EQ(std::get<1>(both), 2);
  EXPECT_EQ(value(std::get<2>(both)), 6);
}

TEST(Structure, MapCopiesWhatSharedPointersHoldOnlyIfItHasTensors) {
  struct S {
    std::shared_ptr<const Linear> layer;
    std::shared_ptr<std::mutex> mutex;
    NoDefault n;
  };
  S x{std::make_shared<const Linear>(Linear{one(1), one(2)}),
      std::make_shared<std::mutex>(), NoDefault(1)};
  S y = map_tensors(x, [](const TrackedTensor&) { return one(9); });
  EXPECT_NE(x.layer, y.layer);
  EXPECT_EQ(x.mutex, y.mutex);
  EXPECT_EQ(value(x.layer->bias), 2);
  EXPECT_EQ(value(y.layer->bias), 9);
}

TEST(Structure, WhatCanNotBeCopiedIsKnownAtCompileTime) {
  using detail::copies;
  struct Unique {
    std::vector<std::unique_ptr<Linear>> layers;
  };
  static_assert(std::is_copy_constructible_v<Unique>);  // but it can't be
  static_assert(!copies<Unique>());
  static_assert(!copies<Everything>());
  static_assert(!copies<std::map<std::string, std::unique_ptr<int>>>());
  static_assert(!copies<std::tuple<TrackedTensor&>>());
  static_assert(copies<Model>());
  static_assert(copies<std::shared_ptr<std::mutex>>());
  static_assert(!copies<std::shared_ptr<Unique>>());
}

struct Tree {
  std::vector<Tree> children;
  std::shared_ptr<Tree> next;
  TrackedTensor value;
};
struct Barren {
  std::vector<Barren> children;
  std::unique_ptr<Barren> next;
};

TEST(Structure, ATypeMayContainItself) {
  static_assert(holds_tensors<Tree>);
  static_assert(!holds_tensors<Barren>);
  Tree x{{Tree{{}, nullptr, one(1)}}, nullptr, one(3)};
  x.next = std::make_shared<Tree>(Tree{{}, nullptr, one(2)});
  EXPECT_EQ(paths_of(x), (Strings{"children.0.value", "next.value", "value"}));
  Tree y =
      map_tensors(x, [](const TrackedTensor& t) { return one(-value(t)); });
  EXPECT_EQ(values_of(y), (std::vector<float>{-1, -2, -3}));
  EXPECT_EQ(values_of(x), (std::vector<float>{1, 2, 3}));
}

struct Unknown;
struct Pimpl {
  std::shared_ptr<Unknown> hidden;
  TrackedTensor w;
};

TEST(Structure, PointersToDeclaredTypesAreSkipped) {
  EXPECT_EQ(paths_of(Pimpl{nullptr, one(1)}), (Strings{"w"}));
}

TEST(Structure, ZipGivesCounterpartsInOrder) {
  Model a = model(2, 0);
  const Model b = model(2, 10);
  Model c = model(2, 100);
  Strings paths;
  zip_tensors(
      [&](const std::string& path, TrackedTensor& ta, const TrackedTensor& tb,
          TrackedTensor& tc) {
        paths.push_back(path);
        ta = one(value(ta) + value(tb));
        tc = one(value(tc) + value(tb));
      },
      a, b, c);
  EXPECT_EQ(paths, paths_of(a));
  EXPECT_EQ(values_of(a), (std::vector<float>{10, 12, 14, 16, 18}));
  EXPECT_EQ(values_of(c), (std::vector<float>{110, 112, 114, 116, 118}));
}

TEST(Structure, ZipReachesEveryKind) {
  Everything a = everything();
  const Everything b = everything();
  int calls = 0;
  zip_tensors(
      [&](const std::string& path, TrackedTensor& x, const TrackedTensor& y) {
        EXPECT_EQ(value(x), value(y)) << path;
        ++calls;
      },
      a, b);
  EXPECT_EQ(calls, 20);
}

TEST(Structure, ZipNamesThePathWhereStructuresDiffer) {
  auto nothing = [](const std::string&, auto&...) {};
  auto differ = [&](const auto& a, const auto& b) {
    EXPECT_THROW(zip_tensors(nothing, a, b), ShapeError);
    return message_of([&] { zip_tensors(nothing, a, a, b); });
  };
  EXPECT_EQ(differ(model(2, 0), model(3, 0)),
            "zip_tensors: \"layers\" of different sizes (2 and 3)");
  Everything a = everything(), b = everything();
  b.deep[1]["key"].reset();
  EXPECT_EQ(differ(a, b),
            "zip_tensors: \"deep.1.key\" has a value in one, none in another");
  b.map = {{"a", one(1)}, {"c", one(2)}};
  EXPECT_EQ(differ(a, b), "zip_tensors: \"map.b\" is in one, not in another");
  b.unique = nullptr;
  b.map.clear();
  EXPECT_EQ(differ(a, b), "zip_tensors: \"map\" of different sizes (2 and 0)");
  using Vector = std::vector<TrackedTensor>;
  EXPECT_EQ(differ(Vector(1), Vector(2)),
            "zip_tensors: the structure of different sizes (1 and 2)");
}

TEST(Structure, ATensorIsFoundByItsPath) {
  Model m = model(2, 0);
  EXPECT_EQ(value(tensor_at(m, "layers.1.bias")), 3);
  tensor_at(m, "layers.1.bias") = one(50);
  EXPECT_EQ(value(m.layers[1].bias), 50);
  const Model& c = m;
  static_assert(
      std::is_same_v<decltype(tensor_at(c, "scale")), const TrackedTensor&>);
  EXPECT_EQ(&tensor_at(c, "scale"), &m.scale);
  EXPECT_EQ(&tensor_at(m.scale, ""), &m.scale);
}

TEST(Structure, AWrongPathListsThoseThereAre) {
  const Model m = model(1, 0);
  EXPECT_THROW(tensor_at(m, "layers.1.weight"), IndexError);
  EXPECT_EQ(message_of([&] { tensor_at(m, "layers.0"); }),
            "tensor_at: no tensor \"layers.0\"; there are \"layers.0.weight\", "
            "\"layers.0.bias\", \"scale\"");
  const int number = 3;
  EXPECT_EQ(message_of([&] { tensor_at(number, "x"); }),
            "tensor_at: no tensor \"x\"; there are none");
}

TEST(Structure, TensorsAreSharedHandles) {
  const Model m = model(1, 0);
  auto all = tensors_of(m);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[1].value(), m.layers[0].bias.value());
}

TEST(Structure, ParametersAreCountedByElement) {
  Linear l{vector_of({1, 2, 3}), {}};  // no bias
  EXPECT_EQ(count_parameters(l), 3);
  EXPECT_EQ(tensors_of(l).size(), 2u);
  EXPECT_EQ(count_parameters(std::tuple(l, l, vector_of({}), 5)), 6);
  EXPECT_EQ(count_parameters(7), 0);
}

}  // namespace
}  // namespace jacquard
