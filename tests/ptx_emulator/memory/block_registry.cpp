#include "memory/block_registry.h"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <utility>

namespace ptx_emulator {
namespace {

constexpr std::size_t kAlignment = 256;
constexpr std::size_t kPage = 4096;
constexpr std::size_t kGap = 256;  // between neighbours, for clearer messages
constexpr std::size_t kMostFreedBlocks = std::size_t{1} << 17;
// Farther away than this an address is not named after a host block.
constexpr Address kNearHostBlock = 4096;

Address round_up(Address value, Address alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

std::string bytes_text(std::uint64_t bytes) {
  return std::to_string(bytes) + (bytes == 1 ? " byte" : " bytes");
}

std::string name_of(const BlockInfo& block) {
  return "allocation " + std::to_string(block.ordinal) + " (" +
         bytes_text(block.bytes) + ", " + block.label +
         (block.host ? ", host memory)" : ")");
}

// Where [address, address + bytes) lies, seen from a block that it begins in.
std::string inside(Address address, std::size_t bytes, Address base,
                   std::size_t size, BlockState state,
                   const std::string& name) {
  const Address offset = address - base;
  switch (state) {
    case BlockState::kFreed:
      return "use after free: " + bytes_text(offset) + " into " + name +
             ", which was freed";
    case BlockState::kUnused:
      return bytes_text(offset) + " into " + name +
             ", of which the pool has not handed out this part";
    case BlockState::kLive:
      break;
  }
  if (offset + bytes > size) {
    return "runs " + bytes_text(offset + bytes - size) + " past the end of " +
           name;
  }
  return bytes_text(offset) + " into " + name;
}

struct Neighbour {
  Address base = 0;
  std::size_t bytes = 0;
  std::string name;
};

Address distance_after(const Neighbour& n, Address address) {
  return address - (n.base + n.bytes);
}

// Names the nearer of the blocks before and after an address between them.
std::string between(Address address, const std::optional<Neighbour>& before,
                    const std::optional<Neighbour>& after) {
  if (before &&
      (!after || distance_after(*before, address) <= after->base - address)) {
    return bytes_text(distance_after(*before, address)) + " past the end of " +
           before->name;
  }
  if (after) {
    return bytes_text(after->base - address) + " before the start of " +
           after->name;
  }
  return {};
}

}  // namespace

Address BlockRegistry::add_device(std::size_t bytes, std::string label) {
  const std::size_t reserved =
      round_up(std::max<std::size_t>(bytes, 1), kAlignment) + kGap;
  // Whole pages of large blocks go back to the host when they are freed.
  const Address base =
      reserve(reserved, bytes >= 16 * kPage ? kPage : kAlignment);
  if (base == 0) return 0;
  Block& block = blocks_[base];
  block.info = {base, bytes, BlockState::kLive, ++ordinal_, std::move(label),
                false};
  block.reserved = reserved;
  return base;
}

Address BlockRegistry::reserve(std::size_t bytes, std::size_t alignment) {
  const Address base = round_up(next_, alignment);
  if (base <= end_ && bytes <= end_ - base) {
    next_ = base + bytes;
    return base;
  }
  for (;;) {
    if (const Address hole = reserve_hole(bytes, alignment)) return hole;
    if (freed_.empty()) return 0;
    recycle_oldest();
  }
}

Address BlockRegistry::reserve_hole(std::size_t bytes, std::size_t alignment) {
  for (auto hole = holes_.begin(); hole != holes_.end(); ++hole) {
    const auto [begin, size] = *hole;
    const Address base = round_up(begin, alignment);
    if (base - begin > size || bytes > size - (base - begin)) continue;
    holes_.erase(hole);
    if (base > begin) holes_[begin] = base - begin;
    const Address rest = base + bytes, end = begin + size;
    if (end > rest) holes_[rest] = end - rest;
    return base;
  }
  return 0;
}

void BlockRegistry::recycle_oldest() {
  const auto block = blocks_.find(freed_.front());
  freed_.pop_front();
  Address begin = block->first;
  Address end = begin + block->second.reserved;
  blocks_.erase(block);
  const auto next = holes_.find(end);
  if (next != holes_.end()) {
    end += next->second;
    holes_.erase(next);
  }
  const auto after = holes_.lower_bound(begin);
  if (after != holes_.begin()) {
    const auto before = std::prev(after);
    if (before->first + before->second == begin) {
      before->second += end - begin;
      return;
    }
  }
  holes_[begin] = end - begin;
}

bool BlockRegistry::add_host(Address base, std::size_t bytes,
                             std::string label) {
  auto block = blocks_.lower_bound(base);
  if (block != blocks_.begin()) {
    const auto before = std::prev(block);
    if (before->first + before->second.info.bytes > base) block = before;
  }
  const auto first = block;
  for (; block != blocks_.end() && block->first < base + bytes; ++block) {
    if (block->second.info.state == BlockState::kLive) return false;
  }
  blocks_.erase(first, block);
  blocks_[base].info = {
      base, bytes, BlockState::kLive, ++ordinal_, std::move(label), true};
  return true;
}

std::optional<BlockInfo> BlockRegistry::free(Address base, bool host) {
  const auto found = blocks_.find(base);
  if (found == blocks_.end() || found->second.info.host != host) return {};
  Block& block = found->second;
  const BlockInfo before = block.info;
  if (before.state != BlockState::kLive) return before;
  block.info.state = BlockState::kFreed;
  block.pool = false;
  block.pieces.clear();
  if (!host) {
    freed_.push_back(base);
    if (freed_.size() > kMostFreedBlocks) recycle_oldest();
  }
  return before;
}

const BlockRegistry::Block* BlockRegistry::containing(Address address) const {
  auto block = blocks_.upper_bound(address);
  if (block == blocks_.begin()) return nullptr;
  --block;
  const BlockInfo& info = block->second.info;
  return address - info.base < info.bytes ? &block->second : nullptr;
}

BlockRegistry::Block* BlockRegistry::containing(Address address) {
  return const_cast<Block*>(std::as_const(*this).containing(address));
}

// Removes [begin, end) from the pieces; what sticks out at either side stays.
void BlockRegistry::cut(Pieces& pieces, Address begin, Address end) {
  auto piece = pieces.lower_bound(begin);
  if (piece != pieces.begin()) {
    const auto before = std::prev(piece);
    const Address before_end = before->first + before->second.bytes;
    if (before_end > begin) {
      Piece rest = before->second;
      before->second.bytes = begin - before->first;
      if (before_end > end) {
        rest.bytes = before_end - end;
        pieces[end] = rest;
        return;
      }
    }
  }
  while (piece != pieces.end() && piece->first < end) {
    const Address piece_end = piece->first + piece->second.bytes;
    Piece rest = piece->second;
    piece = pieces.erase(piece);
    if (piece_end > end) {
      rest.bytes = piece_end - end;
      pieces[end] = rest;
      return;
    }
  }
}

bool BlockRegistry::mark(Address base, std::size_t bytes, BlockState state) {
  Block* block = containing(base);
  if (!block || block->info.host || block->info.state != BlockState::kLive ||
      bytes > block->info.base + block->info.bytes - base) {
    return false;
  }
  block->pool = true;
  if (bytes == 0) return true;
  std::uint64_t ordinal = 0;
  if (state == BlockState::kLive) {
    ordinal = ++ordinal_;
  } else {
    const auto old = block->pieces.find(base);
    if (old != block->pieces.end() && old->second.bytes == bytes) {
      ordinal = old->second.ordinal;
    }
  }
  cut(block->pieces, base, base + bytes);
  block->pieces[base] = {bytes, state, ordinal};
  return true;
}

std::optional<BlockInfo> BlockRegistry::find(Address address) const {
  const Block* block = containing(address);
  if (!block || block->info.state != BlockState::kLive) return {};
  return block->info;
}

std::optional<BlockRegistry::Range> BlockRegistry::find_range(
    Address address, std::size_t bytes) const {
  const Block* block = containing(address);
  if (!block || block->info.state != BlockState::kLive) return {};
  Range range{block->info.base, block->info.base + block->info.bytes,
              block->info.host};
  if (block->pool) {
    auto piece = block->pieces.upper_bound(address);
    if (piece == block->pieces.begin()) return {};
    --piece;
    if (piece->second.state != BlockState::kLive) return {};
    range.begin = piece->first;
    range.end = piece->first + piece->second.bytes;
    if (address >= range.end) return {};
  }
  if (bytes > range.end - address) return {};
  return range;
}

std::string BlockRegistry::describe(Address address, std::size_t bytes) const {
  if (address < kPage) return "null pointer";
  if (const Block* block = containing(address)) {
    const BlockInfo& info = block->info;
    if (!block->pool) {
      return inside(address, bytes, info.base, info.bytes, info.state,
                    name_of(info));
    }
    const auto piece_name = [&](const Piece& piece) {
      const std::string what =
          piece.ordinal == 0 ? std::string("a pool's block")
                             : "pool block " + std::to_string(piece.ordinal);
      return what + " (" + bytes_text(piece.bytes) + ") in " + name_of(info);
    };
    const auto after = block->pieces.upper_bound(address);
    const Piece* piece = nullptr;
    if (after != block->pieces.begin()) {
      const auto at = std::prev(after);
      piece = &at->second;
      if (address - at->first < piece->bytes) {
        return inside(address, bytes, at->first, piece->bytes, piece->state,
                      piece_name(*piece));
      }
      if (piece->state == BlockState::kLive) {
        return between(address,
                       Neighbour{at->first, piece->bytes, piece_name(*piece)},
                       {});
      }
    }
    return inside(address, bytes, info.base, info.bytes, BlockState::kUnused,
                  name_of(info));
  }
  return describe_outside(address);
}

// An address in no block.
std::string BlockRegistry::describe_outside(Address address) const {
  const bool host = address - begin_ >= end_ - begin_;
  const auto neighbour = [&](Blocks::const_iterator block) {
    const BlockInfo& info = block->second.info;
    std::optional<Neighbour> n;
    if (info.host == host) n = {info.base, info.bytes, name_of(info)};
    return n;
  };
  std::optional<Neighbour> before, after;
  const auto next = blocks_.upper_bound(address);
  if (next != blocks_.end()) after = neighbour(next);
  if (next != blocks_.begin()) before = neighbour(std::prev(next));
  if (host) {
    if (after && after->base - address > kNearHostBlock) after.reset();
    if (before && distance_after(*before, address) > kNearHostBlock) {
      before.reset();
    }
    if (!before && !after) return "host memory that the device can't access";
  } else if (!before && !after) {
    return "no memory is allocated there";
  }
  return between(address, before, after);
}

}  // namespace ptx_emulator
