// What the tests of cpu_fallback/isa share.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "cpu_fallback/isa/tables.h"

namespace jacquard::cpu_fallback {

// A tile buffer of n elements, accessible up to whole quanta.
template <class T>
struct TileBuffer {
  explicit TileBuffer(std::size_t n, T fill = T(1))
      : data((n + kQuantum - 1) / kQuantum * kQuantum, fill) {}
  TileBuffer(const std::vector<T>& x) : TileBuffer(x.size()) {
    std::copy(x.begin(), x.end(), data.begin());
  }
  T* get() { return data.data(); }
  T& operator[](std::size_t i) { return data[i]; }
  std::vector<T> data;
};

// Runs `body` for each level that this machine has.
template <class F>
void for_each_level(F body) {
  const RunnableTables all = runnable_tables();
  ASSERT_GT(all.count, 0);
  for (int i = 0; i < all.count; ++i) {
    SCOPED_TRACE(all.tables[i]->level);
    body(*all.tables[i]);
  }
}

inline TileFn op_of(const KernelTable& table, pointwise::Op op, DType dtype) {
  return table.op[static_cast<int>(op)][static_cast<int>(dtype)];
}
inline RowFn row_of(const KernelTable& table, pointwise::Op op, DType dtype) {
  return table.row[static_cast<int>(op)][static_cast<int>(dtype)];
}

template <class T>
bool same_bits(T a, T b) {
  return std::memcmp(&a, &b, sizeof a) == 0;
}

// The error of y in units of the last place of T at the exact value. NaN must
// meet NaN, infinity infinity, and an exact zero a zero of its sign. An exact
// value below `floor` counts as floor.
template <class T>
double ulp_error(T y, long double exact, double floor = 0) {
  using Limits = std::numeric_limits<T>;
  constexpr double bad = 1e30;
  if (std::isnan(exact)) return std::isnan(y) ? 0 : bad;
  if (std::isnan(y)) return bad;
  if (std::isinf(exact)) return y == static_cast<T>(exact) ? 0 : bad;
  if (exact == 0 && floor == 0)
    return y == 0 && std::signbit(y) == std::signbit(exact) ? 0 : bad;
  int exponent;
  std::frexp(std::fmax(std::fabs(exact), static_cast<long double>(floor)),
             &exponent);
  exponent = std::clamp(exponent, Limits::min_exponent, Limits::max_exponent);
  const long double ulp = std::ldexp(1.0L, exponent - Limits::digits);
  // What overflows is the next number beyond the largest.
  const long double beyond = std::ldexp(1.0L, Limits::max_exponent);
  const long double value = std::clamp<long double>(y, -beyond, beyond);
  exact = std::clamp(exact, -beyond, beyond);
  return static_cast<double>(std::fabs(value - exact) / ulp);
}

}  // namespace jacquard::cpu_fallback
