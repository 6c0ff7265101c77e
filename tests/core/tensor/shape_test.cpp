#include "jacquard/shape.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/tensor/layout.h"
#include "jacquard/error.h"

namespace jacquard {
namespace {

template <class E, class F>
std::string message_of(F f) {
  try {
    f();
  } catch (const E& error) {
    return error.what();
  }
  return "no such exception";
}

TEST(Shape, KnowsItsExtents) {
  const Shape s{2, 3, 4};
  EXPECT_EQ(s.rank(), 3);
  EXPECT_EQ(s.numel(), 24);
  EXPECT_EQ(s.at(-1), 4);
  EXPECT_EQ(s.at(0), 2);
  EXPECT_THROW(s.at(3), IndexError);
  EXPECT_THROW(s.at(-4), IndexError);
  EXPECT_EQ(to_string(s), "[2, 3, 4]");
}

TEST(Shape, OfRankZeroHasOneElement) {
  EXPECT_EQ(Shape().numel(), 1);
  EXPECT_EQ(to_string(Shape()), "[]");
  EXPECT_EQ((Shape{3, 0, 2}.numel()), 0);
}

TEST(Shape, GrowsAndShrinks) {
  Shape s{1, 2};
  s.push_back(4);
  s.insert(2, 3);
  EXPECT_EQ(s, (Shape{1, 2, 3, 4}));
  s.insert(4, 5);
  s.insert(0, 0);
  EXPECT_EQ(s, (Shape{0, 1, 2, 3, 4, 5}));
  s.erase(0);
  s.erase(4);
  s.erase(1);
  EXPECT_EQ(s, (Shape{1, 3, 4}));
  EXPECT_THROW(s.erase(3), IndexError);
  EXPECT_THROW(s.insert(4, 1), IndexError);
}

TEST(Shape, HoldsEightAxesAndNoMore) {
  Shape s = Shape::filled(8, 1);
  EXPECT_THROW(s.push_back(1), ShapeError);
  EXPECT_THROW(s.insert(0, 1), ShapeError);
  EXPECT_THROW(Shape::filled(9, 1), ShapeError);
  EXPECT_THROW(Shape(std::vector<std::int64_t>(9, 1)), ShapeError);
}

TEST(Strides, OfAContiguousArrayAreRowMajor) {
  EXPECT_EQ(contiguous_strides({2, 3, 4}), (Strides{12, 4, 1}));
  EXPECT_EQ(contiguous_strides({}), Strides{});
  // Never 0, which would be a broadcast.
  EXPECT_EQ(contiguous_strides({2, 0, 3}), (Strides{3, 3, 1}));
}

TEST(Broadcast, FollowsNumPy) {
  EXPECT_EQ(broadcast({2, 3}, {3}, "add"), (Shape{2, 3}));
  EXPECT_EQ(broadcast({3}, {2, 3}, "add"), (Shape{2, 3}));
  EXPECT_EQ(broadcast({4, 1, 3}, {2, 1}, "add"), (Shape{4, 2, 3}));
  EXPECT_EQ(broadcast({}, {2, 3}, "add"), (Shape{2, 3}));
  EXPECT_EQ(broadcast({1}, {0}, "add"), (Shape{0}));
  EXPECT_EQ(broadcast({0, 1}, {1, 5}, "add"), (Shape{0, 5}));
}

TEST(Broadcast, NamesTheAxisThatDoesNotFit) {
  EXPECT_EQ(message_of<ShapeError>([] {
              broadcast({2, 3}, {4, 2, 4}, "add");
            }),
            "add: [2, 3] and [4, 2, 4] do not broadcast: axis -1 has 3 and 4");
  EXPECT_THROW(broadcast({3}, {0}, "add"), ShapeError);
}

TEST(Broadcast, ReadsTheSmallerArrayWithStrideZero) {
  EXPECT_EQ(broadcast_strides({3}, {1}, {2, 3}, "add"), (Strides{0, 1}));
  EXPECT_EQ(broadcast_strides({2, 1}, {1, 1}, {2, 5}, "add"), (Strides{1, 0}));
  EXPECT_EQ(broadcast_strides({}, {}, {2, 5}, "add"), (Strides{0, 0}));
  EXPECT_THROW(broadcast_strides({2}, {1}, {3}, "add"), ShapeError);
  EXPECT_EQ(message_of<ShapeError>([] {
              broadcast_strides({2, 3}, {3, 1}, {3}, "expand");
            }),
            "expand: [2, 3] does not broadcast to [3]");
}

TEST(Axis, CountsFromTheEndWhenNegative) {
  EXPECT_EQ(normalize_axis(-1, {2, 3}, "sum"), 1);
  EXPECT_EQ(normalize_axis(0, {2, 3}, "sum"), 0);
  EXPECT_EQ(message_of<IndexError>([] {
              normalize_axis(2, {2, 3}, "sum");
            }),
            "sum: axis 2 of [2, 3]: it must be in [-2, 2)");
  EXPECT_EQ(message_of<IndexError>([] { normalize_axis(0, {}, "sum"); }),
            "sum: axis 0 of []: a scalar has no axis");
}

TEST(Layout, IsContiguousWhateverTheStridesOfUnitAxesAre) {
  EXPECT_TRUE(is_contiguous({2, 3}, {3, 1}));
  EXPECT_TRUE(is_contiguous({2, 1, 3}, {3, 99, 1}));
  EXPECT_TRUE(is_contiguous({1, 1}, {0, -5}));
  EXPECT_TRUE(is_contiguous({0, 3}, {1, 7}));
  EXPECT_TRUE(is_contiguous({}, {}));
  EXPECT_FALSE(is_contiguous({3, 2}, {1, 3}));
  EXPECT_FALSE(is_contiguous({2, 3}, {0, 1}));
  EXPECT_FALSE(is_contiguous({3}, {-1}));
  EXPECT_FALSE(is_contiguous({3}, {2}));
}

TEST(Layout, ReachesFromTheLowestToTheHighestElement) {
  const Reach reach = reach_of({3, 4}, {-4, 1});
  EXPECT_EQ(reach.lowest, -8);
  EXPECT_EQ(reach.highest, 3);
  EXPECT_EQ(reach_of({3, 0}, {4, 1}).highest, -1);
}

TEST(Layout, ReshapesWithoutACopyWhereNumPyDoes) {
  // Contiguous, and unit axes anywhere.
  EXPECT_EQ(reshape_strides({2, 6}, {6, 1}, {3, 4}), (Strides{4, 1}));
  EXPECT_EQ(reshape_strides({4}, {1}, {1, 4, 1}).value()[1], 1);
  EXPECT_EQ(reshape_strides({1, 1}, {7, 7}, {}), Strides{});
  // A slice of rows with a step: its columns can be split, its rows, too.
  EXPECT_EQ(reshape_strides({4, 6}, {12, 1}, {2, 2, 3, 2}),
            (Strides{24, 12, 2, 1}));
  // A column slice: the rows can't be joined.
  EXPECT_EQ(reshape_strides({4, 3}, {6, 1}, {12}), std::nullopt);
  // A transposed matrix: can't be joined, can be split.
  EXPECT_EQ(reshape_strides({6, 4}, {1, 6}, {24}), std::nullopt);
  EXPECT_EQ(reshape_strides({6, 4}, {1, 6}, {2, 3, 4}), (Strides{3, 1, 6}));
  // Transposed outer axes over joined inner ones.
  EXPECT_EQ(reshape_strides({3, 2, 4, 5}, {20, 60, 5, 1}, {3, 2, 20}),
            (Strides{20, 60, 1}));
  // Broadcast axes can be joined among themselves.
  EXPECT_EQ(reshape_strides({2, 3, 4}, {0, 0, 1}, {6, 4}), (Strides{0, 1}));
  EXPECT_EQ(reshape_strides({2, 4}, {0, 1}, {8}), std::nullopt);
  // Flipped.
  EXPECT_EQ(reshape_strides({6}, {-1}, {2, 3}), (Strides{-3, -1}));
}

TEST(Layout, ResolvesTheExtentThatIsLeftOpen) {
  EXPECT_EQ(resolve_reshape({2, 6}, {3, -1}, "reshape"), (Shape{3, 4}));
  EXPECT_EQ(resolve_reshape({}, {-1}, "reshape"), (Shape{1}));
  EXPECT_EQ(resolve_reshape({0, 3}, {-1, 3}, "reshape"), (Shape{0, 3}));
  EXPECT_EQ(resolve_reshape({0, 3}, {5, 0}, "reshape"), (Shape{5, 0}));
  EXPECT_THROW(resolve_reshape({0, 3}, {-1, 0}, "reshape"), ShapeError);
  EXPECT_THROW(resolve_reshape({6}, {-1, -1}, "reshape"), ShapeError);
  EXPECT_THROW(resolve_reshape({6}, {-2, -3}, "reshape"), ShapeError);
  EXPECT_THROW(resolve_reshape({6}, {-1, 4}, "reshape"), ShapeError);
  EXPECT_EQ(message_of<ShapeError>([] {
              resolve_reshape({2, 3}, {4, 2}, "reshape");
            }),
            "reshape: [2, 3] to [4, 2]: 6 elements do not make 8");
}

TEST(Layout, RefusesArraysThatCannotBe) {
  EXPECT_EQ(bytes_of({2, 3}, DType::float64, "zeros"), 48u);
  EXPECT_EQ(bytes_of({2, 0}, DType::float64, "zeros"), 0u);
  EXPECT_EQ(bytes_of({}, DType::bool_, "zeros"), 1u);
  EXPECT_EQ(message_of<ShapeError>([] {
              bytes_of({2, -1}, DType::float32, "zeros");
            }),
            "zeros: [2, -1]: extents must not be negative");
  EXPECT_THROW(bytes_of({1ll << 40, 1ll << 40}, DType::float32, "zeros"),
               ShapeError);
}

}  // namespace
}  // namespace jacquard
