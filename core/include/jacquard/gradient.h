// Gradients: backward over a tape, and transforms of functions.
//
// Arguments of a transform are any mix of
// * structures of tensors (see structure.h): f gets a copy of the same type in
//   which the floating tensors are parameters; the gradient has that type too,
//   with the gradients in place of the tensors, undefined ones in place of
//   integer tensors and of those that aren't trainable, and the values of all
//   other members;
// * Tensors and floating scalars: f gets a TrackedTensor (float → float32,
//   double → float64, rank 0, on the device of the first tensor among the
//   arguments), and so is the gradient;
// * anything else: handed to f as it is given, by reference; its gradient is
//   NoGradient.
// A tensor that occurs twice in one argument (a tied weight) is one parameter:
// its total is shown at each place. Different arguments are different
// parameters. Numbers inside a structure are constants: their type leaves no
// room for a tensor.
#pragma once

#include <functional>
#include <tuple>
#include <utility>

#include "jacquard/level.h"

namespace jacquard {

// Leaves whose gradients backward hands to `receive` instead of storing them,
// each as soon as it is complete: when the last pullback that adds to it has
// run and given up what it saved. `index` counts in `leaves`; a leaf that no
// gradient reaches is not received. What receive does isn't recorded; it may
// write the leaf in place (update_in_place), and whoever else needs the leaf's
// array keeps the old contents. If something throws later in the walk, what was
// received stays received.
struct EagerLeaves {
  std::vector<TrackedTensor> leaves;
  std::function<void(std::size_t index, const TrackedTensor& grad)> receive;
};

struct BackwardOptions {
  // Keep what the tape saved, so that another walk can pass.
  bool retain_graph = false;
  // NumericError before the walk if y isn't finite: y is read.
  bool check_loss = false;
  // For an optimizer inside backward: see nn::eager_update.
  EagerLeaves eager = {};
};

// Adds the gradient of `y` to every leaf that it was recorded from. `seed` is
// the cotangent of y: required unless y has one element (GraphError), of y's
// shape, dtype and device. The tape behind y is given up where nothing else
// leads to it. If anything throws, all leaves have the gradient they had.
JACQUARD_API void backward(const TrackedTensor& y, TrackedTensor seed = {},
                           BackwardOptions options = {},
                           CallSite site = CallSite::current());

// What withgradient gives: `auto [value, gradient] = withgradient(f, x)`.
template <class Y, class G>
struct ValueAndGradient {
  Y value;
  G gradient;
};

// f's result and the gradient of its loss at args: bare for one argument, a
// tuple for several. f returns the loss, one floating element, or a std::tuple,
// std::pair or struct whose first member is the loss; what else is in it comes
// back in `value` and has no part in the gradient. `value` is constant unless
// the gradient is recorded. A parameter that f did not use has a structural
// zero. GraphError if the loss is not one floating element, or depends on no
// argument (see allow_unused).
template <class F, class... Args>
auto withgradient(GradientOptions options, F&& f, Args&&... args) {
  static_assert(sizeof...(Args) > 0,
                "withgradient: no argument to differentiate with respect to; "
                "for parameters that f captures see Params");
  constexpr const char* name = "gradient";
  detail::Level level(std::move(options), CallSite{}, name);
  auto y = detail::run_level(level, name, std::forward<F>(f), args...);
  decltype(auto) loss = detail::loss_of(y, name);
  detail::check_loss(loss, name);
  const auto all = level.walk(loss, {}, /*retain=*/false);
  auto shaped = detail::gradients_like(detail::Cotangents(level, all), args...);
  return ValueAndGradient<decltype(y), decltype(shaped)>{
      detail::results_of(level, std::move(y)), std::move(shaped)};
}
template <class F, class... Args>
  requires(!std::is_same_v<std::remove_cvref_t<F>, GradientOptions>)
auto withgradient(F&& f, Args&&... args) {
  return withgradient(GradientOptions{}, std::forward<F>(f),
                      std::forward<Args>(args)...);
}

// The gradient alone. Pure: leaves keep the gradients they had. May be used
// inside a function that is itself differentiated, to any depth.
template <class F, class... Args>
auto gradient(GradientOptions options, F&& f, Args&&... args) {
  return withgradient(std::move(options), std::forward<F>(f),
                      std::forward<Args>(args)...)
      .gradient;
}
template <class F, class... Args>
  requires(!std::is_same_v<std::remove_cvref_t<F>, GradientOptions>)
auto gradient(F&& f, Args&&... args) {
  return gradient(GradientOptions{}, std::forward<F>(f),
                  std::forward<Args>(args)...);
}

// From cotangents of f's result to gradients: what pullback() returns. Can be
// called any number of times; holds what the tape saved until it is destroyed.
template <class Y, class... Gradients>
class Pullback {
 public:
  Pullback(std::unique_ptr<detail::Level> level, Y y,
           std::tuple<Gradients...> outline)
      : level_(std::move(level)),
        y_(std::move(y)),
        outline_(std::move(outline)) {}

  // Shaped like gradient()'s result. A bare result with one element needs no
  // seed; a structure takes one of its own type, in which undefined tensors are
  // zero cotangents. GraphError if a seed hasn't the shape, device and a
  // floating dtype of its value, ShapeError if the structures differ. Inside
  // another transform the gradient can be differentiated, with respect to the
  // seed as well.
  auto operator()(const Y& seed) const { return shaped(cotangents(seed)); }
  auto operator()() const
    requires std::is_base_of_v<TrackedTensor, Y>
  {
    return (*this)(Y());
  }
  // The same, not shaped: in the order of entering.
  std::vector<TrackedTensor> cotangents(const Y& seed) const {
    if constexpr (std::is_base_of_v<TrackedTensor, Y>) {
      return level_->walk(y_, seed, /*retain=*/true);
    } else {
      std::vector<detail::Level::Output> outputs;
      auto add = [&](const detail::Path& path, const TrackedTensor& y,
                     const TrackedTensor& s) {
        outputs.push_back({y, s, path.text()});
      };
      detail::walk({nullptr, "pullback"}, add, y_, seed);
      return level_->walk_all(outputs, /*retain=*/true);
    }
  }

 private:
  auto shaped(const std::vector<TrackedTensor>& all) const {
    const detail::Cotangents next(*level_, all);
    return std::apply(
        [&](const auto&... g) { return detail::gradients_like(next, g...); },
        outline_);
  }

  std::unique_ptr<detail::Level> level_;
  Y y_;
  std::tuple<Gradients...> outline_;
};

// The value of f, a structure of tensors of any shapes, and the function from
// cotangents to gradients.
template <class F, class... Args>
auto pullback(GradientOptions options, F&& f, Args&&... args) {
  static_assert(sizeof...(Args) > 0,
                "pullback: no argument to differentiate with respect to; for "
                "parameters that f captures see Params");
  constexpr const char* name = "pullback";
  auto level =
      std::make_unique<detail::Level>(std::move(options), CallSite{}, name);
  auto y = detail::run_level(*level, name, std::forward<F>(f), args...);
  using Y = decltype(y);
  static_assert(detail::holds_tensors<Y>,
                "pullback: the function returns no tensor");
  Y value = detail::results_of(*level, detail::copy_of(y));
  auto outline = detail::outline_of(args...);
  return std::apply(
      [&]<class... G>(G&...) {
        return std::pair<Y, Pullback<Y, G...>>(
            std::move(value), Pullback<Y, G...>(std::move(level), std::move(y),
                                                std::move(outline)));
      },
      outline);
}
template <class F, class... Args>
  requires(!std::is_same_v<std::remove_cvref_t<F>, GradientOptions>)
auto pullback(F&& f, Args&&... args) {
  return pullback(GradientOptions{}, std::forward<F>(f),
                  std::forward<Args>(args)...);
}

namespace detail {
// Calls its first argument.
struct Call {
  template <class F, class... Args>
  decltype(auto) operator()(F& f, Args&... args) const {
    static_assert(holds_tensors<F>,
                  "no tensor can be seen inside this function: instead of a "
                  "lambda use a struct with members and operator(), or "
                  "JACQUARD_FIELDS");
    return f(args...);
  }
};
}  // namespace detail

// The same with the gradient with respect to the callable's own state as well:
// f is a structure with an operator(), and its gradient, of f's type, comes
// first in the tuple (bare if there are no other arguments). It is a copy of f
// that is called.
template <class F, class... Args>
auto withgradient_full(const F& f, Args&&... args) {
  return withgradient(detail::Call{}, f, std::forward<Args>(args)...);
}
template <class F, class... Args>
auto gradient_full(const F& f, Args&&... args) {
  return gradient(detail::Call{}, f, std::forward<Args>(args)...);
}
template <class F, class... Args>
auto pullback_full(const F& f, Args&&... args) {
  return pullback(detail::Call{}, f, std::forward<Args>(args)...);
}

// The derivative of a function of one number: what derivative() returns.
template <class F>
class Derivative {
 public:
  explicit Derivative(F f) : f_(std::move(f)) {}

  // f' at x: a TrackedTensor, or a number (an integer counts as double). 0
  // where f is constant.
  template <class X>
  TrackedTensor operator()(const X& x) const {
    GradientOptions options;
    options.allow_unused = true;
    if constexpr (std::is_integral_v<X>)
      return gradient(std::move(options), f_, static_cast<double>(x));
    else
      return gradient(std::move(options), f_, x);
  }

 private:
  F f_;
};

// f' as a function: derivative(derivative(f))(2.0).
template <class F>
Derivative<F> derivative(F f) {
  return Derivative<F>(std::move(f));
}

}  // namespace jacquard
