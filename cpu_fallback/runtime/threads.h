// The threads of the CPU backend.
//
// One launch at a time is spread over threads; its tasks are claimed one by
// one, by the caller too, so that nothing waits for a thread that has not begun
// to help. The helpers are oneTBB's workers, which stay for a moment after a
// launch: waking one costs more than many launches take.
#pragma once

#include <cstdint>
#include <type_traits>

#include "jacquard/export.h"

namespace jacquard::cpu_fallback {

// How many threads work on one launch, the caller included: $JACQUARD_THREADS
// or the number of cores. Results don't depend on it.
JACQUARD_API int num_threads();
// At least 1. Not while a launch is running.
JACQUARD_API void set_num_threads(int count);

using TaskFn = void (*)(void* context, std::int64_t i);

// Calls task(context, i) once for each i in [0, count), on any threads and in
// any order, and returns when all are done. The first exception reaches the
// caller; tasks that have not begun are then left out. While another thread's
// launch is spread, and inside a task, the caller does all of it.
void parallel_for(std::int64_t count, TaskFn task, void* context);

template <class F>
void parallel_for(std::int64_t count, F&& f) {
  using Fn = std::remove_reference_t<F>;
  parallel_for(
      count, [](void* c, std::int64_t i) { (*static_cast<Fn*>(c))(i); },
      const_cast<void*>(static_cast<const void*>(&f)));
}

}  // namespace jacquard::cpu_fallback
