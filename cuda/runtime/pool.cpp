#include "cuda/runtime/pool.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "cuda/runtime/capture.h"
#include "cuda/runtime/checker_marks.h"
#include "cuda/runtime/device.h"
#include "cuda/runtime/error.h"
#include "cuda/runtime/stream.h"
#include "jacquard/error.h"

namespace jacquard::cuda_backend {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr std::size_t kSmall = kMiB;  // requests up to this are small
constexpr std::size_t kSmallSegment = 2 * kMiB;
constexpr std::size_t kMedium = 10 * kMiB;  // above, a segment for one request
constexpr std::size_t kMediumSegment = 20 * kMiB;

std::size_t segment_bytes(std::size_t bytes) {
  if (bytes <= kSmall) return kSmallSegment;
  if (bytes <= kMedium) return kMediumSegment;
  return (bytes + 2 * kMiB - 1) / (2 * kMiB) * (2 * kMiB);
}

std::string requested(std::size_t bytes) {
  return "requested " + std::to_string(bytes) + " bytes";
}

// A rest that no request of its segment could use is not cut off.
bool is_worth_cutting(std::size_t rest, bool small) {
  return small ? rest >= kGrain : rest > kSmall;
}

}  // namespace

DevicePool::DevicePool(int device) : device_(device) {
  if (const char* text = std::getenv("JACQUARD_CUDA_MEMORY_LIMIT"))
    limit_ = std::strtoull(text, nullptr, 10);
}

void DevicePool::add(StreamMemory& memory) {
  const std::lock_guard lock(mutex_);
  streams_.push_back(&memory);
}

void* DevicePool::take(std::size_t bytes, StreamMemory& memory, bool counted) {
  const std::lock_guard lock(mutex_);
  if (bytes > kMostBytes) refuse_locked(requested(bytes));
  const std::size_t size = block_bytes(bytes);
  Block* block = find(size, memory);
  if (!block) block = grow(size, memory);
  if (!block) refuse_locked(requested(bytes));
  hand_out(block, size);
  if (counted) {
    in_use_ += bytes;
    peak_ = std::max(peak_, in_use_);
  }
  mark_allocated(block->data, bytes, memory.stream);
  return block->data;
}

void DevicePool::give(void* data, std::size_t bytes,
                      StreamMemory& memory) noexcept {
  const std::lock_guard lock(mutex_);
  const auto found = blocks_.find(data);
  if (found == blocks_.end() || found->second.owner) {
    std::fprintf(stderr,
                 "jacquard: cuda:%d: %p is freed, but was not allocated or was "
                 "freed before\n",
                 device_, data);
    std::abort();
  }
  Block* block = &found->second;
  in_use_ -= bytes;
  mark_freed(block->data, block->bytes, memory.stream);
  put_back(block, memory);
}

backend::Backend::MemoryStats DevicePool::stats() const {
  const std::lock_guard lock(mutex_);
  return {in_use_, peak_, system_allocations_};
}

void DevicePool::reset_peak() {
  const std::lock_guard lock(mutex_);
  peak_ = in_use_;
}

Block* DevicePool::find(std::size_t bytes, StreamMemory& memory) {
  const bool small = bytes <= kSmall;
  if (Block* block = memory.of(small).find(bytes)) return block;
  if (memory.lent_by)
    if (Block* block = memory.lent_by->of(small).find(bytes)) return block;
  return shared_.of(small).find(bytes);
}

// New memory first: it makes no stream wait. Then what other streams have
// freed; then, after waiting for the device, all free memory merged; at last
// the unused segments are given back for one that fits.
Block* DevicePool::grow(std::size_t bytes, StreamMemory& memory) {
  const DeviceGuard guard(device_);
  const OutsideCapture outside;
  if (Block* block = new_segment(bytes, memory)) return block;
  if (Block* block = find_elsewhere(bytes, memory)) return block;
  captures_.wait_for_device(streams(), "allocate");
  share_all();
  if (Block* block = find(bytes, memory)) return block;
  trim();
  return new_segment(bytes, memory);
}

Block* DevicePool::find_elsewhere(std::size_t bytes,
                                  const StreamMemory& memory) {
  const StreamMemory& waits = memory.lent_by ? *memory.lent_by : memory;
  for (StreamMemory* other : streams_) {
    if (other->lent_by) continue;
    if (Block* block = other->of(bytes <= kSmall).find(bytes)) {
      order(waits.stream, other->stream);
      return block;
    }
  }
  return nullptr;
}

Block* DevicePool::new_segment(std::size_t bytes, StreamMemory& memory) {
  const bool small = bytes <= kSmall;
  const std::size_t segment = segment_bytes(bytes);
  if (Block* block = try_segment(segment, small, memory)) return block;
  return segment > bytes ? try_segment(bytes, small, memory) : nullptr;
}

Block* DevicePool::try_segment(std::size_t bytes, bool small,
                               StreamMemory& memory) {
  if (limit_ && reserved_ + bytes > limit_) return nullptr;
  void* data = nullptr;
  const cudaError_t status = cudaMalloc(&data, bytes);
  if (status == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();
    return nullptr;
  }
  check(status, "cudaMalloc", "allocate");
  Block* block = nullptr;
  try {
    block = &blocks_[data];
  } catch (...) {
    (void)cudaFree(data);
    throw;
  }
  block->data = static_cast<char*>(data);
  block->bytes = bytes;
  block->small = small;
  reserved_ += bytes;
  ++system_allocations_;
  memory.of(small).insert(block);
  return block;
}

void DevicePool::hand_out(Block* block, std::size_t bytes) {
  FreeBlocks& owner = *block->owner;
  const std::size_t left = block->bytes - bytes;
  if (!is_worth_cutting(left, block->small)) {
    owner.remove(block);
    return;
  }
  Block* rest = &blocks_[block->data + bytes];
  owner.remove(block);
  rest->data = block->data + bytes;
  rest->bytes = left;
  rest->small = block->small;
  rest->before = block;
  rest->behind = block->behind;
  if (rest->behind) rest->behind->before = rest;
  block->behind = rest;
  block->bytes = bytes;
  owner.insert(rest);
}

// Merges the block with its free neighbours of the same stream, or of none.
void DevicePool::put_back(Block* block, StreamMemory& memory) {
  FreeBlocks& owner = memory.of(block->small);
  const FreeBlocks& shared = shared_.of(block->small);
  const auto fits = [&](const Block* neighbour) {
    return neighbour && neighbour->owner &&
           (neighbour->owner == &owner || neighbour->owner == &shared);
  };
  if (fits(block->behind)) {
    block->behind->owner->remove(block->behind);
    block = merge(block, block->behind);
  }
  if (fits(block->before)) {
    block->before->owner->remove(block->before);
    block = merge(block->before, block);
  }
  owner.insert(block);
}

Block* DevicePool::merge(Block* left, Block* right) {
  left->bytes += right->bytes;
  left->behind = right->behind;
  if (left->behind) left->behind->before = left;
  blocks_.erase(right->data);
  return left;
}

// Those that capture nothing.
std::vector<Stream> DevicePool::streams() const {
  std::vector<Stream> all;
  for (const StreamMemory* memory : streams_)
    if (!memory->lent_by) all.push_back(memory->stream);
  return all;
}

void DevicePool::lend(StreamMemory& memory, StreamMemory& by) {
  const std::lock_guard lock(mutex_);
  memory.lent_by = &by;
}

void DevicePool::take_back(StreamMemory& memory, StreamMemory& to) noexcept {
  const std::lock_guard lock(mutex_);
  memory.lent_by = nullptr;
  move_free_blocks(memory, to);
}

void DevicePool::move_free_blocks(StreamMemory& from, StreamMemory& to) {
  for (FreeBlocks* blocks : {&from.small, &from.large}) {
    while (Block* block = blocks->any()) {
      blocks->remove(block);
      put_back(block, to);
    }
  }
}

// Nothing on the device uses free memory now: it belongs to no stream. What a
// graph has is used again when it runs.
void DevicePool::share_all() {
  for (StreamMemory* memory : streams_)
    if (!memory->lent_by) move_free_blocks(*memory, shared_);
}

void DevicePool::trim() {
  for (auto at = blocks_.begin(); at != blocks_.end();) {
    Block& block = at->second;
    if (!block.owner || !block.is_whole_segment()) {
      ++at;
      continue;
    }
    block.owner->remove(&block);
    reserved_ -= block.bytes;
    const cudaError_t status = cudaFree(block.data);
    at = blocks_.erase(at);
    check(status, "cudaFree", "allocate");
  }
}

void DevicePool::wait(const char* op) {
  std::vector<Stream> all;
  {
    const std::lock_guard lock(mutex_);
    all = streams();
  }
  captures_.wait_for_device(all, op);
}

void DevicePool::release() {
  const std::lock_guard lock(mutex_);
  const DeviceGuard guard(device_);
  const OutsideCapture outside;
  captures_.wait_for_device(streams(), "release");
  share_all();
  trim();
}

void DevicePool::refuse(const std::string& what) const {
  const std::lock_guard lock(mutex_);
  refuse_locked(what);
}

void DevicePool::refuse_locked(const std::string& what) const {
  std::string message =
      "cuda:" + std::to_string(device_) + ": out of memory: " + what +
      ", in use " + std::to_string(in_use_) + ", peak " +
      std::to_string(peak_) + ", free in the cache " +
      std::to_string(reserved_ - std::min(in_use_, reserved_));
  std::size_t free = 0, total = 0;
  if (cudaMemGetInfo(&free, &total) == cudaSuccess)
    message += ", free on the device " + std::to_string(free) + " of " +
               std::to_string(total);
  if (limit_) message += ", limit " + std::to_string(limit_);
  throw OutOfMemory(message);
}

}  // namespace jacquard::cuda_backend
