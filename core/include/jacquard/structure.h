// Structures of tensors: visiting, mapping and naming what is inside.
//
// A structure is a TrackedTensor; a std::vector, std::array, std::pair,
// std::tuple, std::optional, std::map with string keys, std::unique_ptr or
// std::shared_ptr of structures; or an aggregate with up to 16 members. Other
// types opt in with one line inside the class:
//   JACQUARD_FIELDS(weight, bias)
// (see structure_fields.h): classes with constructors must, nothing can look
// into them. Everything else has no tensors inside: numbers, strings,
// functions, Tensors (constants), raw pointers, other classes. A container or
// variant of structures that is not in the list is a compile-time error rather
// than a model that silently trains in part.
//
// Tensors come in order of declaration, depth first. Paths name them:
// "layers.0.weight"; what a pointer or an optional holds has the path of its
// owner, a TrackedTensor alone the path "". Undefined tensors count as well. A
// const structure is const throughout, behind pointers too. Two pointers to
// one object are visited twice; pointers must not form cycles.
#pragma once

#include <array>
#include <cstdint>
#include <iterator>
#include <memory>
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

// Where a visit is: a list from the leaf to the root, on the stack, made text
// only where somebody asks.
struct Path {
  const Path* above = nullptr;
  std::string_view name = {};
  std::size_t index = 0;  // where there is no name

  std::string text() const {
    if (!above) return {};
    std::string head = above->text();
    if (!head.empty()) head += '.';
    return head.append(name.data() ? std::string(name) : std::to_string(index));
  }
};

enum class StructureKind {
  leaf,
  tensor,
  sequence,
  tuple,
  optional,
  pointer,
  dictionary,
  fields
};

template <class... T>
struct TypeList {};
template <class Tuple>
struct TupleTypes;
template <class... T>
struct TupleTypes<std::tuple<T...>> {
  using type = TypeList<std::remove_cvref_t<T>...>;
};

template <class T>
constexpr bool is_dictionary = requires(T& m, typename T::key_type k) {
  typename T::key_compare;
  typename T::mapped_type;
  m.at(k);
  std::string_view(k);
};

// The kind of T, the types directly inside it, and whether it holds them by
// value.
template <class T>
struct StructureOf {
  static constexpr bool owns = true;
  static constexpr StructureKind kind = [] {
    if constexpr (std::is_base_of_v<TrackedTensor, T>)
      return StructureKind::tensor;
    else if constexpr (is_dictionary<T>)
      return StructureKind::dictionary;
    else if constexpr (has_fields<T>)
      return StructureKind::fields;
    else
      return StructureKind::leaf;
  }();
  static constexpr auto parts() {
    if constexpr (kind == StructureKind::dictionary)
      return std::type_identity<TypeList<typename T::mapped_type>>{};
    else if constexpr (kind == StructureKind::fields)
      return TupleTypes<decltype(fields_of(std::declval<T&>()))>{};
    else
      return std::type_identity<TypeList<>>{};
  }
};
template <StructureKind k, class... T>
struct StructureWith {
  static constexpr bool owns = !(std::is_reference_v<T> || ...);
  static constexpr StructureKind kind = k;
  static constexpr auto parts() {
    return std::type_identity<TypeList<std::remove_cvref_t<T>...>>{};
  }
};
template <class T>
  requires(!std::is_class_v<T>)
struct StructureOf<T> : StructureWith<StructureKind::leaf> {};
template <class T, class A>
struct StructureOf<std::vector<T, A>>
    : StructureWith<StructureKind::sequence, T> {};
template <class T, std::size_t N>
struct StructureOf<std::array<T, N>>
    : StructureWith<StructureKind::sequence, T> {};
template <class T, std::size_t N>
struct StructureOf<T[N]> : StructureWith<StructureKind::sequence, T> {};
template <class A, class B>
struct StructureOf<std::pair<A, B>>
    : StructureWith<StructureKind::tuple, A, B> {};
template <class... T>
struct StructureOf<std::tuple<T...>>
    : StructureWith<StructureKind::tuple, T...> {};
template <class T>
struct StructureOf<std::optional<T>>
    : StructureWith<StructureKind::optional, T> {};
template <class T, class D>
struct StructureOf<std::unique_ptr<T, D>>
    : StructureWith<StructureKind::pointer, T> {};
template <class T>
struct StructureOf<std::shared_ptr<T>>
    : StructureWith<StructureKind::pointer, T> {};

template <class T>
constexpr bool is_shared_ptr = false;
template <class T>
constexpr bool is_shared_ptr<std::shared_ptr<T>> = true;

template <class T, class... Seen>
constexpr bool holds_tensors_beside();

template <class... Seen, class... T>
constexpr bool any_holds(TypeList<T...>) {
  return (holds_tensors_beside<T, Seen...>() || ...);
}

// Whether T is a leaf that tensors are hidden in.
template <class T>
struct Alternatives {
  using type = TypeList<>;
};
template <template <class...> class V, class... T>
struct Alternatives<V<T...>> {
  using type = TypeList<std::remove_cvref_t<T>...>;
};
template <class T, class... Seen>
constexpr bool hides_tensors() {
  if constexpr (skip_in_structures<T>)
    return false;
  else if constexpr (requires(const T& x) { x.valueless_by_exception(); })
    return any_holds<Seen...>(typename Alternatives<T>::type{});
  else if constexpr (requires(const T& x, typename T::value_type) {
                       x.begin();
                       x.end();
                     })
    return any_holds<Seen...>(
        TypeList<std::remove_cvref_t<typename T::value_type>>{});
  else
    return false;
}

// Whether there can be tensors in a T; Seen are the types around it, so that
// the answer ends for types that contain themselves.
template <class T, class... Seen>
constexpr bool holds_tensors_beside() {
  if constexpr ((std::is_same_v<T, Seen> || ...) || std::is_scalar_v<T>) {
    return false;
  } else if constexpr (std::is_unbounded_array_v<T>) {
    static_assert(!holds_tensors_beside<std::remove_extent_t<T>, Seen...>(),
                  "a pointer to an array of tensors doesn't know its size: use "
                  "std::vector");
    return false;
  } else if constexpr (!requires { sizeof(T); }) {
    return false;  // declared only: nothing inside can be named
  } else if constexpr (StructureOf<T>::kind == StructureKind::tensor) {
    return true;
  } else if constexpr (StructureOf<T>::kind == StructureKind::leaf) {
    static_assert(!hides_tensors<T, Seen..., T>(),
                  "structures don't look into this container or variant of "
                  "tensors: use std::vector, or list the members to look into "
                  "with JACQUARD_FIELDS in the class around it");
    return false;
  } else {
    return any_holds<Seen..., T>(
        typename decltype(StructureOf<T>::parts())::type{});
  }
}
template <class T>
inline constexpr bool holds_tensors = holds_tensors_beside<T>();

// Whether a copy of a T can be made, and changed without changing the T.
// std::vector says that it can be copied whatever is inside.
template <class T, class... Seen>
constexpr bool copies();
template <class... Seen, class... T>
constexpr bool all_copy(TypeList<T...>) {
  return (copies<T, Seen...>() && ...);
}
template <class T, class... Seen>
constexpr bool copies() {
  if constexpr ((std::is_same_v<T, Seen> || ...))
    return true;
  else if constexpr (!std::is_copy_constructible_v<
                         std::remove_all_extents_t<T>> ||
                     !StructureOf<T>::owns)
    return false;
  else if constexpr (is_shared_ptr<T> && !holds_tensors<T>)
    return true;
  else
    return all_copy<Seen..., T>(
        typename decltype(StructureOf<T>::parts())::type{});
}

[[noreturn]] inline void throw_differ(const Path& path,
                                      const std::string& how) {
  const std::string text = path.text();
  throw ShapeError("zip_tensors: " +
                   (text.empty() ? "structures" : "\"" + text + "\"") + how);
}

template <class A, class... B>
void check_sizes(const Path& path, const A& a, const B&... b) {
  [[maybe_unused]] auto check = [&](std::size_t size) {
    if (size != std::size(a))
      throw_differ(path, " of different sizes (" +
                             std::to_string(std::size(a)) + " and " +
                             std::to_string(size) + ")");
  };
  (check(std::size(b)), ...);
}

// *owner, const if the owner is.
template <class P>
decltype(auto) pointee(P& owner) {
  if constexpr (std::is_const_v<P>)
    return std::as_const(*owner);
  else
    return *owner;
}

// Calls visit(path, a, b...) with the members of one of the kinds.
template <class V, class A, class... B>
void each_element(const Path& path, V& visit, A& a, B&... b) {
  check_sizes(path, a, b...);
  for (std::size_t i = 0; i < std::size(a); ++i)
    visit(Path{&path, {}, i}, a[i], b[i]...);
}

template <class V, class A, class... B>
void each_entry(const Path& path, V& visit, A& a, B&... b) {
  check_sizes(path, a, b...);
  auto step_through = [&](auto... at) {
    for (auto& entry : a) {
      [[maybe_unused]] auto check = [&](std::string_view key) {
        if (key != entry.first)
          throw_differ(path, ": keys \"" + std::string(entry.first) +
                                 "\" and \"" + std::string(key) + "\" differ");
      };
      (check(at->first), ...);
      visit(Path{&path, entry.first}, entry.second, at->second...);
      (++at, ...);
    }
  };
  step_through(b.begin()...);
}

template <class V, class A, class... B>
void each_field(const Path& path, V& visit, A& a, B&... b) {
  using T = std::remove_const_t<A>;
  constexpr std::size_t n = field_count<T>;
  static constexpr auto names = field_names<T>();
  [&]<std::size_t... I>(std::index_sequence<I...>, auto ta, auto... tb) {
    auto one = [&]<std::size_t J>(std::integral_constant<std::size_t, J>) {
      visit(Path{&path, names[J]}, std::get<J>(ta), std::get<J>(tb)...);
    };
    (one(std::integral_constant<std::size_t, I>{}), ...);
  }(Count<n>{}, fields_of(a), fields_of(b)...);
}

template <class V, class A, class... B>
void each_in_tuple(const Path& path, V& visit, A& a, B&... b) {
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    auto one = [&]<std::size_t J>(std::integral_constant<std::size_t, J>) {
      visit(Path{&path, {}, J}, std::get<J>(a), std::get<J>(b)...);
    };
    (one(std::integral_constant<std::size_t, I>{}), ...);
  }(Count<std::tuple_size_v<std::remove_const_t<A>>>{});
}

// Calls leaf(path, tensor of a, tensor of b...) for each tensor. All have one
// type but for const, and ShapeError is thrown unless they have the same
// structure.
template <class F, class A, class... B>
void walk(const Path& path, F& leaf, A& a, B&... b) {
  using T = std::remove_const_t<A>;
  if constexpr (holds_tensors<T>) {
    constexpr StructureKind kind = StructureOf<T>::kind;
    auto visit = [&](const Path& at, auto&... x) { walk(at, leaf, x...); };
    if constexpr (kind == StructureKind::tensor) {
      leaf(path, a, b...);
    } else if constexpr (kind == StructureKind::sequence) {
      each_element(path, visit, a, b...);
    } else if constexpr (kind == StructureKind::dictionary) {
      each_entry(path, visit, a, b...);
    } else if constexpr (kind == StructureKind::tuple) {
      each_in_tuple(path, visit, a, b...);
    } else if constexpr (kind == StructureKind::fields) {
      each_field(path, visit, a, b...);
    } else {
      using Inside = std::remove_cvref_t<decltype(*a)>;
      static_assert(kind == StructureKind::optional ||
                        !std::is_polymorphic_v<Inside> ||
                        std::is_final_v<Inside>,
                    "a pointer to a polymorphic class may point to a derived "
                    "one, whose members structures don't know");
      if (((static_cast<bool>(b) != static_cast<bool>(a)) || ...))
        throw_differ(path, ": one has a value, another has none");
      if (!a) return;
      if constexpr (requires { leaf.owns_pointees; } && is_shared_ptr<T>) {
        static_assert(!std::is_const_v<A>,
                      "map_tensors: a std::shared_ptr in the structure is "
                      "const, so that no copy can hold another: make the "
                      "member non-const");
        auto own = std::make_shared<Inside>(*a);
        walk(path, leaf, *own);
        a = std::move(own);
      } else {
        walk(path, leaf, pointee(a), pointee(b)...);
      }
    }
  }
}

// Replaces each tensor of a copy by f of it. What shared pointers hold is
// copied as well before it is changed.
template <class F>
struct Replace {
  F& f;
  std::true_type owns_pointees = {};

  template <class T>
  void operator()(const Path&, T& t) const {
    static_assert(!std::is_const_v<T>,
                  "map_tensors: a tensor in the structure is const, so that "
                  "no copy can hold another: make the member non-const");
    static_cast<TrackedTensor&>(t) = f(std::as_const(t));
  }
};

[[noreturn]] inline void throw_no_such_path(
    std::string_view path, const std::vector<std::string>& there) {
  std::string message =
      "tensor_at: no tensor \"" + std::string(path) + "\"; there ";
  message += there.empty() ? "are none" : "are ";
  for (std::size_t i = 0; i < there.size(); ++i)
    message += (i ? ", \"" : "\"") + there[i] + "\"";
  throw IndexError(message);
}

}  // namespace detail

// Calls f(path, tensor) for each tensor in x: TrackedTensor&, const if x is.
template <class T, class F>
void visit_tensors(T&& x, F&& f) {
  auto leaf = [&](const detail::Path& path, auto& t) { f(path.text(), t); };
  detail::walk({}, leaf, x);
}

// A copy of x in which each tensor t is replaced by f(t), a TrackedTensor; f
// is called once a tensor, in order. The other members keep their values.
// Shared pointers to structures with tensors become pointers to new objects.
// x need not be default-constructible, but must be copyable throughout.
template <class T, class F>
T map_tensors(const T& x, F&& f) {
  static_assert(detail::copies<T>(),
                "map_tensors: the structure, or something inside, can't be "
                "copied or is held by reference (instead of std::unique_ptr, "
                "hold a value or a std::shared_ptr)");
  T copy = x;
  detail::Replace<std::remove_reference_t<F>> leaf{f};
  detail::walk({}, leaf, copy);
  return copy;
}

// Calls f(path, ta, tb...) for each tensor ta of a and its counterparts in
// the other structures, which have the type of a; each may be const or not.
// ShapeError naming the path where vectors, maps, optionals or pointers
// differ in what they hold; f has been called for what precedes it.
template <class F, class A, class... B>
void zip_tensors(F&& f, A&& a, B&&... b) {
  static_assert(
      (std::is_same_v<std::remove_cvref_t<A>, std::remove_cvref_t<B>> && ...),
      "zip_tensors: structures of different types");
  auto leaf = [&](const detail::Path& path, auto&... t) {
    f(path.text(), t...);
  };
  detail::walk({}, leaf, a, b...);
}

// All tensors: handles, which share their values with x. (A bare tensor goes to
// the operation of this name.)
template <class T>
  requires(!std::is_convertible_v<const T&, Operand>)
std::vector<TrackedTensor> flatten(const T& x) {
  std::vector<TrackedTensor> all;
  auto leaf = [&](const detail::Path&, const TrackedTensor& t) {
    all.push_back(t);
  };
  detail::walk({}, leaf, x);
  return all;
}

// The paths of all tensors, in the order of flatten().
template <class T>
std::vector<std::string> paths_of(const T& x) {
  std::vector<std::string> paths;
  auto leaf = [&](const detail::Path& path, const TrackedTensor&) {
    paths.push_back(path.text());
  };
  detail::walk({}, leaf, x);
  return paths;
}

// The tensor at a path, const if x is. IndexError that lists the paths there
// are. Takes time in the number of tensors.
template <class T>
auto& tensor_at(T& x, std::string_view path) {
  using Result = std::conditional_t<std::is_const_v<T>, const TrackedTensor,
                                    TrackedTensor>;
  Result* found = nullptr;
  auto leaf = [&](const detail::Path& at, auto& t) {
    static_assert(
        std::is_convertible_v<decltype(&t), Result*>,
        "tensor_at: a tensor inside is const: pass a const structure");
    if (!found && at.text() == path) found = &t;
  };
  detail::walk({}, leaf, x);
  if (!found) detail::throw_no_such_path(path, paths_of(x));
  return *found;
}

// The number of elements of all tensors together.
template <class T>
std::int64_t count_parameters(const T& x) {
  std::int64_t count = 0;
  auto leaf = [&](const detail::Path&, const TrackedTensor& t) {
    if (t.defined()) count += t.numel();
  };
  detail::walk({}, leaf, x);
  return count;
}

}  // namespace jacquard
