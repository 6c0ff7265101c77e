// Free blocks of device memory, found by size in constant time: two-level
// segregated lists (Masmano, Ripoll, Crespo, Real: "TLSF: a new dynamic memory
// allocator for real-time systems", ECRTS 2004). Host bookkeeping only.
#pragma once

#include <cstddef>
#include <cstdint>

namespace jacquard::cuda_backend {

class FreeBlocks;

// A piece of a segment. The pieces of one segment are linked by address.
struct Block {
  char* data = nullptr;
  std::size_t bytes = 0;
  Block* before = nullptr;  // neighbours in the segment
  Block* behind = nullptr;
  bool small = false;           // of a segment for small requests
  FreeBlocks* owner = nullptr;  // nullptr while it is handed out
  Block* previous = nullptr;    // neighbours in the owner's list
  Block* next = nullptr;

  bool is_whole_segment() const { return !before && !behind; }
};

// Every size is a multiple of this, and every block is aligned to it.
inline constexpr std::size_t kGrain = 256;

// No request above this can be met.
inline constexpr std::size_t kMostBytes = std::size_t{1} << 46;

// The size of the block that is handed out for a request: at most 1/32 more,
// and at least the grain. Requests of one size class give blocks of one size.
std::size_t block_bytes(std::size_t requested);

class FreeBlocks {
 public:
  void insert(Block* block);
  void remove(Block* block);
  // A block of at least `bytes`, a value of block_bytes; of the class that fits
  // best, the last one inserted. nullptr if there is none. It stays inserted.
  Block* find(std::size_t bytes) const;
  // Any block, nullptr if there is none.
  Block* any() const { return levels_ ? find(kGrain) : nullptr; }

 private:
  static constexpr int kParts = 32;   // of a doubling
  static constexpr int kLevels = 36;  // up to 2^48 bytes

  struct Class {
    int level, part;
  };
  static Class class_of(std::size_t bytes);

  std::uint64_t levels_ = 0;  // with a block
  std::uint32_t parts_[kLevels] = {};
  Block* lists_[kLevels][kParts] = {};
};

}  // namespace jacquard::cuda_backend
