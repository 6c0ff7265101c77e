// The call layer: how operations, transforms and effects can be observed.
//
// Whatever makes a value, or changes what a leaf holds or has as its gradient,
// does it in a call:
//
//   TrackedTensor transpose(Operand x, int a, int b) {
//     return tape::call("transpose", x.site(), run_transpose, std::move(x), a,
//                       b);
//   }
//
// Without an observer on the thread that is run_transpose(x, a, b), after one
// test. An observer sees name, line, operands, attributes and host scalars, and
// answers: by running it, or with values that it knows already. All that a call
// depends on is in its arguments (and in the thread's modes, see modes.h); a
// body captures nothing. Calls made inside a body are the body's own business:
// they are not observed, unless the observer asks for them.
//
// A function that makes values in any other way is invisible: a trace takes its
// results for constants, and says so where it can tell.
#pragma once

#include <span>
#include <tuple>
#include <utility>

#include "core/tape/call_arguments.h"

namespace jacquard::tape {

class CallObserver;

// The thread's observer: the one that calls are shown to, null inside a body,
// and the one that is installed.
struct Observation {
  CallObserver* active = nullptr;
  CallObserver* installed = nullptr;
};
JACQUARD_API extern __attribute__((
    tls_model("initial-exec"))) constinit thread_local Observation observation;

// Runs a call again, with other operands and scalars; holds no operands.
using Body = std::function<void(const Feed&, Results&)>;

// One call, as the observer sees it. Lives as long as the call; what run()
// takes (operands, body, text) is to be looked at before.
class JACQUARD_API Call {
 public:
  Call(const char* name, CallSite site) : name(name), site(site) {}
  virtual ~Call() = default;
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  // A literal that lives for ever.
  const char* const name;
  const CallSite site;
  // Handles as the caller gave them: leaves are leaves, not what they hold;
  // some may be undefined.
  OperandList operands;
  // Two calls of one name with equal attributes, on operands of the same shape,
  // dtype, device and tracked flag, in the same modes, do the same.
  Attributes attributes;
  // What may differ between two such calls; may be changed before run().
  Scalars scalars;
  // The first two scalars are seed and offset, drawn for this call.
  bool random = false;
  // Holds a function of the user's, which nothing can be compared with.
  bool has_function = false;
  // The answer: as many as the call has.
  Results results;

  // Does what the call does, unobserved (unless the observer is nested), and
  // fills `results`.
  void run();
  virtual Body body() const = 0;
  // Attributes and scalars, for people.
  virtual std::string text() const = 0;

 protected:
  virtual void invoke() = 0;
};

class JACQUARD_API CallObserver {
 public:
  virtual ~CallObserver() = default;
  // Answers the call: runs it, or fills in its results.
  virtual void call(Call& c) = 0;
  // The host is about to read x.
  virtual void read(const TrackedTensor&) {}
  // One launch computes the values inside, and writes some of them.
  virtual void computes(std::span<Value* const> /*inside*/,
                        std::span<Value* const> /*written*/) {}
  // It was done: the value has its array and its node.
  virtual void written(const Value&) {}
  // An operation that is not a call was recorded on the tape.
  virtual void bypassed(const char* /*name*/, CallSite) {}
  // A function of the user's is about to run inside a body (a hook, a
  // pullback).
  virtual void user_code(const char* /*what*/, CallSite) {}
  // Whether calls that are made inside a call's body are to be seen as well.
  virtual bool nested() const { return false; }
};

// Installs an observer on the thread for its own lifetime.
class JACQUARD_API Observing {
 public:
  explicit Observing(CallObserver& o)
      : before_(std::exchange(observation, {&o, &o})) {}
  ~Observing() { observation = before_; }
  Observing(const Observing&) = delete;
  Observing& operator=(const Observing&) = delete;

 private:
  Observation before_;
};

// While it lives, calls of the thread are not shown to its observer.
class JACQUARD_API Unobserved {
 public:
  Unobserved() : before_(std::exchange(observation.active, nullptr)) {}
  ~Unobserved() { observation.active = before_; }
  Unobserved(const Unobserved&) = delete;
  Unobserved& operator=(const Unobserved&) = delete;

 private:
  CallObserver* before_;
};

template <class F, class... Args>
class TypedCall final : public Call {
 public:
  TypedCall(const char* name, CallSite site, F f, Args&&... args)
      : Call(name, site), f_(f), args_(std::forward<Args>(args)...) {
    Describe d{operands, attributes, scalars, random, has_function};
    each(args_, [&](const auto& x) { visit(d, x); });
  }

  Body body() const override {
    Own own(args_);
    Strip strip;
    each(own, [&](auto& x) { visit(strip, x); });
    return [f = f_, own](const Feed& given, Results& out) {
      Own mine(own);
      Feed feed = given;
      each(mine, [&](auto& x) { visit(feed, x); });
      invoke_into(out, f, std::move(mine));
    };
  }

  std::string text() const override {
    Spell spell;
    each(args_, [&](const auto& x) { visit(spell, x); });
    return spell.text;
  }

 protected:
  void invoke() override {
    Feed feed{.scalars = scalars.data()};
    each(args_, [&]<class X>(X& x) {
      if constexpr (!std::is_const_v<X>)
        visit(feed, x);
      else
        static_assert(!has_scalars<std::remove_const_t<X>>,
                      "the observer may change host scalars: not const");
    });
    invoke_into(results, f_, std::move(args_));
  }

 private:
  using Own = std::tuple<std::decay_t<Args>...>;

  static void each(auto& arguments, auto visitor) {
    std::apply([&](auto&... x) { (visitor(x), ...); }, arguments);
  }
  template <class Arguments>
  static void invoke_into(Results& out, F f, Arguments&& args) {
    using R = decltype(std::apply(f, std::move(args)));
    if constexpr (std::is_void_v<R>) {
      std::apply(f, std::move(args));
    } else if constexpr (std::is_same_v<R, TrackedTensor>) {
      out.push_back(std::apply(f, std::move(args)));
    } else {
      static_assert(std::is_same_v<R, std::vector<TrackedTensor>>);
      for (TrackedTensor& t : std::apply(f, std::move(args)))
        out.push_back(std::move(t));
    }
  }

  F f_;
  std::tuple<Args&&...> args_;
};

// Shows the call to the observer.
JACQUARD_API void show(Call& c);

template <class F, class... Args>
[[gnu::noinline, gnu::cold]] auto call_observed(const char* name, CallSite site,
                                                F f, Args&&... args)
    -> std::invoke_result_t<F, Args...> {
  using R = std::invoke_result_t<F, Args...>;
  TypedCall<F, Args...> c(name, site, f, std::forward<Args>(args)...);
  show(c);
  if constexpr (std::is_same_v<R, TrackedTensor>)
    return std::move(c.results[0]);
  else if constexpr (!std::is_void_v<R>)
    return R(std::make_move_iterator(c.results.begin()),
             std::make_move_iterator(c.results.end()));
}

// f(args…), or what the thread's observer makes of it. f: a function, or a
// callable without captures.
template <class F, class... Args>
inline auto call(const char* name, CallSite site, F f, Args&&... args)
    -> std::invoke_result_t<F, Args...> {
  if (!observation.active) [[likely]]
    return f(std::forward<Args>(args)...);
  return call_observed(name, site, f, std::forward<Args>(args)...);
}

// Says that one launch computes values, and that one was written.
inline void report_computes(std::span<Value* const> inside,
                            std::span<Value* const> written) {
  if (observation.installed) [[unlikely]]
    observation.installed->computes(inside, written);
}
inline void report_written(const Value& v) {
  if (observation.installed) [[unlikely]]
    observation.installed->written(v);
}

// Says that a function of the user's runs inside a body.
inline void report_user_code(const char* what, CallSite site) {
  if (observation.installed) [[unlikely]]
    observation.installed->user_code(what, site);
}

// Says that the host reads x.
inline void reading(const TrackedTensor& x) {
  if (observation.active) [[unlikely]]
    observation.active->read(x);
}

}  // namespace jacquard::tape
