// What nvcc's start-up code and the stubs of kernels call.
#include "runtime/inspect.h"
#include "runtime_tests/device_program.h"

extern "C" {
void** __cudaRegisterFatBinary(void*);
void __cudaRegisterFatBinaryEnd(void**);
void __cudaUnregisterFatBinary(void**);
void __cudaRegisterFunction(void**, const char*, char*, const char*, int,
                            uint3*, uint3*, dim3*, dim3*, int*);
void __cudaRegisterVar(void**, char*, char*, const char*, int, size_t, int,
                       int);
unsigned __cudaPushCallConfiguration(dim3, dim3, size_t, CUstream_st*);
cudaError_t __cudaPopCallConfiguration(dim3*, dim3*, size_t*, void*);
cudaError_t __cudaGetKernel(cudaKernel_t*, const void*);
cudaError_t __cudaLaunchKernel(cudaKernel_t, dim3, dim3, void**, size_t,
                               cudaStream_t);
}

namespace ptx_emulator::testing {
namespace {

class RegistrationTest : public RuntimeTest {
 protected:
  void SetUp() override {
    RuntimeTest::SetUp();
    image_ = __cudaRegisterFatBinary(const_cast<char*>(kProgram));
    __cudaRegisterFunction(image_, &stub_, nullptr, "add", -1, nullptr, nullptr,
                           nullptr, nullptr, nullptr);
    __cudaRegisterFunction(image_, &lost_, nullptr, "nothing", -1, nullptr,
                           nullptr, nullptr, nullptr, nullptr);
    __cudaRegisterVar(image_, &cell_, nullptr, "cell", 0, 4, 0, 0);
    __cudaRegisterFatBinaryEnd(image_);
  }

  void TearDown() override {
    __cudaUnregisterFatBinary(image_);
    RuntimeTest::TearDown();
  }

  void** image_ = nullptr;
  char stub_ = 0, lost_ = 0, cell_ = 0;
};

TEST_F(RegistrationTest, AStubLaunchesItsKernel) {
  int* data = device_ints(10, 1);
  int n = 10;
  int value = 4;
  void* arguments[] = {&data, &n, &value};
  __cudaPushCallConfiguration(dim3(1), dim3(32), 16, nullptr);
  dim3 grid;
  dim3 block;
  std::size_t shared = 0;
  cudaStream_t stream = nullptr;
  CUDA_OK(__cudaPopCallConfiguration(&grid, &block, &shared, &stream));
  EXPECT_EQ(block.x, 32u);
  EXPECT_EQ(shared, 16u);
  cudaKernel_t kernel = nullptr;
  CUDA_OK(__cudaGetKernel(&kernel, &stub_));
  CUDA_OK(__cudaLaunchKernel(kernel, grid, block, arguments, shared, stream));
  EXPECT_EQ(first_int(data), 5);
  EXPECT_EQ(ptx_emulator_calls("cudaLaunchKernel"), 1u);
  EXPECT_CUDA(cudaErrorMissingConfiguration,
              __cudaPopCallConfiguration(&grid, &block, &shared, &stream));
}

TEST_F(RegistrationTest, SymbolsAreCopiedAndHaveAddresses) {
  int value = 0;
  CUDA_OK(cudaMemcpyFromSymbol(&value, &cell_, 4, 0, cudaMemcpyDeviceToHost));
  EXPECT_EQ(value, 7);
  value = 9;
  CUDA_OK(cudaMemcpyToSymbol(&cell_, &value, 4, 0, cudaMemcpyHostToDevice));
  void* address = nullptr;
  std::size_t bytes = 0;
  CUDA_OK(cudaGetSymbolAddress(&address, &cell_));
  CUDA_OK(cudaGetSymbolSize(&bytes, &cell_));
  EXPECT_EQ(bytes, 4u);
  EXPECT_EQ(first_int(static_cast<int*>(address)), 9);
  EXPECT_CUDA(cudaErrorInvalidValue,
              cudaMemcpyToSymbol(&cell_, &value, 4, 1, cudaMemcpyHostToDevice));
  EXPECT_CUDA(cudaErrorInvalidMemcpyDirection,
              cudaMemcpyToSymbol(&cell_, &value, 4, 0, cudaMemcpyDeviceToHost));
  EXPECT_CUDA(cudaErrorInvalidSymbol, cudaGetSymbolAddress(&address, &value));
}

TEST_F(RegistrationTest, AKernelThatTheImageLacksFailsAtItsLaunch) {
  EXPECT_CUDA(cudaErrorInvalidDeviceFunction,
              cudaLaunchKernel(&lost_, dim3(1), dim3(1), nullptr, 0, nullptr));
  cudaFuncAttributes attributes;
  EXPECT_CUDA(cudaErrorInvalidDeviceFunction,
              cudaFuncGetAttributes(&attributes, &lost_));
}

TEST_F(RegistrationTest, LaunchAttributesAreHintsOrRefused) {
  int* data = device_ints(10, 1);
  int n = 10;
  int value = 4;
  void* arguments[] = {&data, &n, &value};
  cudaLaunchAttribute attribute{};
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(1);
  config.blockDim = dim3(32);
  config.attrs = &attribute;
  config.numAttrs = 1;
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  EXPECT_CUDA(cudaSuccess, cudaLaunchKernelExC(&config, &stub_, arguments));
  EXPECT_EQ(first_int(data), 5);
  attribute.id = cudaLaunchAttributeClusterDimension;
  attribute.val.clusterDim.x = 2;
  attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
  EXPECT_CUDA(cudaErrorNotSupported,
              cudaLaunchKernelExC(&config, &stub_, arguments));
}

}  // namespace
}  // namespace ptx_emulator::testing
