// What is recorded, and what happens to gradients on their way.
#pragma once

#include <functional>
#include <iosfwd>
#include <string>
#include <type_traits>
#include <utility>

#include "jacquard/structure.h"
#include "jacquard/tracked_tensor.h"

namespace jacquard {

// Whether a transform is open on this thread, in a function that is being
// differentiated or in a walk that is itself recorded, and records what is
// called now: not under NoGrad. (Zygote: isderiving.) Code over leaves (param),
// outside of transforms, asks is_recording(x).
JACQUARD_API bool is_recording();
// Whether an operation on x would be recorded now. (NNlib: within_gradient.)
JACQUARD_API bool is_recording(const TrackedTensor& x);

// f() under NoGrad. What f computes is constant; tracked values from outside
// that it returns are still tracked, and so are leaves that it makes.
template <class F>
decltype(auto) no_grad(F&& f) {
  const NoGrad off;
  return std::forward<F>(f)();
}

// The structure (structure.h) with each tensor a constant; undefined ones stay.
template <class T>
  requires(!std::is_convertible_v<const T&, Operand>)
T stop_gradient(const T& x) {
  return map_tensors(x, [](const TrackedTensor& t) {
    return t.defined() ? stop_gradient(Operand(t)) : t;
  });
}

// Zygote's names: dropgrad(x) is stop_gradient(x); ignore(f) is
// stop_gradient(no_grad(f)), so that nothing flows through what f returns.
template <class T>
auto dropgrad(const T& x) {
  return stop_gradient(x);
}
template <class F>
auto ignore(F&& f) {
  return stop_gradient(no_grad(std::forward<F>(f)));
}

enum class Anomaly { off, nan, nan_or_inf };

// While it lives, each floating value that an operation of this thread writes,
// and each gradient that a pullback makes, is read and looked through; the
// first that holds a NaN or infinity is a NumericError that names the
// operation, dtypes and shapes, and the line of its forward call. A fused
// region is checked by what it writes; if that is bad, it is computed again
// operation by operation until the first bad value, forward or (if it was
// recorded in this mode) in its reverse. What came in with an operand, as a
// param or constant, is reported as such. The value that failed is still
// pending. JACQUARD_ANOMALY=on does the same for all threads that have no such
// scope. A launch and a read for each value: for the search, not for training.
// Off, nothing is read.
class JACQUARD_API AnomalyMode {
 public:
  explicit AnomalyMode(Anomaly what = Anomaly::nan_or_inf);
  ~AnomalyMode();
  AnomalyMode(const AnomalyMode&) = delete;
  AnomalyMode& operator=(const AnomalyMode&) = delete;

 private:
  int before_;
};
JACQUARD_API Anomaly anomaly_mode();

// Zeros of x's shape, dtype and device that cost nothing and that pullbacks
// skip: what a hook returns to drop a gradient.
JACQUARD_API TrackedTensor structural_zero(const TrackedTensor& x);

// From a gradient, in the dtype of the value, to the one that flows on, of its
// shape and device (else GraphError). Undefined: unchanged. A structural zero:
// none flows on.
using Hook = std::function<TrackedTensor(const TrackedTensor& grad)>;

// The value of x; gradients that flow back from the result to x pass through f,
// those that x gets elsewhere don't (for all of them: x.hook(f)). Within a
// recorded walk f is recorded: hook(f, x) may be differentiated again. Writes
// x. Where x isn't recorded: x itself, f is never called.
JACQUARD_API TrackedTensor hook(Hook f, const TrackedTensor& x,
                                CallSite site = CallSite::current());

// The value of x; gradients that flow back are printed as "∂name = …", on
// std::cout unless told otherwise.
JACQUARD_API TrackedTensor show_grad(const TrackedTensor& x, std::string name,
                                     CallSite site = CallSite::current());
JACQUARD_API TrackedTensor show_grad(const TrackedTensor& x, std::string name,
                                     std::ostream& out,
                                     CallSite site = CallSite::current());

}  // namespace jacquard
