// The logs that are alive.
#pragma once

#include <atomic>

#include "jacquard/launch_log.h"

namespace jacquard {

struct LaunchLogs {
  // Whether the calling thread has a log.
  static bool on() {
    return alive.load(std::memory_order_relaxed) != 0 && innermost != nullptr;
  }
  static bool timed();
  static void append(const LaunchRecord& record);
  static void add(LaunchLog& log);
  static void remove(LaunchLog& log) noexcept;

 private:
  static std::atomic<int> alive;  // of all threads
  static constinit thread_local LaunchLog* innermost;
};

}  // namespace jacquard
