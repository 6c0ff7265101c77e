// The memory of the emulated device: what is allocated, by whom, and which of
// its bytes were written.
//
// Device addresses lie in one reserved range. The program under test sees it
// without access rights, so that a host access to a device pointer ends the
// program (SIGSEGV); the emulator works through a second range at a constant
// distance. Host memory that the device may use (pinned, mapped, managed) has
// the same address on both sides.
//
// Thread safety: all functions may be called from several threads.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "memory/access_history.h"
#include "memory/address.h"
#include "memory/operation_order.h"

namespace ptx_emulator {

class BlockRegistry;

enum class BlockState {
  kLive,
  kFreed,   // its addresses are not given out again for as long as possible
  kUnused,  // memory of a pool that it has not handed out
};

// One allocation, or one block that a pool handed out within an allocation.
struct BlockInfo {
  Address base = 0;
  std::size_t bytes = 0;
  BlockState state = BlockState::kLive;
  std::uint64_t ordinal = 0;  // counts allocations (and a pool's blocks) from 1
  std::string label;          // who made it: "cudaMalloc", "variable foo", ...
  bool host = false;  // host memory: address on the host = on the device
};

// A range that may be accessed as a whole: a live block.
struct Extent {
  Address begin = 0;
  Address end = 0;
  std::ptrdiff_t to_host = 0;  // host address = address + to_host
  bool tracked = false;        // has a record of which bytes were written
};

class DeviceMemory {
 public:
  struct Usage {
    std::size_t capacity = 0;
    std::size_t in_use = 0;  // of device allocations, as rounded
    std::size_t peak = 0;
  };

  // Reserves address space (several times the capacity); memory is taken from
  // the host page by page as it is written. std::bad_alloc if the reservation
  // fails.
  explicit DeviceMemory(std::size_t capacity);
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  // The device of this process. Its capacity is PTX_EMULATOR_MEMORY: bytes, or
  // with a suffix K, M or G (powers of 1024); 8 GiB if not set.
  static DeviceMemory& instance();

  // ---- allocations ----

  // Aligned to 256 bytes; contents uninitialised. 0 if it doesn't fit into what
  // is left of the capacity. 0 bytes make an allocation that can't be accessed.
  Address allocate(std::size_t bytes, std::string label);

  enum class FreeResult { kFreed, kAlreadyFreed, kNotABase };
  FreeResult free(Address base);

  // Memory of the host that the device may access: of the program (cudaHost-
  // Register), or made here (cudaHostAlloc, cudaMallocManaged). It counts as
  // written. register_host: false if it overlaps registered memory.
  bool register_host(void* memory, std::size_t bytes, std::string label);
  bool unregister_host(void* memory);
  void* allocate_host(std::size_t bytes, std::string label);
  bool free_host(void* memory);

  Usage usage() const;

  // ---- blocks of a pool inside an allocation ----

  // After the first mark inside an allocation only blocks that were marked
  // allocated may be accessed there. mark_allocated makes the range a live
  // block with uninitialised contents; mark_freed makes every access to it a
  // use after free. They must be called in the order of the stream in which
  // the block is used. False if the range is not inside one live allocation.
  bool mark_allocated(Address base, std::size_t bytes);
  bool mark_freed(Address base, std::size_t bytes);

  // ---- questions ----

  // Whether the address lies in the device's range, allocated or not.
  bool is_device_address(Address address) const {
    return address - begin_ < end_ - begin_;
  }
  bool is_device_address(const void* address) const {
    return is_device_address(reinterpret_cast<Address>(address));
  }
  // The live block (device or registered host memory) that contains the
  // address.
  std::optional<BlockInfo> find(Address address) const;
  // The live extent that contains [address, address + bytes).
  std::optional<Extent> find_extent(Address address, std::size_t bytes) const;
  // Changes whenever an extent found earlier may no longer be valid.
  std::uint64_t generation() const {
    return generation_.load(std::memory_order_acquire);
  }
  // What an access there would do wrong, naming the nearest block; for
  // messages: "12 bytes past the end of allocation 3 (4000 bytes, cudaMalloc)".
  std::string describe(Address address, std::size_t bytes) const;

  // ---- accesses of the host side: copies, library calls ----

  // Checks [address, address + bytes) and gives the host's address of it.
  // Reads must be of written bytes; writes and atomics mark them written.
  // `what` begins the message: "cublasLtMatmul: read of A". AccessFault.
  std::byte* access(Address address, std::size_t bytes, AccessKind kind,
                    const char* what);
  // The same for `rows` rows of `bytes`, `pitch` apart, as one access.
  std::byte* access_rows(Address address, std::size_t rows, std::size_t bytes,
                         std::size_t pitch, AccessKind kind, const char* what);

  // memcpy and memset as the device does them. Addresses that are not the
  // device's are pageable host memory, which is not checked. A copy carries
  // along which bytes were written. Ranges may overlap. AccessFault, `what`
  // first.
  void copy(Address to, Address from, std::size_t bytes, const char* what);
  void copy_rows(Address to, std::size_t to_pitch, Address from,
                 std::size_t from_pitch, std::size_t bytes, std::size_t rows,
                 const char* what);
  // Repeats a value of 1, 2 or 4 bytes; `to` must be aligned to it.
  void fill(Address to, std::uint32_t value, unsigned value_bytes,
            std::size_t count, const char* what);

  // The first byte of the range that nothing wrote, counted from the range's
  // start; `bytes` if all were written. The range must be inside one block.
  std::size_t first_unwritten(Address address, std::size_t bytes) const;

  // ---- order ----

  // Until end_operation() all accesses are those of this operation, and are
  // checked against those of operations that don't come before it:
  // AccessFault of kUnorderedAccess. Null checks nothing. One operation at a
  // time; host memory is not checked.
  void begin_operation(PlacePtr place);
  void end_operation();
  const OperationPlace* operation() const {
    return operation_.load(std::memory_order_relaxed);
  }
  // AccessHistory::touch for the running operation, which must not be null;
  // `lane` is for
  // the fault.
  void check_order(AccessKind kind, Address address, std::size_t bytes,
                   int lane) {
    const OperationId other =
        history_->touch(*operation(), kind, address, bytes);
    if (other != 0) fail_order(kind, address, bytes, other, lane);
  }

  // ---- for GlobalAccess: no checks ----

  // One bit a byte of the device's range, set when it was written. The byte of
  // `address` holds the bits of the 8 bytes around it, lowest address first.
  std::uint8_t* written_bits(Address address) const {
    return written_ + ((address - begin_) >> 3);
  }
  void set_written(Address address, std::size_t bytes, bool written);

 private:
  std::byte* host(Address address) const {
    return reinterpret_cast<std::byte*>(address +
                                        static_cast<Address>(to_host_));
  }
  bool mark(Address base, std::size_t bytes, BlockState state);
  [[noreturn]] void fail_order(AccessKind kind, Address address,
                               std::size_t bytes, OperationId other,
                               int lane) const;
  std::byte* side_of_copy(Address address, std::size_t bytes, AccessKind kind,
                          const char* what);

  std::uint8_t* written_ = nullptr;
  Address begin_ = 0, end_ = 0;
  std::ptrdiff_t to_host_ = 0;
  std::size_t capacity_ = 0;
  std::atomic<std::uint64_t> generation_{1};
  mutable std::mutex mutex_;
  std::unique_ptr<BlockRegistry> blocks_;
  std::size_t in_use_ = 0, peak_ = 0;
  std::unique_ptr<AccessHistory> history_;
  PlacePtr place_;  // keeps *operation_ alive
  std::atomic<const OperationPlace*> operation_{nullptr};
};

// "read of 4 bytes at 0x7f0000000000"
std::string describe_access(AccessKind kind, std::size_t bytes,
                            Address address);

}  // namespace ptx_emulator
