#include "cpu_fallback/runtime/threads.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <optional>
#include <thread>
#include <utility>

#include "cpu_fallback/runtime/workers.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace jacquard::cpu_fallback {
namespace {

// How long a helper waits for the next launch before it goes.
constexpr std::chrono::microseconds kLinger{100};

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

int initial_threads() {
  if (const char* text = std::getenv("JACQUARD_THREADS")) {
    const int n = std::atoi(text);
    if (n > 0) return n;
  }
  return default_threads();
}

// The launch that is being spread. `ticket` is its number (upper half) and the
// next task to claim (lower half). A task is claimed by adding one; the other
// fields are written only while the ticket is closed, under a new number, so
// that a claim which succeeds has read the fields of its own launch.
class Crew {
 public:
  int threads() const { return threads_.load(std::memory_order_relaxed); }

  void set_threads(int count) {
    while (busy_.exchange(true)) std::this_thread::yield();
    threads_.store(std::max(count, 1));
    workers_.reset();
    busy_.store(false);
  }

  void run(std::int64_t count, TaskFn task, void* context) {
    if (count > kMost || busy_.exchange(true)) {
      for (std::int64_t i = 0; i < count; ++i) task(context, i);
      return;
    }
    publish(count, task, context);
    call_helpers(count);
    while (claim()) {
    }
    wait();
    const std::exception_ptr error = std::exchange(error_, nullptr);
    busy_.store(false);
    if (error) std::rethrow_exception(error);
  }

 private:
  static constexpr std::int64_t kMost = 0x7fffffff;
  static constexpr std::uint64_t kClosed = 0xffffffff;

  void publish(std::int64_t count, TaskFn task, void* context) {
    const std::uint64_t number = (ticket_.load() >> 32) + 1;
    ticket_.store(number << 32 | kClosed);
    count_.store(count, std::memory_order_release);
    task_.store(task, std::memory_order_release);
    context_.store(context, std::memory_order_release);
    left_.store(count);
    failed_.store(false);
    ticket_.store(number << 32);
  }

  bool claimable(std::uint64_t ticket) const {
    const std::uint64_t next = ticket & kClosed;
    return next != kClosed && static_cast<std::int64_t>(next) <
                                  count_.load(std::memory_order_acquire);
  }

  // Does one task; whether there was one.
  bool claim() {
    std::uint64_t ticket = ticket_.load(std::memory_order_acquire);
    for (;;) {
      if (!claimable(ticket)) return false;
      const TaskFn task = task_.load(std::memory_order_acquire);
      void* context = context_.load(std::memory_order_acquire);
      if (!ticket_.compare_exchange_weak(ticket, ticket + 1,
                                         std::memory_order_acq_rel))
        continue;
      perform(task, context, static_cast<std::int64_t>(ticket & kClosed));
      return true;
    }
  }

  void perform(TaskFn task, void* context, std::int64_t i) {
    if (!failed_.load(std::memory_order_relaxed)) {
      try {
        task(context, i);
      } catch (...) {
        if (!failed_.exchange(true)) error_ = std::current_exception();
      }
    }
    left_.fetch_sub(1, std::memory_order_acq_rel);
  }

  void wait() {
    for (int turn = 0; left_.load(std::memory_order_acquire) != 0; ++turn) {
      if (turn < 200)
        pause();
      else
        std::this_thread::yield();
    }
  }

  void call_helpers(std::int64_t count) {
    const int wanted =
        static_cast<int>(std::min<std::int64_t>(count, threads())) - 1;
    while (helpers_.load() < wanted) {
      helpers_.fetch_add(1);
      if (!workers_) workers_.emplace(threads());
      workers_->call([](void* crew) { static_cast<Crew*>(crew)->help(); },
                     this);
    }
  }

  void help() {
    using Clock = std::chrono::steady_clock;
    for (;;) {
      auto until = Clock::now() + kLinger;
      while (Clock::now() < until && helpers_.load() < threads()) {
        bool busy = false;
        for (int i = 0; i < 32 && !busy; ++i) {
          busy = claim();
          if (!busy) pause();
        }
        if (!busy) continue;
        while (claim()) {
        }
        until = Clock::now() + kLinger;
      }
      helpers_.fetch_sub(1);
      // A launch may have counted on this helper just now.
      if (helpers_.load() + 1 >= threads() || !claimable(ticket_.load()))
        return;
      helpers_.fetch_add(1);
    }
  }

  std::atomic<bool> busy_{false};  // a launch is being spread
  std::atomic<int> threads_{initial_threads()};
  std::optional<Workers> workers_;

  alignas(64) std::atomic<std::uint64_t> ticket_{kClosed};
  std::atomic<std::int64_t> count_{0};
  std::atomic<TaskFn> task_{nullptr};
  std::atomic<void*> context_{nullptr};
  alignas(64) std::atomic<std::int64_t> left_{0};
  std::atomic<bool> failed_{false};
  std::exception_ptr error_;
  alignas(64) std::atomic<int> helpers_{0};
};

// Never destroyed: helpers may still be there while main returns.
Crew& crew() {
  static Crew* c = new Crew;
  return *c;
}

}  // namespace

int num_threads() { return crew().threads(); }

void set_num_threads(int count) { crew().set_threads(count); }

void parallel_for(std::int64_t count, TaskFn task, void* context) {
  Crew& c = crew();
  if (count > 1 && c.threads() > 1) return c.run(count, task, context);
  for (std::int64_t i = 0; i < count; ++i) task(context, i);
}

}  // namespace jacquard::cpu_fallback
