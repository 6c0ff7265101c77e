#include "core/plan/mark.h"

#include <mutex>

namespace jacquard::plan {
namespace {

// Values may die on any thread.
std::mutex& marks() {
  static auto* mutex = new std::mutex;
  return *mutex;
}

}  // namespace

const Mark* Mark::of(const tape::Value& value, const void* plan) {
  const Mark* m = value.mark.load(std::memory_order_acquire);
  return m && m->plan == plan ? m : nullptr;
}

void Mark::put_on(tape::Value& v) {
  std::lock_guard lock(marks());
  if (Mark* other = v.mark.load(std::memory_order_acquire))
    other->value = nullptr;
  value = &v;
  v.mark.store(this, std::memory_order_release);
}

tape::ValuePtr Mark::take_off() {
  std::lock_guard lock(marks());
  if (!value) return {};
  value->mark.store(nullptr, std::memory_order_release);
  return tape::ValuePtr::if_held(std::exchange(value, nullptr));
}

void Mark::forget(tape::Value& value) {
  std::lock_guard lock(marks());
  if (Mark* m = value.mark.load(std::memory_order_acquire)) m->value = nullptr;
}

}  // namespace jacquard::plan
