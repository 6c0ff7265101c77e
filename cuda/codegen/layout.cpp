#include "cuda/codegen/layout.h"

#include <algorithm>
#include <bit>
#include <cstdlib>

namespace jacquard::cuda_backend {
namespace {

// See Divisor in device/memory.cuh: magic in the lower half, shift above.
std::uint64_t divisor_of(std::int64_t extent) {
  const auto d = static_cast<std::uint64_t>(std::max<std::int64_t>(extent, 1));
  if (d >= 1ull << 31) return 0;  // not divided by
  const auto shift = static_cast<unsigned>(std::bit_width(d - 1));
  const std::uint64_t magic = ((((1ull << shift) - d) << 32) / d) + 1;
  return (magic & 0xffffffffull) | static_cast<std::uint64_t>(shift) << 32;
}

}  // namespace

void Space::begin(const Shape& shape, std::span<const int> axes) {
  rank_ = static_cast<int>(axes.size());
  count_ = 0;
  for (int d = 0; d < rank_; ++d)
    extent_[static_cast<std::size_t>(d)] =
        shape[axes[static_cast<std::size_t>(d)]];
}

int Space::add_operand(const Strides& strides, std::span<const int> axes) {
  if (count_ == stride_.size()) {
    stride_.emplace_back();
    access_.emplace_back();
  }
  for (std::size_t d = 0; d < axes.size(); ++d)
    stride_[count_][d] = strides[axes[d]];
  return static_cast<int>(count_++);
}

void Space::collapse() {
  std::size_t kept = 0;
  for (std::size_t d = 0; d < static_cast<std::size_t>(rank_); ++d) {
    if (extent_[d] == 1) continue;
    bool merges = kept > 0;
    for (std::size_t i = 0; i < count_ && merges; ++i)
      merges = stride_[i][kept - 1] == stride_[i][d] * extent_[d];
    if (!merges) ++kept;
    const std::size_t to = kept - 1;
    extent_[to] = merges ? extent_[to] * extent_[d] : extent_[d];
    for (std::size_t i = 0; i < count_; ++i) stride_[i][to] = stride_[i][d];
  }
  rank_ = static_cast<int>(kept);
  for (std::size_t i = 0; i < count_; ++i) classify(static_cast<int>(i));
}

void Space::classify(int operand) {
  const auto i = static_cast<std::size_t>(operand);
  Access a;
  bool dense = true;
  std::int64_t expected = 1;
  for (int d = rank_ - 1; d >= 0; --d) {
    const std::int64_t s = stride(operand, d);
    if (s != 0) a.varies |= static_cast<std::uint8_t>(1u << d);
    dense &= s == expected;
    expected *= extent(d);
  }
  if (a.varies != 0 && dense) {
    a.kind = Access::Kind::dense;
    a.varies = 0;
  } else if (a.varies != 0) {
    a.kind = Access::Kind::strided;
    const std::int64_t inner = stride(operand, rank_ - 1);
    a.inner = inner == 0   ? Access::Inner::none
              : inner == 1 ? Access::Inner::unit
                           : Access::Inner::other;
  }
  access_[i] = a;
}

void Space::make_addressed(int operand) {
  Access& a = access_[static_cast<std::size_t>(operand)];
  if (a.kind == Access::Kind::fixed) a.kind = Access::Kind::dense;
}

std::int64_t Space::numel() const {
  std::int64_t n = 1;
  for (int d = 0; d < rank_; ++d) n *= extent(d);
  return n;
}

bool Space::is_small() const {
  constexpr std::int64_t limit = (1ll << 31) - (1ll << 20);
  if (numel() >= limit) return false;
  for (std::size_t i = 0; i < count_; ++i) {
    std::int64_t most = 0;
    for (int d = 0; d < rank_; ++d)
      most += std::abs(stride(static_cast<int>(i), d)) *
              std::max<std::int64_t>(extent(d) - 1, 0);
    if (most >= limit) return false;
  }
  return true;
}

bool Space::needs_coordinates() const {
  return std::any_of(
      access_.begin(), access_.begin() + static_cast<std::ptrdiff_t>(count_),
      [](const Access& a) { return a.kind == Access::Kind::strided; });
}

void Space::append_key(std::string& key) const {
  key += static_cast<char>(needs_coordinates() ? rank_ : -1);
  for (std::size_t i = 0; i < count_; ++i) {
    const Access& a = access_[i];
    key += static_cast<char>(static_cast<int>(a.kind) |
                             static_cast<int>(a.inner) << 2);
    key += static_cast<char>(a.varies);
  }
}

void Space::add_extents(Arguments& to, const char* name) const {
  if (!needs_coordinates()) return;
  for (int d = 1; d < rank_; ++d) {
    to.add_index(extent(d), name, 'd', d);
    to.add(divisor_of(extent(d)), "Divisor", name, 'm', d);
  }
}

}  // namespace jacquard::cuda_backend
