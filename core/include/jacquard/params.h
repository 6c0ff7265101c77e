// Implicit parameters: gradients of a function without arguments with respect
// to leaves that it uses, and arithmetic on such gradients.
//
//   Params ps(model);
//   auto [loss, gs] = withgradient(ps, [&] { return mse(model(x), y); });
//   gs /= 2;
//   for (const TrackedTensor& p : ps) update(p, -0.1 * gs[p]);
#pragma once

#include <cstddef>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "jacquard/gradient.h"
#include "jacquard/structure.h"
#include "jacquard/tracked_tensor.h"

namespace jacquard {

// An ordered set of leaves (param), by identity: handles of one leaf are one
// member, two leaves over one memory are two. Whatever is added must be a leaf
// (GraphError names what it is instead). Looking one up takes logarithmic time.
class JACQUARD_API Params {
 public:
  using value_type = TrackedTensor;
  using const_iterator = std::vector<TrackedTensor>::const_iterator;

  Params() = default;
  Params(std::initializer_list<TrackedTensor> leaves);
  explicit Params(const std::vector<TrackedTensor>& leaves);
  // The leaves of a structure, in its order; its constants and undefined
  // tensors are left out. GraphError for what is tracked but no leaf: the
  // arguments of a transform, for example.
  template <class T>
    requires(!std::is_same_v<T, Params> &&
             !std::is_base_of_v<TrackedTensor, T> &&
             !std::is_same_v<T, std::vector<TrackedTensor>> &&
             detail::holds_tensors<T>)
  explicit Params(const T& structure) {
    for (const TrackedTensor& t : tensors_of(structure)) push_if_tracked(t);
  }

  std::size_t size() const { return leaves_.size(); }
  bool empty() const { return leaves_.empty(); }
  const_iterator begin() const { return leaves_.begin(); }
  const_iterator end() const { return leaves_.end(); }
  // IndexError unless i < size().
  const TrackedTensor& operator[](std::size_t i) const;
  // Members first … last − 1; IndexError unless first ≤ last ≤ size().
  Params slice(std::size_t first, std::size_t last) const;
  bool contains(const TrackedTensor& p) const { return find(p) != kNone; }
  // The place of p, or kNone.
  std::size_t find(const TrackedTensor& p) const;
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  // At the end, unless it is there.
  void push(const TrackedTensor& p);
  // Whether it was there.
  bool erase(const TrackedTensor& p);
  // Adds the members of other that are not there / keeps those that other has.
  Params& unite(const Params& other);
  Params& intersect(const Params& other);

  // All elements behind one another, each leaf row-major: one vector, recorded.
  // ShapeError if there are no leaves; dtypes promote.
  TrackedTensor to_vector(CallSite site = CallSite::current()) const;
  // The reverse: each leaf is assigned its part, converted to its dtype, in
  // memory of its own. ShapeError unless the vector has as many elements as the
  // leaves together; nothing is assigned then.
  void assign_vector(const TrackedTensor& flat) const;

  // The same members in the same order.
  friend bool operator==(const Params& a, const Params& b) {
    return a.size() == b.size() && a.same_order(b);
  }

 private:
  void push_if_tracked(const TrackedTensor& t);
  bool same_order(const Params& other) const;
  void index();
  std::vector<TrackedTensor> leaves_;
  // By identity, sorted.
  std::vector<std::pair<const void*, std::size_t>> places_;
};

// Members of either, those of a first; members of both, in the order of a.
JACQUARD_API Params set_union(const Params& a, const Params& b);
JACQUARD_API Params set_intersection(const Params& a, const Params& b);
// The same members in whatever order.
JACQUARD_API bool set_equal(const Params& a, const Params& b);
// "Params of 2: float32[5, 10], float32[5]".
JACQUARD_API std::string to_string(const Params& params);

// A gradient for each member of a Params, of its shape, dtype and device;
// structural zeros for members that were not used. A value like any other:
// copies are independent, and nothing that is called later changes it.
//
// Arithmetic is element by element, between Grads over equal sets (GraphError
// names a parameter that one lacks), in the order of the first; a structural
// zero plus, minus or times something costs nothing. If no operand is tracked,
// an operator is one launch for each dtype, whatever the number of parameters
// and their shapes; if one is, its results are recorded, and pending as usual.
class JACQUARD_API Grads {
 public:
  using value_type = TrackedTensor;
  using const_iterator = std::vector<TrackedTensor>::const_iterator;

  Grads() = default;
  // values[i] belongs to params[i] and is checked like a cotangent; undefined:
  // a structural zero. GraphError unless there are as many.
  Grads(Params params, std::vector<TrackedTensor> values);

  // Of p; GraphError says what p is if it is not a member.
  const TrackedTensor& operator[](const TrackedTensor& p) const;
  // Replaces the gradient of p, which becomes a member if it is none.
  void set(const TrackedTensor& p, TrackedTensor gradient);
  bool contains(const TrackedTensor& p) const { return params_.contains(p); }
  std::size_t size() const { return values_.size(); }
  bool empty() const { return values_.empty(); }
  const Params& keys() const { return params_; }
  const std::vector<TrackedTensor>& values() const { return values_; }
  // Parameters with their gradients.
  std::vector<std::pair<TrackedTensor, TrackedTensor>> pairs() const;
  // Over the values.
  const_iterator begin() const { return values_.begin(); }
  const_iterator end() const { return values_.end(); }

  // Takes over what other has, its parameters included.
  Grads& merge(const Grads& other);

  // As for Params; the reverse replaces the gradients.
  TrackedTensor to_vector(CallSite site = CallSite::current()) const;
  void assign_vector(const TrackedTensor& flat);

  Grads& operator+=(const Grads& b) { return *this = *this + b; }
  Grads& operator-=(const Grads& b) { return *this = *this - b; }
  Grads& operator*=(const Grads& b) { return *this = *this * b; }
  Grads& operator/=(const Grads& b) { return *this = *this / b; }
  Grads& operator+=(double b) { return *this = *this + b; }
  Grads& operator-=(double b) { return *this = *this - b; }
  Grads& operator*=(double b) { return *this = *this * b; }
  Grads& operator/=(double b) { return *this = *this / b; }

  JACQUARD_API friend Grads operator-(const Grads& a);
  JACQUARD_API friend Grads operator+(const Grads& a, const Grads& b);
  JACQUARD_API friend Grads operator-(const Grads& a, const Grads& b);
  JACQUARD_API friend Grads operator*(const Grads& a, const Grads& b);
  JACQUARD_API friend Grads operator/(const Grads& a, const Grads& b);
  JACQUARD_API friend Grads operator+(const Grads& a, double b);
  JACQUARD_API friend Grads operator-(const Grads& a, double b);
  JACQUARD_API friend Grads operator*(const Grads& a, double b);
  JACQUARD_API friend Grads operator/(const Grads& a, double b);
  JACQUARD_API friend Grads operator+(double a, const Grads& b);
  JACQUARD_API friend Grads operator-(double a, const Grads& b);
  JACQUARD_API friend Grads operator*(double a, const Grads& b);
  JACQUARD_API friend Grads operator/(double a, const Grads& b);

 private:
  Params params_;
  std::vector<TrackedTensor> values_;
};

// "Grads of 2: float32[5, 10], float32[5] (zero)".
JACQUARD_API std::string to_string(const Grads& grads);

namespace detail {

// The values of `grads` in the order of `params`.
JACQUARD_API std::vector<TrackedTensor> values_for(const Params& params,
                                                   const Grads& grads);
// What f returned, computed: one launch for those over one shape.
JACQUARD_API Grads mapped(const Params& params,
                          std::vector<TrackedTensor> values);

template <class T>
concept IsParams = std::is_same_v<std::remove_cvref_t<T>, Params>;

inline void watch_all(Level& level, const Params& params) {
  for (const TrackedTensor& p : params) level.watch(p);
}

// Nothing depends on no parameters.
inline GradientOptions options_for(GradientOptions options, const Params& ps) {
  options.allow_unused = options.allow_unused || ps.empty();
  return options;
}

}  // namespace detail

// f of each gradient (of corresponding gradients), for each parameter; equal
// sets as for arithmetic. f sees tensors, zeros for structural zeros, and
// returns a gradient of the parameter's shape.
template <class F, class... More>
Grads map_grads(F&& f, const Grads& first, const More&... more) {
  const std::vector<TrackedTensor> others[] = {
      first.values(), detail::values_for(first.keys(), more)...};
  std::vector<TrackedTensor> values;
  for (std::size_t i = 0; i < first.size(); ++i)
    values.push_back([&]<std::size_t... k>(std::index_sequence<k...>) {
      return f(others[k][i]...);
    }(std::make_index_sequence<1 + sizeof...(More)>{}));
  return detail::mapped(first.keys(), std::move(values));
}

// The gradient of f() with respect to the leaves: through everything that was
// recorded from them, also before the call, as by backward(); but pure, like
// gradient(f, x): the leaves keep the gradients they had, and what was recorded
// before the call is not given up. Errors as for gradient(f, x): GraphError if
// the result depends on none of the leaves and there are some. f may return
// more than the loss, as there. May be used inside itself. The same leaf inside
// and outside is the same variable.
template <detail::IsParams P, class F>
auto withgradient(GradientOptions options, P&& params, F&& f) {
  constexpr const char* name = "gradient";
  detail::Level level(detail::options_for(std::move(options), params),
                      CallSite{}, name);
  detail::watch_all(level, params);
  auto y = std::forward<F>(f)();
  level.close();
  decltype(auto) loss = detail::loss_of(y, name);
  detail::check_loss(loss, name);
  Grads grads(params, level.walk(loss, {}, /*retain=*/false));
  return ValueAndGradient<decltype(y), Grads>{
      detail::results_of(level, std::move(y)), std::move(grads)};
}
template <detail::IsParams P, class F>
auto withgradient(P&& params, F&& f) {
  return withgradient(GradientOptions{}, params, std::forward<F>(f));
}

template <detail::IsParams P, class F>
Grads gradient(GradientOptions options, P&& params, F&& f) {
  return withgradient(std::move(options), params, std::forward<F>(f)).gradient;
}
template <detail::IsParams P, class F>
Grads gradient(P&& params, F&& f) {
  return gradient(GradientOptions{}, params, std::forward<F>(f));
}

// What pullback(params, f) returns: from cotangents of f's result to Grads, as
// Pullback. Can be called any number of times.
template <class Y>
class ParamsPullback {
 public:
  ParamsPullback(Pullback<Y> walks, Params params)
      : walks_(std::move(walks)), params_(std::move(params)) {}
  Grads operator()(const Y& seed) const {
    return {params_, walks_.cotangents(seed)};
  }
  // A single element needs no seed.
  Grads operator()() const
    requires std::is_base_of_v<TrackedTensor, Y>
  {
    return (*this)(Y());
  }

 private:
  Pullback<Y> walks_;
  Params params_;
};

// The value of f(), a structure of tensors of any shapes, and the function from
// cotangents to gradients.
template <detail::IsParams P, class F>
auto pullback(P&& params, F&& f) {
  auto level = std::make_unique<detail::Level>(detail::options_for({}, params),
                                               CallSite{}, "pullback");
  detail::watch_all(*level, params);
  auto y = std::forward<F>(f)();
  level->close();
  using Y = decltype(y);
  static_assert(detail::holds_tensors<Y>,
                "pullback: the function returns no tensor");
  Y value = detail::results_of(*level, y);
  return std::pair<Y, ParamsPullback<Y>>(
      std::move(value),
      ParamsPullback<Y>(Pullback<Y>(std::move(level), std::move(y), {}),
                        params));
}

namespace detail {
JACQUARD_API std::vector<TrackedTensor> jacobians(
    const TrackedTensor& y, const Params& params,
    const std::function<Grads(const TrackedTensor& seed)>& back);
}  // namespace detail

// The derivatives of all elements of f(), a tensor, with respect to each
// parameter, in their order: of f()'s shape followed by the parameter's. One
// walk for each element.
template <detail::IsParams P, class F>
std::vector<TrackedTensor> jacobian(P&& params, F&& f) {
  const auto result = pullback(params, std::forward<F>(f));
  return detail::jacobians(
      result.first, params,
      [&](const TrackedTensor& seed) { return result.second(seed); });
}

}  // namespace jacquard
