// The runtime's book of what was allocated by which call.
#pragma once

#include <cuda_runtime_api.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

namespace ptx_emulator {

// What cudaMemPool_t points to. Blocks are not reused: every one is an
// allocation of its own, so that each use after free is found.
struct MemoryPool {
  int device = 0;
  std::uint64_t release_threshold = 0;
  int reuse_follow_event_dependencies = 1;
  int reuse_allow_opportunistic = 1;
  int reuse_allow_internal_dependencies = 1;
  std::size_t limit = 0;  // 0: that of the device
  std::atomic<std::uint64_t> used{0};
  std::atomic<std::uint64_t> used_high{0};

  void add(std::size_t bytes);
};

enum class AllocationKind {
  kDevice,         // cudaMalloc
  kStreamOrdered,  // cudaMallocAsync
  kGraph,          // cudaMallocAsync in a capture; lives as long as the graph
  kHost,           // cudaHostAlloc
  kRegistered,     // cudaHostRegister
  kManaged,        // cudaMallocManaged
};

struct Allocation {
  std::uintptr_t base = 0;
  std::size_t bytes = 0;
  AllocationKind kind = AllocationKind::kDevice;
  int device = 0;
  unsigned flags = 0;
  MemoryPool* pool = nullptr;

  bool is_host() const {
    return kind == AllocationKind::kHost || kind == AllocationKind::kRegistered;
  }
};

class Allocations {
 public:
  static Allocations& instance();

  void add(const Allocation& allocation);
  // The allocation that contains the address.
  std::optional<Allocation> find(const void* address) const;
  // The one that begins there, which is taken out of the book.
  std::optional<Allocation> remove(const void* base);

 private:
  mutable std::mutex mutex_;
  std::map<std::uintptr_t, Allocation> by_base_;
};

// Where a copy's operand lies, as cudaMemcpyKind sees it.
enum class Place { kDevice, kPinned, kPageable };
Place place_of(const void* address);

}  // namespace ptx_emulator
