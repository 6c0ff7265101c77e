#include <atomic>
#include <thread>

#include "runtime/inspect.h"
#include "runtime_tests/device_program.h"

namespace ptx_emulator::testing {
namespace {

constexpr int kCount = 300;

class StreamTest : public RuntimeTest {};

cudaEvent_t event(unsigned flags = cudaEventDefault) {
  cudaEvent_t result = nullptr;
  EXPECT_CUDA(cudaSuccess, cudaEventCreateWithFlags(&result, flags));
  return result;
}

TEST_F(StreamTest, ALaunchRunsWhenItsStreamIsWaitedFor) {
  int* data = device_ints(kCount, 1);
  const cudaStream_t stream = non_blocking_stream();
  CUDA_OK(add(data, kCount, 2, stream));
  EXPECT_EQ(ptx_emulator_pending(), 1u);
  EXPECT_EQ(ptx_emulator_launch_count(), 0u);
  CUDA_OK(cudaStreamSynchronize(stream));
  EXPECT_EQ(ptx_emulator_pending(), 0u);
  EXPECT_EQ(ptx_emulator_launch_count(), 1u);
  EXPECT_EQ(first_int(data), 3);
}

TEST_F(StreamTest, ArgumentsAreCopiedAtTheCall) {
  int* data = device_ints(kCount, 1);
  const cudaStream_t stream = non_blocking_stream();
  int n = kCount;
  int value = 5;
  void* arguments[] = {&data, &n, &value};
  CUDA_OK(cudaLaunchKernel(kernel("add"), dim3(3), dim3(128), arguments, 0,
                           stream));
  value = 100;
  CUDA_OK(cudaStreamSynchronize(stream));
  EXPECT_EQ(first_int(data), 6);
}

TEST_F(StreamTest, SynchronisingOneStreamLeavesOthersWaiting) {
  int* a = device_ints(kCount, 0);
  int* b = device_ints(kCount, 0);
  const cudaStream_t one = non_blocking_stream();
  const cudaStream_t two = non_blocking_stream();
  CUDA_OK(add(a, kCount, 1, one));
  CUDA_OK(add(b, kCount, 1, two));
  CUDA_OK(cudaStreamSynchronize(two));
  EXPECT_EQ(ptx_emulator_pending(), 1u);
  CUDA_OK(cudaStreamSynchronize(one));
}

TEST_F(StreamTest, AnEventWaitOrdersStreams) {
  for (int round = 0; round < 5; ++round) {
    int* a = device_ints(kCount, 1);
    int* b = device_ints(kCount, 0);
    const cudaStream_t one = non_blocking_stream();
    const cudaStream_t two = non_blocking_stream();
    const cudaEvent_t done = event(cudaEventDisableTiming);
    CUDA_OK(add(a, kCount, 41, one));
    CUDA_OK(cudaEventRecord(done, one));
    CUDA_OK(cudaStreamWaitEvent(two, done, 0));
    CUDA_OK(assign(b, a, kCount, two));
    CUDA_OK(cudaStreamSynchronize(two));
    EXPECT_EQ(first_int(b), 42);
  }
}

TEST_F(StreamTest, AMissingEventWaitIsAFault) {
  int* a = device_ints(kCount, 1);
  int* b = device_ints(kCount, 0);
  const cudaStream_t one = non_blocking_stream();
  const cudaStream_t two = non_blocking_stream();
  CUDA_OK(add(a, kCount, 41, one));
  CUDA_OK(assign(b, a, kCount, two));
  EXPECT_NE(cudaSuccess, cudaDeviceSynchronize());
  ASSERT_EQ(ptx_emulator_fault_count(), 1u);
  const std::string report = ptx_emulator_last_fault();
  EXPECT_NE(report.find("assign"), std::string::npos) << report;
  EXPECT_NE(report.find("add"), std::string::npos) << report;
  ptx_emulator_clear_faults();
}

TEST_F(StreamTest, AWaitIsForTheRecordBeforeIt) {
  int* a = device_ints(kCount, 0);
  const cudaStream_t one = non_blocking_stream();
  const cudaStream_t two = non_blocking_stream();
  const cudaEvent_t done = event();
  CUDA_OK(cudaEventRecord(done, one));
  CUDA_OK(cudaStreamWaitEvent(two, done, 0));
  CUDA_OK(add(a, kCount, 1, one));
  CUDA_OK(cudaEventRecord(done, one));
  CUDA_OK(cudaStreamSynchronize(two));
  EXPECT_EQ(ptx_emulator_pending(), 2u);
  CUDA_OK(cudaEventSynchronize(done));
  EXPECT_EQ(ptx_emulator_pending(), 0u);
}

TEST_F(StreamTest, AnEventThatWasNeverRecordedHasCompleted) {
  const cudaEvent_t never = event();
  EXPECT_CUDA(cudaSuccess, cudaEventQuery(never));
  EXPECT_CUDA(cudaSuccess, cudaEventSynchronize(never));
  EXPECT_CUDA(cudaSuccess,
              cudaStreamWaitEvent(non_blocking_stream(), never, 0));
  EXPECT_EQ(ptx_emulator_pending(), 0u);
}

TEST_F(StreamTest, QueriesSayNotReadyAndMakeProgress) {
  int* data = device_ints(kCount, 0);
  const cudaStream_t stream = non_blocking_stream();
  const cudaEvent_t done = event();
  CUDA_OK(add(data, kCount, 1, stream));
  CUDA_OK(add(data, kCount, 1, stream));
  CUDA_OK(cudaEventRecord(done, stream));
  EXPECT_CUDA(cudaErrorNotReady, cudaEventQuery(done));
  EXPECT_CUDA(cudaSuccess, cudaPeekAtLastError());
  int queries = 1;
  while (cudaEventQuery(done) == cudaErrorNotReady) ++queries;
  EXPECT_LE(queries, 4);
  EXPECT_CUDA(cudaSuccess, cudaStreamQuery(stream));
  EXPECT_EQ(first_int(data), 2);
}

TEST_F(StreamTest, ElapsedTimeGrowsWithWorkAndNeedsTiming) {
  int* data = device_ints(kCount, 0);
  const cudaEvent_t start = event();
  const cudaEvent_t end = event();
  const cudaEvent_t untimed = event(cudaEventDisableTiming);
  float time = -1;
  EXPECT_CUDA(cudaErrorInvalidResourceHandle,
              cudaEventElapsedTime(&time, start, end));
  CUDA_OK(cudaEventRecord(start, nullptr));
  CUDA_OK(add(data, kCount, 1, nullptr));
  CUDA_OK(cudaEventRecord(end, nullptr));
  CUDA_OK(cudaEventRecord(untimed, nullptr));
  EXPECT_CUDA(cudaErrorNotReady, cudaEventElapsedTime(&time, start, end));
  CUDA_OK(cudaDeviceSynchronize());
  CUDA_OK(cudaEventElapsedTime(&time, start, end));
  EXPECT_GT(time, 0);
  EXPECT_CUDA(cudaErrorInvalidResourceHandle,
              cudaEventElapsedTime(&time, start, untimed));
}

TEST_F(StreamTest, TheLegacyStreamWaitsForBlockingStreamsAndTheyForIt) {
  int* data = device_ints(kCount, 0);
  cudaStream_t blocking = nullptr;
  CUDA_OK(cudaStreamCreate(&blocking));
  CUDA_OK(add(data, kCount, 1, blocking));
  CUDA_OK(add(data, kCount, 10, nullptr));
  CUDA_OK(add(data, kCount, 100, blocking));
  CUDA_OK(cudaStreamSynchronize(blocking));
  EXPECT_EQ(ptx_emulator_pending(), 0u);
  EXPECT_EQ(first_int(data), 111);
}

TEST_F(StreamTest, TheLegacyStreamWaitsForDestroyedBlockingStreams) {
  int* data = device_ints(kCount, 0);
  cudaStream_t blocking = nullptr;
  CUDA_OK(cudaStreamCreate(&blocking));
  CUDA_OK(add(data, kCount, 1, blocking));
  CUDA_OK(cudaStreamDestroy(blocking));
  CUDA_OK(add(data, kCount, 10, nullptr));
  EXPECT_EQ(first_int(data), 11);
}

TEST_F(StreamTest, NonBlockingStreamsIgnoreTheLegacyStream) {
  int* data = device_ints(kCount, 0);
  const cudaStream_t stream = non_blocking_stream();
  CUDA_OK(add(data, kCount, 1, nullptr));
  CUDA_OK(cudaStreamSynchronize(stream));
  EXPECT_EQ(ptx_emulator_pending(), 1u);
  CUDA_OK(cudaDeviceSynchronize());
}

TEST_F(StreamTest, WorkOfADestroyedStreamStillRuns) {
  int* data = device_ints(kCount, 0);
  const cudaStream_t stream = non_blocking_stream();
  CUDA_OK(add(data, kCount, 1, stream));
  CUDA_OK(cudaStreamDestroy(stream));
  EXPECT_EQ(first_int(data), 1);
  EXPECT_CUDA(cudaErrorInvalidResourceHandle, cudaStreamSynchronize(stream));
}

TEST_F(StreamTest, HostFunctionsRunInOrderAndMayNotCallCuda) {
  struct State {
    int* pinned;
    int seen = 0;
    cudaError_t status = cudaSuccess;
  } state;
  state.pinned = pinned_ints(1, 0);
  int* data = device_ints(1, 7);
  const cudaStream_t stream = non_blocking_stream();
  CUDA_OK(
      cudaMemcpyAsync(state.pinned, data, 4, cudaMemcpyDeviceToHost, stream));
  CUDA_OK(cudaLaunchHostFunc(
      stream,
      [](void* argument) {
        auto* own = static_cast<State*>(argument);
        own->seen = *own->pinned;
        own->status = cudaStreamSynchronize(nullptr);
      },
      &state));
  EXPECT_EQ(state.seen, 0);
  CUDA_OK(cudaStreamSynchronize(stream));
  EXPECT_EQ(state.seen, 7);
  EXPECT_EQ(state.status, cudaErrorNotPermitted);
}

TEST_F(StreamTest, PinnedSourcesAreReadWhenTheCopyRuns) {
  int* pinned = pinned_ints(1, 1);
  int* data = device_ints(1, 0);
  const cudaStream_t stream = non_blocking_stream();
  CUDA_OK(cudaMemcpyAsync(data, pinned, 4, cudaMemcpyHostToDevice, stream));
  *pinned = 2;
  EXPECT_EQ(first_int(data), 2);
}

TEST_F(StreamTest, PageableSourcesAreStagedAtTheCall) {
  int value = 1;
  int* data = device_ints(1, 0);
  const cudaStream_t stream = non_blocking_stream();
  CUDA_OK(cudaMemcpyAsync(data, &value, 4, cudaMemcpyHostToDevice, stream));
  value = 2;
  EXPECT_EQ(first_int(data), 1);
}

TEST_F(StreamTest, CopiesToTheHostArriveWhenTheyRun) {
  int value = 0;
  int* data = device_ints(1, 5);
  const cudaStream_t stream = non_blocking_stream();
  CUDA_OK(cudaMemcpyAsync(&value, data, 4, cudaMemcpyDeviceToHost, stream));
  EXPECT_EQ(value, 0);
  CUDA_OK(cudaStreamSynchronize(stream));
  EXPECT_EQ(value, 5);
}

TEST_F(StreamTest, ABlockingCopyFromPageableMemoryMayEndLater) {
  int* data = device_ints(1, 0);
  const int value = 3;
  CUDA_OK(cudaMemcpy(data, &value, 4, cudaMemcpyHostToDevice));
  EXPECT_EQ(ptx_emulator_pending(), 1u);
  EXPECT_EQ(first_int(data), 3);
}

TEST_F(StreamTest, ThreadsUseStreamsOfTheirOwn) {
  constexpr int kThreads = 4;
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int thread = 0; thread < kThreads; ++thread)
    threads.emplace_back([&right, thread] {
      int* data = device_ints(kCount, thread);
      const cudaStream_t stream = non_blocking_stream();
      for (int i = 0; i < 20; ++i) {
        EXPECT_CUDA(cudaSuccess, add(data, kCount, 1, stream));
        if (i % 5 != 0) continue;
        EXPECT_CUDA(cudaSuccess, cudaStreamSynchronize(stream));
      }
      int value = -1;
      EXPECT_CUDA(cudaSuccess, cudaMemcpyAsync(&value, data, 4,
                                               cudaMemcpyDeviceToHost, stream));
      EXPECT_CUDA(cudaSuccess, cudaStreamSynchronize(stream));
      right += value == thread + 20;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, kThreads);
}

// The order in which host functions of three unordered streams ran.
std::string order_of_three_streams() {
  std::string log;
  struct Entry {
    std::string* log;
    char letter;
  } entries[] = {{&log, 'a'}, {&log, 'b'}, {&log, 'c'}};
  for (Entry& entry : entries)
    EXPECT_CUDA(cudaSuccess, cudaLaunchHostFunc(
                                 non_blocking_stream(),
                                 [](void* argument) {
                                   auto* own = static_cast<Entry*>(argument);
                                   *own->log += own->letter;
                                 },
                                 &entry));
  EXPECT_CUDA(cudaSuccess, cudaDeviceSynchronize());
  return log;
}

// Seeds that give two different orders; the scheduler's tests show that all
// are reached.
TEST(StreamOrderTest, SeedsChooseTheOrderOfStreams) {
  in_process_with({{"PTX_EMULATOR_ORDER", "3"}},
                  [] { EXPECT_EQ(order_of_three_streams(), "abc"); });
  in_process_with({{"PTX_EMULATOR_ORDER", "9"}},
                  [] { EXPECT_EQ(order_of_three_streams(), "cba"); });
}

}  // namespace
}  // namespace ptx_emulator::testing
