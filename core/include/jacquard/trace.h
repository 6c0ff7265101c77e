// The tape as an object: what a function did, as a list that can be read,
// printed, drawn, and run again.
//
//   auto tape = trace(f, model, x);    // runs f once
//   std::puts(tape.to_string().c_str());
//   tape.save("step.html");            // or .dot, .txt
//   auto y = tape.replay(model, other);
//
// A trace lists the calls that f made: operations, transforms (a gradient is
// its arguments, what f did, and one walk), changes of leaves. tape_of(y) lists
// instead what y's gradient would pass through, and how much memory is kept for
// it.
#pragma once

#include <concepts>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "jacquard/level.h"

namespace jacquard {

// Result `result` of entry `entry`; −1: undefined.
struct TapeRef {
  int entry = -1;
  int result = 0;
};

struct TapeEntry {
  enum class Kind {
    argument,  // of the traced function
    captured,  // a leaf or constant that was there before
    operation
  };
  struct Value {
    bool defined = false;
    Shape shape;
    DType dtype = DType::float32;
    bool tracked = false;
  };

  int id = 0;
  Kind kind = Kind::operation;
  // 0: called by f; n + 1: inside the last entry before with depth n (only if
  // TraceOptions::nested asks for them).
  int depth = 0;
  // Name of the operation; "param" or "constant" for what was captured; for an
  // argument its path ("1.layers.0.weight"; "" if it is the only one).
  std::string operation;
  std::string attributes;  // axes, extents, flags
  std::vector<TapeRef> operands;
  std::vector<Value> results;
  // Of the arrays that the tape keeps for the reverse of this entry, whoever
  // else holds them.
  std::size_t bytes_saved = 0;
  // Its part of the tape was reversed and given up.
  bool given_up = false;
  // Entries of one number ≥ 0 were computed by one fused launch.
  int launch = -1;
  CallSite site;  // line 0: unknown
};

// A list of entries; operands come before what is made of them.
class JACQUARD_API Tape {
 public:
  std::size_t size() const { return entries_.size(); }
  // IndexError outside.
  const TapeEntry& operator[](std::size_t i) const;
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }
  // What the function returned, or the value that was asked about.
  const std::vector<TapeRef>& results() const { return results_; }
  // Fused launches; bytes kept for the reverse.
  int launches() const;
  std::size_t bytes_saved() const;

  // A table, one entry a line.
  std::string to_string() const;
  // For Graphviz; entries of one launch are a cluster.
  std::string to_dot() const;
  // A page by itself: the graph as a picture (SVG; pointing at a box shows its
  // line), and the table.
  std::string to_html(const std::string& title = "tape") const;
  // By extension: .txt, .dot or .gv, .html or .svg (the picture alone). Error
  // if it is another, or the file can't be written.
  void save(const std::string& path) const;

 protected:
  friend JACQUARD_API Tape tape_of(const TrackedTensor& y);
  std::vector<TapeEntry> entries_;
  std::vector<TapeRef> results_;
};

// The gradient tape behind y: one entry for each node that a walk from y would
// visit, rising by the number of the call. Empty for a constant. Computes y if
// it is pending, gives nothing up.
JACQUARD_API Tape tape_of(const TrackedTensor& y);

struct TraceOptions {
  // Also list the calls that operations and walks make inside themselves; they
  // are not replayed by themselves.
  bool nested = false;
};

struct ReplayOptions {
  // Take arguments of other shapes than those of the trace. What f computed on
  // the host from the shapes that it saw stays as it was.
  bool other_shapes = false;
  // Replay although f read values on the host. What it did with them stays as
  // it was.
  bool host_reads = false;
};

namespace detail {

// The untyped part of a trace.
class JACQUARD_API Recording {
 public:
  explicit Recording(TraceOptions options);
  ~Recording();
  Recording(Recording&&) noexcept;
  Recording& operator=(Recording&&) noexcept;

  // Before start().
  void add_argument(std::string path, const TrackedTensor& x);
  // Between the two the thread is observed.
  void start();
  void stop();
  // After stop(): a tensor that f returned.
  void add_result(const TrackedTensor& y);
  void finish(std::vector<TapeEntry>& entries, std::vector<TapeRef>& results);

  struct Argument {
    std::string path;
    TrackedTensor value;
  };
  std::vector<TrackedTensor> replay(const std::vector<TapeEntry>& entries,
                                    const std::vector<Argument>& arguments,
                                    ReplayOptions options) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

[[noreturn]] JACQUARD_API void throw_other_argument(int argument);

// What a replay has to find again of an argument without tensors.
struct NotKept {};
template <class A>
constexpr bool is_kept =
    !becomes_tensor<A> && !holds_tensors<A> && std::equality_comparable<A> &&
    std::is_copy_constructible_v<A>;
template <class A>
using Kept = std::conditional_t<is_kept<A>, A, NotKept>;

template <class A>
Kept<std::remove_cvref_t<A>> kept(const A& a) {
  if constexpr (is_kept<std::remove_cvref_t<A>>)
    return a;
  else
    return {};
}

// Floating scalars and Tensors as tensors, all else as it is.
template <class A>
decltype(auto) traced(const std::optional<Device>& device, A& a) {
  using T = std::remove_const_t<A>;
  if constexpr (std::is_floating_point_v<T>) {
    using Scalar = std::conditional_t<std::is_same_v<T, float>, float, double>;
    return scalar_argument(static_cast<Scalar>(a), device.value());
  } else if constexpr (std::is_same_v<T, Tensor>) {
    return TrackedTensor(a);
  } else {
    return a;  // as A&
  }
}

// The arguments as f gets them; add(path, tensor) is called for each tensor.
template <class Add, class... Args>
auto traced_arguments(const char* transform, Add&& add, Args&... args) {
  std::optional<Device> device;
  if constexpr ((std::is_floating_point_v<std::remove_const_t<Args>> || ...))
    device = device_of_arguments(args...);
  return each_argument(
      transform,
      [&](const Path& path, int, auto& a) -> decltype(auto) {
        using Traced = decltype(traced(device, a));
        if constexpr (std::is_reference_v<Traced>) {
          auto leaf = [&](const Path& at, const TrackedTensor& t) {
            add(at.text(), t);
          };
          walk(path, leaf, std::as_const(a));
          return static_cast<Traced>(a);
        } else {
          Traced t = traced(device, a);
          add(path.text(), t);
          return t;
        }
      },
      args...);
}

}  // namespace detail

// What trace() gives. Y: what f returned, std::monostate for nothing.
template <class Y, class... Kept>
class Trace : public Tape {
 public:
  // Internal.
  Trace(detail::Recording recording, Y result, Kept... kept)
      : recording_(std::move(recording)),
        result_(std::move(result)),
        kept_(std::move(kept)...) {
    auto leaf = [&](const detail::Path&, const TrackedTensor& t) {
      recording_.add_result(t);
    };
    detail::walk({}, leaf, std::as_const(result_));
    recording_.finish(entries_, results_);
  }

  // As f returned it.
  const Y& result() const { return result_; }

  // Makes the recorded calls again, at other arguments, and gives what f would
  // return if its host code did the same again: captured leaves are read (and
  // changed) as they are now, random numbers are drawn anew, gradients flow
  // through it as through f. The results are new arrays. Arguments must have
  // the structure, shapes and dtypes that they had (GraphError, ShapeError,
  // DTypeError; see ReplayOptions), other values than tensors be equal; members
  // of structures that are no tensors are taken to be. GraphError if f read a
  // value on the host that could be another. An error of an operation names its
  // entry.
  template <class... Args>
    requires(sizeof...(Args) == sizeof...(Kept))
  Y replay(const Args&... args) const {
    return replay_with({}, args...);
  }
  template <class... Args>
    requires(sizeof...(Args) == sizeof...(Kept))
  Y replay_with(ReplayOptions options, const Args&... args) const {
    check_kept(std::index_sequence_for<Args...>{}, args...);
    std::vector<detail::Recording::Argument> arguments;
    detail::traced_arguments(
        "replay",
        [&](std::string path, const TrackedTensor& t) {
          arguments.push_back({std::move(path), t});
        },
        args...);
    const auto values = recording_.replay(entries_, arguments, options);
    std::size_t next = 0;
    return detail::replaced({}, result_,
                            [&](const detail::Path&, const TrackedTensor&) {
                              return values[next++];
                            });
  }

 private:
  template <std::size_t... I, class... Args>
  void check_kept(std::index_sequence<I...>, const Args&... args) const {
    auto one = [](int i, const auto& before, const auto& now) {
      if constexpr (!std::is_same_v<std::remove_cvref_t<decltype(before)>,
                                    detail::NotKept>)
        if (!(before == now)) detail::throw_other_argument(i);
    };
    (one(static_cast<int>(I), std::get<I>(kept_), args), ...);
  }

  detail::Recording recording_;
  Y result_;
  std::tuple<Kept...> kept_;
};

// Runs f(args…) once and lists the calls that it makes on this thread.
// Arguments and the result are structures of tensors (see structure.h);
// floating scalars and Tensors become TrackedTensors, as for gradient(). While
// f runs, values that it makes are held; afterwards only what a replay needs:
// captured values and the result.
template <class F, class... Args>
  requires(!std::is_convertible_v<F, Operand>)
auto trace(TraceOptions options, F&& f, Args&&... args) {
  detail::Recording recording(options);
  auto inside = detail::traced_arguments(
      "trace",
      [&](std::string path, const TrackedTensor& t) {
        recording.add_argument(std::move(path), t);
      },
      args...);
  using Result = decltype(std::apply(f, inside));
  using Y = std::conditional_t<std::is_void_v<Result>, std::monostate,
                               std::remove_cvref_t<Result>>;
  auto run = [&]() -> Y {
    if constexpr (std::is_void_v<Result>) {
      std::apply(f, inside);
      return {};
    } else {
      return std::apply(f, inside);
    }
  };
  recording.start();
  Y y = run();
  recording.stop();
  return Trace<Y, detail::Kept<std::remove_cvref_t<Args>>...>(
      std::move(recording), std::move(y), detail::kept(args)...);
}
template <class F, class... Args>
  requires(!std::is_convertible_v<F, Operand> &&
           !std::is_same_v<std::remove_cvref_t<F>, TraceOptions>)
auto trace(F&& f, Args&&... args) {
  return trace(TraceOptions{}, std::forward<F>(f), std::forward<Args>(args)...);
}

}  // namespace jacquard
