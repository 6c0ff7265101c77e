// What transforms of functions are made of: a level of differentiation, the
// arguments that enter it, and the results that leave it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "jacquard/structure.h"
#include "jacquard/tracked_tensor.h"

namespace jacquard {

struct GradientOptions {
  // Record the computation of the gradient, so that it can be differentiated.
  // Inside another transform it always is.
  bool create_graph = false;
  // Give structural zeros instead of an error when the result depends on none
  // of the arguments.
  bool allow_unused = false;
  // Which floating tensors are parameters; empty: all. Those it refuses, like
  // those that JACQUARD_TRAINABLE leaves out, are passed to the function as
  // they are and have an undefined gradient, which optimizers skip. The path is
  // that within the argument ("layers.0.weight"); with several arguments the
  // argument's number stands before it ("1.layers.0.weight").
  std::function<bool(const std::string& path, const TrackedTensor& t)>
      trainable = {};
};

// The gradient with respect to an argument that can't have one: an integer, a
// string, a function, a structure without tensors.
struct NoGradient {
  friend bool operator==(NoGradient, NoGradient) = default;
};

namespace detail {

// One transform on this thread: entered arguments, the walk, its end.
class JACQUARD_API Level {
 public:
  // `transform` stands in messages.
  Level(GradientOptions options, CallSite site,
        const char* transform = "gradient");
  ~Level();
  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;

  // A fresh identity over the same memory. Handles of one leaf or value that
  // are entered with the same `argument` share one; arguments come one after
  // the other, and x lives on until the last has come.
  TrackedTensor enter(const TrackedTensor& x, int argument);
  // The leaf itself, instead of a fresh identity. The walk then keeps what was
  // recorded before the level.
  void watch(const TrackedTensor& leaf);
  // From now on each tensor that enters is a parameter of its own.
  void separate();
  // As enter() for a tensor of a structure if it is a parameter; else gives x.
  TrackedTensor take(const Path& path, const TrackedTensor& x, int argument);
  // Whether each of the tensors that were offered to take() was entered.
  const std::vector<bool>& taken() const;
  // What enter() gave, in order.
  const std::vector<TrackedTensor>& aliases() const;
  // Whether walks are recorded wherever they are called.
  bool recording() const;
  // The body has run: operations are no longer recorded for this level.
  void close();
  // Cotangents of everything entered, in the order of entering, structural
  // zeros where no path leads. May be called again while `retain` holds.
  std::vector<TrackedTensor> walk(const TrackedTensor& y,
                                  const TrackedTensor& seed, bool retain);
  // An output of f with the seed it has got, which may be undefined, and what
  // it is called.
  struct Output {
    TrackedTensor y;
    TrackedTensor seed;
    std::string path;
  };
  // The same from several outputs at once.
  std::vector<TrackedTensor> walk_all(const std::vector<Output>& outputs,
                                      bool retain);
  // y as the caller gets it: recorded only if an outer transform records.
  TrackedTensor result(const TrackedTensor& y) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// GraphError unless y is one floating element.
JACQUARD_API void check_loss(const TrackedTensor& y, const char* transform);
// GraphError: the result is a `kind`, not one floating element.
[[noreturn]] JACQUARD_API void throw_no_loss(const char* kind,
                                             const char* transform);
// A host scalar as an argument: rank 0, of its own dtype.
JACQUARD_API TrackedTensor scalar_argument(float x, Device device);
JACQUARD_API TrackedTensor scalar_argument(double x, Device device);

// How a transform takes an argument of type A, without const and reference:
// floating scalars and Tensors become TrackedTensors, structures are entered,
// the rest is handed to f as the caller gave it.
template <class A>
constexpr bool becomes_tensor =
    std::is_floating_point_v<A> || std::is_same_v<A, Tensor>;
template <class A>
using GradientOf =
    std::conditional_t<becomes_tensor<A>, TrackedTensor,
                       std::conditional_t<holds_tensors<A>, A, NoGradient>>;

// Where scalars go: the device of the first tensor among the arguments.
template <class... Args>
Device device_of_arguments(const Args&... args) {
  std::optional<Device> first;
  auto look = [&](const Path&, const TrackedTensor& t) {
    if (!first && t.defined()) first = t.device();
  };
  auto one = [&](const auto& a) {
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(a)>, Tensor>)
      look({}, a.defined() ? TrackedTensor(a) : TrackedTensor());
    else
      walk({}, look, a);
  };
  (one(args), ...);
  return first ? *first : default_device();
}

template <class A>
decltype(auto) entered(Level& level, const Path& path, int argument,
                       Device of_scalars, A& a) {
  using T = std::remove_const_t<A>;
  static_assert(!std::is_array_v<T> || !holds_tensors<T>,
                "an array of tensors as an argument: use std::array");
  if constexpr (std::is_floating_point_v<T>) {
    using Scalar = std::conditional_t<std::is_same_v<T, float>, float, double>;
    return level.take(path, scalar_argument(static_cast<Scalar>(a), of_scalars),
                      argument);
  } else if constexpr (std::is_same_v<T, Tensor>) {
    return level.take(path, a.defined() ? TrackedTensor(a) : TrackedTensor(),
                      argument);
  } else if constexpr (holds_tensors<T>) {
    return replaced(path, a, [&](const Path& at, const TrackedTensor& t) {
      return level.take(at, t, argument);
    });
  } else {
    return a;  // as A&
  }
}

// Calls visit(path, argument number, a) for each argument and gives its
// results as a tuple.
template <class V, class... Args>
auto each_argument(const char* transform, V&& visit, Args&... args) {
  const Path root{nullptr, transform};
  int argument = 0;
  auto one = [&](auto& a) -> decltype(auto) {
    const int i = argument++;
    if constexpr (sizeof...(Args) == 1)
      return visit(root, i, a);
    else
      return visit(Path{&root, {}, i}, i, a);
  };
  return std::tuple<decltype(one(args))...>{one(args)...};
}

// f at the arguments, entered into the level, which is closed after that.
template <class F, class... Args>
auto run_level(Level& level, const char* transform, F&& f, Args&... args) {
  Device of_scalars;
  if constexpr ((std::is_floating_point_v<std::remove_const_t<Args>> || ...))
    of_scalars = device_of_arguments(args...);
  auto inside = each_argument(
      transform,
      [&](const Path& path, int argument, auto& a) -> decltype(auto) {
        return entered(level, path, argument, of_scalars, a);
      },
      args...);
  auto y = std::apply(std::forward<F>(f), inside);
  level.close();
  return y;
}

// Hands out the cotangents of what was entered, tensor by tensor.
class Cotangents {
 public:
  Cotangents(const Level& level, const std::vector<TrackedTensor>& all)
      : taken_(level.taken()), all_(all) {}
  TrackedTensor next() {
    return taken_[tensor_++] ? all_[entered_++] : TrackedTensor();
  }

 private:
  const std::vector<bool>& taken_;
  const std::vector<TrackedTensor>& all_;
  std::size_t tensor_ = 0, entered_ = 0;
};

template <class... Args>
auto bare_or_tuple(std::tuple<Args...> t) {
  if constexpr (sizeof...(Args) == 1)
    return std::get<0>(std::move(t));
  else
    return t;
}

// The cotangents in the shape of the arguments.
template <class... Args>
auto gradients_like(Cotangents next, const Args&... args) {
  auto one = [&]<class A>(const A& a) -> GradientOf<A> {
    if constexpr (becomes_tensor<A>) {
      return next.next();
    } else if constexpr (holds_tensors<A>) {
      return replaced({}, a, [&](const Path&, const TrackedTensor&) {
        return next.next();
      });
    } else {
      return {};
    }
  };
  return bare_or_tuple(std::tuple<GradientOf<Args>...>{one(args)...});
}

// What the arguments' gradients will look like, without their memory.
template <class... Args>
std::tuple<GradientOf<Args>...> outline_of(const Args&... args) {
  auto one = []<class A>(const A& a) -> GradientOf<A> {
    if constexpr (becomes_tensor<A> || !holds_tensors<A>)
      return {};
    else
      return replaced({}, a, [](const Path&, const TrackedTensor&) {
        return TrackedTensor();
      });
  };
  return std::tuple<GradientOf<Args>...>{one(args)...};
}

// What f's result is called when it is no tensor and has none inside.
template <class Y>
constexpr const char* kind_of_result() {
  if constexpr (std::is_same_v<Y, bool>)
    return "a bool";
  else if constexpr (std::is_integral_v<Y>)
    return "an integer";
  else
    return "a value without tensors";
}

// The loss in what f returned: itself, or its first member.
template <class Y>
decltype(auto) loss_of(const Y& y, const char* transform) {
  if constexpr (std::is_base_of_v<TrackedTensor, Y>) {
    return static_cast<const TrackedTensor&>(y);
  } else if constexpr (std::is_floating_point_v<Y>) {
    return scalar_argument(static_cast<double>(y), default_device());
  } else if constexpr (std::is_same_v<Y, Tensor>) {
    return TrackedTensor(y);
  } else if constexpr (StructureOf<Y>::kind == StructureKind::tuple) {
    return loss_of(std::get<0>(y), transform);
  } else if constexpr (StructureOf<Y>::kind == StructureKind::fields) {
    return loss_of(std::get<0>(fields_of(y)), transform);
  } else if constexpr (StructureOf<Y>::kind == StructureKind::leaf) {
    throw_no_loss(kind_of_result<Y>(), transform);
    return TrackedTensor();
  } else {
    static_assert(!holds_tensors<Y>,
                  "the function must return a tensor, or a tuple or struct "
                  "whose first member is one; for other results use pullback");
    throw_no_loss("a container", transform);
    return TrackedTensor();
  }
}

// All that f returned as the caller gets it.
template <class Y>
Y results_of(const Level& level, Y y) {
  replace_in({}, y, [&](const Path&, const TrackedTensor& t) {
    return t.defined() ? level.result(t) : t;
  });
  return y;
}

}  // namespace detail
}  // namespace jacquard
