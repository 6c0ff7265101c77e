#include <cstdlib>

#include "memory/ptx_emulator.h"
#include "runtime/inspect.h"
#include "runtime_tests/device_program.h"

namespace ptx_emulator::testing {
namespace {

class MemoryApiTest : public RuntimeTest {};

// The fault count after everything queued has run; cleared.
std::size_t faults_after_all() {
  cudaDeviceSynchronize();
  const std::size_t count = ptx_emulator_fault_count();
  ptx_emulator_clear_faults();
  return count;
}

TEST_F(MemoryApiTest, CopiesGoTheWayThatTheirKindSays) {
  int* data = device_ints(1, 1);
  int value = 2;
  int* pinned = pinned_ints(1, 3);
  EXPECT_CUDA(cudaErrorInvalidValue,
              cudaMemcpy(data, &value, 4, cudaMemcpyDeviceToHost));
  EXPECT_CUDA(cudaErrorInvalidValue,
              cudaMemcpy(&value, data, 4, cudaMemcpyHostToDevice));
  EXPECT_CUDA(cudaErrorInvalidValue,
              cudaMemcpy(data, &value, 4, cudaMemcpyDeviceToDevice));
  EXPECT_CUDA(cudaErrorInvalidValue,
              cudaMemcpyAsync(data, &value, 4, cudaMemcpyHostToHost, nullptr));
  EXPECT_CUDA(cudaErrorInvalidValue,
              cudaMemcpy(data, nullptr, 4, cudaMemcpyHostToDevice));
  EXPECT_CUDA(cudaSuccess, cudaMemcpy(data, pinned, 4, cudaMemcpyDefault));
  EXPECT_EQ(first_int(data), 3);
}

TEST_F(MemoryApiTest, CopiesOfRowsKeepWhatIsBetween) {
  const std::vector<int> from{1, 2, 3, 4, 5, 6};
  std::vector<int> to(6, 0);
  void* data = nullptr;
  std::size_t pitch = 0;
  CUDA_OK(cudaMallocPitch(&data, &pitch, 8, 2));
  EXPECT_GE(pitch, 8u);
  CUDA_OK(
      cudaMemcpy2D(data, pitch, from.data(), 12, 8, 2, cudaMemcpyHostToDevice));
  CUDA_OK(
      cudaMemcpy2D(to.data(), 12, data, pitch, 8, 2, cudaMemcpyDeviceToHost));
  EXPECT_EQ(to, (std::vector<int>{1, 2, 0, 4, 5, 0}));
  EXPECT_CUDA(
      cudaErrorInvalidPitchValue,
      cudaMemcpy2D(data, 4, from.data(), 12, 8, 2, cudaMemcpyHostToDevice));
}

TEST_F(MemoryApiTest, MemsetIsAsynchronousAndFillsBytes) {
  int* data = device_ints(4, 0);
  CUDA_OK(cudaMemset(data, 0x101, 16));
  EXPECT_EQ(ptx_emulator_pending(), 1u);
  EXPECT_EQ(first_int(data), 0x01010101);
}

TEST_F(MemoryApiTest, ReadingBeyondAnAllocationIsAFault) {
  int* data = device_ints(4, 0);
  int host[8];
  cudaMemcpy(host, data, 20, cudaMemcpyDeviceToHost);
  EXPECT_EQ(faults_after_all(), 1u);
}

TEST_F(MemoryApiTest, ReadingWhatNothingWroteIsAFault) {
  int* data = nullptr;
  CUDA_OK(cudaMalloc(reinterpret_cast<void**>(&data), 4));
  CUDA_OK(add(data, 1, 1, nullptr));
  EXPECT_EQ(faults_after_all(), 1u);
}

TEST_F(MemoryApiTest, FreeWaitsForWorkThatUsesTheMemory) {
  int* data = device_ints(100, 0);
  CUDA_OK(add(data, 100, 1, non_blocking_stream()));
  CUDA_OK(cudaFree(data));
  EXPECT_EQ(ptx_emulator_pending(), 0u);
}

TEST_F(MemoryApiTest, FreeRefusesWhatIsNotABase) {
  int* data = device_ints(100, 0);
  int value = 0;
  EXPECT_CUDA(cudaErrorInvalidValue, cudaFree(data + 1));
  EXPECT_CUDA(cudaErrorInvalidValue, cudaFree(&value));
  EXPECT_CUDA(cudaSuccess, cudaFree(data));
  EXPECT_CUDA(cudaErrorInvalidValue, cudaFree(data));
  EXPECT_CUDA(cudaSuccess, cudaFree(nullptr));
  cudaGetLastError();
}

TEST_F(MemoryApiTest, StreamOrderedMemoryIsUsableInItsOrderOnly) {
  const cudaStream_t stream = non_blocking_stream();
  int* from = device_ints(100, 8);
  int* memory = nullptr;
  CUDA_OK(cudaMallocAsync(reinterpret_cast<void**>(&memory), 400, stream));
  CUDA_OK(assign(memory, from, 100, stream));
  CUDA_OK(assign(from, memory, 100, stream));
  CUDA_OK(cudaFreeAsync(memory, stream));
  EXPECT_EQ(first_int(from), 8);

  CUDA_OK(cudaMallocAsync(reinterpret_cast<void**>(&memory), 400, stream));
  CUDA_OK(cudaFreeAsync(memory, stream));
  CUDA_OK(assign(memory, from, 100, stream));
  EXPECT_EQ(faults_after_all(), 1u);
}

TEST_F(MemoryApiTest, StreamOrderedMemoryIsNotThereBeforeItsAllocation) {
  const cudaStream_t stream = non_blocking_stream();
  int* from = device_ints(100, 8);
  int* memory = nullptr;
  CUDA_OK(cudaMallocAsync(reinterpret_cast<void**>(&memory), 400, stream));
  const cudaStream_t other = non_blocking_stream();
  CUDA_OK(assign(memory, from, 100, other));
  cudaStreamSynchronize(other);
  EXPECT_EQ(faults_after_all(), 1u);
}

TEST_F(MemoryApiTest, MarksTakeEffectInTheOrderOfTheStream) {
  const cudaStream_t stream = non_blocking_stream();
  int* from = device_ints(64, 8);
  int* segment = device_ints(1024, 0);
  EXPECT_EQ(ptx_emulator_mark_freed(segment, 4096, stream), 0);
  EXPECT_EQ(ptx_emulator_mark_allocated(segment, 256, stream), 0);
  CUDA_OK(assign(segment, from, 64, stream));
  EXPECT_EQ(ptx_emulator_mark_freed(segment, 256, stream), 0);
  EXPECT_EQ(faults_after_all(), 0u);
  CUDA_OK(assign(segment, from, 64, stream));
  EXPECT_EQ(faults_after_all(), 1u);
  int host = 0;
  EXPECT_EQ(ptx_emulator_mark_freed(&host, 4, stream), 1);
}

TEST_F(MemoryApiTest, PoolsCountWhatIsInUse) {
  cudaMemPool_t pool = nullptr;
  CUDA_OK(cudaDeviceGetDefaultMemPool(&pool, 0));
  const auto attribute = [&](cudaMemPoolAttr which) {
    std::uint64_t value = 0;
    EXPECT_CUDA(cudaSuccess, cudaMemPoolGetAttribute(pool, which, &value));
    return value;
  };
  const std::uint64_t before = attribute(cudaMemPoolAttrUsedMemCurrent);
  const cudaStream_t stream = non_blocking_stream();
  void* memory = nullptr;
  CUDA_OK(cudaMallocAsync(&memory, 1000, stream));
  EXPECT_EQ(attribute(cudaMemPoolAttrUsedMemCurrent), before + 1000);
  CUDA_OK(cudaFreeAsync(memory, stream));
  EXPECT_EQ(attribute(cudaMemPoolAttrUsedMemCurrent), before + 1000);
  CUDA_OK(cudaStreamSynchronize(stream));
  EXPECT_EQ(attribute(cudaMemPoolAttrUsedMemCurrent), before);
  EXPECT_GE(attribute(cudaMemPoolAttrUsedMemHigh), before + 1000);
  std::uint64_t threshold = ~std::uint64_t{0};
  CUDA_OK(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold,
                                  &threshold));
  EXPECT_EQ(attribute(cudaMemPoolAttrReleaseThreshold), threshold);
}

TEST_F(MemoryApiTest, KernelsUsePinnedAndRegisteredAndManagedMemory) {
  int* pinned = pinned_ints(100, 1);
  CUDA_OK(add(pinned, 100, 1, nullptr));
  std::vector<int> registered(100, 5);
  CUDA_OK(cudaHostRegister(registered.data(), 400, cudaHostRegisterDefault));
  CUDA_OK(add(registered.data(), 100, 1, nullptr));
  void* managed = nullptr;
  CUDA_OK(cudaMallocManaged(&managed, 400));
  std::fill_n(static_cast<int*>(managed), 100, 8);
  CUDA_OK(add(static_cast<int*>(managed), 100, 1, nullptr));
  CUDA_OK(cudaDeviceSynchronize());
  EXPECT_EQ(pinned[99], 2);
  EXPECT_EQ(registered[99], 6);
  EXPECT_EQ(static_cast<int*>(managed)[99], 9);
  CUDA_OK(cudaFreeHost(pinned));
  CUDA_OK(cudaHostUnregister(registered.data()));
  EXPECT_CUDA(cudaErrorHostMemoryNotRegistered,
              cudaHostUnregister(registered.data()));
  CUDA_OK(cudaFree(managed));
  CUDA_OK(add(registered.data(), 100, 1, nullptr));
  EXPECT_EQ(faults_after_all(), 1u);
}

TEST_F(MemoryApiTest, PointersSayWhatTheyPointTo) {
  int value = 0;
  cudaPointerAttributes attributes;
  CUDA_OK(cudaPointerGetAttributes(&attributes, &value));
  EXPECT_EQ(attributes.type, cudaMemoryTypeUnregistered);
  int* data = device_ints(10, 0);
  CUDA_OK(cudaPointerGetAttributes(&attributes, data + 5));
  EXPECT_EQ(attributes.type, cudaMemoryTypeDevice);
  EXPECT_EQ(attributes.devicePointer, data + 5);
  EXPECT_EQ(attributes.hostPointer, nullptr);
  int* pinned = pinned_ints(1, 0);
  CUDA_OK(cudaPointerGetAttributes(&attributes, pinned));
  EXPECT_EQ(attributes.type, cudaMemoryTypeHost);
  EXPECT_EQ(attributes.devicePointer, pinned);
}

TEST(HostAccessTest, ToDeviceMemoryEndsTheProgramWithASentence) {
  ::testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_DEATH(
      {
        volatile const int* data = device_ints(10, 0);
        std::exit(data[3]);
      },
      "host code accesses device memory at .*: 12 bytes into allocation 1 ");
}

TEST(MemoryLimitTest, AllocationFailsBeyondTheDevicesMemory) {
  in_process_with({{"PTX_EMULATOR_MEMORY", "1M"}}, [] {
    std::size_t free = 0;
    std::size_t total = 0;
    CUDA_OK(cudaMemGetInfo(&free, &total));
    EXPECT_EQ(total, 1u << 20);
    void* first = nullptr;
    void* second = nullptr;
    CUDA_OK(cudaMalloc(&first, 600 << 10));
    EXPECT_CUDA(cudaErrorMemoryAllocation, cudaMalloc(&second, 600 << 10));
    EXPECT_EQ(second, nullptr);
    EXPECT_CUDA(cudaErrorMemoryAllocation, cudaGetLastError());
    CUDA_OK(cudaFree(first));
    CUDA_OK(cudaMalloc(&second, 600 << 10));
    CUDA_OK(cudaFree(second));
    // A release that is still queued counts.
    CUDA_OK(cudaMallocAsync(&first, 600 << 10, nullptr));
    CUDA_OK(cudaFreeAsync(first, nullptr));
    CUDA_OK(cudaMallocAsync(&second, 600 << 10, nullptr));
  });
}

}  // namespace
}  // namespace ptx_emulator::testing
