#include "core/tensor/storage.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "core/tensor/writable.h"

namespace jacquard {
namespace {

Tensor numbers() {
  const std::vector<float> values = {1, 2, 3, 4, 5, 6};
  return Tensor::from_host<float>(values, {2, 3}, cpu());
}

void fill(const Tensor& t, float value) {
  for (std::int64_t i = 0; i < t.numel(); ++i)
    static_cast<float*>(t.data_ptr())[i] = value;
}

TEST(Storage, IsGivenBackWithItsLastSharer) {
  int deleted = 0;
  float data[4] = {};
  {
    auto storage = Storage::wrap(data, sizeof data, current_stream(cpu()),
                                 [&] { ++deleted; });
    const auto other = storage;
    storage = nullptr;
    EXPECT_EQ(deleted, 0);
  }
  EXPECT_EQ(deleted, 1);
}

TEST(Storage, WrappedWithoutADeleterIsLeftAlone) {
  float data[4] = {1, 2, 3, 4};
  Storage::wrap(data, sizeof data, current_stream(cpu()), nullptr) = nullptr;
  EXPECT_EQ(data[3], 4);
}

TEST(MakeWritable, KeepsASoleOwnersTensorAsItIs) {
  Tensor t = numbers();
  void* const address = t.data_ptr();
  Storage* const storage = &t.storage();
  const Tensor mine = make_writable(std::move(t), current_stream(cpu()));
  EXPECT_EQ(mine.data_ptr(), address);
  EXPECT_EQ(&mine.storage(), storage);
}

TEST(MakeWritable, MovesAnotherHandleToACopy) {
  Tensor t = numbers();
  void* const address = t.data_ptr();
  const Tensor other = t;
  const Tensor mine = make_writable(std::move(t), current_stream(cpu()));
  EXPECT_EQ(mine.data_ptr(), address);
  EXPECT_NE(other.data_ptr(), address);
  EXPECT_EQ(mine.to_host<float>(), other.to_host<float>());
  fill(mine, 9);
  EXPECT_EQ(other.to_host<float>(), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(mine.use_count(), 1);
  EXPECT_EQ(other.use_count(), 1);
}

TEST(MakeWritable, MovesViewsToACopyWithTheirOffsets) {
  Tensor t = numbers();
  void* const address = t.data_ptr();
  const Tensor row = t.view({3}, {1}, 3);
  const Tensor column = t.view({2}, {3}, 1);
  const Tensor mine = make_writable(std::move(t), current_stream(cpu()));
  fill(mine, 9);
  EXPECT_EQ(mine.data_ptr(), address);
  EXPECT_EQ(row.to_host<float>(), (std::vector<float>{4, 5, 6}));
  EXPECT_EQ(column.to_host<float>(), (std::vector<float>{2, 5}));
  EXPECT_EQ(&row.storage(), &column.storage());
}

TEST(MakeWritable, OfAViewKeepsItsPlace) {
  const Tensor t = numbers();
  Tensor row = t.view({3}, {1}, 3);
  void* const address = row.data_ptr();
  const Tensor mine = make_writable(std::move(row), current_stream(cpu()));
  EXPECT_EQ(mine.data_ptr(), address);
  fill(mine, 9);
  EXPECT_EQ(t.to_host<float>(), (std::vector<float>{1, 2, 3, 4, 5, 6}));
}

TEST(MakeWritable, TakesTheDeleterAlongWithTheAddress) {
  int deleted = 0;
  float data[2] = {1, 2};
  Tensor t = Tensor::from_device(data, {2}, {1}, DType::float32, cpu(),
                                 current_stream(cpu()), [&] { ++deleted; });
  Tensor other = t;
  Tensor mine = make_writable(std::move(t), current_stream(cpu()));
  EXPECT_EQ(mine.data_ptr(), data);
  other = Tensor();
  EXPECT_EQ(deleted, 0);
  mine = Tensor();
  EXPECT_EQ(deleted, 1);
}

TEST(MakeWritable, OfStorageCountsTheReferencesThatTheCallerHolds) {
  const auto storage = Storage::allocate(16, current_stream(cpu()));
  const auto second = storage;
  void* const address = storage->data();
  EXPECT_EQ(storage->make_writable(current_stream(cpu()), 2), storage);
  const auto writable = storage->make_writable(current_stream(cpu()), 1);
  EXPECT_NE(writable, storage);
  EXPECT_EQ(writable->data(), address);
  EXPECT_NE(storage->data(), address);
  EXPECT_EQ(storage->bytes(), 16u);
}

TEST(MakeWritable, WorksOnEmptyMemory) {
  Tensor t = Tensor::empty({0, 3}, DType::float32, cpu());
  const Tensor other = t;
  const Tensor mine = make_writable(std::move(t), current_stream(cpu()));
  EXPECT_EQ(mine.shape(), (Shape{0, 3}));
  EXPECT_NE(&mine.storage(), &other.storage());
}

}  // namespace
}  // namespace jacquard
