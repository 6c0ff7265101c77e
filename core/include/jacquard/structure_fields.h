// The members of a class and their names.
//
// An aggregate with up to 16 members needs no help: its members are counted by
// trying initialisers, bound by a structured binding, and named by what the
// compiler prints for a pointer to each. It may have empty base classes only.
//
// Every other class lists its members, private ones included, with one line
// anywhere inside:
//   JACQUARD_FIELDS(weight, bias)
// An empty list says that nothing inside is of interest. A derived class
// repeats the line; it may name members that it inherits.
//
// A second line says which of the members are trained (all, without it):
//   JACQUARD_TRAINABLE(weight)
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

// JACQUARD_TRAINABLE(weight), in a class with or without JACQUARD_FIELDS, says
// that only these members are parameters of gradient() and its like: tensors in
// the others (running means, masks) are passed to the function as they are and
// have an undefined gradient.
#define JACQUARD_TRAINABLE(...)                                     \
  friend struct ::jacquard::detail::FieldAccess;                    \
  static constexpr ::std::string_view jacquard_trainable_fields() { \
    return #__VA_ARGS__;                                            \
  }

#define JACQUARD_FIELDS(...)                                       \
  friend struct ::jacquard::detail::FieldAccess;                   \
  auto jacquard_owner() const->decltype(this) { return this; }     \
  auto jacquard_fields() { return ::std::tie(__VA_ARGS__); }       \
  auto jacquard_fields() const { return ::std::tie(__VA_ARGS__); } \
  static constexpr ::std::string_view jacquard_field_names() {     \
    return #__VA_ARGS__;                                           \
  }

namespace jacquard {

// Specialise as true for a class of somebody else's that has no tensors inside
// and can't be taken apart (more than 16 members, a base class with members).
template <class T>
inline constexpr bool skip_in_structures = false;

namespace detail {

inline constexpr std::size_t kMaxFields = 16;

// The door to what JACQUARD_FIELDS declares, which may be private.
struct FieldAccess {
  template <class T>
  static constexpr bool opted_in() {
    if constexpr (requires(const T& x) { x.jacquard_owner(); }) {
      static_assert(
          std::is_same_v<decltype(std::declval<const T&>().jacquard_owner()),
                         const T*>,
          "a class derived from one with JACQUARD_FIELDS needs its own "
          "JACQUARD_FIELDS");
      return true;
    } else {
      return false;
    }
  }
  template <class T>
  static auto fields(T& x) {
    return x.jacquard_fields();
  }
  template <class T>
  static constexpr std::string_view names() {
    return T::jacquard_field_names();
  }
  template <class T>
  static constexpr bool has_trainable =
      requires { T::jacquard_trainable_fields(); };
  template <class T>
  static constexpr std::string_view trainable() {
    return T::jacquard_trainable_fields();
  }
};

// Stands for an initialiser of any type. Never called, but defined: compilers
// look at the bodies of constexpr constructors that take it.
struct AnyValue {
  template <class T>
  operator T() const {
    __builtin_unreachable();
  }
};
// Of any base class of T.
template <class T>
struct AnyBase {
  template <class B>
    requires(std::is_base_of_v<B, T> && !std::is_same_v<B, T>)
  operator B() const {
    __builtin_unreachable();
  }
};
template <class T>
struct AnyEmptyBase {
  template <class B>
    requires(std::is_base_of_v<B, T> && !std::is_same_v<B, T> &&
             std::is_empty_v<B>)
  operator B() const {
    __builtin_unreachable();
  }
};

template <std::size_t N>
using Count = std::make_index_sequence<N>;
template <std::size_t, class T>
using Repeat = T;

// Whether T{First × i, AnyValue × n} is well-formed.
template <class T, class First, std::size_t... I, std::size_t... N>
constexpr bool initialised(std::index_sequence<I...>,
                           std::index_sequence<N...>) {
  return requires { T{Repeat<I, First>{}..., Repeat<N, AnyValue>{}...}; };
}
// Whether T{AnyValue × i, {}, AnyValue × n} is.
template <class T, std::size_t... I, std::size_t... N>
constexpr bool initialised_but_one(std::index_sequence<I...>,
                                   std::index_sequence<N...>) {
  return requires {
    T{Repeat<I, AnyValue>{}..., {}, Repeat<N, AnyValue>{}...};
  };
}

inline constexpr std::size_t kMaxInitialisers = 64;

// The most initialisers that T takes; more than kMaxInitialisers if that was
// not found. Few may be too few: a member without a default.
template <class T, std::size_t N = 0, bool found = false>
constexpr std::size_t count_initialisers() {
  if constexpr (N > kMaxInitialisers)
    return N;
  else if constexpr (initialised<T, AnyValue>(Count<0>{}, Count<N>{}))
    return count_initialisers<T, N + 1, true>();
  else if constexpr (found)
    return N - 1;
  else
    return count_initialisers<T, N + 1, false>();
}

// Parentheses don't let one initialiser after the other run into an array.
template <class T, std::size_t... I>
constexpr bool has_no_array(std::index_sequence<I...>) {
  return requires { T(Repeat<I, AnyValue>{}...); };
}

// How many initialisers the member that takes initialiser I takes: more than
// one for an array. {} stands for all of them, and N - I - that many follow.
// (Elements of an array must have a default; a list in the braces instead
// would instantiate whatever constructors the other members have.)
template <class T, std::size_t N, std::size_t I, std::size_t K = 1>
constexpr std::size_t array_size_at() {
  if constexpr (I + K > N)
    return 1;
  else if constexpr (initialised_but_one<T>(Count<I>{}, Count<N - I - K>{}))
    return K;
  else
    return array_size_at<T, N, I, K + 1>();
}
template <class T, std::size_t N, std::size_t I = 0>
constexpr std::size_t count_with_arrays() {
  if constexpr (I >= N)
    return 0;
  else
    return 1 + count_with_arrays<T, N, I + array_size_at<T, N, I>()>();
}

template <class T, std::size_t N, template <class> class Base,
          std::size_t B = 1>
constexpr std::size_t count_bases() {
  if constexpr (B > N)
    return B - 1;
  else if constexpr (initialised<T, Base<T>>(Count<B>{}, Count<N - B>{}))
    return count_bases<T, N, Base, B + 1>();
  else
    return B - 1;
}

template <class T>
constexpr std::size_t count_fields() {
  if constexpr (std::is_empty_v<T>) {
    return 0;
  } else {
    constexpr std::size_t n = count_initialisers<T>();
    static_assert(n <= kMaxInitialisers,
                  "the members of this aggregate can't be counted (one is a "
                  "reference, or there are too many): list those of interest "
                  "with JACQUARD_FIELDS");
    constexpr std::size_t bases = count_bases<T, n, AnyBase>();
    static_assert(bases == count_bases<T, n, AnyEmptyBase>(),
                  "this aggregate has a base class with members: list the "
                  "members of interest with JACQUARD_FIELDS");
    constexpr std::size_t fields = [] {
      if constexpr (n < 2 || has_no_array<T>(Count<n>{}))
        return n;
      else
        return count_with_arrays<T, n>();
    }() - bases;
    static_assert(fields <= kMaxFields,
                  "an aggregate with more than 16 members: list those of "
                  "interest with JACQUARD_FIELDS");
    return fields;
  }
}

// Whether T is an aggregate that one initialiser for each of its members makes:
// no bases, no arrays.
template <class T>
constexpr bool is_plain_aggregate() {
  if constexpr (!std::is_aggregate_v<T> || FieldAccess::opted_in<T>())
    return false;
  else
    return count_fields<T>() == count_initialisers<T>();
}

// Whether fields_of and field_names work: T has JACQUARD_FIELDS or is an
// aggregate class.
template <class T>
inline constexpr bool has_fields = [] {
  if constexpr (!std::is_class_v<T> || skip_in_structures<T>)
    return false;
  else
    return FieldAccess::opted_in<T>() || std::is_aggregate_v<T>;
}();

// The members of an aggregate as a tuple of references.
template <class T>
constexpr auto bind_members(T& x) {
  constexpr std::size_t n = count_fields<std::remove_const_t<T>>();
#define JACQUARD_BIND(count, ...)  \
  else if constexpr (n == count) { \
    auto& [__VA_ARGS__] = x;       \
    return std::tie(__VA_ARGS__);  \
  }
  if constexpr (n == 0) {
    return std::tuple<>();
  }
  JACQUARD_BIND(1, a)
  JACQUARD_BIND(2, a, b)
  JACQUARD_BIND(3, a, b, c)
  JACQUARD_BIND(4, a, b, c, d)
  JACQUARD_BIND(5, a, b, c, d, e)
  JACQUARD_BIND(6, a, b, c, d, e, f)
  JACQUARD_BIND(7, a, b, c, d, e, f, g)
  JACQUARD_BIND(8, a, b, c, d, e, f, g, h)
  JACQUARD_BIND(9, a, b, c, d, e, f, g, h, i)
  JACQUARD_BIND(10, a, b, c, d, e, f, g, h, i, j)
  JACQUARD_BIND(11, a, b, c, d, e, f, g, h, i, j, k)
  JACQUARD_BIND(12, a, b, c, d, e, f, g, h, i, j, k, l)
  JACQUARD_BIND(13, a, b, c, d, e, f, g, h, i, j, k, l, m)
  JACQUARD_BIND(14, a, b, c, d, e, f, g, h, i, j, k, l, m, o)
  JACQUARD_BIND(15, a, b, c, d, e, f, g, h, i, j, k, l, m, o, p)
  JACQUARD_BIND(16, a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q)
#undef JACQUARD_BIND
}

// The members of x, in order of declaration (of the list, with
// JACQUARD_FIELDS), as a std::tuple of references; const if x is.
template <class T>
  requires has_fields<std::remove_const_t<T>>
auto fields_of(T& x) {
  if constexpr (FieldAccess::opted_in<std::remove_const_t<T>>())
    return FieldAccess::fields(x);
  else
    return bind_members(x);
}

#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wundefined-var-template"
#pragma clang diagnostic ignored "-Wundefined-internal"
#endif
// An object that is never defined, for the addresses of its members.
template <class T>
struct Imagined {
  T value;
};
template <class T>
struct Imagine {
  static const Imagined<T> object;
};
// Pointers to members of objects are template arguments of both compilers
// only inside a class.
template <class T>
struct Pointer {
  const T* to;
};
template <class T>
Pointer(const T*) -> Pointer<T>;

template <Pointer p>
constexpr auto printed_pointer() {
  return std::string_view(__PRETTY_FUNCTION__);
}

constexpr bool in_identifier(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

// The last identifier in text.
constexpr std::string_view last_identifier(std::string_view text) {
  while (!text.empty() && !in_identifier(text.back())) text.remove_suffix(1);
  std::size_t begin = text.size();
  while (begin > 0 && in_identifier(text[begin - 1])) --begin;
  return text.substr(begin);
}

template <class T, std::size_t... I>
constexpr std::array<std::string_view, sizeof...(I)> aggregate_names(
    std::index_sequence<I...>) {
  return {last_identifier(printed_pointer<Pointer{std::addressof(std::get<I>(
                              bind_members(Imagine<T>::object.value)))}>())...};
}
#if defined(__clang__)
#pragma clang diagnostic pop
#endif

// "a, b" → a and b.
template <std::size_t N>
constexpr std::array<std::string_view, N> split_names(std::string_view list) {
  std::array<std::string_view, N> names{};
  for (std::size_t i = 0; i < N; ++i) {
    const std::size_t comma = list.find(',');
    names[i] = last_identifier(list.substr(0, comma));
    if (comma != list.npos) list.remove_prefix(comma + 1);
  }
  return names;
}

template <class T>
inline constexpr std::size_t field_count =
    std::tuple_size_v<decltype(fields_of(std::declval<T&>()))>;

// The names of what fields_of gives, in its order.
template <class T>
  requires has_fields<T>
constexpr std::array<std::string_view, field_count<T>> field_names() {
  if constexpr (FieldAccess::opted_in<T>())
    return split_names<field_count<T>>(FieldAccess::names<T>());
  else
    return aggregate_names<T>(Count<field_count<T>>{});
}

constexpr std::size_t count_names(std::string_view list) {
  std::size_t n = list.empty() ? 0 : 1;
  for (char c : list) n += c == ',';
  return n;
}

// The names of T's JACQUARD_TRAINABLE; those of all members without it.
template <class T>
constexpr auto trainable_names() {
  if constexpr (FieldAccess::has_trainable<T>) {
    constexpr std::string_view list = FieldAccess::trainable<T>();
    return split_names<count_names(list)>(list);
  } else {
    return field_names<T>();
  }
}

// Whether each of field_names is trained.
template <class T>
  requires has_fields<T>
constexpr std::array<bool, field_count<T>> trainable_fields() {
  constexpr auto names = field_names<T>();
  constexpr auto listed = trainable_names<T>();
  std::array<bool, field_count<T>> trained{};
  std::size_t found = 0;
  for (std::size_t i = 0; i < names.size(); ++i)
    for (std::string_view name : listed)
      if (names[i] == name) {
        trained[i] = true;
        ++found;
      }
  if (found < listed.size())
    throw "JACQUARD_TRAINABLE names what is no member, or not one of "
          "JACQUARD_FIELDS";
  return trained;
}

}  // namespace detail
}  // namespace jacquard
