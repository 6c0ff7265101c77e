// Arrays on the CUDA device for tests that call a backend's contracts.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "core/backend/backend.h"
#include "jacquard/device.h"
#include "jacquard/dtype.h"

namespace jacquard::testing {

inline backend::Backend& on_cuda() {
  return backend::backend_of(DeviceType::cuda);
}
inline backend::Backend& on_cpu() {
  return backend::backend_of(DeviceType::cpu);
}
inline Stream cuda_stream() { return on_cuda().current_stream(0); }

using Bytes = std::vector<std::uint8_t>;

// A copy of host bytes, at an offset from where memory begins.
class DeviceArray {
 public:
  explicit DeviceArray(const Bytes& bytes, std::size_t offset = 0)
      : size_(bytes.size()),
        offset_(offset),
        block_(static_cast<std::uint8_t*>(
            on_cuda().allocate(size_ + offset, cuda_stream()))) {
    if (size_ != 0)
      on_cuda().upload(data(), bytes.data(), size_, cuda_stream());
  }
  ~DeviceArray() { on_cuda().free(block_, size_ + offset_, cuda_stream()); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  void* data() const { return block_ + offset_; }
  Bytes read() const {
    Bytes bytes(size_);
    if (size_ != 0)
      on_cuda().download(bytes.data(), data(), size_, cuda_stream());
    return bytes;
  }

 private:
  std::size_t size_, offset_;
  std::uint8_t* block_;
};

template <class T>
Bytes bytes_of(const std::vector<T>& values) {
  const auto* first = reinterpret_cast<const std::uint8_t*>(values.data());
  return Bytes(first, first + values.size() * sizeof(T));
}

// `count` elements of a dtype from f(), doubles that are rounded to it.
template <class F>
Bytes elements_of(DType dtype, std::size_t count, F&& f) {
  const auto fill = [&](auto&& round) {
    std::vector<decltype(round(0.0))> values(count);
    for (auto& value : values) value = round(f());
    return bytes_of(values);
  };
  switch (dtype) {
    case DType::bool_:
      return fill(
          [](double x) { return static_cast<std::uint8_t>(x < 0 ? 0 : 1); });
    case DType::int32:
      return fill([](double x) { return static_cast<std::int32_t>(x); });
    case DType::int64:
      return fill([](double x) { return static_cast<std::int64_t>(x); });
    case DType::float16:
      return fill(
          [](double x) { return float_to_half(static_cast<float>(x)); });
    case DType::bfloat16:
      return fill(
          [](double x) { return float_to_bfloat16(static_cast<float>(x)); });
    case DType::float32:
      return fill([](double x) { return static_cast<float>(x); });
    default:
      return fill([](double x) { return x; });
  }
}

// Of different magnitudes, so that the order of a sum shows in its bits.
inline Bytes uneven_elements(DType dtype, std::int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> fraction(-1, 1);
  return elements_of(dtype, static_cast<std::size_t>(count), [&] {
    const double scale = static_cast<double>(1 << (random() % 12));
    return fraction(random) * scale;
  });
}

// Small integers: every sum of products is exact in every floating type.
inline Bytes small_integers(DType dtype, std::int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  return elements_of(dtype, static_cast<std::size_t>(count),
                     [&] { return static_cast<double>(random() % 5) - 2; });
}

}  // namespace jacquard::testing
