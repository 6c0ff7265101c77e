// Doors to code of the user's own: streams, memory, kernels, DLPack.
#include <gtest/gtest.h>
#include <jacquard/jacquard.h>

#include <vector>

#include "tests/cuda/interop/user_kernel.h"

namespace jacquard {
namespace {

constexpr std::int64_t kN = 3000;

class Interop : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!is_available(cuda())) GTEST_SKIP() << "there is no CUDA device";
    handle_ = user::make_stream();
    theirs_ = Stream::wrap(cuda(), handle_);
  }
  void TearDown() override {
    if (handle_ != nullptr) synchronize(cuda());
  }
  static void expect_all(const TrackedTensor& x, float value) {
    for (float v : x.data().to_host<float>()) ASSERT_EQ(v, value);
  }
  TensorOptions on_cuda{DType::float32, cuda()};
  void* handle_ = nullptr;
  Stream theirs_;
};

TEST_F(Interop, APendingValueGoesToTheUsersKernelAndBack) {
  const TrackedTensor x = materialize(full({kN}, 2, on_cuda));
  const TrackedTensor pending = x * 3.0f + 1.0f;
  float* result = user::allocate(kN);
  {
    const Tensor source = pending.data();
    user::scale(static_cast<const float*>(source.data_on(theirs_)), result, 10,
                kN, handle_);
  }
  const TrackedTensor back(Tensor::from_device(
      result, {kN}, {1}, DType::float32, cuda(), theirs_, [=, this] {
        user::synchronize(handle_);
        user::release(result);
      }));
  expect_all(back + 1.0f, 71);
}

TEST_F(Interop, WorkRunsOnAStreamOfTheUsers) {
  const StreamScope scope(theirs_);
  const TrackedTensor x = materialize(full({kN}, 2, on_cuda));
  EXPECT_EQ(x.data().stream(), theirs_);
  float* result = user::allocate(kN);
  user::scale(static_cast<const float*>(x.data().data_ptr()), result, 4, kN,
              handle_);
  const TrackedTensor y(Tensor::from_device(result, {kN}, {1}, DType::float32,
                                            cuda(), theirs_, [=, this] {
                                              user::synchronize(handle_);
                                              user::release(result);
                                            }));
  expect_all(y * y, 64);
}

TEST_F(Interop, MemoryOutlivesTheUsersWork) {
  float* result = user::allocate(kN);
  for (int round = 0; round < 6; ++round) {
    TrackedTensor x = materialize(full({kN}, round, on_cuda));
    user::scale(static_cast<const float*>(x.data().data_on(theirs_)), result, 2,
                kN, handle_);
    x = {};
    const TrackedTensor overwrites = materialize(full({kN}, -1, on_cuda));
    const TrackedTensor seen(Tensor::from_device(
        result, {kN}, {1}, DType::float32, cuda(), theirs_, {}));
    expect_all(seen, 2 * static_cast<float>(round));
  }
  user::release(result);
}

TEST_F(Interop, DLPackHandsTheStreamOver) {
  TrackedTensor x = materialize(full({kN}, 5, on_cuda) * 2.0f);
  DLManagedTensor* given = to_dlpack(x.data(), theirs_);
  x = {};
  const TrackedTensor taken(from_dlpack(given, theirs_));
  expect_all(taken + 1.0f, 11);
}

}  // namespace
}  // namespace jacquard
