#include "cuda/runtime/stream.h"

#include <functional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "jacquard/error.h"
#include "tests/cuda/runtime/cuda_testing.h"

namespace jacquard::cuda_backend {
namespace {

TEST_F(CudaTest, AThreadHasOneStreamWhichIsNotTheLegacyOne) {
  EXPECT_EQ(current_stream(0), stream);
  EXPECT_EQ(stream.device(), jacquard::cuda(0));
  EXPECT_NE(stream.native_handle(), nullptr);
  unsigned flags = 0;
  ASSERT_EQ(cudaStreamGetFlags(handle(stream), &flags), cudaSuccess);
  EXPECT_EQ(flags, unsigned{cudaStreamNonBlocking});
}

TEST_F(CudaTest, ThreadsGetStreamsOfTheirOwnAndThoseOfEndedThreads) {
  Stream first, second;
  std::thread([&] {
    first = current_stream(0);
    EXPECT_EQ(current_stream(0), first);
    std::thread([&] { second = current_stream(0); }).join();
  }).join();
  EXPECT_NE(first, stream);
  EXPECT_NE(second, stream);
  EXPECT_NE(first, second);
  std::set<void*> left = {first.native_handle(), second.native_handle()};
  for (int i = 0; i < 5; ++i) {
    Stream later;
    std::thread([&] { later = current_stream(0); }).join();
    EXPECT_TRUE(left.contains(later.native_handle()));
  }
}

TEST_F(CudaTest, AMadeStreamIsNobodyElses) {
  const Stream a = make_stream(0), b = make_stream(0);
  EXPECT_NE(a, b);
  EXPECT_NE(a, stream);
  Stream of_thread;
  std::thread([&] { of_thread = current_stream(0); }).join();
  EXPECT_NE(of_thread, a);
  EXPECT_NE(of_thread, b);
}

// Each step reads what the other stream wrote last.
TEST_F(CudaTest, OrderedStreamsSeeEachOthersWork) {
  constexpr std::size_t bytes = 10000;
  const Stream other = another_stream();
  void* p = allocate(bytes, stream);
  void* q = allocate(bytes, stream);
  for (int round = 1; round <= 5; ++round) {
    ASSERT_EQ(cudaMemsetAsync(p, round, bytes, handle(stream)), cudaSuccess);
    order(other, stream);
    copy(q, p, bytes, other);
    order(stream, other);
    ASSERT_EQ(cudaMemsetAsync(p, 0, bytes, handle(stream)), cudaSuccess);
    EXPECT_EQ(downloaded(q, bytes, other),
              Bytes(bytes, static_cast<unsigned char>(round)));
  }
  free(p, bytes, stream);
  free(q, bytes, stream);
}

TEST_F(CudaTest, SynchronizingWaitsForTheStream) {
  constexpr std::size_t bytes = 1 << 20;
  void* p = allocate(bytes, stream);
  ASSERT_EQ(cudaMemsetAsync(p, 1, bytes, handle(stream)), cudaSuccess);
  synchronize(stream);
  EXPECT_EQ(cudaStreamQuery(handle(stream)), cudaSuccess);
  ASSERT_EQ(cudaMemsetAsync(p, 2, bytes, handle(another_stream())),
            cudaSuccess);
  synchronize_device(0);
  EXPECT_EQ(cudaStreamQuery(handle(another_stream())), cudaSuccess);
  free(p, bytes, stream);
}

TEST_F(CudaTest, AStreamOfTheCallersWorksEverywhere) {
  cudaStream_t made = nullptr;
  ASSERT_EQ(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking),
            cudaSuccess);
  const Stream theirs = Stream::wrap(jacquard::cuda(0), made);
  const Bytes sent = random_bytes(3000, 5);
  void* p = allocate(sent.size(), theirs);
  void* q = allocate(sent.size(), theirs);
  upload(p, sent.data(), sent.size(), theirs);
  copy(q, p, sent.size(), theirs);
  order(stream, theirs);
  EXPECT_EQ(downloaded(q, sent.size(), stream), sent);
  free(p, sent.size(), theirs);
  EXPECT_EQ(allocate(sent.size(), theirs), p);
  EXPECT_EQ(downloaded(tickets(theirs), 8, theirs), Bytes(8, 0));
  EXPECT_NE(index_check("gather", 3, theirs).id, 0u);
  EXPECT_NO_THROW(synchronize(theirs));
  free(p, sent.size(), theirs);
  free(q, sent.size(), theirs);
}

std::string index_error(const std::function<void()>& run) {
  try {
    run();
  } catch (const IndexError& e) {
    return e.what();
  }
  return "no error";
}

void enqueue_report(const IndexCheck& check, long long index, Stream stream) {
  launch(report_kernel(), {}, stream, check.word, check.id, index);
}

TEST_F(CudaTest, AnIndexOutOfRangeIsThrownOnceByTheNextWait) {
  index_check("take", 7, stream);
  const IndexCheck check = index_check("gather", 10, stream);
  index_check("scatter", 8, stream);
  enqueue_report(check, -11, stream);
  const std::string text =
      "gather: index -11 is out of range for an axis of extent 10";
  EXPECT_EQ(index_error([&] { synchronize(another_stream()); }), "no error");
  EXPECT_EQ(index_error([&] { synchronize(stream); }), text);
  EXPECT_EQ(index_error([&] { synchronize(stream); }), "no error");
  enqueue_report(index_check("gather", 10, stream), -11, stream);
  EXPECT_EQ(index_error([&] { synchronize_device(0); }), text);
  enqueue_report(index_check("gather", 10, stream), -11, stream);
  void* p = allocate(4, stream);
  const unsigned char zeros[4] = {};
  upload(p, zeros, 4, stream);
  EXPECT_EQ(index_error([&] { downloaded(p, 4, stream); }), text);
  EXPECT_EQ(index_error([&] { downloaded(p, 4, stream); }), "no error");
  free(p, 4, stream);
}

TEST_F(CudaTest, OfSeveralIndexErrorsTheFirstIsThrown) {
  const IndexCheck first = index_check("gather", 10, stream);
  const IndexCheck second = index_check("scatter", 20, stream);
  enqueue_report(first, 12, stream);
  enqueue_report(second, 34, stream);
  EXPECT_EQ(index_error([&] { synchronize(stream); }),
            "gather: index 12 is out of range for an axis of extent 10");
}

TEST_F(CudaTest, AnIndexErrorOfLongAgoIsStillThrown) {
  const IndexCheck check = index_check("gather", 10, stream);
  for (int i = 0; i < 5000; ++i) index_check("scatter", 20, stream);
  enqueue_report(check, 12, stream);
  EXPECT_EQ(index_error([&] { synchronize(stream); }),
            "an indexing operation: index 12 is out of range");
}

}  // namespace
}  // namespace jacquard::cuda_backend
