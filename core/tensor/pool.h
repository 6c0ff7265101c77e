// Fixed-size blocks for small objects that come and go in great numbers:
// tensors, their storage, nodes of the tape.
//
// Each thread keeps free lists of its own, one a size class, with a bounded
// number of bytes; a block that another thread took simply goes to the list of
// the thread that frees it. The lists are given back when the thread ends; what
// is freed later than that goes to the system. Under a sanitizer every block
// comes from plain operator new, so that it sees each of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>

#include "jacquard/export.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define JACQUARD_PLAIN_NEW 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define JACQUARD_PLAIN_NEW 1
#endif
#endif
#ifndef JACQUARD_PLAIN_NEW
#define JACQUARD_PLAIN_NEW 0
#endif

namespace jacquard::pool {

inline constexpr std::size_t kGrain = 16;       // also the alignment
inline constexpr std::size_t kMaxBlock = 1024;  // larger ones aren't pooled
inline constexpr std::size_t kBytesPerClass = 256 * 1024;  // kept a thread

struct Block {
  Block* next;
};

struct FreeList {
  Block* head = nullptr;
  std::size_t count = 0;
};

struct FreeLists {
  FreeList of_class[kMaxBlock / kGrain + 1];
};

// nullptr before the thread's first use and after its end.
JACQUARD_API extern constinit thread_local FreeLists* local
    __attribute__((tls_model("initial-exec")));

// Makes the thread's lists; nullptr if the thread is ending or memory is out.
JACQUARD_API FreeLists* open() noexcept;

constexpr std::size_t class_of(std::size_t bytes) {
  return (bytes + kGrain - 1) / kGrain;
}

// At least `bytes` > 0, aligned to kGrain. std::bad_alloc.
inline void* allocate(std::size_t bytes) {
  if constexpr (!JACQUARD_PLAIN_NEW) {
    if (bytes <= kMaxBlock && local != nullptr) {
      FreeList& list = local->of_class[class_of(bytes)];
      if (Block* block = list.head) {
        list.head = block->next;
        --list.count;
        return block;
      }
    }
  }
  return ::operator new(class_of(bytes) * kGrain);
}

// `bytes` as given to allocate.
inline void deallocate(void* data, std::size_t bytes) noexcept {
  if constexpr (!JACQUARD_PLAIN_NEW) {
    FreeLists* lists = local != nullptr ? local : open();
    if (bytes <= kMaxBlock && lists != nullptr) {
      const std::size_t size_class = class_of(bytes);
      FreeList& list = lists->of_class[size_class];
      if (list.count < kBytesPerClass / (size_class * kGrain)) {
        list.head = ::new (data) Block{list.head};
        ++list.count;
        return;
      }
    }
  }
  ::operator delete(data);
}

}  // namespace jacquard::pool

namespace jacquard {

// A base that gives T's objects, and those of classes derived from T (which
// then has a virtual destructor), operator new and delete from the pool.
template <class T>
class PooledNew {
 public:
  static void* operator new(std::size_t bytes) {
    static_assert(alignof(T) <= pool::kGrain);
    return pool::allocate(bytes);
  }
  static void operator delete(void* data, std::size_t bytes) noexcept {
    pool::deallocate(data, bytes);
  }

 protected:
  PooledNew() = default;
  ~PooledNew() = default;
};

}  // namespace jacquard
