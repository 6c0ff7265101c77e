#include "core/tensor/pool.h"

namespace jacquard::pool {

constinit thread_local FreeLists* local = nullptr;

namespace {

constinit thread_local bool closed = false;

// Gives the lists back when the thread ends.
struct Drain {
  bool armed = false;

  ~Drain() {
    closed = true;
    FreeLists* lists = local;
    local = nullptr;
    if (lists == nullptr) return;
    for (FreeList& list : lists->of_class) {
      while (Block* block = list.head) {
        list.head = block->next;
        ::operator delete(static_cast<void*>(block));
      }
    }
    delete lists;
  }
};

thread_local Drain drain;

}  // namespace

FreeLists* open() noexcept {
  if (closed) return nullptr;
  local = new (std::nothrow) FreeLists;
  drain.armed = true;  // the first touch registers the destructor
  return local;
}

}  // namespace jacquard::pool
