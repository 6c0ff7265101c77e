#include "cuda/codegen/scalar_table.h"

#include <string>

#include "cuda/codegen/work.h"
#include "jacquard/error.h"

namespace jacquard::cuda_backend {

const std::uint64_t* ScalarTable::address_of(backend::Scalar value,
                                             DType dtype) {
  const std::size_t scalars = numbers_.size() / kDTypeCount;
  if (value.origin == 0 || value.origin > scalars)
    throw Error("make_graph: a slot reads scalar " +
                std::to_string(value.origin) + " of " +
                std::to_string(scalars));
  const std::size_t scalar = value.origin - 1;
  std::int32_t& number =
      numbers_[scalar * kDTypeCount + static_cast<std::size_t>(dtype)];
  if (number < 0) {
    number = static_cast<std::int32_t>(entries_.size());
    entries_.push_back({scalar, dtype});
  }
  return device_ + number;
}

std::span<const std::uint64_t> ScalarTable::words(
    std::span<const backend::Scalar> scalars) {
  if (scalars.size() != numbers_.size() / kDTypeCount)
    throw Error("a graph of launches takes " +
                std::to_string(numbers_.size() / kDTypeCount) +
                " scalars, not " + std::to_string(scalars.size()));
  words_.clear();
  for (const Entry& e : entries_)
    words_.push_back(slot_word(scalars[e.scalar], e.dtype));
  return words_;
}

}  // namespace jacquard::cuda_backend
