// Modes of the calling thread, and switches of the process.
#pragma once

#include <cstdint>

#include "jacquard/control.h"
#include "jacquard/export.h"

namespace jacquard::tape {

// Whether operations are recorded. Returns the previous mode.
bool grad_enabled();
bool set_grad_enabled(bool on);

// Operations of this thread wait to be fused whatever the process says. Returns
// the previous setting.
bool set_always_fused(bool on);
bool always_fused_enabled();

// Whether a matmul waits for what its launch may carry (see product.h):
// JACQUARD_EPILOGUES=on says yes. The setter is for the whole process.
JACQUARD_API bool epilogues_enabled();
JACQUARD_API void set_epilogues(bool on);

// While it lives, a pending value of an earlier call is computed before an
// operation of this thread uses it: no region spans the edge.
class ScopeEdge {
 public:
  ScopeEdge();
  ~ScopeEdge();
  ScopeEdge(const ScopeEdge&) = delete;
  ScopeEdge& operator=(const ScopeEdge&) = delete;
  // The ids of calls inside are larger.
  std::uint64_t id() const { return id_; }

 private:
  std::uint64_t id_, before_;
};
// The id of the innermost edge, 0 if there is none.
std::uint64_t innermost_edge();

// What is looked for in values that are written (see anomaly.h): the thread's,
// or else JACQUARD_ANOMALY.
Anomaly anomaly_mode();

// Transforms, and walks that are recorded, that are open on this thread.
int level_depth();
void change_level_depth(int by);

// The mode of the thread for the time of a walk. Transforms inside a walk that
// is recorded (in hooks, in rules) are recorded as inside a level.
class WalkMode {
 public:
  explicit WalkMode(bool recording)
      : levels_(recording ? 1 : 0), before_(set_grad_enabled(recording)) {
    change_level_depth(levels_);
  }
  ~WalkMode() {
    change_level_depth(-levels_);
    set_grad_enabled(before_);
  }
  WalkMode(const WalkMode&) = delete;
  WalkMode& operator=(const WalkMode&) = delete;

 private:
  int levels_;
  bool before_;
};

}  // namespace jacquard::tape
