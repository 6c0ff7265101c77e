// A list of launches with every family of kernel, over buffers of its own, that
// can be run with any scalars: eagerly, or as a graph.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/backend/backend.h"
#include "core/pointwise/program.h"
#include "tests/cuda/kernels/device_array.h"

namespace jacquard::testing {

using backend::Binding;
using backend::IndexLaunch;
using backend::OutputBinding;
using backend::ProgramLaunch;
using backend::Scalar;
using pointwise::Builder;
using pointwise::Op;
using pointwise::Program;
using pointwise::ProgramPtr;
using pointwise::Reduction;
using pointwise::Ref;

inline constexpr DType f32 = DType::float32;

inline Scalar real(double f) {
  Scalar s{};
  s.f = f;
  return s;
}
inline Scalar integer(std::int64_t i) {
  Scalar s{};
  s.i = i;
  return s;
}

template <class F>
ProgramPtr program(F&& build) {
  Builder b;
  build(b);
  return Program::intern(b.take());
}

// Scalars of the list, and the scalars of two runs that differ in all of them.
struct Settings {
  double rate = 0.5, scale = 2;
  std::int64_t seed = 1, offset = 0;

  static constexpr std::size_t kCount = 4;
  std::vector<Scalar> scalars() const {
    return {real(rate), real(scale), integer(seed), integer(offset)};
  }
  // As the slots of launches have them.
  Scalar slot(std::size_t i) const {
    Scalar s = scalars()[i];
    s.origin = static_cast<std::uint32_t>(i) + 1;
    return s;
  }
};
inline Settings settings(int run) {
  return {0.25 + run, 1.5 - 0.125 * run, 7 + run, 1000 * run};
}

class Launches {
 public:
  Launches();

  // Enqueues everything once.
  void run(const Settings& s, Stream stream);
  // The same, with a part of it on another stream.
  void run_on_two(const Settings& s, Stream stream, Stream other);

  // All buffers, by name.
  std::map<std::string, Bytes> contents() const;

 private:
  DeviceArray& buffer(const std::string& name) { return *buffers_.at(name); }
  void add(const std::string& name, const Bytes& bytes);
  Binding leaf(const std::string& name, Strides strides, DType dtype = f32);
  OutputBinding output(const std::string& name, Strides strides,
                       bool accumulate = false, DType dtype = f32);
  void maps(const Settings& s, Stream stream);
  void reductions(const Settings& s, Stream stream);
  void rows(const Settings& s, Stream stream);
  void random(const Settings& s, Stream stream);
  void update(const Settings& s, Stream stream);
  void products(Stream stream);
  void indexing(Stream stream);
  void scans_and_sorts(Stream stream);

  std::map<std::string, std::unique_ptr<DeviceArray>> buffers_;
};

}  // namespace jacquard::testing
