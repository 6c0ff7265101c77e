// Helpers for tests of the CPU executor: programs, arrays, launches.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "core/backend/backend.h"
#include "core/pointwise/program.h"
#include "cpu_fallback/runtime/threads.h"

namespace jacquard::testing {

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

inline backend::Backend& cpu_backend() {
  return backend::backend_of(DeviceType::cpu);
}

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

inline void run(const ProgramPtr& p, const Shape& space,
                const std::vector<Binding>& leaves,
                const std::vector<OutputBinding>& outputs,
                const std::vector<Scalar>& slots = {}) {
  cpu_backend().run({p.get(), space, leaves, slots, outputs}, Stream());
}

template <class T>
Binding dense(const std::vector<T>& x, const Shape& shape) {
  return {x.data(), dtype_of<T>, contiguous_strides(shape)};
}
template <class T>
OutputBinding dense_out(std::vector<T>& x, const Shape& shape) {
  return {x.data(), dtype_of<T>, contiguous_strides(shape), false};
}

// Strides of an output that reduces the axes in `mask`, dense over the others.
inline Strides reduced_strides(const Shape& space, unsigned mask) {
  Strides strides = Shape::filled(space.rank(), 0);
  std::int64_t stride = 1;
  for (int a = space.rank() - 1; a >= 0; --a) {
    if (mask >> a & 1) continue;
    strides[a] = stride;
    stride *= space[a];
  }
  return strides;
}
inline std::int64_t kept_count(const Shape& space, unsigned mask) {
  std::int64_t n = 1;
  for (int a = 0; a < space.rank(); ++a)
    if (!(mask >> a & 1)) n *= space[a];
  return n;
}

inline std::vector<float> random_floats(std::int64_t n, unsigned seed,
                                        float low = -1, float high = 1) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> d(low, high);
  std::vector<float> x(static_cast<std::size_t>(n));
  for (float& v : x) v = d(engine);
  return x;
}

// Calls f(position, offset of each operand) over a space, row-major.
template <class F>
void for_each_position(const Shape& space, const std::vector<Strides>& operands,
                       F&& f) {
  std::vector<std::int64_t> offsets(operands.size());
  const std::int64_t n = space.numel();
  for (std::int64_t p = 0; p < n; ++p) {
    std::int64_t rest = p;
    std::fill(offsets.begin(), offsets.end(), 0);
    for (int a = space.rank() - 1; a >= 0; --a) {
      for (std::size_t i = 0; i < operands.size(); ++i)
        offsets[i] += rest % space[a] * operands[i][a];
      rest /= space[a];
    }
    f(p, offsets);
  }
}

template <class T>
void expect_same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  ASSERT_EQ(a.size(), b.size());
  if (a.empty()) return;
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(T)), 0);
}

// Sets the number of threads and restores it.
class WithThreads {
 public:
  explicit WithThreads(int n) : before_(cpu_fallback::num_threads()) {
    cpu_fallback::set_num_threads(n);
  }
  ~WithThreads() { cpu_fallback::set_num_threads(before_); }
  WithThreads(const WithThreads&) = delete;
  WithThreads& operator=(const WithThreads&) = delete;

 private:
  int before_;
};

}  // namespace jacquard::testing
