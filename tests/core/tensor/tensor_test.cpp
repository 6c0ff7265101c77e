#include "jacquard/tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "jacquard/launch_log.h"

namespace jacquard {
namespace {

template <class T>
Tensor iota(const Shape& shape) {
  std::vector<T> values(static_cast<std::size_t>(shape.numel()));
  std::iota(values.begin(), values.end(), T{});
  return Tensor::from_host<T>(values, shape, cpu());
}

Tensor transposed(const Tensor& t) {
  return t.view({t.shape()[1], t.shape()[0]}, {t.strides()[1], t.strides()[0]},
                0);
}

using Floats = std::vector<float>;

TEST(Tensor, ComesFromTheHostAndGoesBack) {
  const Floats values = {1, 2, 3, 4, 5, 6};
  const Tensor t = Tensor::from_host<float>(values, {2, 3}, cpu());
  EXPECT_EQ(t.shape(), (Shape{2, 3}));
  EXPECT_EQ(t.strides(), (Strides{3, 1}));
  EXPECT_EQ(t.dtype(), DType::float32);
  EXPECT_EQ(t.device(), cpu());
  EXPECT_EQ(t.bytes(), 24u);
  EXPECT_TRUE(t.is_contiguous());
  EXPECT_EQ(t.to_host<float>(), values);
}

TEST(Tensor, OfBoolsComesFromTheHostAndGoesBack) {
  const bool values[] = {true, false, true};
  const Tensor t = Tensor::from_host<bool>(values, {3}, cpu());
  EXPECT_EQ(t.dtype(), DType::bool_);
  EXPECT_EQ(t.to_host<bool>(), (std::vector<bool>{true, false, true}));
  EXPECT_EQ(t.to_host<std::int64_t>(), (std::vector<std::int64_t>{1, 0, 1}));
}

TEST(Tensor, NeedsAsManyValuesAsItsShapeHasElements) {
  const Floats values = {1, 2, 3};
  EXPECT_THROW(Tensor::from_host<float>(values, {2, 2}, cpu()), ShapeError);
  EXPECT_THROW(Tensor::from_host<float>(values, {-3}, cpu()), ShapeError);
  EXPECT_THROW(Tensor::empty({2, -1}, DType::float32, cpu()), ShapeError);
}

TEST(Tensor, MayBeEmptyOrAScalar) {
  const Tensor none = Tensor::empty({0, 3}, DType::float32, cpu());
  EXPECT_EQ(none.numel(), 0);
  EXPECT_TRUE(none.is_contiguous());
  EXPECT_NE(none.data_ptr(), nullptr);
  EXPECT_TRUE(none.to_host<float>().empty());
  EXPECT_TRUE(none.clone().to(DType::int64).to_host<float>().empty());
  EXPECT_EQ(none.reshape({5, 0}).shape(), (Shape{5, 0}));
  EXPECT_THROW(none.item<float>(), ShapeError);

  const Tensor one = iota<float>({});
  EXPECT_EQ(one.rank(), 0);
  EXPECT_EQ(one.numel(), 1);
  EXPECT_EQ(one.item<float>(), 0);
  EXPECT_EQ(one.reshape({1, 1}).shape(), (Shape{1, 1}));
  EXPECT_EQ(one.to(DType::float64).shape(), Shape{});
}

TEST(Tensor, ThatIsUndefinedSaysSo) {
  const Tensor none;
  EXPECT_FALSE(none.defined());
  EXPECT_THROW(none.shape(), Error);
  EXPECT_THROW(none.to_host<float>(), Error);
  EXPECT_THROW(none.reshape({1}), Error);
  EXPECT_EQ(to_string(none), "undefined");
}

TEST(Tensor, HandlesShareTheArray) {
  Tensor a = iota<float>({2, 3});
  EXPECT_EQ(a.use_count(), 1);
  Tensor b = a;
  EXPECT_EQ(a.use_count(), 2);
  EXPECT_EQ(b.data_ptr(), a.data_ptr());
  const Tensor row = a.view({3}, {1}, 0);
  EXPECT_EQ(a.use_count(), 3);
  const Tensor c = std::move(b);
  EXPECT_FALSE(b.defined());
  EXPECT_EQ(a.use_count(), 3);
  b = c;
  Tensor& itself = b;
  b = itself;
  EXPECT_EQ(a.use_count(), 4);
  b = Tensor();
  a = Tensor();
  EXPECT_EQ(c.use_count(), 2);
}

TEST(Tensor, ViewsReadTheArrayInAnotherOrder) {
  const Tensor t = iota<float>({2, 3});
  const Tensor flipped = t.view({2, 3}, {-3, -1}, 5);
  EXPECT_EQ(flipped.data_ptr(), static_cast<float*>(t.data_ptr()) + 5);
  EXPECT_EQ(flipped.to_host<float>(), (Floats{5, 4, 3, 2, 1, 0}));
  EXPECT_EQ(transposed(t).to_host<float>(), (Floats{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(t.view({2, 2}, {0, 1}, 1).to_host<float>(), (Floats{1, 2, 1, 2}));
  // A view of a view counts from the view.
  EXPECT_EQ(flipped.view({2}, {-1}, -4).to_host<float>(), (Floats{1, 0}));
}

TEST(Tensor, ViewsStayInsideOfTheMemory) {
  const Tensor t = iota<float>({2, 3});
  EXPECT_THROW(t.view({7}, {1}, 0), IndexError);
  EXPECT_THROW(t.view({6}, {1}, 1), IndexError);
  EXPECT_THROW(t.view({2}, {-1}, 0), IndexError);
  EXPECT_THROW(t.view({}, {}, 6), IndexError);
  EXPECT_THROW(t.view({2}, {1, 1}, 0), ShapeError);
  EXPECT_EQ(t.view({0}, {1}, 6).numel(), 0);
}

TEST(Tensor, ReshapeIsAViewWhereTheLayoutAllows) {
  const Tensor t = iota<float>({4, 6});
  const Tensor reshaped = t.reshape({3, -1});
  EXPECT_EQ(reshaped.shape(), (Shape{3, 8}));
  EXPECT_EQ(reshaped.data_ptr(), t.data_ptr());

  // Every other row, from the second.
  const Tensor rows = t.view({2, 6}, {12, 1}, 6);
  const Tensor split = rows.reshape({2, 2, 3});
  EXPECT_EQ(&split.storage(), &t.storage());
  EXPECT_EQ(split.to_host<float>(), rows.to_host<float>());
}

TEST(Tensor, ReshapeCopiesWhereTheLayoutDoesNotAllow) {
  const Tensor t = iota<float>({2, 3});
  const Tensor flat = transposed(t).reshape({6});
  EXPECT_NE(&flat.storage(), &t.storage());
  EXPECT_TRUE(flat.is_contiguous());
  EXPECT_EQ(flat.to_host<float>(), (Floats{0, 3, 1, 4, 2, 5}));
  EXPECT_THROW(t.reshape({4}), ShapeError);
}

TEST(Tensor, ContiguousIsItselfIfItIs) {
  const Tensor t = iota<float>({2, 3});
  EXPECT_EQ(t.contiguous().data_ptr(), t.data_ptr());
  const Tensor copy = transposed(t).contiguous();
  EXPECT_EQ(copy.strides(), (Strides{2, 1}));
  EXPECT_EQ(copy.to_host<float>(), (Floats{0, 3, 1, 4, 2, 5}));
}

TEST(Tensor, CloneHasMemoryOfItsOwn) {
  const Tensor t = iota<float>({2, 3});
  for (const Tensor& clone : {t.clone(), transposed(transposed(t)).clone()}) {
    EXPECT_NE(clone.data_ptr(), t.data_ptr());
    EXPECT_EQ(clone.to_host<float>(), t.to_host<float>());
  }
  EXPECT_EQ(transposed(t).clone().to_host<float>(), (Floats{0, 3, 1, 4, 2, 5}));
}

TEST(Tensor, ConvertsBetweenAllTypes) {
  const Floats values = {0, 1, 2, 100};
  const Tensor t = Tensor::from_host<float>(values, {4}, cpu());
  for (int from = 0; from < kDTypeCount; ++from) {
    const Tensor a = t.to(static_cast<DType>(from));
    const Floats expected = from == 0 ? Floats{0, 1, 1, 1} : values;
    EXPECT_EQ(a.to_host<float>(), expected) << from;
    for (int to = 0; to < kDTypeCount; ++to) {
      const Tensor b = a.to(static_cast<DType>(to));
      EXPECT_EQ(b.dtype(), static_cast<DType>(to));
      EXPECT_EQ(b.to_host<float>(), to == 0 ? (Floats{0, 1, 1, 1}) : expected)
          << from << " to " << to;
    }
  }
  EXPECT_EQ(t.to(DType::float32).data_ptr(), t.data_ptr());
}

TEST(Tensor, ConversionToIntegersTruncates) {
  const Floats values = {1.9f, -1.9f, NAN, INFINITY, -1e30f};
  const Tensor t = Tensor::from_host<float>(values, {5}, cpu());
  constexpr auto lowest = std::numeric_limits<std::int32_t>::min();
  const std::vector<std::int32_t> expected = {1, -1, lowest, lowest, lowest};
  EXPECT_EQ(t.to_host<std::int32_t>(), expected);
  for (std::size_t i = 0; i < values.size(); ++i)
    EXPECT_EQ(t.view({}, {}, static_cast<std::int64_t>(i)).item<std::int32_t>(),
              expected[i]);
}

TEST(Tensor, ConversionToHalfTypesRoundsToEven) {
  const Floats values = {1.0f + 0x1p-11f, 1.0f + 3 * 0x1p-11f, 65520.0f,
                         -0x1p-24f,       3 * 0x1p-25f,        NAN};
  const Tensor t = Tensor::from_host<float>(values, {6}, cpu());
  std::vector<std::uint16_t> half(6);
  t.copy_to_host(half.data(), DType::float16);
  std::vector<std::uint16_t> bfloat(6);
  t.copy_to_host(bfloat.data(), DType::bfloat16);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(half[i], float_to_half(values[i])) << values[i];
    EXPECT_EQ(bfloat[i], float_to_bfloat16(values[i])) << values[i];
  }
  EXPECT_TRUE(std::isnan(half_to_float(half[5])));
  EXPECT_TRUE(std::isnan(bfloat16_to_float(bfloat[5])));
}

TEST(Tensor, ItemIsTheOnlyElement) {
  const Tensor t = iota<float>({2, 3});
  EXPECT_EQ(t.view({1, 1}, {7, -7}, 4).item<float>(), 4);
  EXPECT_EQ(t.view({}, {}, 5).item<double>(), 5);
  EXPECT_EQ(t.view({}, {}, 0).item<bool>(), false);
  EXPECT_EQ(t.view({}, {}, 2).item<bool>(), true);
  EXPECT_THROW(t.item<float>(), ShapeError);

  const std::vector<std::int64_t> large = {(1ll << 53) + 1};
  EXPECT_EQ(
      Tensor::from_host<std::int64_t>(large, {}, cpu()).item<std::int64_t>(),
      large[0]);
  EXPECT_EQ(t.view({}, {}, 3).to(DType::float16).item<float>(), 3);
}

TEST(Tensor, ItemIsOneReadAndNoLaunch) {
  const Tensor t = iota<float>({1});
  LaunchLog log;
  t.item<double>();
  EXPECT_EQ(log.host_reads(), 1u);
  EXPECT_EQ(log.launches(), 0u);
}

TEST(Tensor, WrapsForeignMemory) {
  float data[6] = {0, 1, 2, 3, 4, 5};
  int deleted = 0;
  {
    const Tensor t =
        Tensor::from_device(data + 5, {2, 3}, {-3, -1}, DType::float32, cpu(),
                            current_stream(cpu()), [&] { ++deleted; });
    EXPECT_EQ(t.data_ptr(), data + 5);
    EXPECT_EQ(t.to_host<float>(), (Floats{5, 4, 3, 2, 1, 0}));
    const Tensor first = t.view({}, {}, -5);
    EXPECT_EQ(first.item<float>(), 0);
    EXPECT_THROW(t.view({}, {}, 1), IndexError);
  }
  EXPECT_EQ(deleted, 1);
  EXPECT_THROW(Tensor::from_device(data, {2}, {1}, DType::float32, cuda(),
                                   current_stream(cpu()), nullptr),
               DeviceError);
  EXPECT_THROW(Tensor::from_device(data, {2}, {}, DType::float32, cpu(),
                                   current_stream(cpu()), nullptr),
               ShapeError);
}

TEST(Tensor, StaysOnItsDevice) {
  const Tensor t = iota<float>({2, 3});
  EXPECT_EQ(t.to(cpu()).data_ptr(), t.data_ptr());
  EXPECT_EQ(t.stream().device(), cpu());
  if (!is_available(cuda())) {
    EXPECT_THROW(t.to(cuda()), DeviceError);
    return;
  }
  const Tensor there = transposed(t).to(cuda());
  EXPECT_EQ(there.device(), cuda());
  EXPECT_EQ(there.to(cpu()).to_host<float>(), transposed(t).to_host<float>());
}

}  // namespace
}  // namespace jacquard
