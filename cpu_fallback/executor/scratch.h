// What a thread needs while it runs a box: kept and reused, so that launches
// don't allocate.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cpu_fallback/executor/walk.h"

namespace jacquard::cpu_fallback {

struct Scratch {
  // At least `bytes`, 64-byte aligned; the contents are lost when it grows,
  // and `launch` is then 0.
  char* reserve(std::size_t bytes) {
    if (bytes > size) grow(bytes);
    return data;
  }

  char* data = nullptr;
  std::size_t size = 0;
  // The launch whose slots and constants the registers hold.
  std::uint64_t launch = 0;
  std::vector<void*> pointers;  // of each value
  std::vector<Walk> walks;

  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch();

 private:
  void grow(std::size_t bytes);
};

Scratch& scratch();

}  // namespace jacquard::cpu_fallback
