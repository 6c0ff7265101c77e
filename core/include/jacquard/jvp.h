// Forward mode: products of Jacobians with tangents.
#pragma once

#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "jacquard/level.h"

namespace jacquard {

// How whole Jacobians are computed: by columns, by rows, or by whatever of the
// two there are fewer of.
enum class DerivativeMode { automatic, forward, reverse };

namespace detail {

// The trace of a function at one point, and tangents pushed along it.
class JACQUARD_API Linearization {
 public:
  // `transform`, a literal, is named in messages.
  Linearization(GradientOptions options, CallSite site, const char* transform);
  ~Linearization();
  Linearization(Linearization&&) noexcept;
  Linearization& operator=(Linearization&&) noexcept;

  // Arguments enter here, before close().
  Level& level() const;
  const char* transform() const;
  // The function has run, with these results.
  void close(std::vector<TrackedTensor> results);

  // The tangents of all results, from those of everything entered, in order.
  // `batch` > 0: so many at once, along a first axis of each.
  std::vector<TrackedTensor> push(const std::vector<TrackedTensor>& tangents,
                                  std::int64_t batch = 0) const;

  // For each tensor entered the derivative of the only result by it.
  std::vector<TrackedTensor> jacobians(DerivativeMode mode,
                                       bool allow_unused) const;
  // Result i being a function of what was entered i-th and more: its
  // derivative by that, the diagonal.
  std::vector<TrackedTensor> diagonals() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Takes the tangents of a trace's arguments, tensor by tensor.
class JACQUARD_API Tangents {
 public:
  explicit Tangents(const Linearization& trace) : trace_(trace) {}
  // GraphError that names the path if t can't be the tangent of the next
  // tensor.
  void add(const Path& path, const TrackedTensor& t);
  const std::vector<TrackedTensor>& all() const { return all_; }

 private:
  const Linearization& trace_;
  std::size_t offered_ = 0;
  std::vector<TrackedTensor> all_;
};
JACQUARD_API TrackedTensor tangent_of_scalar(const Operand& t,
                                             const Linearization& trace);

// The tangent of an argument of type A: as its gradient, for floating scalars a
// number as well.
template <class A>
using TangentOf =
    std::conditional_t<std::is_floating_point_v<A>, Operand, GradientOf<A>>;

// The floating tensors of f's result.
template <class Y>
std::vector<TrackedTensor> floating_tensors(const Y& y) {
  std::vector<TrackedTensor> out;
  auto leaf = [&](const Path&, const TrackedTensor& t) {
    if (t.defined() && is_floating(t.dtype())) out.push_back(t);
  };
  walk({}, leaf, y);
  return out;
}

// y with `values` in place of its floating tensors, nothing in place of others.
template <class Y>
Y with_floating_tensors(const Y& y, const std::vector<TrackedTensor>& values) {
  std::size_t next = 0;
  return replaced({}, y, [&](const Path&, const TrackedTensor& t) {
    const bool floats = t.defined() && is_floating(t.dtype());
    return floats ? values[next++] : TrackedTensor();
  });
}

template <class A>
void add_tangents(Tangents& to, const Linearization& trace, const Path& path,
                  const GradientOf<A>& outline, const TangentOf<A>& tangent) {
  if constexpr (std::is_floating_point_v<A>) {
    to.add(path, tangent_of_scalar(tangent, trace));
  } else if constexpr (becomes_tensor<A>) {
    to.add(path, tangent);
  } else if constexpr (holds_tensors<A>) {
    auto leaf = [&](const Path& at, const TrackedTensor&,
                    const TrackedTensor& t) { to.add(at, t); };
    walk(path, leaf, outline, tangent);
  }
}

}  // namespace detail

// The linear map of tangents at one point: what pushforward() returns. Can be
// called any number of times; each call is one walk over the trace of f, which
// it keeps.
template <class Y, class... Args>
class Pushforward {
 public:
  Pushforward(detail::Linearization trace, Y y,
              std::tuple<detail::GradientOf<Args>...> outline)
      : trace_(std::move(trace)),
        y_(std::move(y)),
        outline_(std::move(outline)) {}

  // The value of f: constants, unless recorded by a transform around.
  Y value() const { return detail::results_of(trace_.level(), y_); }

  // The tangent of f's value, in its structure, from one tangent for each
  // argument, in the argument's structure; see jvp().
  Y operator()(const detail::TangentOf<Args>&... tangents) const {
    detail::Tangents all(trace_);
    add_all(all, std::index_sequence_for<Args...>(), tangents...);
    return detail::with_floating_tensors(y_, trace_.push(all.all()));
  }

 private:
  template <std::size_t... I>
  void add_all(detail::Tangents& all, std::index_sequence<I...>,
               const detail::TangentOf<Args>&... tangents) const {
    const detail::Path root{nullptr, trace_.transform()};
    auto add = [&]<class A>(std::type_identity<A>, std::int64_t i,
                            const auto& outline, const auto& tangent) {
      const detail::Path numbered{&root, {}, i};
      detail::add_tangents<A>(all, trace_,
                              sizeof...(Args) == 1 ? root : numbered, outline,
                              tangent);
    };
    (add(std::type_identity<Args>(), static_cast<std::int64_t>(I),
         std::get<I>(outline_), tangents),
     ...);
  }

  detail::Linearization trace_;
  Y y_;
  std::tuple<detail::GradientOf<Args>...> outline_;
};

namespace detail {

template <class F, class... Args>
auto push_through(const char* transform, F&& f, Args&... args) {
  Linearization trace({}, CallSite{}, transform);
  trace.level().separate();
  auto y = run_level(trace.level(), transform, std::forward<F>(f), args...);
  using Y = decltype(y);
  static_assert(holds_tensors<Y>, "the function returns no tensor");
  trace.close(floating_tensors(y));
  return Pushforward<Y, std::remove_const_t<Args>...>(
      std::move(trace), std::move(y), outline_of(args...));
}

template <class T>
inline constexpr bool is_std_tuple = false;
template <class... T>
inline constexpr bool is_std_tuple<std::tuple<T...>> = true;

// What jvp gives: `auto [value, tangent] = jvp(f, x, v)`.
template <class Y>
struct ValueAndTangent {
  Y value;
  Y tangent;
};

template <class Push, class... T>
auto value_and_tangent(const Push& push, const T&... tangents) {
  return ValueAndTangent<decltype(push.value())>{push.value(),
                                                 push(tangents...)};
}

}  // namespace detail

// f at args, ready for tangents.
template <class F, class... Args>
auto pushforward(F&& f, Args&&... args) {
  static_assert(sizeof...(Args) > 0, "pushforward: there is no argument");
  return detail::push_through("pushforward", std::forward<F>(f), args...);
}

// f's value and its derivative along `tangent`: {value, tangent}, both in the
// structure of f's result (any structure of tensors). Arguments are what those
// of gradient() are; several are given as two std::tuples.
//
// A tangent is of its argument's type (of a Tensor: a TrackedTensor; of a
// floating scalar: a number or a TrackedTensor). Each tensor in it has the
// shape, device and, up to conversion between floating types, dtype of its
// primal, else a GraphError that names the path. An undefined tensor or a
// structural zero is a tangent of zero that costs nothing; what is no parameter
// (integers, what JACQUARD_TRAINABLE leaves out) has none. A result that
// depends on no argument with a tangent has a structural zero. Where one
// parameter stands in two places of an argument, each place has a tangent of
// its own.
//
// Works in a transform and around one, to any depth: jvp of a gradient (forward
// over reverse), gradient of a jvp, jvp of a jvp. It is recorded if a transform
// is open around it. Hooks are not called, since they see cotangents.
//
// Cost: that of f, and about as many launches again. A fused region pushes all
// its tangents in one launch that reads what the reverse would read; matrix
// products, reductions, shape and index operations have rules of their own;
// what has none (a custom rule without one, a checkpoint) goes through the
// pullback of its pullback, at the cost of a recorded gradient of that
// operation.
template <class F, class... Args>
auto jvp(F&& f, const std::tuple<Args...>& primals,
         const std::type_identity_t<std::tuple<detail::TangentOf<Args>...>>&
             tangents) {
  static_assert(sizeof...(Args) > 0, "jvp: there is no argument");
  const auto push = std::apply(
      [&](const Args&... a) {
        return detail::push_through("jvp", std::forward<F>(f), a...);
      },
      primals);
  return std::apply(
      [&](const auto&... t) { return detail::value_and_tangent(push, t...); },
      tangents);
}
template <class F, class A>
  requires(!detail::is_std_tuple<A>)
auto jvp(F&& f, const A& primal,
         const std::type_identity_t<detail::TangentOf<A>>& tangent) {
  return detail::value_and_tangent(
      detail::push_through("jvp", std::forward<F>(f), primal), tangent);
}

}  // namespace jacquard
