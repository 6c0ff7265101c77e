// checkpoint: recomputation instead of memory.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "jacquard/structure.h"
#include "jacquard/tracked_tensor.h"

namespace jacquard {
namespace detail {

// Of tensors, some of which may be undefined.
using FlatFunction = std::function<std::vector<TrackedTensor>(
    const std::vector<TrackedTensor>&)>;
JACQUARD_API std::vector<TrackedTensor> checkpoint_flat(
    FlatFunction f, std::vector<TrackedTensor> args);

template <class T>
void append_tensors(std::vector<TrackedTensor>& all, const T& x) {
  auto leaf = [&](const Path&, const TrackedTensor& t) { all.push_back(t); };
  walk({}, leaf, x);
}
// x with the tensors that follow in `all`, or without tensors.
template <class T>
T with_tensors(const T& x, const std::vector<TrackedTensor>& all,
               std::size_t& next) {
  return map_tensors(x, [&](const TrackedTensor&) { return all[next++]; });
}
template <class T>
T without_tensors(const T& x) {
  return map_tensors(x, [](const TrackedTensor&) { return TrackedTensor(); });
}

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
  std::vector<TrackedTensor> inputs;
  (detail::append_tensors(inputs, args), ...);
  // The first run's result, without tensors.
  auto first = std::make_shared<std::optional<Y>>();
  auto flat = [f = std::decay_t<F>(std::forward<F>(f)),
               shape = std::tuple<std::decay_t<Args>...>(
                   detail::without_tensors<std::decay_t<Args>>(args)...),
               wanted = std::weak_ptr(first)](
                  const std::vector<TrackedTensor>& given) mutable {
    std::size_t next = 0;
    const auto fill = [&](const auto&... a) {
      return std::tuple<std::decay_t<Args>...>{
          detail::with_tensors(a, given, next)...};
    };
    const auto filled = std::apply(fill, shape);
    const Y y = std::apply(f, filled);
    if (const auto keep = wanted.lock())
      if (!*keep) keep->emplace(detail::without_tensors(y));
    std::vector<TrackedTensor> results;
    detail::append_tensors(results, y);
    return results;
  };
  const std::vector<TrackedTensor> results =
      detail::checkpoint_flat(std::move(flat), std::move(inputs));
  std::size_t next = 0;
  return detail::with_tensors(first->value(), results, next);
}

}  // namespace jacquard
