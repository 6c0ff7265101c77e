// Operations with a reverse rule of the user's.
//
//   auto cube = custom_vjp(
//       [](const TrackedTensor& x) { return x * x * x; },
//       [](const TrackedTensor& x, const TrackedTensor& y,
//          const TrackedTensor& dy) { return dy * 3.0 * x * x; },
//       {.name = "cube"});
//   TrackedTensor y = cube(x);
//
// The rule is one operation: what f computes inside is not recorded, nothing
// is fused across its edge, f runs once a call and the pullback once a walk.
// The pullback is written in tracked operations, so that gradients of every
// order come from it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "jacquard/call_site.h"
#include "jacquard/structure.h"
#include "jacquard/tracked_tensor.h"

namespace jacquard {

// Which gradients the walk at hand asks for; what isn't needed need not be
// computed. A pullback of which nothing is needed is not run.
class JACQUARD_API Needs {
 public:
  // `first` holds the number of the first tensor of each argument, and the
  // number of all at its end.
  Needs(std::vector<bool> tensors, std::vector<std::size_t> first)
      : tensors_(std::move(tensors)), first_(std::move(first)) {}

  // Arguments that hold tensors; the others don't count.
  std::size_t size() const { return first_.size() - 1; }
  // Whether something in the k-th of those needs a gradient. IndexError.
  bool operator[](std::size_t k) const;
  // Whether the k-th tensor does, counted over all arguments in the order of
  // tensors_of(). IndexError.
  bool tensor(std::size_t k) const;
  // How many tensors there are, and in the k-th argument.
  std::size_t tensors() const { return tensors_.size(); }
  std::size_t tensors_in(std::size_t k) const {
    return first_[k + 1] - first_[k];
  }

 private:
  std::vector<bool> tensors_;
  std::vector<std::size_t> first_;
};

struct RuleOptions {
  // Shown in messages and on the tape.
  std::string name = "custom_vjp";
  // The pullback is not differentiable (it leaves the tape, say): it runs
  // unrecorded, and a derivative of its results is a GraphError.
  bool once_differentiable = false;
  // What f computed into its state doesn't depend on the arguments (a random
  // mask, say): derivatives of it are 0. See with_state.
  bool constant_state = false;
};

// What f may return to say what is kept for the pullback: instead of all
// arguments and results the state alone, a structure with any other members.
// A tensor of the state that is an argument or a result is that one to a second
// derivative, too. How another depends on the arguments is not known: a second
// derivative through it is a GraphError, unless constant_state.
template <class Y, class S>
struct WithState {
  Y result;
  S state;
};
template <class Y, class S>
WithState<std::decay_t<Y>, std::decay_t<S>> with_state(Y&& result, S&& state) {
  return {std::forward<Y>(result), std::forward<S>(state)};
}

namespace detail {

struct RuleInfo {
  const char* name;
  bool once_differentiable;
  bool constant_state;
};
JACQUARD_API RuleInfo rule_info(const RuleOptions& options);

// From what was kept and the cotangents of the results to one gradient for each
// tensor of the arguments.
using RulePullback = std::function<std::vector<TrackedTensor>(
    std::span<const TrackedTensor> kept,
    std::span<const TrackedTensor> cotangents, const Needs& needs)>;

// While it lives, nothing is recorded, or fused with what is outside.
class JACQUARD_API RuleScope {
 public:
  RuleScope();
  ~RuleScope();
  RuleScope(const RuleScope&) = delete;
  RuleScope& operator=(const RuleScope&) = delete;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// From what was kept and the tangents of the arguments' tensors to one for each
// tensor of the results.
using RulePush = std::function<std::vector<TrackedTensor>(
    std::span<const TrackedTensor> kept,
    std::span<const TrackedTensor> tangents)>;

// One call of a rule.
class JACQUARD_API RuleCall {
 public:
  RuleCall(const RuleInfo& info, CallSite site);
  ~RuleCall();
  RuleCall(const RuleCall&) = delete;
  RuleCall& operator=(const RuleCall&) = delete;

  // The argument as f sees it: written, its tensors constants.
  template <class A>
  A enter(const A& argument) {
    if constexpr (holds_tensors<A>) {
      begin_argument();
      return map_tensors(argument,
                         [this](const TrackedTensor& t) { return add(t); });
    } else {
      return argument;
    }
  }
  // All arguments are entered. Whether the call is recorded.
  bool records() const;
  // If it records, once for each argument with tensors, in order.
  template <class A>
  void name_argument(const A& argument) {
    if constexpr (holds_tensors<A>) add_names(paths_of(argument));
  }

  // The results as the caller gets them: written, and tracked if it records.
  // The names say where in the state, or the arguments, the kept are.
  std::vector<TrackedTensor> finish(std::vector<TrackedTensor> results,
                                    const std::vector<TrackedTensor>& kept,
                                    std::vector<std::string> kept_names,
                                    RulePullback pullback, RulePush push);
  std::vector<TrackedTensor> finish(std::vector<TrackedTensor> results);

 private:
  struct State;
  void begin_argument();
  TrackedTensor add(const TrackedTensor& t);
  void add_names(const std::vector<std::string>& paths);
  std::unique_ptr<State> state_;
};

// x with other tensors in the places of its own.
template <class T>
T refilled(const T& x, std::span<const TrackedTensor> tensors) {
  if constexpr (holds_tensors<T>) {
    std::size_t next = 0;
    return map_tensors(x,
                       [&](const TrackedTensor&) { return tensors[next++]; });
  } else {
    return x;
  }
}

// x without its tensors.
template <class T>
T emptied(const T& x) {
  if constexpr (holds_tensors<T>)
    return map_tensors(x, [](const TrackedTensor&) { return TrackedTensor(); });
  else
    return x;
}

template <class T>
inline constexpr bool is_with_state = false;
template <class Y, class S>
inline constexpr bool is_with_state<WithState<Y, S>> = true;

template <class G>
concept TupleLike = requires { std::tuple_size<G>::value; };

// body(tensors), as a call of the tape.
JACQUARD_API std::vector<TrackedTensor> call_rule(
    const RuleInfo& info, CallSite site, std::vector<TrackedTensor> tensors,
    std::function<std::vector<TrackedTensor>(const std::vector<TrackedTensor>&)>
        body);

// GraphError unless a gradient has as many tensors as its argument (`of`: all
// arguments).
JACQUARD_API void check_gradient_count(const RuleInfo& info, CallSite site,
                                       std::string_view of,
                                       std::size_t expected, std::size_t given);

// What a pullback returned for arguments of the types A, one tensor after
// another.
template <class G, class... A>
std::vector<TrackedTensor> gradients_of(const G& g, const Needs& needs,
                                        const RuleInfo& info, CallSite site,
                                        TypeList<A...>) {
  std::vector<TrackedTensor> all;
  [[maybe_unused]] std::size_t k = 0;
  [[maybe_unused]] const auto append = [&](const auto& gradient) {
    const std::vector<TrackedTensor> tensors = tensors_of(gradient);
    check_gradient_count(info, site, "argument " + std::to_string(k),
                         needs.tensors_in(k), tensors.size());
    all.insert(all.end(), tensors.begin(), tensors.end());
    ++k;
  };
  if constexpr (sizeof...(A) == 1 &&
                (std::is_convertible_v<const G&, const A&> && ...)) {
    (append(static_cast<const A&>(g)), ...);
  } else if constexpr (std::is_same_v<G, std::vector<TrackedTensor>>) {
    check_gradient_count(info, site, "all arguments", needs.tensors(),
                         g.size());
    all = g;
  } else if constexpr (TupleLike<G>) {
    static_assert(std::tuple_size_v<G> == sizeof...(A),
                  "custom_vjp: a pullback returns one gradient for each "
                  "argument that holds tensors");
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      static_assert(
          (std::is_convertible_v<decltype(std::get<I>(g)), const A&> && ...),
          "custom_vjp: the gradient of an argument has the argument's type");
      (append(static_cast<const A&>(std::get<I>(g))), ...);
    }(std::make_index_sequence<sizeof...(A)>{});
  } else {
    static_assert(TupleLike<G>,
                  "custom_vjp: a pullback returns the gradient of the "
                  "argument, a tuple with one for each argument that holds "
                  "tensors, or a std::vector<TrackedTensor> for all");
  }
  return all;
}

// The types among A that hold tensors.
template <class Done, class... A>
struct TensorTypes {
  using type = Done;
};
template <class... Done, class A, class... Left>
struct TensorTypes<TypeList<Done...>, A, Left...>
    : TensorTypes<std::conditional_t<holds_tensors<A>, TypeList<Done..., A>,
                                     TypeList<Done...>>,
                  Left...> {};

// p(x...), or p(needs, x...) where it asks for that.
template <class P, class... X>
auto call_pullback(const P& p, const Needs& needs, const X&... x) {
  if constexpr (std::is_invocable_v<const P&, const X&...>) {
    return p(x...);
  } else {
    static_assert(
        std::is_invocable_v<const P&, const Needs&, const X&...>,
        "custom_vjp: the pullback takes (arguments..., result, cotangent), or "
        "(state, cotangent) if f returns with_state, perhaps with a const "
        "Needs& before them");
    return p(needs, x...);
  }
}

// No forward rule.
struct NoJvp {};

// x alone if it holds tensors, else nothing.
template <class T>
auto if_tensors(const T& x) {
  if constexpr (holds_tensors<T>)
    return std::tuple<T>(x);
  else
    return std::tuple<>();
}

template <class F, class... A>
auto call_unrecorded(const F& f, const std::tuple<A...>& args) {
  const RuleScope scope;
  return std::apply(f, args);
}

}  // namespace detail

// What custom_vjp returns.
template <class F, class P, class J = detail::NoJvp>
class CustomVjp {
 public:
  CustomVjp(F f, P pullback, const RuleOptions& options)
      : f_(std::make_shared<const F>(std::move(f))),
        pullback_(std::make_shared<const P>(std::move(pullback))),
        info_(detail::rule_info(options)) {}
  CustomVjp(std::shared_ptr<const F> f, std::shared_ptr<const P> pullback,
            J jvp, const detail::RuleInfo& info)
      : f_(std::move(f)),
        pullback_(std::move(pullback)),
        jvp_(std::make_shared<const J>(std::move(jvp))),
        info_(info) {}

  // The same rule with a forward rule for jvp, pushforward and what is built on
  // them; without, they differentiate the pullback. `jvp` takes what the
  // pullback takes but for the cotangent, and then a tangent for each argument
  // that holds tensors, in the argument's structure: structural zeros where
  // there is none, undefined where a tensor isn't floating. It returns the
  // tangent in the result's structure; undefined: a structural zero. It is run
  // for each of several results, and for each of several tangents.
  template <class Forward>
  CustomVjp<F, P, Forward> with_jvp(Forward jvp) const {
    return {f_, pullback_, std::move(jvp), info_};
  }

  // f(args...), without its state. Messages and the tape tell the caller's
  // line, which with more than 6 arguments at() takes.
  template <class A>
  auto operator()(const A& a, CallSite site = CallSite::current()) const {
    return at(site, a);
  }
  template <class A, class B>
  auto operator()(const A& a, const B& b,
                  CallSite site = CallSite::current()) const {
    return at(site, a, b);
  }
  template <class A, class B, class C>
  auto operator()(const A& a, const B& b, const C& c,
                  CallSite site = CallSite::current()) const {
    return at(site, a, b, c);
  }
  template <class A, class B, class C, class D>
  auto operator()(const A& a, const B& b, const C& c, const D& d,
                  CallSite site = CallSite::current()) const {
    return at(site, a, b, c, d);
  }
  template <class A, class B, class C, class D, class E>
  auto operator()(const A& a, const B& b, const C& c, const D& d, const E& e,
                  CallSite site = CallSite::current()) const {
    return at(site, a, b, c, d, e);
  }
  template <class A, class B, class C, class D, class E, class G>
  auto operator()(const A& a, const B& b, const C& c, const D& d, const E& e,
                  const G& g, CallSite site = CallSite::current()) const {
    return at(site, a, b, c, d, e, g);
  }

  template <class... Args>
  auto at(CallSite site, const Args&... args) const {
    using All = std::tuple<std::decay_t<const Args&>...>;
    using Y = std::decay_t<decltype(run(site, std::declval<const All&>()))>;
    const All all{args...};
    // The call may be run again, by who observed it, on other tensors.
    const auto shape = std::make_shared<std::optional<Y>>();
    std::vector<TrackedTensor> results = detail::call_rule(
        info_, site, tensors_of(all),
        [rule = *this, site, shape, like = detail::emptied(all)](
            const std::vector<TrackedTensor>& tensors) {
          const Y y = rule.run(site, detail::refilled(like, tensors));
          *shape = detail::emptied(y);
          return tensors_of(y);
        });
    return detail::refilled(**shape, results);
  }

 private:
  template <class... A>
  auto run(CallSite site, const std::tuple<A...>& args) const {
    detail::RuleCall rule(info_, site);
    const std::tuple<A...> entered = std::apply(
        [&](const A&... a) { return std::tuple<A...>{rule.enter(a)...}; },
        args);
    auto made = detail::call_unrecorded(*f_, entered);
    using Made = decltype(made);
    if constexpr (detail::is_with_state<Made>) {
      return finish(rule, site, entered, made.result,
                    std::tuple<decltype(made.state)>(made.state));
    } else {
      return finish(rule, site, entered, made,
                    std::tuple_cat(entered, std::tuple<Made>(made)));
    }
  }

  template <class... A, class Y, class Kept>
  Y finish(detail::RuleCall& rule, CallSite site, const std::tuple<A...>& args,
           const Y& y, const Kept& kept) const {
    static_assert(detail::holds_tensors<Y>,
                  "custom_vjp: f returns a TrackedTensor or a structure of "
                  "them");
    std::vector<TrackedTensor> results = tensors_of(y);
    if (!rule.records()) return detail::refilled(y, rule.finish(results));
    std::apply([&](const auto&... a) { (rule.name_argument(a), ...); }, args);
    auto pull = [pullback = pullback_, info = info_, site,
                 kept = detail::emptied(kept), y = detail::emptied(y)](
                    std::span<const TrackedTensor> tensors,
                    std::span<const TrackedTensor> cotangents,
                    const Needs& needs) {
      using Types = detail::TensorTypes<detail::TypeList<>, A...>;
      const auto call = [&](const auto&... x) {
        return detail::call_pullback(*pullback, needs, x...,
                                     detail::refilled(y, cotangents));
      };
      return detail::gradients_of(
          std::apply(call, detail::refilled(kept, tensors)), needs, info, site,
          typename Types::type{});
    };
    return detail::refilled(
        y, rule.finish(std::move(results), tensors_of(kept), paths_of(kept),
                       std::move(pull), forward<Y>(args, kept)));
  }

  template <class Y, class... A, class Kept>
  detail::RulePush forward(const std::tuple<A...>& args,
                           const Kept& kept) const {
    if constexpr (std::is_same_v<J, detail::NoJvp>) {
      return {};
    } else {
      return [jvp = jvp_, args = detail::emptied(args),
              kept = detail::emptied(kept)](
                 std::span<const TrackedTensor> tensors,
                 std::span<const TrackedTensor> tangents) {
        const auto pushed = std::apply(
            [](const A&... a) {
              return std::tuple_cat(detail::if_tensors(a)...);
            },
            detail::refilled(args, tangents));
        const Y tangent = std::apply(
            *jvp, std::tuple_cat(detail::refilled(kept, tensors), pushed));
        return tensors_of(tangent);
      };
    }
  }

  std::shared_ptr<const F> f_;
  std::shared_ptr<const P> pullback_;
  std::shared_ptr<const J> jvp_;
  detail::RuleInfo info_;
};

// f as one operation whose reverse is `pullback`.
//
// f takes any arguments and returns a tensor or a structure of tensors (see
// structure.h; a tuple, say), or with_state of that. Gradients flow to
// floating tensors in the arguments, and nowhere else: not to what f or the
// pullback captured. All arguments must be copyable. f sees constants.
//
// The pullback takes all arguments, the result and the cotangent of the
// result, in this order; if f returns with_state, the state and the cotangent.
// If it wants to, it takes a const Needs& before them. The cotangent has the
// structure of the result, with the shapes and dtypes of its tensors; where no
// path leads to one of several results, it is a structural zero, and where a
// result isn't floating, undefined. It returns the gradient of the one
// argument that holds tensors, of the argument's type; a tuple of those for
// several; or a std::vector<TrackedTensor> with one for each tensor.
// Undefined: a structural zero, and so for tensors that aren't floating.
//
// A gradient of another shape, device or dtype than its tensor (float32 is
// taken for half types), or of another number of tensors, is a ShapeError,
// DeviceError, DTypeError or GraphError that says what was expected, with the
// name of the rule and the line of the call.
template <class F, class P>
CustomVjp<F, P> custom_vjp(F f, P pullback, const RuleOptions& options = {}) {
  return {std::move(f), std::move(pullback), options};
}

}  // namespace jacquard
