#include <gtest/gtest.h>

#include <string>

#include "cuda/runtime/cuda_backend.h"
#include "jacquard/error.h"
#include "tests/cuda/runtime/cuda_testing.h"

extern "C" jacquard::backend::Backend* jacquard_backend();

namespace jacquard::cuda_backend {
namespace {

TEST(CudaBackend, TheEntryPointGivesTheBackend) {
  backend::Backend* backend = jacquard_backend();
  ASSERT_NE(backend, nullptr);
  EXPECT_EQ(backend, jacquard_backend());
  EXPECT_EQ(std::string(backend->name()), "cuda");
  EXPECT_EQ(backend->device_count(), device_count());
}

TEST(CudaBackend, WithoutTheDeviceEveryQuestionIsADeviceError) {
  backend::Backend& backend = *jacquard_backend();
  const int absent = device_count();
  const Stream nowhere =
      Stream::wrap(jacquard::cuda(absent), reinterpret_cast<void*>(0x10));
  EXPECT_THROW(backend.current_stream(absent), DeviceError);
  EXPECT_THROW(backend.make_stream(absent), DeviceError);
  EXPECT_THROW(backend.memory_stats(absent), DeviceError);
  EXPECT_THROW(backend.allocate(4, nowhere), DeviceError);
  EXPECT_THROW(backend.synchronize(nowhere), DeviceError);
  EXPECT_THROW(backend.synchronize_device(absent), DeviceError);
}

TEST_F(CudaTest, TheBackendHandsMemoryAndStreamsOn) {
  backend::Backend& backend = *jacquard_backend();
  EXPECT_EQ(backend.current_stream(0), stream);
  const std::size_t before = backend.memory_stats(0).in_use;
  const Bytes sent = random_bytes(1234, 3);
  const Stream other = backend.make_stream(0);
  void* p = backend.allocate(sent.size(), stream);
  void* q = backend.allocate(sent.size(), other);
  EXPECT_EQ(backend.memory_stats(0).in_use, before + 2 * sent.size());
  backend.upload(p, sent.data(), sent.size(), stream);
  backend.order(other, stream);
  backend.copy(q, p, sent.size(), other);
  Bytes received(sent.size());
  backend.download(received.data(), q, sent.size(), other);
  EXPECT_EQ(received, sent);
  backend.free(p, sent.size(), stream);
  backend.free(q, sent.size(), other);
  EXPECT_EQ(backend.memory_stats(0).in_use, before);
  EXPECT_NO_THROW(backend.synchronize(other));
  EXPECT_NO_THROW(backend.synchronize_device(0));
}

}  // namespace
}  // namespace jacquard::cuda_backend
