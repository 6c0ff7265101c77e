// The memory of one device: blocks cut out of segments that come from
// cudaMalloc and are kept.
//
// A free block belongs to the stream on which it was freed and is handed out
// again on that stream at once, since the device runs its work in order. The
// blocks of a stream merge with their free neighbours. Another stream gets them
// only when the device has no more memory: through an event, or after waiting.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/backend/backend.h"
#include "cuda/runtime/free_blocks.h"
#include "cuda/runtime/open_captures.h"
#include "jacquard/device.h"

namespace jacquard::cuda_backend {

// The free memory of a stream. Small requests have segments of their own, so
// that one scalar does not hold a large segment.
struct StreamMemory {
  Stream stream;
  FreeBlocks small, large;
  // While a graph has it: that of the stream before which the graph never runs.
  StreamMemory* lent_by = nullptr;

  FreeBlocks& of(bool small_segment) { return small_segment ? small : large; }
};

class DevicePool {
 public:
  explicit DevicePool(int device);

  // Before a stream's memory is first used; it lives as long as the pool.
  void add(StreamMemory& memory);

  // OutOfMemory as backend::Backend says; CudaError if the device reports
  // something else. `counted`: whether it is in the statistics.
  void* take(std::size_t bytes, StreamMemory& memory, bool counted = true);
  // `bytes` as requested.
  void give(void* data, std::size_t bytes, StreamMemory& memory) noexcept;

  // Nobody but `memory`'s own stream takes from it, and it takes from `by`,
  // until it is taken back: then what is free is free on the stream of `to`.
  void lend(StreamMemory& memory, StreamMemory& by);
  void take_back(StreamMemory& memory, StreamMemory& to) noexcept;

  // Waits for all work of the device, which is current.
  void wait(const char* op);
  OpenCaptures& captures() { return captures_; }

  // Waits for the device, then gives it back all segments that nobody uses.
  void release();
  // OutOfMemory with the pool's numbers: `what` found no memory.
  [[noreturn]] void refuse(const std::string& what) const;

  backend::Backend::MemoryStats stats() const;
  void reset_peak();

 private:
  // Each returns a block that is still free, or nullptr.
  Block* find(std::size_t bytes, StreamMemory& memory);
  Block* grow(std::size_t bytes, StreamMemory& memory);
  Block* find_elsewhere(std::size_t bytes, const StreamMemory& memory);
  Block* new_segment(std::size_t bytes, StreamMemory& memory);
  Block* try_segment(std::size_t bytes, bool small, StreamMemory& memory);

  void hand_out(Block* block, std::size_t bytes);
  void put_back(Block* block, StreamMemory& memory);
  Block* merge(Block* left, Block* right);
  std::vector<Stream> streams() const;
  void move_free_blocks(StreamMemory& from, StreamMemory& to);
  void share_all();
  void trim();
  [[noreturn]] void refuse_locked(const std::string& what) const;

  const int device_;
  OpenCaptures captures_;
  std::size_t limit_ = 0;  // 0: none

  mutable std::mutex mutex_;
  std::vector<StreamMemory*> streams_;
  StreamMemory shared_;  // free for every stream: nothing on the device uses it
  std::pmr::unsynchronized_pool_resource nodes_;
  std::pmr::unordered_map<void*, Block> blocks_{&nodes_};
  std::size_t reserved_ = 0, in_use_ = 0, peak_ = 0;
  std::uint64_t system_allocations_ = 0;
};

}  // namespace jacquard::cuda_backend
