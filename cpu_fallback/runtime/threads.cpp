#include "cpu_fallback/runtime/threads.h"

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/partitioner.h>
#include <oneapi/tbb/task_arena.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>

namespace jacquard::cpu_fallback {
namespace {

int initial_threads() {
  if (const char* text = std::getenv("JACQUARD_THREADS")) {
    const int n = std::atoi(text);
    if (n > 0) return n;
  }
  return tbb::this_task_arena::max_concurrency();
}

// Never destroyed: threads may still compute while main returns.
struct Arena {
  std::mutex mutex;
  std::atomic<int> threads{initial_threads()};
  std::atomic<tbb::task_arena*> arena{nullptr};
  // Where more threads are asked for than there are cores.
  std::unique_ptr<tbb::global_control> more;

  tbb::task_arena& get() {
    if (tbb::task_arena* a = arena.load(std::memory_order_acquire)) return *a;
    const std::lock_guard lock(mutex);
    if (!arena.load()) {
      const int n = threads.load();
      if (n > tbb::this_task_arena::max_concurrency())
        more = std::make_unique<tbb::global_control>(
            tbb::global_control::max_allowed_parallelism,
            static_cast<std::size_t>(n));
      arena.store(new tbb::task_arena(n));
    }
    return *arena.load();
  }
};

Arena& arena() {
  static Arena* a = new Arena;
  return *a;
}

}  // namespace

int num_threads() { return arena().threads.load(std::memory_order_relaxed); }

void set_num_threads(int count) {
  Arena& a = arena();
  const std::lock_guard lock(a.mutex);
  a.threads.store(count < 1 ? 1 : count);
  delete a.arena.exchange(nullptr);
}

void parallel_for(std::int64_t count, TaskFn task, void* context) {
  Arena& a = arena();
  if (count <= 1 || a.threads.load(std::memory_order_relaxed) == 1) {
    for (std::int64_t i = 0; i < count; ++i) task(context, i);
    return;
  }
  a.get().execute([&] {
    tbb::parallel_for(
        tbb::blocked_range<std::int64_t>(0, count, 1),
        [&](const tbb::blocked_range<std::int64_t>& range) {
          for (std::int64_t i = range.begin(); i != range.end(); ++i)
            task(context, i);
        },
        tbb::simple_partitioner());
  });
}

}  // namespace jacquard::cpu_fallback
