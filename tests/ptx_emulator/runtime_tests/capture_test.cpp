#include <thread>

#include "runtime/inspect.h"
#include "runtime_tests/device_program.h"

namespace ptx_emulator::testing {
namespace {

constexpr int kCount = 100;

class CaptureTest : public RuntimeTest {
 protected:
  void SetUp() override {
    RuntimeTest::SetUp();
    data_ = device_ints(kCount, 1);
    stream_ = non_blocking_stream();
    other_ = non_blocking_stream();
    CUDA_OK(cudaEventCreate(&event_));
    CUDA_OK(cudaEventCreate(&joined_));
  }

  void begin(cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal) {
    CUDA_OK(cudaStreamBeginCapture(stream_, mode));
  }

  cudaError_t end() { return cudaStreamEndCapture(stream_, &graph_); }

  // A capture that a call broke ends with the error and without a graph.
  void expect_invalidated() {
    EXPECT_CUDA(cudaErrorStreamCaptureInvalidated, end());
    EXPECT_EQ(graph_, nullptr);
    CUDA_OK(cudaStreamSynchronize(stream_));
  }

  std::size_t node_count() {
    std::size_t count = 0;
    EXPECT_CUDA(cudaSuccess, cudaGraphGetNodes(graph_, nullptr, &count));
    return count;
  }

  int* data_ = nullptr;
  cudaStream_t stream_ = nullptr, other_ = nullptr;
  cudaEvent_t event_ = nullptr, joined_ = nullptr;
  cudaGraph_t graph_ = nullptr;
};

TEST_F(CaptureTest, CapturedWorkRunsAtEachLaunchOfTheGraph) {
  begin();
  CUDA_OK(add(data_, kCount, 1, stream_));
  CUDA_OK(add(data_, kCount, 2, stream_));
  CUDA_OK(end());
  EXPECT_EQ(node_count(), 2u);
  EXPECT_EQ(first_int(data_), 1);
  cudaGraphExec_t executable = nullptr;
  CUDA_OK(cudaGraphInstantiate(&executable, graph_, 0));
  CUDA_OK(cudaGraphDestroy(graph_));
  for (int i = 0; i < 3; ++i) CUDA_OK(cudaGraphLaunch(executable, stream_));
  EXPECT_EQ(ptx_emulator_launch_count(), 0u);
  CUDA_OK(cudaGraphExecDestroy(executable));
  EXPECT_EQ(first_int(data_), 10);
}

TEST_F(CaptureTest, StreamsForkAndJoinThroughEvents) {
  int* copy = device_ints(kCount, 0);
  begin();
  CUDA_OK(add(data_, kCount, 1, stream_));
  CUDA_OK(cudaEventRecord(event_, stream_));
  CUDA_OK(cudaStreamWaitEvent(other_, event_, 0));
  CUDA_OK(assign(copy, data_, kCount, other_));
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  CUDA_OK(cudaStreamIsCapturing(other_, &status));
  EXPECT_EQ(status, cudaStreamCaptureStatusActive);
  CUDA_OK(cudaEventRecord(joined_, other_));
  CUDA_OK(cudaStreamWaitEvent(stream_, joined_, 0));
  CUDA_OK(add(copy, kCount, 40, stream_));
  CUDA_OK(end());
  CUDA_OK(cudaStreamIsCapturing(other_, &status));
  EXPECT_EQ(status, cudaStreamCaptureStatusNone);
  cudaGraphExec_t executable = nullptr;
  CUDA_OK(cudaGraphInstantiate(&executable, graph_, 0));
  CUDA_OK(cudaGraphLaunch(executable, stream_));
  EXPECT_EQ(first_int(copy), 42);
}

TEST_F(CaptureTest, AForkThatDoesNotJoinFailsAtTheEnd) {
  begin();
  CUDA_OK(cudaEventRecord(event_, stream_));
  CUDA_OK(cudaStreamWaitEvent(other_, event_, 0));
  CUDA_OK(add(data_, kCount, 1, other_));
  EXPECT_CUDA(cudaErrorStreamCaptureUnjoined, end());
  EXPECT_EQ(graph_, nullptr);
}

TEST_F(CaptureTest, SynchronisingACapturingStreamInvalidates) {
  begin();
  EXPECT_CUDA(cudaErrorStreamCaptureUnsupported,
              cudaStreamSynchronize(stream_));
  EXPECT_CUDA(cudaErrorStreamCaptureInvalidated,
              add(data_, kCount, 1, stream_));
  expect_invalidated();
}

TEST_F(CaptureTest, QueryingACapturingStreamInvalidates) {
  begin();
  EXPECT_CUDA(cudaErrorStreamCaptureUnsupported, cudaStreamQuery(stream_));
  expect_invalidated();
}

TEST_F(CaptureTest, SynchronisingTheDeviceInvalidates) {
  begin(cudaStreamCaptureModeRelaxed);
  EXPECT_CUDA(cudaErrorStreamCaptureUnsupported, cudaDeviceSynchronize());
  expect_invalidated();
}

TEST_F(CaptureTest, AnEventOfTheCaptureCanNotBeWaitedForByTheHost) {
  begin();
  CUDA_OK(cudaEventRecord(event_, stream_));
  EXPECT_CUDA(cudaErrorCapturedEvent, cudaEventSynchronize(event_));
  expect_invalidated();
}

TEST_F(CaptureTest, AnEventFromOutsideCanNotBeWaitedFor) {
  CUDA_OK(cudaEventRecord(event_, other_));
  begin();
  EXPECT_CUDA(cudaErrorStreamCaptureIsolation,
              cudaStreamWaitEvent(stream_, event_, 0));
  expect_invalidated();
}

TEST_F(CaptureTest, AllocationInvalidatesUnlessRelaxed) {
  void* memory = nullptr;
  begin();
  EXPECT_CUDA(cudaErrorStreamCaptureUnsupported, cudaMalloc(&memory, 100));
  expect_invalidated();
  begin(cudaStreamCaptureModeRelaxed);
  EXPECT_CUDA(cudaSuccess, cudaMalloc(&memory, 100));
  CUDA_OK(end());
  CUDA_OK(cudaFree(memory));
}

TEST_F(CaptureTest, OtherThreadsMayAllocateDuringAThreadLocalCapture) {
  begin(cudaStreamCaptureModeThreadLocal);
  cudaError_t status = cudaErrorUnknown;
  std::thread([&] {
    void* memory = nullptr;
    status = cudaMalloc(&memory, 100);
  }).join();
  EXPECT_CUDA(cudaSuccess, status);
  CUDA_OK(end());
  begin(cudaStreamCaptureModeGlobal);
  std::thread([&] {
    void* memory = nullptr;
    status = cudaMalloc(&memory, 100);
  }).join();
  EXPECT_CUDA(cudaErrorStreamCaptureUnsupported, status);
  expect_invalidated();
}

TEST_F(CaptureTest, TheLegacyStreamMayNotBeUsedBesideABlockingOne) {
  cudaStream_t blocking = nullptr;
  CUDA_OK(cudaStreamCreate(&blocking));
  CUDA_OK(cudaStreamBeginCapture(blocking, cudaStreamCaptureModeRelaxed));
  EXPECT_CUDA(cudaErrorStreamCaptureImplicit, add(data_, kCount, 1, nullptr));
  EXPECT_CUDA(cudaErrorStreamCaptureInvalidated,
              cudaStreamEndCapture(blocking, &graph_));
  EXPECT_CUDA(cudaErrorStreamCaptureUnsupported,
              cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeRelaxed));
}

TEST_F(CaptureTest, MemoryOfAGraphIsUsableBetweenItsNodes) {
  void* memory = nullptr;
  begin();
  CUDA_OK(cudaMallocAsync(&memory, kCount * 4, stream_));
  CUDA_OK(assign(static_cast<int*>(memory), data_, kCount, stream_));
  CUDA_OK(add(static_cast<int*>(memory), kCount, 5, stream_));
  CUDA_OK(assign(data_, static_cast<int*>(memory), kCount, stream_));
  CUDA_OK(cudaFreeAsync(memory, stream_));
  CUDA_OK(end());
  EXPECT_EQ(node_count(), 5u);
  cudaGraphExec_t executable = nullptr;
  CUDA_OK(cudaGraphInstantiate(&executable, graph_, 0));
  CUDA_OK(cudaGraphLaunch(executable, stream_));
  CUDA_OK(cudaGraphLaunch(executable, stream_));
  EXPECT_EQ(first_int(data_), 11);
}

TEST_F(CaptureTest, AnUpdateReplacesParametersOfTheSameTopology) {
  begin();
  CUDA_OK(add(data_, kCount, 1, stream_));
  CUDA_OK(end());
  cudaGraphExec_t executable = nullptr;
  CUDA_OK(cudaGraphInstantiate(&executable, graph_, 0));
  begin();
  CUDA_OK(add(data_, kCount, 100, stream_));
  CUDA_OK(end());
  cudaGraphExecUpdateResultInfo result;
  CUDA_OK(cudaGraphExecUpdate(executable, graph_, &result));
  CUDA_OK(cudaGraphLaunch(executable, stream_));
  EXPECT_EQ(first_int(data_), 101);
  begin();
  CUDA_OK(add(data_, kCount, 1, stream_));
  CUDA_OK(add(data_, kCount, 1, stream_));
  CUDA_OK(end());
  EXPECT_CUDA(cudaErrorGraphExecUpdateFailure,
              cudaGraphExecUpdate(executable, graph_, &result));
  EXPECT_EQ(result.result, cudaGraphExecUpdateErrorTopologyChanged);
}

TEST_F(CaptureTest, LaunchesOfOneGraphDoNotOverlap) {
  begin();
  CUDA_OK(add(data_, kCount, 1, stream_));
  CUDA_OK(end());
  cudaGraphExec_t executable = nullptr;
  CUDA_OK(cudaGraphInstantiate(&executable, graph_, 0));
  CUDA_OK(cudaGraphLaunch(executable, stream_));
  CUDA_OK(cudaGraphLaunch(executable, other_));
  EXPECT_EQ(first_int(data_), 3);
}

}  // namespace
}  // namespace ptx_emulator::testing
