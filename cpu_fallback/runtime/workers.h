// oneTBB's worker threads. The only file that includes oneTBB: its library
// isn't built with the thread sanitizer, so what its headers put into ours
// must not be either (CMakeLists.txt).
#pragma once

namespace jacquard::cpu_fallback {

// How many threads oneTBB takes by itself, the caller included.
int default_threads();

class Workers {
 public:
  // `threads` includes the caller, which does not come from here.
  explicit Workers(int threads);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // Calls f(context) soon, on one of the workers.
  void call(void (*f)(void* context), void* context);

 private:
  struct State;
  State* state_;
};

}  // namespace jacquard::cpu_fallback
