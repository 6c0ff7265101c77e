// What structures of tensors are made of (see structure.h): the kinds of types,
// what is inside each, paths, and copies.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "jacquard/structure_fields.h"
#include "jacquard/tracked_tensor.h"

namespace jacquard::detail {

// Where a visit is: a list from the leaf to the root, on the stack, made text
// only where somebody asks. The root's name is that of the operation.
struct Path {
  const Path* above = nullptr;
  std::string_view name = {};
  std::int64_t index = 0;  // where there is no name
  bool frozen = false;     // see JACQUARD_TRAINABLE

  std::string text() const {
    if (!above) return {};
    std::string head = above->text();
    if (!head.empty()) head += '.';
    return head.append(name.data() ? std::string(name) : std::to_string(index));
  }
  std::string_view operation() const {
    return above ? above->operation() : name;
  }
  // Whether no class on the way leaves it out of its JACQUARD_TRAINABLE.
  bool trainable() const { return !frozen && (!above || above->trainable()); }
};

enum class StructureKind {
  leaf,
  tensor,
  sequence,
  tuple,
  optional,
  pointer,
  dictionary,
  variant,
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

// What a path can name an entry by.
template <class K>
constexpr bool is_key = std::is_convertible_v<const K&, std::string_view> ||
                        std::is_integral_v<K> || std::is_enum_v<K>;

template <class T>
constexpr bool is_dictionary = requires(T& m) {
  typename T::mapped_type;
  m.at(std::declval<const typename T::key_type&>());
  requires is_key<typename T::key_type>;
};

// A container that owns its elements and has them in an order.
template <class T>
constexpr bool is_sequence =
    !requires { typename T::key_type; } && requires(T& x) {
      typename T::allocator_type;
      x.size();
      { *x.begin() } -> std::same_as<typename T::value_type&>;
    };

// The kind of T, the types directly inside it, and whether it holds them by
// value.
template <class T>
struct StructureOf {
  static constexpr bool owns = true;
  static constexpr StructureKind kind = [] {
    if constexpr (std::is_base_of_v<TrackedTensor, T>)
      return StructureKind::tensor;
    else if constexpr (skip_in_structures<T>)
      return StructureKind::leaf;
    else if constexpr (FieldAccess::opted_in<T>())
      return StructureKind::fields;
    else if constexpr (is_dictionary<T>)
      return StructureKind::dictionary;
    else if constexpr (is_sequence<T>)
      return StructureKind::sequence;
    else if constexpr (has_fields<T>)
      return StructureKind::fields;
    else
      return StructureKind::leaf;
  }();
  static constexpr auto parts() {
    if constexpr (kind == StructureKind::dictionary)
      return std::type_identity<TypeList<typename T::mapped_type>>{};
    else if constexpr (kind == StructureKind::sequence)
      return std::type_identity<TypeList<typename T::value_type>>{};
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
template <class... T>
struct StructureOf<std::variant<T...>>
    : StructureWith<StructureKind::variant, T...> {};
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
using PartsOf = typename decltype(StructureOf<T>::parts())::type;

template <class T>
constexpr bool is_shared_ptr = false;
template <class T>
constexpr bool is_shared_ptr<std::shared_ptr<T>> = true;
// To one object, that delete gives back.
template <class T>
constexpr bool is_unique_ptr = false;
template <class T>
  requires(!std::is_array_v<T>)
constexpr bool is_unique_ptr<std::unique_ptr<T>> = true;

template <class T, class... Seen>
constexpr bool holds_tensors_beside();

template <class... Seen, class... T>
constexpr bool any_holds(TypeList<T...>) {
  return (holds_tensors_beside<T, Seen...>() || ...);
}

// Whether T is a container that tensors are hidden in.
template <class T, class... Seen>
constexpr bool hides_tensors() {
  if constexpr (!skip_in_structures<T> &&
                requires(const T& x, typename T::value_type) {
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
                  "structures don't look into this container of tensors: use "
                  "std::vector, or list the members to look into with "
                  "JACQUARD_FIELDS in the class around it");
    return false;
  } else {
    return any_holds<Seen..., T>(PartsOf<T>{});
  }
}
template <class T>
inline constexpr bool holds_tensors = holds_tensors_beside<T>();

// Whether the copy that the language makes of a T can be changed without
// changing the T. std::vector says that it can be copied whatever is inside.
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
    return all_copy<Seen..., T>(PartsOf<T>{});
}

template <class T>
T copy_of(const T& x);

// A sequence, dictionary, tuple or aggregate of which a part is not copied by
// the language, part by part.
template <class T>
T copy_by_parts(const T& x) {
  constexpr StructureKind kind = StructureOf<T>::kind;
  const auto parts = [](const auto&... part) { return T{copy_of(part)...}; };
  if constexpr (kind == StructureKind::tuple) {
    return std::apply(parts, x);
  } else if constexpr (kind == StructureKind::dictionary) {
    T copy;
    for (const auto& [key, entry] : x) copy.emplace(key, copy_of(entry));
    return copy;
  } else if constexpr (requires(T& c) { c.push_back(copy_of(*x.begin())); }) {
    T copy;
    for (const auto& element : x) copy.push_back(copy_of(element));
    return copy;
  } else if constexpr (kind == StructureKind::sequence) {
    return std::apply(parts, x);
  } else {
    return std::apply(parts, fields_of(x));
  }
}

// A copy that shares with x no more than tensors' values and what shared
// pointers hold. What std::unique_ptr holds is copied.
template <class T>
T copy_of(const T& x) {
  constexpr StructureKind kind = StructureOf<T>::kind;
  if constexpr (copies<T>()) {
    return x;
  } else if constexpr (is_unique_ptr<T>) {
    using Inside = std::remove_const_t<typename T::element_type>;
    return x ? T(new Inside(copy_of<Inside>(*x))) : nullptr;
  } else if constexpr (kind == StructureKind::optional) {
    return x ? T(copy_of(*x)) : std::nullopt;
  } else if constexpr (is_shared_ptr<T>) {
    return x;
  } else if constexpr (kind == StructureKind::variant) {
    return std::visit(
        [](const auto& held) {
          using Held = std::remove_cvref_t<decltype(held)>;
          return T(std::in_place_type<Held>, copy_of(held));
        },
        x);
  } else if constexpr (kind == StructureKind::fields &&
                       !is_plain_aggregate<T>()) {
    static_assert(std::is_copy_constructible_v<T>,
                  "this class in a structure can't be copied: give it a copy "
                  "constructor that copies what its pointers hold");
    return x;
  } else {
    static_assert(kind != StructureKind::leaf &&
                      kind != StructureKind::pointer && StructureOf<T>::owns,
                  "something in this structure can't be copied, or is held by "
                  "reference: hold it by value or by std::shared_ptr");
    return copy_by_parts(x);
  }
}

}  // namespace jacquard::detail
