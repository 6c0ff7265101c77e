#include "jacquard/error.h"

#include <gtest/gtest.h>

namespace jacquard {
namespace {

TEST(Error, KeepsItsMessage) {
  EXPECT_STREQ(ShapeError("matmul: inner dimensions differ").what(),
               "matmul: inner dimensions differ");
}

template <class E>
class ErrorKinds : public testing::Test {};
using Kinds = testing::Types<ShapeError, DTypeError, DeviceError, IndexError,
                             GraphError, NumericError, CudaError, OutOfMemory>;
TYPED_TEST_SUITE(ErrorKinds, Kinds);

TYPED_TEST(ErrorKinds, AreCaughtAsErrorAndAsStandardException) {
  EXPECT_THROW(throw TypeParam("x"), Error);
  EXPECT_THROW(throw TypeParam("x"), std::runtime_error);
}

TEST(Error, KindsAreNotOneAnother) {
  try {
    throw IndexError("x");
  } catch (const ShapeError&) {
    FAIL() << "an IndexError was caught as a ShapeError";
  } catch (const IndexError&) {
  }
}

}  // namespace
}  // namespace jacquard
