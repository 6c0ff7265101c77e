#include "jacquard/shape.h"

#include <algorithm>

#include "jacquard/error.h"

namespace jacquard {
namespace {

[[noreturn]] void throw_rank(std::size_t rank) {
  throw ShapeError("shape: rank " + std::to_string(rank) +
                   " is more than the " + std::to_string(kMaxRank) +
                   " axes that a tensor can have");
}

[[noreturn]] void throw_place(int place, const Shape& shape) {
  throw IndexError("shape: place " + std::to_string(place) + " in " +
                   to_string(shape));
}

}  // namespace

Shape::Shape(std::span<const std::int64_t> dims) {
  if (dims.size() > kMaxRank) throw_rank(dims.size());
  rank_ = static_cast<std::int32_t>(dims.size());
  std::copy(dims.begin(), dims.end(), dims_.begin());
}

Shape Shape::filled(int rank, std::int64_t value) {
  if (rank < 0 || rank > kMaxRank) throw_rank(static_cast<std::size_t>(rank));
  Shape shape;
  shape.rank_ = rank;
  std::fill(shape.begin(), shape.end(), value);
  return shape;
}

std::int64_t Shape::at(int i) const {
  const int place = i < 0 ? i + rank_ : i;
  if (place < 0 || place >= rank_) throw_place(i, *this);
  return dims_[place];
}

void Shape::push_back(std::int64_t d) {
  if (rank_ == kMaxRank) throw_rank(kMaxRank + 1);
  dims_[rank_++] = d;
}

void Shape::insert(int at, std::int64_t d) {
  if (at < 0 || at > rank_) throw_place(at, *this);
  if (rank_ == kMaxRank) throw_rank(kMaxRank + 1);
  std::copy_backward(begin() + at, end(), end() + 1);
  dims_[at] = d;
  ++rank_;
}

void Shape::erase(int at) {
  if (at < 0 || at >= rank_) throw_place(at, *this);
  std::copy(begin() + at + 1, end(), begin() + at);
  --rank_;
}

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (int i = 0; i < shape.rank(); ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(shape[i]);
  }
  return text + "]";
}

// An extent of 0 counts as 1: a stride of 0 means a broadcast.
Strides contiguous_strides(const Shape& shape) {
  Strides strides = shape;
  std::int64_t step = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    strides[i] = step;
    step *= std::max<std::int64_t>(shape[i], 1);
  }
  return strides;
}

Shape broadcast(const Shape& a, const Shape& b, const char* op) {
  const Shape& longer = a.rank() >= b.rank() ? a : b;
  const Shape& shorter = a.rank() >= b.rank() ? b : a;
  const int lead = longer.rank() - shorter.rank();
  Shape result = longer;
  for (int i = lead; i < longer.rank(); ++i) {
    const std::int64_t x = longer[i];
    const std::int64_t y = shorter[i - lead];
    if (x == y || y == 1) continue;
    if (x != 1)
      throw ShapeError(std::string(op) + ": " + to_string(a) + " and " +
                       to_string(b) + " do not broadcast: axis " +
                       std::to_string(i - longer.rank()) + " has " +
                       std::to_string(a.at(i - longer.rank())) + " and " +
                       std::to_string(b.at(i - longer.rank())));
    result[i] = y;
  }
  return result;
}

Strides broadcast_strides(const Shape& from, const Strides& strides,
                          const Shape& to, const char* op) {
  const int lead = to.rank() - from.rank();
  bool fits = lead >= 0;
  Strides result = Strides::filled(to.rank(), 0);
  for (int i = 0; fits && i < from.rank(); ++i) {
    if (from[i] == to[lead + i])
      result[lead + i] = strides[i];
    else
      fits = from[i] == 1;
  }
  if (!fits)
    throw ShapeError(std::string(op) + ": " + to_string(from) +
                     " does not broadcast to " + to_string(to));
  return result;
}

int normalize_axis(int axis, const Shape& shape, const char* op) {
  const int rank = shape.rank();
  if (axis < -rank || axis >= rank)
    throw IndexError(std::string(op) + ": axis " + std::to_string(axis) +
                     " of " + to_string(shape) +
                     (rank == 0 ? ": a scalar has no axis"
                                : ": it must be in [" + std::to_string(-rank) +
                                      ", " + std::to_string(rank) + ")"));
  return axis < 0 ? axis + rank : axis;
}

}  // namespace jacquard
