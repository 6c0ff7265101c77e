#include "jacquard/dlpack.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "jacquard/create.h"
#include "jacquard/shape_ops.h"

namespace jacquard {
namespace {

// A consumer's own view of the interface: the fields at the offsets that
// DLPack 1.x documents.
template <class T>
T read(const void* at, std::size_t offset) {
  T value;
  std::memcpy(&value, static_cast<const char*>(at) + offset, sizeof value);
  return value;
}
constexpr std::size_t kDevice = 8, kRank = 16, kShape = 24, kStrides = 32,
                      kOffset = 40, kDeleter = 56;

void destroy(DLManagedTensor* managed) {
  read<void (*)(DLManagedTensor*)>(managed, kDeleter)(managed);
}

// A producer's structure, laid out by hand.
struct Foreign {
  void* data = nullptr;
  std::int32_t device_type = 1, device_id = 0, rank = 0;
  std::uint8_t code = 2, bits = 32;
  std::uint16_t lanes = 1;
  std::int64_t* shape = nullptr;
  std::int64_t* strides = nullptr;
  std::uint64_t byte_offset = 0;
  int* deleted = nullptr;
  void (*deleter)(Foreign*) = [](Foreign* self) { ++*self->deleted; };
  DLManagedTensor* managed() {
    return reinterpret_cast<DLManagedTensor*>(this);
  }
};
static_assert(offsetof(Foreign, deleter) == kDeleter);

TEST(DLPack, AnArrayGivenAwayIsDescribedByTheDocumentedFields) {
  const Tensor t = reshape(arange(6), {2, 3}).data();
  DLManagedTensor* managed = to_dlpack(transpose(TrackedTensor(t)).data(), {});
  EXPECT_EQ(read<void*>(managed, 0), t.data_ptr());
  EXPECT_EQ(read<std::int32_t>(managed, kDevice), 1);
  EXPECT_EQ(read<std::int32_t>(managed, kRank), 2);
  EXPECT_EQ(read<std::uint64_t>(managed, kOffset), 0u);
  const auto* shape = read<std::int64_t*>(managed, kShape);
  const auto* strides = read<std::int64_t*>(managed, kStrides);
  EXPECT_EQ(shape[0], 3);
  EXPECT_EQ(shape[1], 2);
  EXPECT_EQ(strides[0], 1);
  EXPECT_EQ(strides[1], 3);
  destroy(managed);
}

TEST(DLPack, AnArrayGivenAwayOutlivesItsHandles) {
  Tensor t = full({3}, 2.5).data();
  DLManagedTensor* managed = to_dlpack(t, {});
  t = {};
  EXPECT_EQ(read<float*>(managed, 0)[2], 2.5f);
  destroy(managed);
}

TEST(DLPack, EveryDTypeComesBackAsItWas) {
  for (DType dtype : {DType::bool_, DType::int32, DType::int64, DType::float16,
                      DType::bfloat16, DType::float32, DType::float64}) {
    const Tensor t = full({2, 2}, 1, {dtype}).data();
    const Tensor back = from_dlpack(to_dlpack(t, {}), {});
    EXPECT_EQ(back.dtype(), dtype);
    EXPECT_EQ(back.shape(), t.shape());
    EXPECT_EQ(back.data_ptr(), t.data_ptr());
    const Tensor again = from_dlpack(to_dlpack_versioned(t, {}), {});
    EXPECT_EQ(again.dtype(), dtype);
    EXPECT_EQ(again.data_ptr(), t.data_ptr());
  }
}

TEST(DLPack, AForeignArrayIsReadThroughItsStridesAndOffset) {
  std::array<float, 6> values{9, 1, 2, 3, 4, 5};
  std::array<std::int64_t, 2> shape{2, 2}, strides{1, 2};
  int deleted = 0;
  Foreign foreign{.data = values.data(),
                  .rank = 2,
                  .shape = shape.data(),
                  .strides = strides.data(),
                  .byte_offset = 4,
                  .deleted = &deleted};
  {
    const Tensor t = from_dlpack(foreign.managed(), {});
    EXPECT_EQ(t.to_host<float>(), (std::vector<float>{1, 3, 2, 4}));
    EXPECT_EQ(deleted, 0);
  }
  EXPECT_EQ(deleted, 1);
}

TEST(DLPack, WhatHasNoCounterpartIsRefusedAndNotTakenOver) {
  std::array<std::int64_t, 1> shape{1};
  int deleted = 0;
  float value = 0;
  Foreign complex{.data = &value,
                  .rank = 1,
                  .code = 5,
                  .bits = 64,
                  .shape = shape.data(),
                  .deleted = &deleted};
  EXPECT_THROW(from_dlpack(complex.managed(), {}), DTypeError);
  Foreign vector{.data = &value,
                 .rank = 1,
                 .lanes = 4,
                 .shape = shape.data(),
                 .deleted = &deleted};
  EXPECT_THROW(from_dlpack(vector.managed(), {}), DTypeError);
  Foreign metal{.data = &value,
                .device_type = 8,
                .rank = 1,
                .shape = shape.data(),
                .deleted = &deleted};
  EXPECT_THROW(from_dlpack(metal.managed(), {}), DeviceError);
  Foreign elsewhere{.data = &value,
                    .device_type = 2,
                    .rank = 1,
                    .shape = shape.data(),
                    .deleted = &deleted};
  EXPECT_THROW(from_dlpack(elsewhere.managed(), {}), DeviceError);
  EXPECT_EQ(deleted, 0);
}

}  // namespace
}  // namespace jacquard
