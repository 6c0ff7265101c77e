// Destruction of long chains without recursion.
#pragma once

namespace jacquard::tape {

// Objects whose count falls to zero while another of their kind is being
// destroyed on this thread wait in a list (through T::next_dead_), so that a
// chain of a million takes no stack.
template <class T>
class LateDestruction {
 public:
  static void destroy(const T* object) noexcept {
    object->next_dead_ = head_;
    head_ = object;
    if (draining_) return;
    draining_ = true;
    while (head_) {
      const T* next = head_;
      head_ = next->next_dead_;
      delete next;
    }
    draining_ = false;
  }

 private:
  // initial-exec: found by an offset instead of a call.
  __attribute__((tls_model(
      "initial-exec"))) static constinit inline thread_local const T* head_ =
      nullptr;
  __attribute__((tls_model(
      "initial-exec"))) static constinit inline thread_local bool draining_ =
      false;
};

}  // namespace jacquard::tape
