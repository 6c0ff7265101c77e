#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "tests/cuda/runtime/cuda_testing.h"

namespace jacquard::cuda_backend {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

TEST_F(CudaTest, WhatIsUploadedComesBack) {
  unsigned seed = 0;
  for (const std::size_t bytes :
       {std::size_t{1}, std::size_t{63}, std::size_t{4097}, kMiB - 1, kMiB,
        kMiB + 1, 2 * kMiB, 7 * kMiB + 5}) {
    const Bytes sent = random_bytes(bytes, ++seed);
    Bytes source = sent;
    void* p = allocate(bytes, stream);
    upload(p, source.data(), bytes, stream);
    // The call has taken what it needs.
    std::ranges::fill(source, static_cast<unsigned char>(0xee));
    EXPECT_EQ(downloaded(p, bytes, stream), sent) << bytes;
    free(p, bytes, stream);
  }
}

TEST_F(CudaTest, CopiesOfNoBytesTouchNothing) {
  EXPECT_NO_THROW(upload(nullptr, nullptr, 0, stream));
  EXPECT_NO_THROW(download(nullptr, nullptr, 0, stream));
  EXPECT_NO_THROW(copy(nullptr, nullptr, 0, stream));
}

// More than the pinned memory holds, with nothing waited for in between.
TEST_F(CudaTest, ManyUploadsInFlightKeepTheirBytes) {
  constexpr std::size_t bytes = 300001;
  constexpr std::size_t count = 40;
  std::vector<void*> arrays;
  Bytes source;
  for (std::size_t i = 0; i < count; ++i) {
    arrays.push_back(allocate(bytes, stream));
    source.assign(bytes, static_cast<unsigned char>(i));
    upload(arrays.back(), source.data(), bytes, stream);
  }
  for (std::size_t i = 0; i < count; ++i) {
    EXPECT_EQ(downloaded(arrays[i], bytes, stream),
              Bytes(bytes, static_cast<unsigned char>(i)));
    free(arrays[i], bytes, stream);
  }
}

TEST_F(CudaTest, LongAndShortCopiesAlternate) {
  const Bytes large = random_bytes(5 * kMiB + 3, 1);
  const Bytes small = random_bytes(777, 2);
  void* p = allocate(large.size(), stream);
  void* q = allocate(small.size(), stream);
  for (int i = 0; i < 3; ++i) {
    upload(q, small.data(), small.size(), stream);
    upload(p, large.data(), large.size(), stream);
    EXPECT_EQ(downloaded(p, large.size(), stream), large);
    EXPECT_EQ(downloaded(q, small.size(), stream), small);
  }
  free(p, large.size(), stream);
  free(q, small.size(), stream);
}

TEST_F(CudaTest, ACopyOnTheDeviceRunsInTheOrderOfTheStream) {
  const Bytes first = random_bytes(5000, 1), second = random_bytes(5000, 2);
  void* p = allocate(5000, stream);
  void* q = allocate(5000, stream);
  upload(p, first.data(), 5000, stream);
  copy(q, p, 5000, stream);
  upload(p, second.data(), 5000, stream);
  EXPECT_EQ(downloaded(q, 5000, stream), first);
  EXPECT_EQ(downloaded(p, 5000, stream), second);
  free(p, 5000, stream);
  free(q, 5000, stream);
}

TEST_F(CudaTest, ThreadsCopyAtTheSameTimeAlsoOnOneStream) {
  std::atomic<int> wrong{0};
  const auto work = [&](unsigned seed, Stream on) {
    for (unsigned i = 0; i < 10; ++i) {
      const Bytes sent = random_bytes(100 + 40000 * i, seed + i);
      void* p = allocate(sent.size(), on);
      upload(p, sent.data(), sent.size(), on);
      if (downloaded(p, sent.size(), on) != sent) ++wrong;
      free(p, sent.size(), on);
    }
  };
  std::thread mine([&] { work(100, current_stream(0)); });
  std::thread first([&] { work(200, stream); });
  work(300, stream);
  mine.join();
  first.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace jacquard::cuda_backend
