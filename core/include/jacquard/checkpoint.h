// checkpoint: recomputation instead of memory.
#pragma once

#include <functional>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "jacquard/structure.h"
#include "jacquard/tracked_tensor.h"

namespace jacquard {
namespace detail {

// A function and its arguments, to be run again.
class JACQUARD_API CheckpointBody {
 public:
  virtual ~CheckpointBody();
  // The tensors of the function's result.
  virtual std::vector<TrackedTensor> run() = 0;
};

// The first run of the function.
class JACQUARD_API CheckpointScope {
 public:
  CheckpointScope();
  ~CheckpointScope();
  CheckpointScope(const CheckpointScope&) = delete;
  CheckpointScope& operator=(const CheckpointScope&) = delete;

  // An argument: written, and what it holds now.
  TrackedTensor enter(const TrackedTensor& x);
  // The tensors of the result, written, as values of one node; ends the scope.
  std::vector<TrackedTensor> leave(std::vector<TrackedTensor> results,
                                   std::shared_ptr<CheckpointBody> body);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

template <class Y, class F, class... Args>
class CheckpointOf final : public CheckpointBody {
 public:
  template <class G>
  CheckpointOf(G&& f, std::tuple<Args...> args)
      : f_(std::forward<G>(f)), args_(std::move(args)) {}
  Y call() {
    return std::apply(
        [&](const Args&... a) -> Y { return std::invoke(f_, a...); }, args_);
  }
  std::vector<TrackedTensor> run() override { return tensors_of(call()); }

 private:
  F f_;
  std::tuple<Args...> args_;
};

}  // namespace detail

// f(args...), of whose tape nothing is kept: one node stands for it, whose
// reverse runs f again, with the tape on, and walks what that recorded. f's
// intermediate values then live only while its own reverse runs: a network of n
// layers in √n checkpoints needs memory for about 2√n instead of n, and one
// more forward pass.
//
// Arguments and result are structures of tensors (structure.h) and whatever
// else can be copied. Gradients of any order flow to the arguments and to all
// that f uses without getting it as an argument, such as a model's weights that
// a lambda captured. Checkpoints nest. A result of several tensors is replayed
// once a walk. Arguments and results are written, no region spans the edge.
// Under NoGrad f just runs.
//
// In a replay f finds what it found the first time: the arguments, what leaves
// (param) held when it first read them, the state of the random generator, the
// current streams. If an optimizer has updated a leaf meanwhile, the replay
// still sees the earlier array, which is kept for that (a copy is made only by
// such an update). What f writes to leaves in a replay is seen by that replay
// alone: running statistics are not counted twice.
//
// f and the arguments are copied (pass std::ref to avoid it) and live until the
// tape is given up; what a lambda captures by reference must live as long.
// Other effects of f happen once more in each replay. f must do the same each
// time, and run on the calling thread: GraphError in the backward if its
// results' number, shapes or dtypes differ or if it used other tracked values.
// Walks of several threads over one checkpoint may run f at once.
template <class F, class... Args>
auto checkpoint(F&& f, const Args&... args) {
  using Y = std::decay_t<
      std::invoke_result_t<std::decay_t<F>&, const std::decay_t<Args>&...>>;
  static_assert(!std::is_void_v<Y>, "checkpoint: the function returns nothing");
  if (!is_grad_enabled()) return Y(std::invoke(f, args...));
  detail::CheckpointScope scope;
  auto enter = [&](const TrackedTensor& t) { return scope.enter(t); };
  using Body = detail::CheckpointOf<Y, std::decay_t<F>, std::decay_t<Args>...>;
  auto body = std::make_shared<Body>(
      std::forward<F>(f), std::tuple<std::decay_t<Args>...>(
                              map_tensors<std::decay_t<Args>>(args, enter)...));
  Y y = body->call();
  const std::vector<TrackedTensor> outside =
      scope.leave(tensors_of(y), std::move(body));
  std::size_t next = 0;
  return map_tensors(y, [&](const TrackedTensor&) { return outside[next++]; });
}

}  // namespace jacquard
