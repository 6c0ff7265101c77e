// What the arguments of a call are to an observer: operands, host scalars,
// attributes.
//
// visit(v, x) shows the parts of an argument to the visitor v. Describe takes
// them down, Feed puts others in their place, Strip drops the operands, Spell
// writes the attributes for people.
#pragma once

#include <bit>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/ops/slice_region.h"
#include "core/pointwise/program.h"
#include "core/tape/planned_scalar.h"
#include "core/tape/value.h"
#include "jacquard/index_ops.h"
#include "jacquard/reduce.h"
#include "jacquard/shape_ops.h"

namespace jacquard::backend {
struct RawCode;
}

namespace jacquard::tape {

// A list that holds its first N elements in place.
template <class T, int N>
class ShortList {
 public:
  int size() const { return size_; }
  T* data() { return more_.empty() ? here_ : more_.data(); }
  const T* data() const { return more_.empty() ? here_ : more_.data(); }
  T& operator[](int i) { return data()[i]; }
  const T& operator[](int i) const { return data()[i]; }
  T* begin() { return data(); }
  T* end() { return data() + size_; }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size_; }
  void push_back(T x) {
    if (size_ == N)
      for (T& t : here_) more_.push_back(std::move(t));
    if (size_ < N)
      here_[size_] = std::move(x);
    else
      more_.push_back(std::move(x));
    ++size_;
  }

 private:
  T here_[N];
  int size_ = 0;
  std::vector<T> more_;
};

using OperandList = ShortList<const TrackedTensor*, 4>;
using Attributes = ShortList<std::int64_t, 16>;
using Scalars = ShortList<Literal, 4>;
using Results = ShortList<TrackedTensor, 2>;

// A random leaf's place in the sequence of draws: two scalars.
struct Draw {
  Literal seed, offset;
};

template <class T>
inline constexpr bool is_list = false;
template <class T>
inline constexpr bool is_list<std::vector<T>> = true;
template <class T>
inline constexpr bool is_pair = false;
template <class A, class B>
inline constexpr bool is_pair<std::pair<A, B>> = true;
template <class T>
inline constexpr bool is_function = false;
template <class T>
inline constexpr bool is_function<std::function<T>> = true;

template <class T>
inline constexpr bool has_scalars = false;
template <>
inline constexpr bool has_scalars<Operand> = true;
template <>
inline constexpr bool has_scalars<Literal> = true;
template <>
inline constexpr bool has_scalars<Draw> = true;
template <class T>
inline constexpr bool has_scalars<std::vector<T>> = has_scalars<T>;
template <class A, class B>
inline constexpr bool has_scalars<std::pair<A, B>> =
    has_scalars<A> || has_scalars<B>;

template <class V, class X>
void visit(V& v, X& x) {
  using T = std::remove_cv_t<X>;
  if constexpr (std::is_array_v<T> || std::is_same_v<T, const char*> ||
                std::is_same_v<T, CallSite> || std::is_same_v<T, std::string>) {
    // Names and lines: an observer has them.
  } else if constexpr (std::is_same_v<T, TrackedTensor>) {
    v.tensor(x);
  } else if constexpr (std::is_same_v<T, Operand>) {
    v.operand(x);
  } else if constexpr (std::is_same_v<T, Literal>) {
    v.scalar(x);
  } else if constexpr (std::is_same_v<T, Draw>) {
    v.draw(x);
  } else if constexpr (is_list<T>) {
    v.count(x.size());
    for (auto&& part : x) visit(v, part);
  } else if constexpr (is_pair<T>) {
    visit(v, x.first);
    visit(v, x.second);
  } else if constexpr (std::is_same_v<T, Index>) {
    v.attribute(x.kind());
    v.attribute(x.place());
    visit(v, x.slice());
    if (x.kind() != Index::Kind::tensor) return;
    if constexpr (std::is_const_v<X>) {
      v.tensor(x.tensor());
    } else {
      TrackedTensor t = x.tensor();
      v.tensor(t);
      x = Index(std::move(t));
    }
  } else if constexpr (std::is_same_v<T, Slice>) {
    for (auto* end : {&x.start, &x.stop}) {
      v.attribute(end->has_value());
      v.attribute(end->value_or(0));
    }
    v.attribute(x.step);
  } else if constexpr (std::is_same_v<T, ops::SliceRegion>) {
    for (auto* places : {&x.start, &x.step, &x.count}) v.attribute(*places);
    v.attribute(x.dropped);
  } else if constexpr (is_function<T>) {
    v.attribute(static_cast<bool>(x));
    if (x) v.opaque();
  } else if constexpr (std::is_same_v<
                           T, std::shared_ptr<const backend::RawCode>>) {
    v.kernel(x);
  } else {
    v.attribute(x);
  }
}

struct Describe {
  OperandList& operands;
  Attributes& attributes;
  Scalars& scalars;
  bool& random;
  bool& has_function;

  void tensor(const TrackedTensor& x) { operands.push_back(&x); }
  void operand(const Operand& x) {
    const bool scalar = x.is_scalar();
    attributes.push_back(scalar ? static_cast<int>(x.scalar_kind()) : -1);
    if (scalar)
      scalars.push_back(PlannedScalar::value(x));
    else
      operands.push_back(&x.tensor());
  }
  void scalar(Literal x) { scalars.push_back(x); }
  void draw(const Draw& x) {
    random = true;
    scalars.push_back(x.seed);
    scalars.push_back(x.offset);
  }
  void opaque() { has_function = true; }
  void count(std::size_t n) {
    attributes.push_back(static_cast<std::int64_t>(n));
  }
  void kernel(const std::shared_ptr<const backend::RawCode>& x) {
    attributes.push_back(reinterpret_cast<std::intptr_t>(x.get()));
  }

  template <class T>
    requires std::is_arithmetic_v<T> || std::is_enum_v<T>
  void attribute(T x) {
    if constexpr (std::is_floating_point_v<T>)
      attributes.push_back(std::bit_cast<std::int64_t>(double{x}));
    else
      attributes.push_back(static_cast<std::int64_t>(x));
  }
  void attribute(Device x) {
    attributes.push_back(static_cast<int>(x.type) * 256 + x.index);
  }
  void attribute(const Shape& x);
  void attribute(const Axes& x);
  void attribute(const pointwise::ProgramPtr& x) {
    attributes.push_back(reinterpret_cast<std::intptr_t>(x.get()));
  }
};

// Puts in what a run is fed; a null pointer leaves what is there.
struct Feed {
  const TrackedTensor* operands = nullptr;
  const Literal* scalars = nullptr;

  void tensor(TrackedTensor& x) {
    if (operands) x = *operands++;
  }
  void operand(Operand& x) {
    if (x.is_scalar()) {
      if (scalars) x = PlannedScalar::with_value(x, *scalars++);
    } else if (operands) {
      x = Operand(*operands++, x.site());
    }
  }
  void scalar(Literal& x) {
    if (scalars) x = *scalars++;
  }
  void draw(Draw& x) {
    scalar(x.seed);
    scalar(x.offset);
  }
  void opaque() {}
  void count(std::size_t) {}
  void kernel(const auto&) {}
  void attribute(const auto&) {}
};

struct Strip {
  void tensor(TrackedTensor& x) { x = {}; }
  void operand(Operand& x) {
    if (!x.is_scalar()) x = Operand(TrackedTensor(), x.site());
  }
  void scalar(const Literal&) {}
  void draw(const Draw&) {}
  void opaque() {}
  void count(std::size_t) {}
  void kernel(const auto&) {}
  void attribute(const auto&) {}
};

struct Spell {
  std::string text;

  void tensor(const TrackedTensor&) {}
  void operand(const Operand& x) {
    if (x.is_scalar()) attribute(x.floating());
  }
  void scalar(const Literal&) {}
  void draw(const Draw&) {}
  void opaque() { add("function"); }
  void count(std::size_t) {}
  void kernel(const auto&) {}
  void attribute(bool x) { add(x ? "true" : "false"); }
  void attribute(double x);
  void attribute(DType x) { add(std::string(name_of(x))); }
  void attribute(Device x) { add(to_string(x)); }
  void attribute(const Shape& x) { add(to_string(x)); }
  void attribute(const Axes& x);
  void attribute(const pointwise::ProgramPtr&) {}
  void attribute(Op) {}  // the name says it
  template <class T>
    requires(std::is_integral_v<T> && !std::is_same_v<T, bool>)
  void attribute(T x) {
    add(std::to_string(x));
  }
  template <class T>
    requires(std::is_enum_v<T> && !std::is_same_v<T, DType> &&
             !std::is_same_v<T, Op>)
  void attribute(T x) {
    add(std::to_string(static_cast<int>(x)));
  }
  void add(const std::string& part) {
    text += (text.empty() ? "" : ", ") + part;
  }
};

}  // namespace jacquard::tape
