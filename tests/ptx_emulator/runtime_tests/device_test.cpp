#include <cuda.h>

#include <cstdio>
#include <fstream>
#include <iterator>

#include "runtime/inspect.h"
#include "runtime_tests/device_program.h"

namespace ptx_emulator::testing {
namespace {

class DeviceTest : public RuntimeTest {};

int attribute(cudaDeviceAttr which) {
  int value = -1;
  EXPECT_CUDA(cudaSuccess, cudaDeviceGetAttribute(&value, which, 0));
  return value;
}

TEST(DevicePoseTest, HasTheCapabilityThatItIsToldAndItsLimits) {
  in_process_with({{"PTX_EMULATOR_CAPABILITY", "120"}}, [] {
    EXPECT_EQ(attribute(cudaDevAttrComputeCapabilityMajor), 12);
    EXPECT_EQ(attribute(cudaDevAttrComputeCapabilityMinor), 0);
    EXPECT_EQ(attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin), 99 << 10);
    EXPECT_EQ(attribute(cudaDevAttrMaxThreadsPerMultiProcessor), 1536);
    cudaDeviceProp properties;
    CUDA_OK(cudaGetDeviceProperties(&properties, 0));
    EXPECT_EQ(properties.major, 12);
  });
}

TEST_F(DeviceTest, PosesAsCapability80ByItself) {
  EXPECT_EQ(attribute(cudaDevAttrComputeCapabilityMajor), 8);
  EXPECT_EQ(attribute(cudaDevAttrWarpSize), 32);
  EXPECT_EQ(attribute(cudaDevAttrCooperativeLaunch), 0);
  int value = 0;
  EXPECT_CUDA(cudaErrorInvalidDevice,
              cudaDeviceGetAttribute(&value, cudaDevAttrWarpSize, 1));
  EXPECT_CUDA(cudaErrorInvalidDevice, cudaSetDevice(1));
}

TEST(DevicePoseTest, WithoutDevicesEveryCallSaysSo) {
  in_process_with({{"PTX_EMULATOR_DEVICES", "0"}}, [] {
    int count = -1;
    EXPECT_CUDA(cudaErrorNoDevice, cudaGetDeviceCount(&count));
    EXPECT_EQ(count, 0);
    void* memory = nullptr;
    EXPECT_CUDA(cudaErrorNoDevice, cudaMalloc(&memory, 4));
    EXPECT_CUDA(cudaErrorNoDevice, cudaGetLastError());
    EXPECT_CUDA(cudaSuccess, cudaGetLastError());
    EXPECT_EQ(CUDA_ERROR_NO_DEVICE, cuInit(0));
  });
}

TEST(DevicePoseTest, AnOldDriverIsInsufficient) {
  in_process_with({{"PTX_EMULATOR_DRIVER", "12020"}}, [] {
    int version = 0;
    EXPECT_CUDA(cudaSuccess, cudaDriverGetVersion(&version));
    EXPECT_EQ(version, 12020);
    EXPECT_CUDA(cudaErrorInsufficientDriver, cudaGetDeviceCount(&version));
  });
}

TEST(DevicePoseTest, SeveralDevicesHaveStreamsOfTheirOwn) {
  in_process_with({{"PTX_EMULATOR_DEVICES", "2"}}, [] {
    int* zero = device_ints(10, 0);
    CUDA_OK(cudaSetDevice(1));
    int* one = device_ints(10, 0);
    CUDA_OK(add(one, 10, 1, nullptr));
    CUDA_OK(cudaSetDevice(0));
    CUDA_OK(add(zero, 10, 1, nullptr));
    CUDA_OK(cudaDeviceSynchronize());
    EXPECT_EQ(ptx_emulator_pending(), 1u);
    CUDA_OK(cudaSetDevice(1));
    EXPECT_CUDA(cudaErrorNotReady, cudaStreamQuery(nullptr));
    CUDA_OK(cudaDeviceSynchronize());
    EXPECT_EQ(ptx_emulator_pending(), 0u);
    cudaPointerAttributes attributes;
    CUDA_OK(cudaPointerGetAttributes(&attributes, one));
    EXPECT_EQ(attributes.device, 1);
  });
}

TEST(NullModeTest, CallsReturnAndNothingIsDone) {
  in_process_with({{"PTX_EMULATOR_NULL", "1"}}, [] {
    EXPECT_EQ(ptx_emulator_is_null(), 1);
    void* memory = nullptr;
    CUDA_OK(cudaMalloc(&memory, 400));
    auto* data = static_cast<int*>(memory);
    const cudaStream_t stream = non_blocking_stream();
    CUDA_OK(add(data, 100, 1, stream));
    int value = 5;
    CUDA_OK(cudaMemcpyAsync(&value, data, 4, cudaMemcpyDeviceToHost, stream));
    EXPECT_EQ(value, 0);
    cudaEvent_t event = nullptr;
    CUDA_OK(cudaEventCreate(&event));
    CUDA_OK(cudaEventRecord(event, stream));
    CUDA_OK(cudaEventQuery(event));
    CUDA_OK(cudaStreamSynchronize(stream));
    EXPECT_EQ(ptx_emulator_pending(), 0u);
    EXPECT_EQ(ptx_emulator_launch_count(), 0u);
    EXPECT_EQ(ptx_emulator_calls("cudaLaunchKernel"), 1u);
  });
}

TEST_F(DeviceTest, AFaultBreaksTheDevice) {
  int* data = device_ints(10, 0);
  CUDA_OK(wild(data, nullptr));
  EXPECT_CUDA(cudaErrorIllegalAddress, cudaDeviceSynchronize());
  EXPECT_CUDA(cudaErrorIllegalAddress, cudaGetLastError());
  EXPECT_CUDA(cudaErrorIllegalAddress, cudaGetLastError());
  void* memory = nullptr;
  EXPECT_CUDA(cudaErrorIllegalAddress, cudaMalloc(&memory, 4));
  EXPECT_CUDA(cudaErrorIllegalAddress, add(data, 10, 1, nullptr));
  EXPECT_EQ(ptx_emulator_fault_count(), 1u);
  const std::string report = ptx_emulator_last_fault();
  EXPECT_NE(report.find("wild"), std::string::npos) << report;
  ptx_emulator_clear_faults();
  EXPECT_CUDA(cudaSuccess, cudaGetLastError());
  EXPECT_EQ(first_int(data), 0);
}

TEST_F(DeviceTest, OrdinaryErrorsAreRememberedOnce) {
  EXPECT_CUDA(cudaErrorInvalidDevice, cudaSetDevice(7));
  EXPECT_CUDA(cudaErrorInvalidDevice, cudaPeekAtLastError());
  EXPECT_CUDA(cudaErrorInvalidDevice, cudaGetLastError());
  EXPECT_CUDA(cudaSuccess, cudaGetLastError());
}

TEST_F(DeviceTest, ErrorsHaveTheNamesAndTextsOfTheLibrary) {
  EXPECT_STREQ(cudaGetErrorName(cudaErrorNoDevice), "cudaErrorNoDevice");
  EXPECT_STREQ(cudaGetErrorString(cudaErrorMemoryAllocation), "out of memory");
  EXPECT_STREQ(cudaGetErrorName(static_cast<cudaError_t>(12345)),
               "unrecognized error code");
}

TEST_F(DeviceTest, LaunchesThatDoNotFitAreRefusedAtTheCall) {
  int* data = device_ints(10, 0);
  void* arguments[] = {&data};
  const auto launch = [&](dim3 grid, dim3 block, std::size_t shared) {
    return cudaLaunchKernel(kernel("limited"), grid, block, arguments, shared,
                            nullptr);
  };
  EXPECT_CUDA(cudaErrorInvalidConfiguration, launch(dim3(0), dim3(1), 0));
  EXPECT_CUDA(cudaErrorInvalidConfiguration, launch(dim3(1), dim3(2048), 0));
  EXPECT_CUDA(cudaErrorInvalidConfiguration,
              launch(dim3(1), dim3(1, 1, 65), 0));
  EXPECT_CUDA(cudaErrorInvalidConfiguration,
              launch(dim3(1, 65536), dim3(1), 0));
  EXPECT_CUDA(cudaErrorLaunchOutOfResources, launch(dim3(1), dim3(96), 0));
  EXPECT_CUDA(cudaErrorInvalidValue, launch(dim3(1), dim3(1), 48 << 10));
  EXPECT_CUDA(cudaSuccess, launch(dim3(1), dim3(64), 47 << 10));
  EXPECT_CUDA(cudaSuccess,
              cudaFuncSetAttribute(kernel("limited"),
                                   cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   100 << 10));
  EXPECT_CUDA(cudaSuccess, launch(dim3(1), dim3(1), 100 << 10));
  EXPECT_CUDA(cudaErrorInvalidValue,
              cudaFuncSetAttribute(kernel("limited"),
                                   cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   163 << 10));
  EXPECT_CUDA(cudaErrorInvalidDeviceFunction,
              cudaLaunchKernel(&data, dim3(1), dim3(1), arguments, 0, nullptr));
  cudaGetLastError();
}

TEST_F(DeviceTest, KernelsDescribeThemselves) {
  cudaFuncAttributes attributes;
  CUDA_OK(cudaFuncGetAttributes(&attributes, kernel("limited")));
  EXPECT_EQ(attributes.sharedSizeBytes, 1024u);
  EXPECT_EQ(attributes.maxThreadsPerBlock, 64);
  EXPECT_EQ(attributes.ptxVersion, 75);
  EXPECT_EQ(attributes.binaryVersion, 80);
  int blocks = 0;
  CUDA_OK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel("add"),
                                                        1024, 0));
  EXPECT_EQ(blocks, 2);
  std::size_t offset = 0;
  std::size_t size = 0;
  CUDA_OK(cudaFuncGetParamInfo(kernel("add"), 1, &offset, &size));
  EXPECT_EQ(offset, 8u);
  EXPECT_EQ(size, 4u);
  const char* name = nullptr;
  CUDA_OK(cudaFuncGetName(&name, kernel("add")));
  EXPECT_STREQ(name, "add");
}

TEST_F(DeviceTest, LibrariesHaveKernelsAndVariables) {
  cudaKernel_t found = nullptr;
  EXPECT_CUDA(cudaErrorSymbolNotFound,
              cudaLibraryGetKernel(&found, library(), "nothing"));
  cudaGetLastError();
  unsigned count = 0;
  CUDA_OK(cudaLibraryGetKernelCount(&count, library()));
  EXPECT_EQ(count, 4u);
  void* cell = nullptr;
  std::size_t bytes = 0;
  CUDA_OK(cudaLibraryGetGlobal(&cell, &bytes, library(), "cell"));
  EXPECT_EQ(bytes, 4u);
  EXPECT_EQ(first_int(static_cast<int*>(cell)), 7);
  cudaLibrary_t broken = nullptr;
  EXPECT_CUDA(cudaErrorInvalidPtx,
              cudaLibraryLoadData(&broken,
                                  ".version 8.0\n.target sm_75\n"
                                  ".address_size 64\n.entry k( {",
                                  nullptr, nullptr, 0, nullptr, nullptr, 0));
  EXPECT_CUDA(cudaErrorNoKernelImageForDevice,
              cudaLibraryLoadData(&broken,
                                  ".version 8.8\n.target sm_120\n"
                                  ".address_size 64\n",
                                  nullptr, nullptr, 0, nullptr, nullptr, 0));
  cudaGetLastError();
}

TEST_F(DeviceTest, AnUnloadedLibraryLeavesQueuedLaunchesAlone) {
  int* data = device_ints(10, 0);
  int n = 10;
  int value = 1;
  void* arguments[] = {&data, &n, &value};
  cudaLibrary_t own = nullptr;
  CUDA_OK(cudaLibraryLoadData(&own, kProgram, nullptr, nullptr, 0, nullptr,
                              nullptr, 0));
  cudaKernel_t found = nullptr;
  CUDA_OK(cudaLibraryGetKernel(&found, own, "add"));
  CUDA_OK(cudaLaunchKernel(static_cast<const void*>(found), dim3(1), dim3(32),
                           arguments, 0, nullptr));
  CUDA_OK(cudaLibraryUnload(own));
  EXPECT_EQ(first_int(data), 1);
  EXPECT_CUDA(cudaErrorInvalidDeviceFunction,
              cudaLaunchKernel(static_cast<const void*>(found), dim3(1),
                               dim3(32), arguments, 0, nullptr));
  cudaGetLastError();
}

TEST_F(DeviceTest, CallsAndLaunchesAreCounted) {
  int* data = device_ints(100, 0);
  ptx_emulator_reset_counters();
  CUDA_OK(add(data, 100, 1, nullptr));
  CUDA_OK(cudaDeviceSynchronize());
  EXPECT_EQ(ptx_emulator_calls("cudaLaunchKernel"), 1u);
  EXPECT_EQ(ptx_emulator_calls("cudaDeviceSynchronize"), 1u);
  EXPECT_EQ(ptx_emulator_calls("cudaMalloc"), 0u);
  ASSERT_EQ(ptx_emulator_launch_count(), 1u);
  ptx_emulator_launch launch;
  ASSERT_EQ(ptx_emulator_get_launch(0, &launch), 0);
  EXPECT_STREQ(launch.kernel, "add");
  EXPECT_EQ(launch.block[0], 128u);
  EXPECT_EQ(launch.threads, 128u);
  EXPECT_EQ(launch.load_bytes, 400u);
  EXPECT_EQ(launch.store_bytes, 400u);
  EXPECT_EQ(launch.load_sectors, 13u);
  EXPECT_EQ(ptx_emulator_get_launch(1, &launch), 1);
  ptx_emulator_reset_counters();
  EXPECT_EQ(ptx_emulator_launch_count(), 0u);
  EXPECT_EQ(ptx_emulator_calls("cudaLaunchKernel"), 0u);
}

TEST_F(DeviceTest, ParametersOfLaunchesAreToldApart) {
  int* data = device_ints(100, 0);
  ptx_emulator_reset_counters();
  for (const int what : {1, 1, 2}) CUDA_OK(add(data, 100, what, nullptr));
  CUDA_OK(cudaDeviceSynchronize());
  ASSERT_EQ(ptx_emulator_launch_count(), 3u);
  ptx_emulator_launch launches[3];
  for (std::size_t i = 0; i < 3; ++i)
    ASSERT_EQ(ptx_emulator_get_launch(i, &launches[i]), 0);
  EXPECT_EQ(launches[0].parameters, launches[1].parameters);
  EXPECT_NE(launches[1].parameters, launches[2].parameters);
}

TEST(ReportTest, IsWrittenAtExit) {
  const std::string path = ::testing::TempDir() + "ptx_emulator_report.json";
  in_process_with({{"PTX_EMULATOR_REPORT", path.c_str()}},
                  [] { EXPECT_EQ(first_int(device_ints(1, 3)), 3); });
  std::ifstream file(path);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  EXPECT_NE(text.find("\"cudaMalloc\": 1"), std::string::npos) << text;
  EXPECT_NE(text.find("\"launches\""), std::string::npos) << text;
  std::remove(path.c_str());
}

TEST_F(DeviceTest, TheDriverSharesTheRuntimesDevice) {
  ASSERT_EQ(CUDA_SUCCESS, cuInit(0));
  CUmodule module = nullptr;
  ASSERT_EQ(CUDA_SUCCESS, cuModuleLoadData(&module, kProgram));
  CUfunction function = nullptr;
  ASSERT_EQ(CUDA_SUCCESS, cuModuleGetFunction(&function, module, "add"));
  EXPECT_EQ(CUDA_ERROR_NOT_FOUND,
            cuModuleGetFunction(&function, module, "nothing"));
  int* data = device_ints(10, 1);
  int n = 10;
  int value = 2;
  void* arguments[] = {&data, &n, &value};
  ASSERT_EQ(CUDA_SUCCESS, cuLaunchKernel(function, 1, 1, 1, 32, 1, 1, 0,
                                         nullptr, arguments, nullptr));
  int host = 0;
  ASSERT_EQ(CUDA_SUCCESS,
            cuMemcpyDtoH(&host, reinterpret_cast<CUdeviceptr>(data), 4));
  EXPECT_EQ(host, 3);
  EXPECT_EQ(CUDA_SUCCESS, cuModuleUnload(module));
  const char* name = nullptr;
  EXPECT_EQ(CUDA_SUCCESS, cuGetErrorName(CUDA_ERROR_NOT_FOUND, &name));
  EXPECT_STREQ(name, "CUDA_ERROR_NOT_FOUND");
}

TEST_F(DeviceTest, WhatIsNotEmulatedSaysSo) {
  cudaArray_t array = nullptr;
  cudaChannelFormatDesc format{};
  ::testing::internal::CaptureStderr();
  EXPECT_CUDA(cudaErrorNotSupported, cudaMallocArray(&array, &format, 4));
  EXPECT_NE(::testing::internal::GetCapturedStderr().find(
                "cudaMallocArray is not emulated"),
            std::string::npos);
}

}  // namespace
}  // namespace ptx_emulator::testing
