#include "core/tape/modes.h"

#include <atomic>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "core/tape/node.h"
#include "jacquard/tracked_tensor.h"

namespace jacquard {
namespace tape {
namespace {
// initial-exec: found by an offset instead of a call.
#define JACQUARD_THREAD_MODE \
  __attribute__((tls_model("initial-exec"))) constinit thread_local
JACQUARD_THREAD_MODE bool grad_mode = true;
JACQUARD_THREAD_MODE int depth = 0;
JACQUARD_THREAD_MODE bool always_fused = false;
JACQUARD_THREAD_MODE std::uint64_t edge = 0;

bool is_on(const char* variable, const char* otherwise) {
  const char* env = std::getenv(variable);
  return std::string_view(env && *env ? env : otherwise) != "off";
}

std::atomic<bool>& fusion() {
  static std::atomic<bool> on =
      is_on("JACQUARD_FUSION", "on") && is_on("JACQUARD_JIT", "sync");
  return on;
}

// −1: what the environment says.
JACQUARD_THREAD_MODE int anomaly = -1;
#undef JACQUARD_THREAD_MODE

Anomaly anomaly_of_process() {
  static const bool on = is_on("JACQUARD_ANOMALY", "off");
  return on ? Anomaly::nan_or_inf : Anomaly::off;
}

std::atomic<bool>& epilogues() {
  static std::atomic<bool> on = is_on("JACQUARD_EPILOGUES", "off");
  return on;
}
}  // namespace

Anomaly anomaly_mode() {
  return anomaly < 0 ? anomaly_of_process() : static_cast<Anomaly>(anomaly);
}
bool grad_enabled() { return grad_mode; }
bool set_grad_enabled(bool on) { return std::exchange(grad_mode, on); }
bool epilogues_enabled() { return epilogues().load(std::memory_order_relaxed); }
void set_epilogues(bool on) {
  epilogues().store(on, std::memory_order_relaxed);
}
bool always_fused_enabled() { return always_fused; }
bool set_always_fused(bool on) { return std::exchange(always_fused, on); }
ScopeEdge::ScopeEdge() : id_(next_id()), before_(std::exchange(edge, id_)) {}
ScopeEdge::~ScopeEdge() { edge = before_; }
std::uint64_t innermost_edge() { return edge; }
int level_depth() { return depth; }
void change_level_depth(int by) { depth += by; }

}  // namespace tape

AnomalyMode::AnomalyMode(Anomaly what)
    : before_(std::exchange(tape::anomaly, static_cast<int>(what))) {}
AnomalyMode::~AnomalyMode() { tape::anomaly = before_; }
Anomaly anomaly_mode() { return tape::anomaly_mode(); }

NoGrad::NoGrad() : before_(tape::set_grad_enabled(false)) {}
NoGrad::~NoGrad() { tape::set_grad_enabled(before_); }
EnableGrad::EnableGrad() : before_(tape::set_grad_enabled(true)) {}
EnableGrad::~EnableGrad() { tape::set_grad_enabled(before_); }
bool is_grad_enabled() { return tape::grad_enabled(); }

bool fusion_enabled() {
  return tape::fusion().load(std::memory_order_relaxed) || tape::always_fused;
}
void set_fusion(bool on) {
  tape::fusion().store(on, std::memory_order_relaxed);
}

}  // namespace jacquard
