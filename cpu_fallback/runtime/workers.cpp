#include "cpu_fallback/runtime/workers.h"

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>

#include <cstddef>
#include <optional>

namespace jacquard::cpu_fallback {

int default_threads() { return tbb::this_task_arena::max_concurrency(); }

struct Workers::State {
  // Where more threads are asked for than there are cores.
  std::optional<tbb::global_control> more;
  std::optional<tbb::task_arena> arena;
};

Workers::Workers(int threads) : state_(new State) {
  if (threads > default_threads())
    state_->more.emplace(tbb::global_control::max_allowed_parallelism,
                         static_cast<std::size_t>(threads));
  state_->arena.emplace(threads);
}

Workers::~Workers() { delete state_; }

void Workers::call(void (*f)(void*), void* context) {
  state_->arena->enqueue([f, context] { f(context); });
}

}  // namespace jacquard::cpu_fallback
