#include "cpu_fallback/runtime/allocator.h"

#include <sys/mman.h>

#include <atomic>
#include <bit>
#include <cstdlib>
#include <mutex>
#include <string>
#include <vector>

#include "jacquard/error.h"

#if defined(__SANITIZE_ADDRESS__)
#define JACQUARD_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define JACQUARD_ASAN 1
#endif
#endif
#ifdef JACQUARD_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace jacquard::cpu_fallback {
namespace {

constexpr std::size_t kLine = 64;
constexpr std::size_t kSmall = 32 << 10;  // cached by each thread
constexpr std::size_t kHuge = 2 << 20;    // alignment of big blocks
constexpr std::size_t kBig = 1 << 20;     // from here on huge pages
constexpr std::size_t kSlab = 256 << 10;  // small blocks are cut from these
constexpr std::size_t kCachedBytes = 64 << 10;  // of one class in one thread
constexpr std::int64_t kFlush = 64 << 10;

// Sixteen classes of whole lines up to 1 KiB, then four a doubling.
constexpr int kLinear = 16;
constexpr int class_of(std::size_t bytes) {
  const std::size_t lines = bytes == 0 ? 1 : (bytes + kLine - 1) / kLine;
  if (lines <= kLinear) return static_cast<int>(lines) - 1;
  const int log = std::bit_width(lines - 1) - 1;  // 2^log < lines ≤ 2^(log+1)
  const std::size_t step = std::size_t{1} << (log - 2);
  const std::size_t part =
      (lines - (std::size_t{1} << log) + step - 1) / step;  // 1 … 4
  return kLinear + (log - 4) * 4 + static_cast<int>(part) - 1;
}
constexpr std::size_t size_of_class(int c) {
  if (c < kLinear) return (static_cast<std::size_t>(c) + 1) * kLine;
  const int log = (c - kLinear) / 4 + 4;
  const std::size_t part = static_cast<std::size_t>((c - kLinear) % 4) + 1;
  return ((std::size_t{1} << log) + part * (std::size_t{1} << (log - 2))) *
         kLine;
}
constexpr int kSmallClasses = class_of(kSmall) + 1;
static_assert(size_of_class(kSmallClasses - 1) == kSmall);
constexpr int kClasses = class_of(std::size_t{1} << 60) + 1;

// What a block of a class really takes: big ones are whole huge pages.
std::size_t block_size(int c) {
  constexpr std::size_t page = 4096;
  const std::size_t size = size_of_class(c);
  const std::size_t unit = size <= kSmall ? 1 : size < kBig ? page : kHuge;
  return (size + unit - 1) / unit * unit;
}

void poison([[maybe_unused]] void* p, [[maybe_unused]] std::size_t bytes) {
#ifdef JACQUARD_ASAN
  // The first word is the link of the free list.
  __asan_poison_memory_region(static_cast<char*>(p) + sizeof(void*),
                              bytes - sizeof(void*));
#endif
}
void unpoison([[maybe_unused]] void* p, [[maybe_unused]] std::size_t bytes) {
#ifdef JACQUARD_ASAN
  __asan_unpoison_memory_region(p, bytes);
#endif
}

struct FreeList {
  void* head = nullptr;
  std::size_t count = 0;

  void push(void* p) {
    *static_cast<void**>(p) = head;
    head = p;
    ++count;
  }
  void* pop() {
    void* p = head;
    head = *static_cast<void**>(p);
    --count;
    return p;
  }
};

// Shared by all threads; never destroyed, since values may outlive main.
struct Pool {
  std::mutex mutex;
  FreeList lists[kClasses];
  char* slab = nullptr;
  std::size_t slab_left = 0;
  std::size_t reserved = 0;
  std::size_t limit = 0;  // 0: none
  std::atomic<std::int64_t> in_use{0}, peak{0};
  std::atomic<std::uint64_t> system_allocations{0};

  Pool() {
    if (const char* text = std::getenv("JACQUARD_CPU_MEMORY_LIMIT"))
      limit = std::strtoull(text, nullptr, 10);
  }

  void account(std::int64_t delta) {
    const std::int64_t now =
        in_use.fetch_add(delta, std::memory_order_relaxed) + delta;
    std::int64_t top = peak.load(std::memory_order_relaxed);
    while (now > top && !peak.compare_exchange_weak(top, now)) {
    }
  }
  void* map(std::size_t bytes);
  void* try_map(std::size_t bytes);
  void trim();
  void* take_small(int c);
  void* take(int c);
};

Pool& pool() {
  static Pool* p = new Pool;
  return *p;
}

void* Pool::try_map(std::size_t bytes) {
  if (limit && reserved + bytes > limit) return nullptr;
  const bool big = bytes >= kBig;
  const std::size_t extra = big ? kHuge : 0;
  if (bytes + extra < bytes) return nullptr;
  void* p = mmap(nullptr, bytes + extra, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return nullptr;
  char* data = static_cast<char*>(p);
  if (big) {
    const std::size_t skip =
        (kHuge - reinterpret_cast<std::uintptr_t>(p) % kHuge) % kHuge;
    if (skip) munmap(data, skip);
    if (extra - skip) munmap(data + skip + bytes, extra - skip);
    data += skip;
    madvise(data, bytes, MADV_HUGEPAGE);
  }
  reserved += bytes;
  system_allocations.fetch_add(1, std::memory_order_relaxed);
  return data;
}

// Gives all free blocks above the small ones back to the system.
void Pool::trim() {
  for (int c = kSmallClasses; c < kClasses; ++c) {
    const std::size_t bytes = block_size(c);
    while (lists[c].head) {
      void* p = lists[c].pop();
      unpoison(p, bytes);
      munmap(p, bytes);
      reserved -= bytes;
    }
  }
}

void* Pool::map(std::size_t bytes) {
  if (void* p = try_map(bytes)) return p;
  trim();
  if (void* p = try_map(bytes)) return p;
  const std::int64_t used = in_use.load();
  const std::int64_t idle = static_cast<std::int64_t>(reserved) - used;
  throw OutOfMemory(
      "cpu: out of memory: requested " + std::to_string(bytes) +
      " bytes, in use " + std::to_string(used) + ", peak " +
      std::to_string(peak.load()) + ", free in the cache " +
      std::to_string(idle > 0 ? idle : 0) +
      (limit ? ", limit " + std::to_string(limit) : std::string()));
}

void* Pool::take_small(int c) {
  if (lists[c].head) return lists[c].pop();
  const std::size_t size = size_of_class(c);
  if (slab_left < size) {
    // What is left of the slab becomes blocks of the classes that fit.
    while (slab_left >= kLine) {
      int fit = class_of(slab_left);
      if (size_of_class(fit) > slab_left) --fit;
      lists[fit].push(slab);
      slab += size_of_class(fit);
      slab_left -= size_of_class(fit);
    }
    slab = static_cast<char*>(map(kSlab));
    slab_left = kSlab;
  }
  void* p = slab;
  slab += size;
  slab_left -= size;
  return p;
}

void* Pool::take(int c) {
  const std::lock_guard lock(mutex);
  if (c < kSmallClasses) return take_small(c);
  if (lists[c].head) return lists[c].pop();
  return map(block_size(c));
}

struct ThreadCache {
  FreeList lists[kSmallClasses];
  std::int64_t delta = 0;

  void flush() {
    pool().account(delta);
    delta = 0;
  }
  void give_back(int c, std::size_t keep) {
    Pool& p = pool();
    const std::lock_guard lock(p.mutex);
    while (lists[c].count > keep) p.lists[c].push(lists[c].pop());
  }
};

// A plain pointer beside the owner: reading it needs no guard, and what is
// freed after the thread's destructors ran goes to the pool.
__attribute__((tls_model("initial-exec"))) thread_local ThreadCache* cache =
    nullptr;
__attribute__((tls_model("initial-exec"))) thread_local bool cache_gone = false;

struct CacheOwner {
  CacheOwner() { cache = new ThreadCache; }
  ~CacheOwner() {
    for (int c = 0; c < kSmallClasses; ++c) cache->give_back(c, 0);
    cache->flush();
    delete cache;
    cache = nullptr;
    cache_gone = true;
  }
};

ThreadCache* make_cache() {
  if (cache_gone) return nullptr;
  thread_local CacheOwner owner;
  return cache;
}

__attribute__((noinline)) void* allocate_slowly(std::size_t bytes, int c) {
  ThreadCache* mine = cache ? cache : make_cache();
  if (mine) mine->flush();
  void* p = pool().take(c);
  pool().account(static_cast<std::int64_t>(bytes));
  unpoison(p, bytes);
  return p;
}

__attribute__((noinline)) void free_slowly(void* data, std::size_t bytes,
                                           int c) {
  ThreadCache* mine = cache ? cache : make_cache();
  Pool& p = pool();
  p.account(-static_cast<std::int64_t>(bytes));
  if (mine) mine->flush();
  const std::lock_guard lock(p.mutex);
  p.lists[c].push(data);
}

}  // namespace

void* allocate(std::size_t bytes) {
  if (bytes > std::size_t{1} << 59)
    throw OutOfMemory("cpu: out of memory: requested " + std::to_string(bytes) +
                      " bytes");
  const int c = class_of(bytes);
  ThreadCache* mine = cache;
  if (c >= kSmallClasses || !mine || !mine->lists[c].head)
    return allocate_slowly(bytes, c);
  void* p = mine->lists[c].pop();
  mine->delta += static_cast<std::int64_t>(bytes);
  if (mine->delta > kFlush) mine->flush();
  unpoison(p, bytes);
  return p;
}

void free(void* data, std::size_t bytes) noexcept {
  if (!data) return;
  const int c = class_of(bytes);
  unpoison(data, block_size(c));
  poison(data, block_size(c));
  ThreadCache* mine = cache;
  if (c >= kSmallClasses || !mine) return free_slowly(data, bytes, c);
  mine->lists[c].push(data);
  mine->delta -= static_cast<std::int64_t>(bytes);
  if (mine->delta < -kFlush) mine->flush();
  const std::size_t cap = kCachedBytes / size_of_class(c) + 1;
  if (mine->lists[c].count > 2 * cap) mine->give_back(c, cap);
}

MemoryStats memory_stats() {
  if (cache) cache->flush();
  Pool& p = pool();
  const auto bytes = [](std::int64_t n) {
    return static_cast<std::size_t>(n > 0 ? n : 0);
  };
  return {bytes(p.in_use.load()), bytes(p.peak.load()),
          p.system_allocations.load()};
}

void reset_peak_memory() {
  if (cache) cache->flush();
  pool().peak.store(pool().in_use.load());
}

}  // namespace jacquard::cpu_fallback
