// Which operations used which part of the device's memory last, to find
// accesses that the program didn't order.
//
// Thread safety: the host threads that run one operation may call touch() at
// the same time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "memory/address.h"
#include "memory/operation_order.h"

namespace ptx_emulator {

class AccessHistory {
 public:
  // Parts of this size are told apart: no block of memory shares one with
  // another if its address is a multiple of it.
  static constexpr Address kGranule = 256;

  // For `bytes` of memory that begin at `begin`. std::bad_alloc.
  AccessHistory(Address begin, std::size_t bytes);
  ~AccessHistory();
  AccessHistory(const AccessHistory&) = delete;
  AccessHistory& operator=(const AccessHistory&) = delete;

  // The operation accesses [address, address + bytes). The id of an earlier
  // access that it conflicts with: not before it, at least one of the two a
  // write, and not both atomic. 0 if there is none; the access is recorded
  // then.
  OperationId touch(const OperationPlace& operation, AccessKind kind,
                    Address address, std::size_t bytes) {
    const std::size_t last = (address + bytes - 1 - begin_) / kGranule;
    for (std::size_t i = (address - begin_) / kGranule; i <= last; ++i) {
      Granule& granule = granules_[i];
      if (kind == AccessKind::kRead) {
        if (granule.reader[0] == operation.id()) continue;
      } else if (granule.writer == tagged(operation, kind) &&
                 granule.reader[0] == 0) {
        continue;
      }
      if (const OperationId other = record(operation, kind, granule)) {
        return other;
      }
    }
    return 0;
  }

 private:
  static constexpr OperationId kAtomic = OperationId{1} << 63;
  // Of operations that nothing orders; more than two readers are not kept.
  struct Granule {
    OperationId writer;     // with kAtomic
    OperationId reader[2];  // since it was written
  };

  static OperationId tagged(const OperationPlace& operation, AccessKind kind) {
    return operation.id() | (kind == AccessKind::kAtomic ? kAtomic : 0);
  }
  static OperationId record(const OperationPlace& operation, AccessKind kind,
                            Granule& granule);

  Address begin_;
  std::size_t size_;
  Granule* granules_;
};

}  // namespace ptx_emulator
