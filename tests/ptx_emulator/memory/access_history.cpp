#include "memory/access_history.h"

#include <sys/mman.h>

#include <new>

namespace ptx_emulator {

AccessHistory::AccessHistory(Address begin, std::size_t bytes)
    : begin_(begin), size_((bytes / kGranule + 1) * sizeof(Granule)) {
  void* memory = mmap(nullptr, size_, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  madvise(memory, size_, MADV_DONTDUMP);
  granules_ = static_cast<Granule*>(memory);
}

AccessHistory::~AccessHistory() { munmap(granules_, size_); }

OperationId AccessHistory::record(const OperationPlace& operation,
                                  AccessKind kind, Granule& granule) {
  const OperationId writer = granule.writer & ~kAtomic;
  const bool both_atomic =
      kind == AccessKind::kAtomic && (granule.writer & kAtomic) != 0;
  if (!both_atomic && !operation.comes_after(writer)) return writer;
  if (kind == AccessKind::kRead) {
    // A reader that comes before this one needn't be kept.
    if (!operation.comes_after(granule.reader[0])) {
      granule.reader[1] = granule.reader[0];
    }
    granule.reader[0] = operation.id();
    return 0;
  }
  for (const OperationId reader : granule.reader) {
    if (!operation.comes_after(reader)) return reader;
  }
  granule.reader[0] = granule.reader[1] = 0;
  granule.writer = tagged(operation, kind);
  return 0;
}

}  // namespace ptx_emulator
