#include "runtime/allocations.h"

#include "memory/device_memory.h"

namespace ptx_emulator {

void MemoryPool::add(std::size_t bytes) {
  const std::uint64_t now = used.fetch_add(bytes) + bytes;
  std::uint64_t high = used_high;
  while (high < now && !used_high.compare_exchange_weak(high, now)) {
  }
}

Allocations& Allocations::instance() {
  static auto* allocations = new Allocations;
  return *allocations;
}

void Allocations::add(const Allocation& allocation) {
  const std::lock_guard<std::mutex> lock(mutex_);
  by_base_[allocation.base] = allocation;
}

std::optional<Allocation> Allocations::find(const void* address) const {
  const auto wanted = reinterpret_cast<std::uintptr_t>(address);
  const std::lock_guard<std::mutex> lock(mutex_);
  auto next = by_base_.upper_bound(wanted);
  if (next == by_base_.begin()) return std::nullopt;
  const Allocation& candidate = (--next)->second;
  if (wanted != candidate.base && wanted - candidate.base >= candidate.bytes)
    return std::nullopt;
  return candidate;
}

std::optional<Allocation> Allocations::remove(const void* base) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = by_base_.find(reinterpret_cast<std::uintptr_t>(base));
  if (found == by_base_.end()) return std::nullopt;
  const Allocation result = found->second;
  by_base_.erase(found);
  return result;
}

Place place_of(const void* address) {
  if (DeviceMemory::instance().is_device_address(address))
    return Place::kDevice;
  const auto allocation = Allocations::instance().find(address);
  if (!allocation) return Place::kPageable;
  return allocation->is_host() ? Place::kPinned : Place::kDevice;
}

}  // namespace ptx_emulator
