#include "memory/device_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "memory/block_registry.h"
#include "memory/fault.h"
#include "memory/written_bits.h"

namespace ptx_emulator {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kDefaultCapacity = std::size_t{8} << 30;
// So much more address space than memory: freed addresses stay unused for long.
constexpr std::size_t kAddressesPerByte = 4;
constexpr std::size_t kLeastAddresses = std::size_t{1} << 30;
// Larger ranges of bits are given back to the host instead of cleared.
constexpr std::size_t kLargeBits = std::size_t{4} << 20;

std::size_t capacity_from_environment() {
  const char* text = std::getenv("PTX_EMULATOR_MEMORY");
  if (!text || !*text) return kDefaultCapacity;
  char* end = nullptr;
  std::size_t bytes = std::strtoull(text, &end, 0);
  switch (*end) {
    case 'G':
    case 'g':
      bytes <<= 10;
      [[fallthrough]];
    case 'M':
    case 'm':
      bytes <<= 10;
      [[fallthrough]];
    case 'K':
    case 'k':
      bytes <<= 10;
      break;
    default:
      break;
  }
  return bytes == 0 ? kDefaultCapacity : bytes;
}

std::byte* reserve(std::size_t bytes, int protection) {
  void* memory = mmap(nullptr, bytes, protection,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  // Kernel dumps and forks of the host needn't look at it.
  madvise(memory, bytes, MADV_DONTDUMP);
  return static_cast<std::byte*>(memory);
}

// Gives the whole pages of a range back to the host; they read as zero then.
void discard_pages(std::byte* begin, std::size_t bytes) {
  const auto first =
      (reinterpret_cast<std::uintptr_t>(begin) + kPage - 1) / kPage * kPage;
  const auto last =
      (reinterpret_cast<std::uintptr_t>(begin) + bytes) / kPage * kPage;
  if (last > first) {
    madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
  }
}

std::size_t rounded(std::size_t bytes) { return (bytes + 255) / 256 * 256; }

const char* verb(AccessKind kind) {
  switch (kind) {
    case AccessKind::kRead:
      return "read";
    case AccessKind::kWrite:
      return "write";
    case AccessKind::kAtomic:
      return "atomic access";
  }
  return "";
}

}  // namespace

std::string describe_access(AccessKind kind, std::size_t bytes,
                            Address address) {
  char text[96];
  std::snprintf(text, sizeof text, "%s of %zu byte%s at 0x%llx", verb(kind),
                bytes, bytes == 1 ? "" : "s",
                static_cast<unsigned long long>(address));
  return text;
}

DeviceMemory::DeviceMemory(std::size_t capacity) : capacity_(capacity) {
  const std::size_t range =
      std::max(kLeastAddresses, capacity / kPage * kPage * kAddressesPerByte);
  std::byte* shown = reserve(range, PROT_NONE);
  std::byte* used = reserve(range, PROT_READ | PROT_WRITE);
  written_ = reinterpret_cast<std::uint8_t*>(
      reserve(range / 8, PROT_READ | PROT_WRITE));
  begin_ = reinterpret_cast<Address>(shown);
  end_ = begin_ + range;
  to_host_ = used - shown;
  blocks_ = std::make_unique<BlockRegistry>(begin_, end_);
  history_ = std::make_unique<AccessHistory>(begin_, range);
}

DeviceMemory::~DeviceMemory() {
  const std::size_t range = end_ - begin_;
  munmap(reinterpret_cast<void*>(begin_), range);
  munmap(reinterpret_cast<void*>(begin_ + static_cast<Address>(to_host_)),
         range);
  munmap(written_, range / 8);
}

DeviceMemory& DeviceMemory::instance() {
  // Never destroyed: programs free memory while they end.
  static DeviceMemory* memory = new DeviceMemory(capacity_from_environment());
  return *memory;
}

Address DeviceMemory::allocate(std::size_t bytes, std::string label) {
  const std::scoped_lock lock(mutex_);
  if (rounded(bytes) < bytes || rounded(bytes) > capacity_ - in_use_) return 0;
  const Address base = blocks_->add_device(bytes, std::move(label));
  if (base == 0) return 0;
  in_use_ += rounded(bytes);
  peak_ = std::max(peak_, in_use_);
  return base;
}

DeviceMemory::FreeResult DeviceMemory::free(Address base) {
  const std::scoped_lock lock(mutex_);
  const auto block = blocks_->free(base, false);
  if (!block) return FreeResult::kNotABase;
  if (block->state != BlockState::kLive) return FreeResult::kAlreadyFreed;
  generation_.fetch_add(1, std::memory_order_release);
  in_use_ -= rounded(block->bytes);
  // Blocks begin with clear bits, wherever their addresses come from.
  set_written(base, block->bytes, false);
  discard_pages(host(base), block->bytes);
  return FreeResult::kFreed;
}

bool DeviceMemory::register_host(void* memory, std::size_t bytes,
                                 std::string label) {
  const std::scoped_lock lock(mutex_);
  return blocks_->add_host(reinterpret_cast<Address>(memory), bytes,
                           std::move(label));
}

bool DeviceMemory::unregister_host(void* memory) {
  const std::scoped_lock lock(mutex_);
  const auto block = blocks_->free(reinterpret_cast<Address>(memory), true);
  if (!block || block->state != BlockState::kLive) return false;
  generation_.fetch_add(1, std::memory_order_release);
  return true;
}

void* DeviceMemory::allocate_host(std::size_t bytes, std::string label) {
  void* memory = std::aligned_alloc(kPage, (bytes + kPage - 1) / kPage * kPage);
  if (memory && !register_host(memory, bytes, std::move(label))) {
    std::free(memory);
    return nullptr;
  }
  return memory;
}

bool DeviceMemory::free_host(void* memory) {
  if (!unregister_host(memory)) return false;
  std::free(memory);
  return true;
}

DeviceMemory::Usage DeviceMemory::usage() const {
  const std::scoped_lock lock(mutex_);
  return {capacity_, in_use_, peak_};
}

bool DeviceMemory::mark_allocated(Address base, std::size_t bytes) {
  return mark(base, bytes, BlockState::kLive);
}

bool DeviceMemory::mark_freed(Address base, std::size_t bytes) {
  return mark(base, bytes, BlockState::kFreed);
}

bool DeviceMemory::mark(Address base, std::size_t bytes, BlockState state) {
  {
    const std::scoped_lock lock(mutex_);
    if (!blocks_->mark(base, bytes, state)) return false;
    generation_.fetch_add(1, std::memory_order_release);
    if (state == BlockState::kLive) set_written(base, bytes, false);
  }
  if (operation() && bytes != 0) {
    check_order(AccessKind::kWrite, base, bytes, -1);
  }
  return true;
}

std::optional<BlockInfo> DeviceMemory::find(Address address) const {
  const std::scoped_lock lock(mutex_);
  return blocks_->find(address);
}

std::optional<Extent> DeviceMemory::find_extent(Address address,
                                                std::size_t bytes) const {
  const std::scoped_lock lock(mutex_);
  const auto range = blocks_->find_range(address, bytes);
  if (!range) return {};
  return Extent{range->begin, range->end, range->host ? 0 : to_host_,
                !range->host};
}

std::string DeviceMemory::describe(Address address, std::size_t bytes) const {
  const std::scoped_lock lock(mutex_);
  return blocks_->describe(address, bytes);
}

std::byte* DeviceMemory::access(Address address, std::size_t bytes,
                                AccessKind kind, const char* what) {
  return access_rows(address, 1, bytes, bytes, kind, what);
}

std::byte* DeviceMemory::access_rows(Address address, std::size_t rows,
                                     std::size_t bytes, std::size_t pitch,
                                     AccessKind kind, const char* what) {
  if (rows == 0 || bytes == 0) return host(address);
  const std::size_t span = (rows - 1) * pitch + bytes;
  const auto extent = find_extent(address, span);
  if (!extent) {
    throw AccessFault(FaultKind::kIllegalAddress,
                      std::string(what) + ": " +
                          describe_access(kind, span, address) + ": " +
                          describe(address, span));
  }
  for (std::size_t row = 0; extent->tracked && row < rows; ++row) {
    const Address at = address + row * pitch;
    if (operation()) check_order(kind, at, bytes, -1);
    if (kind != AccessKind::kWrite) {
      const std::size_t written = first_unwritten(at, bytes);
      if (written < bytes) {
        throw AccessFault(
            FaultKind::kUninitializedRead,
            std::string(what) + ": " + describe_access(kind, bytes, at) + ": " +
                describe(at + written, 1) + ": nothing wrote this byte");
      }
    }
    if (kind != AccessKind::kRead) set_written(at, bytes, true);
  }
  return reinterpret_cast<std::byte*>(address +
                                      static_cast<Address>(extent->to_host));
}

void DeviceMemory::copy(Address to, Address from, std::size_t bytes,
                        const char* what) {
  copy_rows(to, bytes, from, bytes, bytes, 1, what);
}

// The host's address of one side of a copy, checked if it is the device's.
std::byte* DeviceMemory::side_of_copy(Address address, std::size_t bytes,
                                      AccessKind kind, const char* what) {
  if (!is_device_address(address)) return reinterpret_cast<std::byte*>(address);
  if (!find_extent(address, bytes)) {
    throw AccessFault(FaultKind::kIllegalAddress,
                      std::string(what) + ": " +
                          describe_access(kind, bytes, address) + ": " +
                          describe(address, bytes));
  }
  return host(address);
}

void DeviceMemory::copy_rows(Address to, std::size_t to_pitch, Address from,
                             std::size_t from_pitch, std::size_t bytes,
                             std::size_t rows, const char* what) {
  if (bytes == 0 || rows == 0) return;
  std::byte* target =
      side_of_copy(to, (rows - 1) * to_pitch + bytes, AccessKind::kWrite, what);
  const std::byte* source = side_of_copy(from, (rows - 1) * from_pitch + bytes,
                                         AccessKind::kRead, what);
  for (std::size_t row = 0; operation() && row < rows; ++row) {
    const Address read = from + row * from_pitch, write = to + row * to_pitch;
    if (is_device_address(from)) {
      check_order(AccessKind::kRead, read, bytes, -1);
    }
    if (is_device_address(to)) {
      check_order(AccessKind::kWrite, write, bytes, -1);
    }
  }
  for (std::size_t row = 0; row < rows; ++row) {
    std::memmove(target + row * to_pitch, source + row * from_pitch, bytes);
    if (!is_device_address(to)) continue;
    const std::size_t bit = to + row * to_pitch - begin_;
    if (is_device_address(from)) {
      copy_bits(written_, bit, from + row * from_pitch - begin_, bytes);
    } else {
      set_bits(written_, bit, bytes, true);
    }
  }
}

void DeviceMemory::fill(Address to, std::uint32_t value, unsigned value_bytes,
                        std::size_t count, const char* what) {
  if (count == 0) return;
  if (to % value_bytes != 0) {
    throw AccessFault(FaultKind::kMisalignedAddress,
                      std::string(what) + ": " +
                          describe_access(AccessKind::kWrite, value_bytes, to) +
                          ": the address is not aligned to " +
                          std::to_string(value_bytes));
  }
  std::byte* target = access(to, count * value_bytes, AccessKind::kWrite, what);
  if (value_bytes == 1) {
    std::memset(target, static_cast<int>(value & 0xff), count);
    return;
  }
  for (std::size_t i = 0; i < count; ++i) {
    std::memcpy(target + i * value_bytes, &value, value_bytes);
  }
}

void DeviceMemory::begin_operation(PlacePtr place) {
  const std::scoped_lock lock(mutex_);
  place_ = std::move(place);
  operation_.store(place_.get(), std::memory_order_relaxed);
}

void DeviceMemory::end_operation() { begin_operation(nullptr); }

void DeviceMemory::fail_order(AccessKind kind, Address address,
                              std::size_t bytes, OperationId other,
                              int lane) const {
  const OperationOrder& order = OperationOrder::instance();
  throw AccessFault(FaultKind::kUnorderedAccess,
                    order.name_of(operation()->id()) + ": " +
                        describe_access(kind, bytes, address) + ": " +
                        describe(address, bytes) + ": used by " +
                        order.name_of(other) +
                        ", and no event or synchronisation orders the two",
                    lane);
}

std::size_t DeviceMemory::first_unwritten(Address address,
                                          std::size_t bytes) const {
  if (!is_device_address(address)) return bytes;
  return find_clear_bit(written_, address - begin_, bytes);
}

void DeviceMemory::set_written(Address address, std::size_t bytes,
                               bool written) {
  std::size_t first = address - begin_;
  if (!written && bytes / 8 >= kLargeBits) {
    // Whole pages of bits are discarded; the ragged ends are cleared.
    constexpr std::size_t kPageOfBits = kPage * 8;
    const std::size_t inner = (first + kPageOfBits - 1) / kPageOfBits;
    const std::size_t outer = (first + bytes) / kPageOfBits;
    discard_pages(reinterpret_cast<std::byte*>(written_ + inner * kPage),
                  (outer - inner) * kPage);
    set_bits(written_, first, inner * kPageOfBits - first, false);
    set_bits(written_, outer * kPageOfBits, first + bytes - outer * kPageOfBits,
             false);
    return;
  }
  set_bits(written_, first, bytes, written);
}

}  // namespace ptx_emulator
