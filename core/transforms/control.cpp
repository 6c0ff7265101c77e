#include "jacquard/control.h"

#include <iostream>
#include <string>

#include "core/tape/call.h"
#include "core/tape/modes.h"
#include "core/tape/pending.h"
#include "core/tape/record.h"
#include "core/tape/region.h"
#include "jacquard/pointwise.h"

namespace jacquard {

bool is_recording() { return tape::grad_enabled() && tape::level_depth() > 0; }

bool is_recording(const TrackedTensor& x) {
  const TrackedTensor* inputs[] = {&x};
  return tape::would_record(inputs);
}

TrackedTensor structural_zero(const TrackedTensor& x) {
  return tape::structural_zero(x.shape(), x.dtype(), x.device());
}

static TrackedTensor run_hook(const TrackedTensor& x, const Hook& f,
                              CallSite site) {
  if (!is_recording(x)) return x;
  const auto pullback = [f](tape::PullbackContext& c) {
    tape::report_user_code("hook", c.site());
    TrackedTensor changed = f(cast(c.cotangent(), c.dtype_of(0)));
    c.add(0, changed.defined() ? std::move(changed) : c.cotangent());
  };
  const auto push = [](tape::PushContext& c) { c.set(c.tangent(0)); };
  return tape::record("hook", site, tape::force(x, "hook"), {&x}, pullback,
                      push);
}

TrackedTensor hook(Hook f, const TrackedTensor& x, CallSite site) {
  return tape::call("hook", site, run_hook, x, std::move(f), site);
}

TrackedTensor show_grad(const TrackedTensor& x, std::string name,
                        CallSite site) {
  return show_grad(x, std::move(name), std::cout, site);
}

TrackedTensor show_grad(const TrackedTensor& x, std::string name,
                        std::ostream& out, CallSite site) {
  return hook(
      [name = std::move(name), &out](const TrackedTensor& g) {
        out << "∂" << name << " = " << to_string(g.data()) << '\n';
        return TrackedTensor();
      },
      x, site);
}

}  // namespace jacquard
