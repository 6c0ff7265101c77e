// compile(f): a function whose launches are planned once and then only run.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "jacquard/call_site.h"
#include "jacquard/structure.h"
#include "jacquard/tracked_tensor.h"

namespace jacquard {

// What became of the calls of a compiled function.
struct CompileStats {
  std::uint64_t replayed = 0;  // by a plan alone
  std::uint64_t planned = 0;   // ran uncompiled, and a plan was made of them
  std::uint64_t plain = 0;     // ran uncompiled
  // Launches of the latest plan.
  std::uint64_t launches = 0;
};

namespace plan {
class Session;
}

namespace detail {

class JACQUARD_API Compilation {
 public:
  explicit Compilation(CallSite site);
  ~Compilation();
  Compilation(const Compilation&) = delete;
  Compilation& operator=(const Compilation&) = delete;

  // Runs f, which calls the user's function.
  template <class F>
  void run(F f) {
    run_with([](void* it) { (*static_cast<F*>(it))(); }, &f);
  }
  CompileStats stats() const;

 private:
  void run_with(void (*f)(void*), void* argument);
  std::unique_ptr<plan::Session> session_;
};

}  // namespace detail

// What compile() returns: called like f. Not to be copied; it owns f and the
// plans.
template <class F>
class Compiled {
 public:
  Compiled(F f, CallSite site)
      : f_(std::move(f)),
        compilation_(std::make_unique<detail::Compilation>(site)) {}

  template <class... Args>
    requires std::is_invocable_v<F&, Args...>
  auto operator()(Args&&... args) -> std::invoke_result_t<F&, Args...> {
    using R = std::invoke_result_t<F&, Args...>;
    static_assert(!std::is_reference_v<R>,
                  "compile: the function must return a value");
    if constexpr (std::is_void_v<R>) {
      compilation_->run([&] { std::invoke(f_, std::forward<Args>(args)...); });
    } else {
      std::optional<R> result;
      compilation_->run([&] {
        result.emplace(std::invoke(f_, std::forward<Args>(args)...));
      });
      return *std::move(result);
    }
  }

  CompileStats stats() const { return compilation_->stats(); }

 private:
  F f_;
  std::unique_ptr<detail::Compilation> compilation_;
};

// f, compiled: results, gradients, leaves, the optimizer's state and the random
// number generator are after each call, bit for bit, what they are after f's.
//
//   auto step = compile([&](const TrackedTensor& x, const TrackedTensor& y) {
//     auto [loss, grads] = withgradient(
//         [&](const Mlp& m) { return cross_entropy(m(x), y); }, model);
//     adam.step(model, grads);
//     return loss;
//   });
//   for (auto& [x, y] : batches) step(x, y);
//
// The first call runs f and takes down its operations and their launches: a
// plan. Later calls run f's own code as well, so that conditions, counters and
// schedules do what they do, but an operation only compares itself with the
// plan's next (operation, operands, shapes, dtypes, layouts, attributes, modes
// of the thread) and computes nothing; host scalars (learning rates, seeds of
// random numbers, powers of a step count) are passed on. A transform or a
// backward is one operation. When f is over, the plan's launches run: on a
// device that has graphs as one graph with one upload, else one by one. If an
// operation is another than the plan's, those before it are made up for, the
// call goes on uncompiled, and a plan of it is kept as well: up to four, for
// branches and for a last batch that is smaller. Tensors that f gets or
// captures may be others at each call, of the same layout; leaves (param) that
// it uses are fixed, but not what they hold.
//
// Memory: a plan keeps the memory of its launches, and the leaves, for itself.
// A result that is still held when the next call runs is moved to a copy.
//
// Runs uncompiled, and says so once on stderr with the line and the reason:
//  · reading a value on the host inside f (item, to_host, printing), unless it
//    came from outside;
//  · functions of the user's inside a backward: hooks, custom pullbacks,
//    checkpoint; retain_grad;
//  · results whose tape is still to be reversed when f is over, or that were
//    recorded before; leaves that f makes or assigns to;
//  · jvp, jacobian and hessian inside f, which look into the tape themselves;
//  · work on two devices; what f does to Tensors by itself; anomaly mode.
// Calls that differ from each of the last ones (a slice from another place each
// time) run uncompiled as well, after a while without looking for a plan.
//
// An exception that f throws leaves everything as if uncompiled. One that a
// launch of a plan throws (on the CPU: IndexError of a gather) comes when f is
// over, what was launched before it stands; reading a result of that call is a
// GraphError, as is reading a value of f on another thread before f is over. A
// compiled function runs on one thread at a time, else Error;
// inside another one, or under a trace, it is plain f.
//
// Cost: tens of ns an operation, and what the launches cost.
template <class F>
auto compile(F f, CallSite site = CallSite::current()) {
  return Compiled<F>(std::move(f), site);
}

}  // namespace jacquard
