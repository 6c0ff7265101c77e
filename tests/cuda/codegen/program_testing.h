// The same launch on the CPU and on the device.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "core/backend/backend.h"
#include "core/pointwise/program.h"
#include "cuda/codegen/run_program.h"
#include "cuda/runtime/device.h"
#include "cuda/runtime/memory.h"
#include "cuda/runtime/stream.h"

namespace jacquard::cuda_backend {

using backend::Binding;
using backend::OutputBinding;
using backend::ProgramLaunch;
using backend::Scalar;
using pointwise::Builder;
using pointwise::Leaf;
using pointwise::Op;
using pointwise::Program;
using pointwise::ProgramPtr;
using pointwise::Reduction;
using pointwise::Ref;

template <class F>
ProgramPtr program(F&& build) {
  Builder b;
  build(b);
  return Program::intern(b.take());
}
// One load leaf and one output.
inline ProgramPtr reduce_program(Reduction reduction,
                                 DType dtype = DType::float32) {
  return program([&](Builder& b) {
    b.output({b.leaf({Op::load, dtype}), reduction});
  });
}

// Random contents between the bounds, for bool and integers rounded.
struct LeafSpec {
  Strides strides;
  double low = -2, high = 2;
  int shift = 0;          // elements by which it is off an aligned address
  bool specials = false;  // NaN, ±Inf and ±0 here and there
};
struct OutputSpec {
  DType dtype = DType::float32;
  Strides strides;
  bool accumulate = false;
  int shift = 0;
};
// Equal bits (NaNs are alike), or within `ulps` of the output's dtype, or
// within `relative` of 1 + |value|.
struct Tolerance {
  int ulps = 0;
  double relative = 0;
};

Scalar real(double f);
Scalar integer(std::int64_t i);

Strides dense(const Shape& space);
// Strides of an output that reduces the axes in `mask`, dense over the others.
Strides reduced(const Shape& space, unsigned mask);

class ProgramTest : public ::testing::Test {
 protected:
  void SetUp() override;

  // Runs on both and compares every byte of the outputs, also those that the
  // launch must leave alone.
  void compare(const ProgramPtr& program, const Shape& space,
               const std::vector<LeafSpec>& leaves,
               const std::vector<OutputSpec>& outputs,
               const std::vector<Scalar>& slots = {}, Tolerance tolerance = {});
  // The device's outputs of the last comparison, as bytes.
  const std::vector<std::vector<unsigned char>>& results() const {
    return results_;
  }

  Stream stream;

 private:
  std::vector<std::vector<unsigned char>> results_;
};

// An array of bytes on the device.
class DeviceBytes {
 public:
  DeviceBytes(const std::vector<unsigned char>& bytes, std::size_t shift,
              Stream stream);
  ~DeviceBytes();
  DeviceBytes(DeviceBytes&& other) noexcept;
  DeviceBytes(const DeviceBytes&) = delete;
  void* data() const { return static_cast<char*>(base_) + shift_; }
  std::vector<unsigned char> read() const;

 private:
  void* base_;
  std::size_t shift_, bytes_;
  Stream stream_;
};

// Random elements of a dtype.
std::vector<unsigned char> random_elements(DType dtype, std::size_t count,
                                           const LeafSpec& spec, unsigned seed);
// Elements from the first to the last that the strides reach.
std::size_t reach(const Shape& space, const Strides& strides);
void expect_alike(DType dtype, const std::vector<unsigned char>& want,
                  const std::vector<unsigned char>& got, Tolerance tolerance);

}  // namespace jacquard::cuda_backend
