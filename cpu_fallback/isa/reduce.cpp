// fold and combine: reductions of tiles.
#include "cpu_fallback/isa/pointwise.h"

namespace jacquard::cpu_fallback::JACQUARD_ISA_LEVEL {
namespace {

using pointwise::Reduction;

// The operations: on packs, on scalars, and the neutral element.
struct Sum {
  template <class V>
  static JACQUARD_INLINE V call(V a, V b) {
    return op_add(a, b);
  }
  template <class T>
  static constexpr T neutral() {
    return T(0);
  }
};
struct Product {
  template <class V>
  static JACQUARD_INLINE V call(V a, V b) {
    return op_mul(a, b);
  }
  template <class T>
  static constexpr T neutral() {
    return T(1);
  }
};
template <class T>
constexpr T lowest() {
  if constexpr (T(0.5) != T(0))
    return -T(__builtin_inf());
  else if constexpr (T(-1) > T(0))
    return T(0);
  else
    return T(T(1) << (sizeof(T) * 8 - 2)) * T(-2);
}
struct Max {
  template <class V>
  static JACQUARD_INLINE V call(V a, V b) {
    return op_maximum(a, b);
  }
  template <class T>
  static constexpr T neutral() {
    return lowest<T>();
  }
};
struct Min {
  template <class V>
  static JACQUARD_INLINE V call(V a, V b) {
    return op_minimum(a, b);
  }
  template <class T>
  static constexpr T neutral() {
    if constexpr (T(0.5) != T(0))
      return T(__builtin_inf());
    else
      return T(~lowest<T>());
  }
};

// Eight accumulators, so that the latency of an addition is hidden.
template <class F, class T>
void fold(const void* source, std::size_t n, void* result) {
  using V = Pack<T>;
  constexpr std::size_t lanes = V::lanes;
  constexpr int ways = 8;
  const T* from = static_cast<const T*>(source);
  const V neutral(F::template neutral<T>());
  V acc[ways];
  for (V& a : acc) a = neutral;
  std::size_t i = 0;
  for (; i + ways * lanes <= n; i += ways * lanes)
    for (int w = 0; w < ways; ++w)
      acc[w] = F::call(acc[w], V::load(from + i + w * lanes));
  for (int w = 0; i < n; i += lanes, ++w) {
    const std::size_t left = n - i;
    const V x = left >= lanes
                    ? V::load(from + i)
                    : load_partial(from + i, static_cast<int>(left), neutral);
    acc[w] = F::call(acc[w], x);
  }
  for (int half = ways / 2; half > 0; half /= 2)
    for (int w = 0; w < half; ++w) acc[w] = F::call(acc[w], acc[w + half]);
  T* total = static_cast<T*>(result);
  const T folded = fold_lanes(acc[0], [](V a, V b) { return F::call(a, b); });
  *total = F::call(*total, folded);
}

template <class F, class T>
void combine(const void* source, void* target, std::size_t n) {
  using V = Pack<T>;
  const T* from = static_cast<const T*>(source);
  T* acc = static_cast<T*>(target);
  std::size_t i = 0;
  for (; i + V::lanes <= n; i += V::lanes)
    F::call(V::load(acc + i), V::load(from + i)).store(acc + i);
  if (i == n) return;
  const int left = static_cast<int>(n - i);
  const V neutral(F::template neutral<T>());
  store_partial(F::call(load_partial(acc + i, left, neutral),
                        load_partial(from + i, left, neutral)),
                acc + i, left);
}

template <class F, class T>
void fill_one(KernelTable& table, Reduction reduction, DType dtype) {
  const int r = static_cast<int>(reduction), d = static_cast<int>(dtype);
  table.fold[r][d] = &fold<F, T>;
  table.combine[r][d] = &combine<F, T>;
}

template <class T>
void fill_order(KernelTable& table, DType dtype) {
  fill_one<Max, T>(table, Reduction::max, dtype);
  fill_one<Min, T>(table, Reduction::min, dtype);
}
template <class T>
void fill_all(KernelTable& table, DType dtype) {
  fill_one<Sum, T>(table, Reduction::sum, dtype);
  fill_one<Sum, T>(table, Reduction::mean, dtype);
  fill_one<Product, T>(table, Reduction::prod, dtype);
  fill_order<T>(table, dtype);
}

}  // namespace

void fill_reductions(KernelTable& table) {
  fill_all<float>(table, DType::float32);
  fill_all<float>(table, DType::float16);
  fill_all<float>(table, DType::bfloat16);
  fill_all<double>(table, DType::float64);
  fill_all<std::int32_t>(table, DType::int32);
  fill_all<std::int64_t>(table, DType::int64);
  fill_order<std::uint8_t>(table, DType::bool_);
}

}  // namespace jacquard::cpu_fallback::JACQUARD_ISA_LEVEL
