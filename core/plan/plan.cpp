#include "core/plan/plan.h"

#include "core/tape/anomaly.h"
#include "core/tape/modes.h"

namespace jacquard::plan {

Modes Modes::now(Device device) {
  return {tape::grad_enabled(),   tape::always_fused_enabled(),
          tape::level_depth(),    jacquard::default_dtype(),
          current_stream(device), tape::looks_for_anomalies()};
}

Modes::Scope::Scope(const Modes& modes)
    : grad_(tape::set_grad_enabled(modes.grad)),
      fused_(tape::set_always_fused(modes.always_fused)),
      depth_(modes.depth - tape::level_depth()),
      stream_(modes.stream) {
  tape::change_level_depth(depth_);
}

Modes::Scope::~Scope() {
  tape::change_level_depth(-depth_);
  tape::set_always_fused(fused_);
  tape::set_grad_enabled(grad_);
}

std::string called_at(CallSite site) {
  if (!site.line) return "";
  return " (called at " + std::string(site.file) + ":" +
         std::to_string(site.line) + ")";
}

}  // namespace jacquard::plan
