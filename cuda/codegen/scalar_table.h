// The host scalars of a graph as its kernels read them: words in device memory,
// one for each scalar and dtype of a slot that reads it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/backend/backend.h"

namespace jacquard::cuda_backend {

class ScalarTable {
 public:
  explicit ScalarTable(std::size_t scalars)
      : numbers_(scalars * kDTypeCount, -1) {}

  // The most that it will have.
  std::size_t most_words() const { return numbers_.size(); }
  void put_at(std::uint64_t* device) { device_ = device; }
  std::uint64_t* device() const { return device_; }

  // Where the word of a slot with an origin will be. Error if there is no
  // such scalar.
  const std::uint64_t* address_of(backend::Scalar value, DType dtype);
  // The words for a run, in the order of the table, until the next call.
  // Error for another number of scalars.
  std::span<const std::uint64_t> words(
      std::span<const backend::Scalar> scalars);

 private:
  struct Entry {
    std::size_t scalar;
    DType dtype;
  };
  std::vector<std::int32_t> numbers_;  // by scalar and dtype; -1: not read
  std::vector<Entry> entries_;
  std::vector<std::uint64_t> words_;
  std::uint64_t* device_ = nullptr;
};

}  // namespace jacquard::cuda_backend
