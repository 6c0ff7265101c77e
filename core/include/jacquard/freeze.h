// freeze(f): a function that is run once, and then only its launches.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "jacquard/compile.h"

namespace jacquard {

namespace plan {
class FrozenPlans;
}

namespace detail {

// What a frozen function was called with.
struct JACQUARD_API FrozenCall {
  std::vector<TrackedTensor> tensors;
  std::vector<double> scalars;
  // Everything else, and where which kind of argument was.
  std::vector<std::int64_t> key;

  void add_key(std::int64_t x) { key.push_back(x); }
  void add_text(std::string_view text);
  // A number that the plan gets anew at each call, if f takes it as an Operand.
  void add_scalar(double x);
  template <class T>
  void add_structure(const T& x);
};

template <class T>
void FrozenCall::add_structure(const T& x) {
  std::int64_t count = 0;
  visit_tensors(x, [&](const auto&, const TrackedTensor& t) {
    tensors.push_back(t);
    ++count;
  });
  add_key(count);
}

class JACQUARD_API Frozen {
 public:
  explicit Frozen(CallSite site);
  ~Frozen();
  Frozen(const Frozen&) = delete;
  Frozen& operator=(const Frozen&) = delete;

  // Runs the plan for the call; gives what was kept with it, or nullptr if
  // there is none.
  const void* run(const FrozenCall& call, std::vector<TrackedTensor>& results);
  // Makes a plan while f runs. f is given the scalars as operands and returns
  // the tensors of its result; `keep` is asked what to keep with the plan.
  using First = std::function<std::vector<TrackedTensor>(
      const std::vector<Operand>& scalars)>;
  void plan(const FrozenCall& call, const First& f,
            const std::function<std::shared_ptr<void>()>& keep);
  CompileStats stats() const;

 private:
  std::unique_ptr<plan::FrozenPlans> plans_;
};

// Converts to Operand and to nothing else.
struct AsOperand {
  operator Operand() const;  // NOLINT: implicit by intent
};

template <class F>
concept HasOneCall = requires { &F::operator(); } || std::is_pointer_v<F>;

// Whether argument i of f may be an Operand: only asked of functions that are
// no templates.
template <std::size_t I, class F, class... Args, std::size_t... J>
constexpr bool takes_operand(std::index_sequence<J...>) {
  if constexpr (HasOneCall<F>)
    return std::is_invocable_v<
        F&, std::conditional_t<I == J, AsOperand, const Args&>...>;
  return false;
}

}  // namespace detail

// What freeze() returns: called like f.
template <class F>
class FrozenFunction {
 public:
  FrozenFunction(F f, CallSite site)
      : f_(std::move(f)), frozen_(std::make_unique<detail::Frozen>(site)) {}

  template <class... Args>
    requires std::is_invocable_v<F&, const Args&...>
  auto operator()(const Args&... args) {
    return call(std::index_sequence_for<Args...>(), args...);
  }

  CompileStats stats() const { return frozen_->stats(); }

 private:
  template <std::size_t I, class... Args>
  static constexpr bool is_scalar =
      std::is_floating_point_v<
          std::tuple_element_t<I, std::tuple<std::decay_t<Args>...>>> &&
      detail::takes_operand<I, F, Args...>(std::index_sequence_for<Args...>());

  template <bool Scalar, class T>
  static void describe(detail::FrozenCall& c, const T& x) {
    using D = std::decay_t<T>;
    if constexpr (Scalar) {
      c.add_scalar(static_cast<double>(x));
    } else if constexpr (std::is_floating_point_v<D>) {
      c.add_text({reinterpret_cast<const char*>(&x), sizeof x});
    } else if constexpr (std::is_arithmetic_v<D> || std::is_enum_v<D>) {
      c.add_key(static_cast<std::int64_t>(x));
    } else if constexpr (std::is_convertible_v<const T&, std::string_view>) {
      c.add_text(x);
    } else {
      c.add_structure(x);
    }
  }

  template <bool Scalar, class T>
  static decltype(auto) handed(const std::vector<Operand>& scalars,
                               std::size_t& next, const T& x) {
    if constexpr (Scalar)
      return Operand(scalars[next++]);
    else
      return (x);
  }

  template <std::size_t... I, class... Args>
  auto call(std::index_sequence<I...>, const Args&... args) {
    using R = std::invoke_result_t<F&, const Args&...>;
    detail::FrozenCall c;
    (describe<is_scalar<I, Args...>>(c, args), ...);
    std::vector<TrackedTensor> results;
    const void* kept = frozen_->run(c, results);
    const auto run = [&](const std::vector<Operand>& scalars) -> R {
      std::size_t next = 0;
      std::tuple<decltype(handed<is_scalar<I, Args...>>(scalars, next,
                                                        args))...>
          all{handed<is_scalar<I, Args...>>(scalars, next, args)...};
      return std::apply(f_, all);
    };
    if constexpr (std::is_void_v<R>) {
      if (kept) return;
      frozen_->plan(
          c,
          [&](const std::vector<Operand>& scalars) {
            run(scalars);
            return std::vector<TrackedTensor>();
          },
          [] { return std::make_shared<int>(); });
    } else {
      if (kept) {
        std::size_t next = 0;
        return map_tensors(
            *static_cast<const R*>(kept),
            [&](const TrackedTensor&) { return results[next++]; });
      }
      std::optional<R> result;
      frozen_->plan(
          c,
          [&](const std::vector<Operand>& scalars) {
            result.emplace(run(scalars));
            std::vector<TrackedTensor> tensors;
            visit_tensors(*result, [&](const auto&, const TrackedTensor& t) {
              tensors.push_back(t);
            });
            return tensors;
          },
          [&] {
            return std::make_shared<R>(map_tensors(
                *result, [](const TrackedTensor&) { return TrackedTensor(); }));
          });
      return *std::move(result);
    }
  }

  F f_;
  std::unique_ptr<detail::Frozen> frozen_;
};

// f, run only once for each signature; after that its launches alone run, as
// one graph where the device has such. Whatever may change from call to call is
// an argument:
//  · tensors (leaves stay the leaves that they are), and structures of them:
//    other ones of the same shape, dtype, device and layout;
//  · floating numbers that f takes as Operand: scalars of the plan;
//  · all other numbers, enums and strings are part of the signature: another
//    value is another plan.
// All else is as it was when f ran: conditions, counters, captured numbers,
// what an optimizer counts (a schedule or Adam's bias correction stands still),
// other members of structures. Captured tensors and leaves are read where they
// are: what leaves hold may change. Random numbers are drawn anew, as f would.
// Only f's result is new at each call, not what f left elsewhere; leaves and
// their gradients are written as by f.
//
//   auto decay = freeze([&](const TrackedTensor& g, Operand rate) {
//     return g * rate + noise;
//   });
//   decay(g, 0.1);
//
// What compile() can't plan can't be frozen: it says so on stderr and f runs at
// each call. One call at a time, else Error; inside compile() or a trace it is
// plain f.
template <class F>
auto freeze(F f, CallSite site = CallSite::current()) {
  return FrozenFunction<F>(std::move(f), site);
}

}  // namespace jacquard
