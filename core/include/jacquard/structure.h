// Structures of tensors: visiting, mapping and naming what is inside.
//
// A structure is a TrackedTensor; a container of structures that owns them
// (std::vector, std::array, std::deque, std::list), a std::map or
// std::unordered_map with string, integer or enum keys, a std::pair,
// std::tuple, std::optional, std::variant, std::unique_ptr or std::shared_ptr
// of structures; or an aggregate with up to 16 members. Other types opt in with
// one line inside the class:
//   JACQUARD_FIELDS(weight, bias)
// (see structure_fields.h): classes with constructors must, nothing can look
// into them. Everything else has no tensors inside: numbers, strings,
// functions, Tensors (constants), raw pointers, other classes. A container of
// structures that is not in the list is a compile-time error rather than a
// model that silently trains in part.
//
// Tensors come in order of declaration, depth first; entries of maps in the
// order of their keys. Paths name them: "layers.0.weight"; what a pointer, an
// optional or a variant holds has the path of its owner, a TrackedTensor alone
// the path "". Undefined tensors count as well. A const structure is const
// throughout, behind pointers too. Two pointers to one object are visited
// twice; pointers must not form cycles.
#pragma once

#include <algorithm>

#include "jacquard/structure_kinds.h"

namespace jacquard {
namespace detail {

// ShapeError: "zip_tensors: "layers": of different sizes (2 and 3)".
[[noreturn]] JACQUARD_API void throw_differ(const Path& path,
                                            const std::string& how);
// IndexError that lists the paths there are.
[[noreturn]] JACQUARD_API void throw_no_such_path(
    std::string_view operation, std::string_view path,
    const std::vector<std::string>& there);

template <class A, class... B>
void check_sizes(const Path& path, const A& a, const B&... b) {
  [[maybe_unused]] auto check = [&](std::size_t size) {
    if (size != std::size(a))
      throw_differ(path, "of different sizes (" + std::to_string(std::size(a)) +
                             " and " + std::to_string(size) + ")");
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

template <class K>
Path path_of_key(const Path& above, const K& key) {
  if constexpr (std::is_convertible_v<const K&, std::string_view>)
    return {&above, key};
  else
    return {&above, {}, static_cast<std::int64_t>(key)};
}

// Calls visit(path, a, b...) with the members of one of the kinds.
template <class V, class A, class... B>
void each_element(const Path& path, V& visit, A& a, B&... b) {
  check_sizes(path, a, b...);
  std::int64_t i = 0;
  [&](auto... at) {
    for (auto& element : a) {
      visit(Path{&path, {}, i++}, element, *at...);
      (++at, ...);
    }
  }(std::begin(b)...);
}

// The entries of a map in the order of their keys.
template <class A>
auto sorted_entries(A& a) {
  std::vector<decltype(&*a.begin())> entries;
  entries.reserve(a.size());
  for (auto& entry : a) entries.push_back(&entry);
  if constexpr (!requires { typename A::key_compare; })
    std::sort(entries.begin(), entries.end(),
              [](auto* x, auto* y) { return x->first < y->first; });
  return entries;
}

template <class V, class A, class... B>
void each_entry(const Path& path, V& visit, A& a, B&... b) {
  check_sizes(path, a, b...);
  for (auto* entry : sorted_entries(a)) {
    const Path at = path_of_key(path, entry->first);
    [[maybe_unused]] auto in = [&](auto& other) -> auto& {
      const auto found = other.find(entry->first);
      if (found == other.end()) throw_differ(at, "is in one, not in another");
      return found->second;
    };
    visit(at, entry->second, in(b)...);
  }
}

template <class V, class A, class... B>
void each_field(const Path& path, V& visit, A& a, B&... b) {
  using T = std::remove_const_t<A>;
  constexpr std::size_t n = field_count<T>;
  static constexpr auto names = field_names<T>();
  static constexpr auto trained = trainable_fields<T>();
  [&]<std::size_t... I>(std::index_sequence<I...>, auto ta, auto... tb) {
    auto one = [&]<std::size_t J>(std::integral_constant<std::size_t, J>) {
      visit(Path{&path, names[J], 0, !trained[J]}, std::get<J>(ta),
            std::get<J>(tb)...);
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

template <class V, class A, class... B>
void each_alternative(const Path& path, V& visit, A& a, B&... b) {
  if (((b.index() != a.index()) || ...))
    throw_differ(path, "holds different alternatives");
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    auto one = [&]<std::size_t J>(std::integral_constant<std::size_t, J>) {
      if (a.index() == J) visit(path, std::get<J>(a), std::get<J>(b)...);
    };
    (one(std::integral_constant<std::size_t, I>{}), ...);
  }(Count<std::variant_size_v<std::remove_const_t<A>>>{});
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
    } else if constexpr (kind == StructureKind::variant) {
      each_alternative(path, visit, a, b...);
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
        throw_differ(path, "has a value in one, none in another");
      if (!a) return;
      if constexpr (requires { leaf.owns_pointees; } && is_shared_ptr<T>) {
        static_assert(!std::is_const_v<A>,
                      "map_tensors: a std::shared_ptr in the structure is "
                      "const, so that no copy can hold another: make the "
                      "member non-const");
        auto own = std::make_shared<Inside>(copy_of<Inside>(*a));
        walk(path, leaf, *own);
        a = std::move(own);
      } else {
        walk(path, leaf, pointee(a), pointee(b)...);
      }
    }
  }
}

// Replaces each tensor of a copy by f(path, tensor). What shared pointers hold
// is copied as well before it is changed.
template <class F>
struct Replace {
  F& f;
  std::true_type owns_pointees = {};

  template <class T>
  void operator()(const Path& path, T& t) const {
    static_assert(!std::is_const_v<T>,
                  "map_tensors: a tensor in the structure is const, so that "
                  "no copy can hold another: make the member non-const");
    static_cast<TrackedTensor&>(t) = f(path, std::as_const(t));
  }
};

// Replaces each tensor in x, which is at `root`, by f(path, tensor).
template <class T, class F>
void replace_in(const Path& root, T& x, F&& f) {
  Replace<std::remove_reference_t<F>> leaf{f};
  walk(root, leaf, x);
}

// A copy of x in which they are.
template <class T, class F>
T replaced(const Path& root, const T& x, F&& f) {
  T copy = copy_of(x);
  replace_in(root, copy, f);
  return copy;
}

// What flatten() and unflatten() do with the tensors.
JACQUARD_API TrackedTensor join(const std::vector<TrackedTensor>& tensors,
                                CallSite site);
class JACQUARD_API Parts {
 public:
  Parts(TrackedTensor vector, CallSite site);
  // The next elements, in the shape and dtype of `like`; itself unless it is a
  // defined tensor of floats.
  TrackedTensor next(const TrackedTensor& like);
  // ShapeError unless all elements were taken, and there were no fewer.
  void finish() const;

 private:
  TrackedTensor vector_;
  std::int64_t taken_ = 0;
  CallSite site_;
};

}  // namespace detail

// Calls f(path, tensor) for each tensor in x: TrackedTensor&, const if x is.
template <class T, class F>
void visit_tensors(T&& x, F&& f) {
  auto leaf = [&](const detail::Path& path, auto& t) { f(path.text(), t); };
  detail::walk({nullptr, "visit_tensors"}, leaf, x);
}

// A copy of x in which each tensor t is replaced by f(t), or f(path, t), a
// TrackedTensor; f is called once a tensor, in order. The other members keep
// their values. Pointers to structures with tensors become pointers to new
// objects. x need not be default-constructible, but must be copyable, or made
// of parts that are and of std::unique_ptr to such.
template <class T, class F>
T map_tensors(const T& x, F&& f) {
  return detail::replaced(
      {nullptr, "map_tensors"}, x,
      [&](const detail::Path& path, const TrackedTensor& t) -> TrackedTensor {
        if constexpr (std::is_invocable_v<F&, std::string,
                                          const TrackedTensor&>)
          return f(path.text(), t);
        else
          return f(t);
      });
}

// Calls f(path, ta, tb...) for each tensor ta of a and its counterparts in
// the other structures, which have the type of a; each may be const or not.
// ShapeError naming the path where containers, optionals, variants or pointers
// differ in what they hold; f has been called for what precedes it.
template <class F, class A, class... B>
void zip_tensors(F&& f, A&& a, B&&... b) {
  static_assert(
      (std::is_same_v<std::remove_cvref_t<A>, std::remove_cvref_t<B>> && ...),
      "zip_tensors: structures of different types");
  auto leaf = [&](const detail::Path& path, auto&... t) {
    f(path.text(), t...);
  };
  detail::walk({nullptr, "zip_tensors"}, leaf, a, b...);
}

// All tensors: handles, which share their values with x.
template <class T>
std::vector<TrackedTensor> tensors_of(const T& x) {
  std::vector<TrackedTensor> all;
  auto leaf = [&](const detail::Path&, const TrackedTensor& t) {
    all.push_back(t);
  };
  detail::walk({nullptr, "tensors_of"}, leaf, x);
  return all;
}

// The paths of all tensors, in the order of tensors_of().
template <class T>
std::vector<std::string> paths_of(const T& x) {
  std::vector<std::string> paths;
  auto leaf = [&](const detail::Path& path, const TrackedTensor&) {
    paths.push_back(path.text());
  };
  detail::walk({nullptr, "paths_of"}, leaf, x);
  return paths;
}

// The tensor at a path, const if x is; assign to it to set it. IndexError that
// lists the paths there are. Takes time in the number of tensors.
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
  detail::walk({nullptr, "tensor_at"}, leaf, x);
  if (!found) detail::throw_no_such_path("tensor_at", path, paths_of(x));
  return *found;
}

// The number of elements of all tensors together.
template <class T>
std::int64_t count_parameters(const T& x) {
  std::int64_t count = 0;
  auto leaf = [&](const detail::Path&, const TrackedTensor& t) {
    if (t.defined()) count += t.numel();
  };
  detail::walk({nullptr, "count_parameters"}, leaf, x);
  return count;
}

// The elements of all defined floating tensors, one after the other as
// tensors_of() has them, in one vector of their common dtype: differentiable,
// so that hessians and solvers see a structure as one vector. A tensor that
// occurs twice has elements at each place. GraphError if there is none. (A bare
// tensor goes to the operation of this name.)
template <class T>
  requires(!std::is_convertible_v<const T&, Operand>)
TrackedTensor flatten(const T& x, CallSite site = CallSite::current()) {
  return detail::join(tensors_of(x), site);
}

// A structure like x whose floating tensors are cut from a vector as flatten()
// made it, in their shape and dtype: differentiable. Everything else is x's.
// ShapeError unless the vector has as many elements as flatten(x).
template <class T>
T unflatten(const T& x, const TrackedTensor& vector,
            CallSite site = CallSite::current()) {
  detail::Parts parts(vector, site);
  T copy =
      map_tensors(x, [&](const TrackedTensor& t) { return parts.next(t); });
  parts.finish();
  return copy;
}

}  // namespace jacquard
