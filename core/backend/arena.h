// Memory of its own for what is launched again and again: an address that was
// given out means the same block at every run.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "jacquard/device.h"

namespace jacquard::backend {

// While an arena is in use on a thread, Storage::allocate takes from it. A
// block that is given up is handed out again to later calls on the same stream;
// none goes back to the backend before the arena is retired. Thread-safe.
class JACQUARD_API Arena : public std::enable_shared_from_this<Arena> {
 public:
  Arena() = default;
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  void* allocate(std::size_t bytes, Stream stream);
  void free(void* data) noexcept;

  // Whether `data` lies in a block of the arena, whoever holds that.
  bool holds(const void* data) const;

  // Nothing is launched again: unused blocks go back to the backend, those in
  // use when they are given up.
  void retire() noexcept;
  // Bytes in blocks.
  std::size_t bytes() const;

  // The arena in use on this thread, or nullptr.
  static Arena* in_use();
  // Puts an arena (nullptr: none) to use for as long as it lives.
  class Use {
   public:
    explicit Use(Arena* arena);
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    Arena* before_;
  };

 private:
  struct Block {
    std::size_t bytes;
    Stream stream;
    bool used = true;
  };
  using Blocks = std::map<const char*, Block>;
  Blocks::const_iterator find(const void* data) const;
  static void give_back(Blocks::const_iterator block) noexcept;

  mutable std::mutex mutex_;
  Blocks blocks_;  // by address
  bool retired_ = false;
};

}  // namespace jacquard::backend
