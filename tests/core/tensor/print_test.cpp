#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "jacquard/tensor.h"

namespace jacquard {
namespace {

template <class T>
std::string printed(const std::vector<T>& values, const Shape& shape) {
  return to_string(Tensor::from_host<T>(values, shape, cpu()));
}

template <class T>
std::string printed_iota(const Shape& shape) {
  std::vector<T> values(static_cast<std::size_t>(shape.numel()));
  std::iota(values.begin(), values.end(), T{});
  return printed(values, shape);
}

TEST(Print, ShowsShapeTypeAndDevice) {
  EXPECT_EQ(printed<float>({1, 2, 3, 4, 5, 6}, {2, 3}),
            "[[1., 2., 3.],\n"
            " [4., 5., 6.]]\n"
            "float32[2, 3] cpu");
  EXPECT_EQ(printed<float>({1.5f}, {}), "1.5 float32[] cpu");
  EXPECT_EQ(printed<double>({}, {0, 3}), "[] float64[0, 3] cpu");
}

TEST(Print, LinesUpThePoints) {
  EXPECT_EQ(printed<float>({1, -0.25f, 10.125f, 0}, {2, 2}),
            "[[ 1.  , -0.25],\n"
            " [10.12,  0.  ]]\n"
            "float32[2, 2] cpu");
}

TEST(Print, ShowsFourSignificantDigits) {
  EXPECT_EQ(printed<double>({3.14159265, 0.00123456, 12345.678}, {3}),
            "[    3.142   ,     0.001235, 12346.      ] float64[3] cpu");
  EXPECT_EQ(printed<double>({9.99996}, {1}), "[10.] float64[1] cpu");
}

TEST(Print, ShowsIntegersAndBools) {
  EXPECT_EQ(printed<std::int64_t>({1, -20, 300}, {3}),
            "[  1, -20, 300] int64[3] cpu");
  EXPECT_EQ(
      to_string(Tensor::from_host<float>(std::vector<float>{0, 2}, {2}, cpu())
                    .to(DType::bool_)),
      "[false,  true] bool[2] cpu");
}

TEST(Print, ShowsSpecialValues) {
  EXPECT_EQ(printed<float>({1.5f, NAN, -INFINITY, -0.0f}, {4}),
            "[ 1.5,  nan, -inf, -0. ] float32[4] cpu");
  EXPECT_EQ(printed<float>({NAN, NAN}, {2}), "[nan, nan] float32[2] cpu");
  EXPECT_EQ(printed<float>({-NAN}, {}), "nan float32[] cpu");
}

TEST(Print, UsesExponentsForSmallAndLargeNumbers) {
  EXPECT_EQ(printed<float>({1.5e-5f, -1}, {2}),
            "[ 1.500e-05, -1.000e+00] float32[2] cpu");
  EXPECT_EQ(printed<double>({1234567.5, NAN}, {2}),
            "[1.235e+06,       nan] float64[2] cpu");
  // Whole numbers are written out longer.
  EXPECT_EQ(printed<double>({1234567, 0}, {2}),
            "[1234567.,       0.] float64[2] cpu");
  EXPECT_EQ(printed<double>({1e8}, {}), "1.000e+08 float64[] cpu");
}

TEST(Print, ShowsHalfTypes) {
  const Tensor t =
      Tensor::from_host<float>(std::vector<float>{0.1f, 2}, {2}, cpu());
  EXPECT_EQ(to_string(t.to(DType::float16)),
            "[0.09998, 2.     ] float16[2] cpu");
  EXPECT_EQ(to_string(t.to(DType::bfloat16)),
            "[0.1001, 2.    ] bfloat16[2] cpu");
}

TEST(Print, SeparatesBlocksOfHigherRank) {
  EXPECT_EQ(printed_iota<std::int32_t>({2, 2, 2}),
            "[[[0, 1],\n"
            "  [2, 3]],\n"
            "\n"
            " [[4, 5],\n"
            "  [6, 7]]]\n"
            "int32[2, 2, 2] cpu");
}

TEST(Print, BreaksLongRows) {
  std::vector<std::int64_t> values(30, 1000);
  const std::string row =
      "1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, "
      "1000, 1000, 1000, 1000, 1000,";
  EXPECT_EQ(printed(values, {30}), "[" + row + "\n " + row +
                                       "\n 1000, 1000, 1000, 1000]\n"
                                       "int64[30] cpu");
}

TEST(Print, SummarisesBeyondAThousandElements) {
  EXPECT_EQ(printed_iota<std::int64_t>({1001}),
            "[   0,    1,    2, …,  998,  999, 1000] int64[1001] cpu");
  EXPECT_EQ(printed_iota<std::int64_t>({250, 5}),
            "[[   0,    1,    2,    3,    4],\n"
            " [   5,    6,    7,    8,    9],\n"
            " [  10,   11,   12,   13,   14],\n"
            " …,\n"
            " [1235, 1236, 1237, 1238, 1239],\n"
            " [1240, 1241, 1242, 1243, 1244],\n"
            " [1245, 1246, 1247, 1248, 1249]]\n"
            "int64[250, 5] cpu");
  EXPECT_EQ(printed_iota<std::int64_t>({1000}).find("…"), std::string::npos);
}

TEST(Print, SummarisesViewsAndEveryRank) {
  std::vector<std::int32_t> values(2 * 7 * 7 * 7 * 7 * 7);
  std::iota(values.begin(), values.end(), 0);
  const Shape shape{2, 7, 7, 7, 7, 7};
  const Tensor t = Tensor::from_host<std::int32_t>(values, shape, cpu());
  const std::string text = to_string(t);
  EXPECT_TRUE(
      text.starts_with("[[[[[[    0,     1,     2, …,     4,     5,"
                       "     6],\n"))
      << text.substr(0, 100);
  EXPECT_TRUE(
      text.ends_with("33611, 33612, 33613]]]]]]\n"
                     "int32[2, 7, 7, 7, 7, 7] cpu"))
      << text.substr(text.size() - 100);
  // The first of the elements in the middle of any axis is left out.
  EXPECT_EQ(text.find(" 3,"), std::string::npos);
  EXPECT_EQ(text.find(" 21,"), std::string::npos);
  EXPECT_NE(text.find(" 28,"), std::string::npos);

  const Tensor flipped = t.view({16807, 2}, {-1, 16807}, 16806);
  EXPECT_TRUE(
      to_string(flipped).starts_with("[[16806, 33613],\n"
                                     " [16805, 33612],\n"));
}

}  // namespace
}  // namespace jacquard
