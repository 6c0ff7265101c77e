// Gradients: backward over a tape, and transforms of functions.
#pragma once

#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "jacquard/structure.h"
#include "jacquard/tracked_tensor.h"

namespace jacquard {

struct BackwardOptions {
  // Keep what the tape saved, so that another walk can pass.
  bool retain_graph = false;
};

// Adds the gradient of `y` to every leaf that it was recorded from. `seed` is
// the cotangent of y: required unless y has one element (GraphError), of y's
// shape, dtype and device. The tape behind y is given up where nothing else
// leads to it. If anything throws, all leaves have the gradient they had.
JACQUARD_API void backward(const TrackedTensor& y, TrackedTensor seed = {},
                           BackwardOptions options = {},
                           CallSite site = CallSite::current());

struct GradientOptions {
  // Record the computation of the gradient, so that it can be differentiated.
  // Inside another transform it always is.
  bool create_graph = false;
  // Give structural zeros instead of an error when the result depends on none
  // of the arguments.
  bool allow_unused = false;
};

namespace detail {

// One transform on this thread: entered arguments, the walk, its end.
class JACQUARD_API Level {
 public:
  Level(GradientOptions options, CallSite site);
  ~Level();
  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;

  // A fresh identity over the same memory. Handles of one leaf or value that
  // are entered with the same `argument` share one.
  TrackedTensor enter(const TrackedTensor& x, int argument);
  // The leaf itself, instead of a fresh identity. The walk then keeps what was
  // recorded before the level.
  void watch(const TrackedTensor& leaf);
  // The body has run: operations are no longer recorded for this level.
  void close();
  // Cotangents of everything entered, in the order of entering, structural
  // zeros where no path leads. May be called again while `retain` holds.
  std::vector<TrackedTensor> walk(const TrackedTensor& y,
                                  const TrackedTensor& seed, bool retain);
  // y as the caller gets it: recorded only if an outer transform records.
  TrackedTensor result(const TrackedTensor& y) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// GraphError unless y is one floating element.
JACQUARD_API void check_loss(const TrackedTensor& y, const char* transform);

// Copies the structure with each floating tensor entered into the level.
template <class T>
T enter_all(Level& level, const T& x, int argument,
            std::vector<TrackedTensor>& entered) {
  return map_tensors(x, [&](const TrackedTensor& t) {
    if (!t.defined() || !is_floating(t.dtype())) return t;
    entered.push_back(level.enter(t, argument));
    return entered.back();
  });
}

// The structure with each floating tensor replaced by its gradient; other
// members keep their values.
template <class T>
T gradients_like(const T& x, const std::vector<TrackedTensor>& grads,
                 std::size_t& next) {
  return map_tensors(x, [&](const TrackedTensor& t) {
    if (!t.defined() || !is_floating(t.dtype())) return TrackedTensor();
    return grads[next++];
  });
}

template <class... Args>
auto bare_or_tuple(std::tuple<Args...> t) {
  if constexpr (sizeof...(Args) == 1)
    return std::get<0>(std::move(t));
  else
    return t;
}

}  // namespace detail

// The value of f and a function that pulls a cotangent of it back: what
// pullback() returns. Can be called any number of times.
template <class Y, class... Args>
class Pullback {
 public:
  Pullback(std::unique_ptr<detail::Level> level, TrackedTensor y,
           std::tuple<Args...> args)
      : level_(std::move(level)), y_(std::move(y)), args_(std::move(args)) {}
  // Gradient-shaped like gradient()'s result.
  auto operator()(TrackedTensor seed) const {
    auto grads = level_->walk(y_, seed, /*retain=*/true);
    std::size_t next = 0;
    return detail::bare_or_tuple(std::apply(
        [&](const auto&... a) {
          return std::tuple<Args...>{detail::gradients_like(a, grads, next)...};
        },
        args_));
  }

 private:
  std::unique_ptr<detail::Level> level_;
  TrackedTensor y_;
  std::tuple<Args...> args_;
};

namespace detail {
template <class F, class... Args>
auto run_level(Level& level, F&& f, const std::tuple<Args...>& args) {
  std::vector<TrackedTensor> entered;
  int argument = 0;
  const auto enter = [&](const auto& a) {
    return enter_all(level, a, argument++, entered);
  };
  auto inside = std::apply(
      [&](const auto&... a) { return std::tuple<Args...>{enter(a)...}; }, args);
  auto y = std::apply(std::forward<F>(f), inside);
  level.close();
  return y;
}
}  // namespace detail

template <class F, class... Args>
auto withgradient_options(GradientOptions options, F&& f, const Args&... args) {
  detail::Level level(options, CallSite::current());
  std::tuple<Args...> all{args...};
  TrackedTensor y = detail::run_level(level, std::forward<F>(f), all);
  detail::check_loss(y, "gradient");
  auto grads = level.walk(y, {}, /*retain=*/false);
  std::size_t next = 0;
  auto shaped = detail::bare_or_tuple(std::apply(
      [&](const auto&... a) {
        return std::tuple<Args...>{detail::gradients_like(a, grads, next)...};
      },
      all));
  return std::pair(level.result(y), std::move(shaped));
}

// Value and gradient of a scalar-valued f at args: first the value (a
// constant), second the gradient: bare for one argument, a tuple for several;
// for a struct a struct of the same type whose tensors are the gradients. An
// argument that f did not use has a structural zero. GraphError if f's result
// is not one floating element, or depends on none of the arguments (see
// allow_unused).
template <class F, class... Args>
auto withgradient(F&& f, const Args&... args) {
  return withgradient_options(GradientOptions{}, std::forward<F>(f), args...);
}

// The gradient alone. Pure: leaves keep the gradients they had. May be used
// inside a function that is itself differentiated, to any depth.
template <class F, class... Args>
auto gradient(F&& f, const Args&... args) {
  return withgradient(std::forward<F>(f), args...).second;
}

// The value of f (any shape) and the function from cotangents to gradients.
template <class F, class... Args>
auto pullback(F&& f, const Args&... args) {
  auto level =
      std::make_unique<detail::Level>(GradientOptions{}, CallSite::current());
  std::tuple<Args...> all{args...};
  TrackedTensor y = detail::run_level(*level, std::forward<F>(f), all);
  return std::pair(
      y, Pullback<TrackedTensor, Args...>(std::move(level), y, std::move(all)));
}

}  // namespace jacquard
