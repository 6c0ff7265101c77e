#include "cpu_fallback/executor/scratch.h"

#include <new>

namespace jacquard::cpu_fallback {
namespace {

constexpr std::align_val_t kAlign{64};

__attribute__((tls_model("initial-exec"))) thread_local Scratch* current =
    nullptr;

__attribute__((noinline)) Scratch& make_scratch() {
  thread_local Scratch mine;
  current = &mine;
  return mine;
}

}  // namespace

Scratch::~Scratch() {
  ::operator delete(data, kAlign);
  current = nullptr;
}

void Scratch::grow(std::size_t bytes) {
  const std::size_t wanted = bytes > 2 * size ? bytes : 2 * size;
  ::operator delete(data, kAlign);
  data = nullptr;
  size = 0;
  launch = 0;
  data = static_cast<char*>(::operator new(wanted, kAlign));
  size = wanted;
}

Scratch& scratch() { return current ? *current : make_scratch(); }

}  // namespace jacquard::cpu_fallback
