#include "cuda/runtime/free_blocks.h"

#include <algorithm>
#include <bit>

namespace jacquard::cuda_backend {
namespace {

constexpr int kPartBits = 5;

}  // namespace

std::size_t block_bytes(std::size_t requested) {
  const std::size_t grains =
      std::max<std::size_t>(requested / kGrain + (requested % kGrain != 0), 1);
  const int width = static_cast<int>(std::bit_width(grains));
  const int shift = std::max(width - (kPartBits + 1), 0);
  const std::size_t unit = std::size_t{1} << shift;
  return (grains + unit - 1) / unit * unit * kGrain;
}

// Level 0 holds the sizes of 1 to 31 grains, level n those from 2^(n+4).
FreeBlocks::Class FreeBlocks::class_of(std::size_t bytes) {
  const std::size_t grains = bytes / kGrain;
  const int width = static_cast<int>(std::bit_width(grains));
  if (width <= kPartBits) return {0, static_cast<int>(grains)};
  const int level = width - kPartBits;
  return {level, static_cast<int>(grains >> (level - 1)) - kParts};
}

void FreeBlocks::insert(Block* block) {
  const auto [level, part] = class_of(block->bytes);
  Block*& head = lists_[level][part];
  block->owner = this;
  block->previous = nullptr;
  block->next = head;
  if (head) head->previous = block;
  head = block;
  levels_ |= std::uint64_t{1} << level;
  parts_[level] |= std::uint32_t{1} << part;
}

void FreeBlocks::remove(Block* block) {
  const auto [level, part] = class_of(block->bytes);
  if (block->previous)
    block->previous->next = block->next;
  else
    lists_[level][part] = block->next;
  if (block->next) block->next->previous = block->previous;
  block->owner = nullptr;
  if (lists_[level][part]) return;
  parts_[level] &= ~(std::uint32_t{1} << part);
  if (!parts_[level]) levels_ &= ~(std::uint64_t{1} << level);
}

Block* FreeBlocks::find(std::size_t bytes) const {
  auto [level, part] = class_of(bytes);
  std::uint32_t parts = parts_[level] & (~std::uint32_t{0} << part);
  if (!parts) {
    const std::uint64_t levels = levels_ & (~std::uint64_t{1} << level);
    if (!levels) return nullptr;
    level = std::countr_zero(levels);
    parts = parts_[level];
  }
  return lists_[level][std::countr_zero(parts)];
}

}  // namespace jacquard::cuda_backend
