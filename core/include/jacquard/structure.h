// Structures of tensors: visiting, mapping and naming what is inside.
//
// A structure is a TrackedTensor, a scalar or any other type without tensors
// (a leaf without parameters), a std::vector, std::array, std::pair, std::tuple
// or std::optional of structures, or an aggregate with up to 16 members. Other
// types opt in with one line inside the class:
//   JACQUARD_FIELDS(weight, bias)
// Paths name what is inside: "layers.0.weight".
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "jacquard/structure_fields.h"
#include "jacquard/tracked_tensor.h"

namespace jacquard {

namespace detail {

inline std::string join_path(const std::string& path, std::string_view name) {
  return path.empty() ? std::string(name) : path + "." + std::string(name);
}

template <class T>
struct is_std_vector : std::false_type {};
template <class T, class A>
struct is_std_vector<std::vector<T, A>> : std::true_type {};
template <class T>
struct is_std_array : std::false_type {};
template <class T, std::size_t N>
struct is_std_array<std::array<T, N>> : std::true_type {};
template <class T>
struct is_std_optional : std::false_type {};
template <class T>
struct is_std_optional<std::optional<T>> : std::true_type {};
template <class T>
struct is_tuple_like : std::false_type {};
template <class... T>
struct is_tuple_like<std::tuple<T...>> : std::true_type {};
template <class A, class B>
struct is_tuple_like<std::pair<A, B>> : std::true_type {};

// Calls f(path, member of a, member of b...) for each direct member; all
// structures have the same type and, for vectors, the same size (ShapeError).
template <class F, class A, class... B>
void each_member(const std::string& path, F&& f, A& a, B&... b) {
  using T = std::remove_const_t<A>;
  if constexpr (is_std_vector<T>::value || is_std_array<T>::value) {
    if (((b.size() != a.size()) || ...))
      throw ShapeError(path + ": structures of different sizes");
    for (std::size_t i = 0; i < a.size(); ++i)
      f(join_path(path, std::to_string(i)), a[i], b[i]...);
  } else if constexpr (is_std_optional<T>::value) {
    if (((b.has_value() != a.has_value()) || ...))
      throw ShapeError(path + ": one structure has no value");
    if (a) f(path, *a, (*b)...);
  } else if constexpr (is_tuple_like<T>::value) {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      auto one = [&]<std::size_t J>(std::integral_constant<std::size_t, J>) {
        f(join_path(path, std::to_string(J)), std::get<J>(a),
          std::get<J>(b)...);
      };
      (one(std::integral_constant<std::size_t, I>{}), ...);
    }(std::make_index_sequence<std::tuple_size_v<T>>{});
  } else if constexpr (has_fields<T>) {
    constexpr auto names = field_names<T>();
    auto tie_all = [](auto& x) { return fields_of(x); };
    [&]<std::size_t... I>(auto ta, auto... tb, std::index_sequence<I...>) {
      auto one = [&]<std::size_t J>(std::integral_constant<std::size_t, J>) {
        f(join_path(path, names[J]), std::get<J>(ta), std::get<J>(tb)...);
      };
      (one(std::integral_constant<std::size_t, I>{}), ...);
    }.template operator()(tie_all(a), tie_all(b)...,
                          std::make_index_sequence<names.size()>{});
  }
}

}  // namespace detail
}  // namespace jacquard
