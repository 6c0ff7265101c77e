// Structures as one vector, and back.
#include <map>
#include <optional>
#include <variant>

#include "tests/core/transforms/models.h"

namespace jacquard {
namespace {

using namespace testing_models;
using T = TrackedTensor;

struct Mixed {
  T matrix;
  std::string name;
  T indices;
  T none;
  std::vector<T> list;
};
Mixed mixed() {
  return {
      tensor({{1.0, 2.0}, {3.0, 4.0}}),
      "m",
      tensor<std::int64_t>({9, 9}),
      {},
      {scalar(5, {DType::float64}), zeros({0, 3}, {DType::float64}), f64({6})}};
}

TEST(Flatten, IsAllFloatingElementsInOrder) {
  EXPECT_EQ(values(flatten(mixed())), (Doubles{1, 2, 3, 4, 5, 6}));
  Mixed m = mixed();
  m.matrix = transpose(m.matrix);
  EXPECT_EQ(values(flatten(m)), (Doubles{1, 3, 2, 4, 5, 6}));
}

TEST(Flatten, AndBackIsTheSameStructure) {
  const Mixed m = mixed();
  const Mixed twice = unflatten(m, flatten(m) * 2.0);
  EXPECT_EQ(twice.name, "m");
  EXPECT_EQ(twice.matrix.shape(), Shape({2, 2}));
  EXPECT_EQ(values(twice.matrix), (Doubles{2, 4, 6, 8}));
  EXPECT_EQ(twice.indices.value(), m.indices.value());
  EXPECT_FALSE(twice.none.defined());
  EXPECT_EQ(twice.list[0].rank(), 0);
  EXPECT_EQ(twice.list[1].shape(), Shape({0, 3}));
  EXPECT_EQ(values(twice.list[2]), (Doubles{12}));
}

TEST(Flatten, KeepsDtypesOnTheWayBack) {
  const std::vector<T> x{tensor({1.0F, 2.0F}), f64({3}),
                         cast(f64({4}), DType::bfloat16)};
  EXPECT_EQ(flatten(x).dtype(), DType::float64);
  const auto back = unflatten(x, flatten(x));
  EXPECT_EQ(back[0].dtype(), DType::float32);
  EXPECT_EQ(back[2].dtype(), DType::bfloat16);
  EXPECT_EQ(back[0].to_host<float>(), (std::vector<float>{1, 2}));
  const std::vector<T> halves{cast(f64({1}), DType::float16)};
  EXPECT_EQ(flatten(halves).dtype(), DType::float16);
}

TEST(Flatten, IsDifferentiable) {
  const Mixed m = mixed();
  const T c = f64({1, 10, 100, 1000, 10000, 100000});
  const Mixed g =
      gradient([&](const Mixed& in) { return sum(flatten(in) * c); }, m);
  EXPECT_EQ(values(flatten(g)), values(c));
  EXPECT_FALSE(g.indices.defined());
  const auto there_and_back = [&](const std::vector<T>& v) {
    const Mixed in = unflatten(m, v[0]);
    return flatten(std::tuple(square(in.matrix), in.list[2] * in.list[0]));
  };
  const auto first = gradcheck(there_and_back, {flatten(m).data()});
  EXPECT_TRUE(first) << first.message;
  const auto second = gradgradcheck(there_and_back, {flatten(m).data()});
  EXPECT_TRUE(second) << second.message;
}

TEST(Flatten, ATiedWeightIsThereAtEachPlace) {
  const T w = param(f64({3}));
  EXPECT_EQ(values(flatten(std::vector{w, w})), (Doubles{3, 3}));
  const T g = gradient([](const std::vector<T>& x) { return sum(flatten(x)); },
                       std::vector{w, w})[0];
  EXPECT_EQ(values(g), (Doubles{2}));
}

TEST(Flatten, ErrorsSayWhatDoesNotFit) {
  const Mixed m = mixed();
  EXPECT_EQ(message_of([&] {
              unflatten(m, f64({1, 2}));
            }),
            "unflatten: a vector of 2 elements for a structure of 6");
  EXPECT_EQ(message_of([&] {
              unflatten(m, f64({1, 2, 3, 4, 5, 6, 7}));
            }),
            "unflatten: a vector of 7 elements for a structure of 6");
  EXPECT_EQ(message_of([&] { unflatten(m, tensor({{1.0}})); }),
            "unflatten: [1, 1] is not a vector");
  EXPECT_THROW(unflatten(m, T()), ShapeError);
  EXPECT_EQ(message_of([] { flatten(std::vector<T>{}); }),
            "flatten: the structure has no floating tensor");
}

TEST(Flatten, OfABareTensorIsTheOperation) {
  EXPECT_EQ(flatten(tensor({{1.0, 2.0}})).shape(), Shape({2}));
  EXPECT_EQ(values(unflatten(tensor({{1.0}, {2.0}}), f64({3, 4}))),
            (Doubles{3, 4}));
}

}  // namespace
}  // namespace jacquard
