// Which addresses belong to which block: the bookkeeping behind DeviceMemory.
// Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "memory/address.h"
#include "memory/device_memory.h"

namespace ptx_emulator {

class BlockRegistry {
 public:
  // Gives out device addresses in [begin, end), not the very first.
  BlockRegistry(Address begin, Address end)
      : begin_(begin), end_(end), next_(begin + kMargin) {}

  // A device block; its addresses are new, or else those of the block that was
  // freed the longest ago. 0 if no range is large enough.
  Address add_device(std::size_t bytes, std::string label);
  // False if it overlaps a live block. Freed host blocks that it overlaps are
  // forgotten.
  bool add_host(Address base, std::size_t bytes, std::string label);
  // Makes a live block a freed one. The block as it was, or its state if it
  // was not live, or nothing if no block has this base.
  std::optional<BlockInfo> free(Address base, bool host);

  // DeviceMemory's functions of these names.
  bool mark(Address base, std::size_t bytes, BlockState state);
  std::optional<BlockInfo> find(Address address) const;
  // Without to_host and tracked; `host` says which memory it is.
  struct Range {
    Address begin, end;
    bool host;
  };
  std::optional<Range> find_range(Address address, std::size_t bytes) const;
  std::string describe(Address address, std::size_t bytes) const;

 private:
  // So that what lies before the first block is the device's too.
  static constexpr Address kMargin = Address{1} << 16;

  struct Piece {
    std::size_t bytes = 0;
    BlockState state = BlockState::kUnused;
    std::uint64_t ordinal = 0;
  };
  using Pieces = std::map<Address, Piece>;
  struct Block {
    BlockInfo info;
    std::size_t reserved = 0;
    bool pool = false;
    Pieces pieces;  // of a pool: blocks handed out, and freed ones
  };
  using Blocks = std::map<Address, Block>;

  Address reserve(std::size_t bytes, std::size_t alignment);
  Address reserve_hole(std::size_t bytes, std::size_t alignment);
  void recycle_oldest();
  std::string describe_outside(Address address) const;
  static void cut(Pieces& pieces, Address begin, Address end);
  const Block* containing(Address address) const;
  Block* containing(Address address);

  Address begin_, end_, next_;
  std::uint64_t ordinal_ = 0;
  Blocks blocks_;
  std::deque<Address> freed_;             // device blocks, oldest first
  std::map<Address, std::size_t> holes_;  // recycled addresses
};

}  // namespace ptx_emulator
