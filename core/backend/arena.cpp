#include "core/backend/arena.h"

#include <algorithm>
#include <utility>

#include "core/backend/backend.h"

namespace jacquard::backend {
namespace {

__attribute__((
    tls_model("initial-exec"))) constinit thread_local Arena* current = nullptr;

// So that blocks fit again: at most an eighth is lost.
std::size_t rounded(std::size_t bytes) {
  std::size_t grain = 256;
  while (bytes / grain >= 16) grain *= 2;
  return std::max<std::size_t>((bytes + grain - 1) / grain, 1) * grain;
}

}  // namespace

Arena* Arena::in_use() { return current; }
Arena::Use::Use(Arena* arena) : before_(std::exchange(current, arena)) {}
Arena::Use::~Use() { current = before_; }

Arena::~Arena() {
  for (auto it = blocks_.cbegin(); it != blocks_.cend(); ++it) give_back(it);
}

void Arena::give_back(Blocks::const_iterator block) noexcept {
  const auto& [data, b] = *block;
  backend_of(b.stream.device().type)
      .free(const_cast<char*>(data), b.bytes, b.stream);
}

Arena::Blocks::const_iterator Arena::find(const void* data) const {
  const char* at = static_cast<const char*>(data);
  auto it = blocks_.upper_bound(at);
  if (it == blocks_.begin()) return blocks_.end();
  --it;
  return at < it->first + it->second.bytes ? it : blocks_.end();
}

void* Arena::allocate(std::size_t bytes, Stream stream) {
  const std::size_t size = rounded(bytes);
  std::lock_guard lock(mutex_);
  for (auto& [data, b] : blocks_) {
    if (b.used || b.bytes != size || !(b.stream == stream)) continue;
    b.used = true;
    return const_cast<char*>(data);
  }
  Backend& owner = backend_of(stream.device().type);
  void* data = owner.allocate(size, stream);
  try {
    blocks_.emplace(static_cast<const char*>(data), Block{size, stream});
  } catch (...) {
    owner.free(data, size, stream);
    throw;
  }
  return data;
}

void Arena::free(void* data) noexcept {
  std::lock_guard lock(mutex_);
  const auto it = blocks_.find(static_cast<const char*>(data));
  it->second.used = false;
  if (!retired_) return;
  give_back(it);
  blocks_.erase(it);
}

bool Arena::holds(const void* data) const {
  std::lock_guard lock(mutex_);
  return find(data) != blocks_.end();
}

void Arena::retire() noexcept {
  std::lock_guard lock(mutex_);
  retired_ = true;
  for (auto it = blocks_.cbegin(); it != blocks_.cend();) {
    if (it->second.used) {
      ++it;
      continue;
    }
    give_back(it);
    it = blocks_.erase(it);
  }
}

std::size_t Arena::bytes() const {
  std::lock_guard lock(mutex_);
  std::size_t sum = 0;
  for (const auto& [data, b] : blocks_) sum += b.bytes;
  return sum;
}

}  // namespace jacquard::backend
