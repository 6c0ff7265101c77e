// Tile functions of the primitives: one loop over packs a shape of signature,
// and functors for op_<name> of the shared scalar functions.
#pragma once

#include "cpu_fallback/isa/pack.h"

namespace jacquard::cpu_fallback::JACQUARD_ISA_LEVEL {
namespace {

#include "core/pointwise/scalar_functions.h"

template <class T>
JACQUARD_INLINE Pack<T> lib_polygamma(Pack<T> n, Pack<T> x) {
  return lanewise([](T a, T b) { return lib_polygamma(a, b); }, n, x);
}
JACQUARD_INLINE I32 lib_pow(I32 a, I32 b) {
  return lanewise([](std::int32_t x, std::int32_t y) { return int_pow(x, y); },
                  a, b);
}
JACQUARD_INLINE I64 lib_pow(I64 a, I64 b) {
  return lanewise([](std::int64_t x, std::int64_t y) { return int_pow(x, y); },
                  a, b);
}

// Functors. JACQUARD_PRIMITIVES names all, a template is used or it is not.
#define JACQUARD_FUNCTOR(name, arity, cls)     \
  struct Fn_##name {                           \
    template <class... V>                      \
    static JACQUARD_INLINE auto call(V... v) { \
      return op_##name(v...);                  \
    }                                          \
  };
JACQUARD_PRIMITIVES(JACQUARD_FUNCTOR)
#undef JACQUARD_FUNCTOR

template <class F, class T>
inline constexpr bool kInterleaved = false;
// Where there are registers enough.
#if JACQUARD_PACK_BYTES == 64
template <>
inline constexpr bool kInterleaved<Fn_exp, float> = true;
template <>
inline constexpr bool kInterleaved<Fn_tanh, float> = true;
template <>
inline constexpr bool kInterleaved<Fn_sigmoid, float> = true;
#endif

template <class F, class T, int arity>
void tile_value(const void* a, const void* b, const void*, void* out,
                std::size_t n) {
  using V = Pack<T>;
  const T* x = static_cast<const T*>(a);
  const T* y = static_cast<const T*>(b);
  T* to = static_cast<T*>(out);
  std::size_t i = 0;
  if constexpr (kInterleaved<F, T>) {
    // So that one pack's chain of operations fills the waits of the others.
    for (; i + 4 * V::lanes <= n; i += 4 * V::lanes) {
      V p[4];
      for (int w = 0; w < 4; ++w) p[w] = V::load(x + i + w * V::lanes);
      for (int w = 0; w < 4; ++w) p[w] = F::call(p[w]);
      for (int w = 0; w < 4; ++w) p[w].store(to + i + w * V::lanes);
    }
  }
  for (; i < n; i += V::lanes) {
    if constexpr (arity == 1)
      F::call(V::load(x + i)).store(to + i);
    else
      F::call(V::load(x + i), V::load(y + i)).store(to + i);
  }
}

template <class F, class T, int arity>
void tile_test(const void* a, const void* b, const void*, void* out,
               std::size_t n) {
  using V = Pack<T>;
  const T* x = static_cast<const T*>(a);
  const T* y = static_cast<const T*>(b);
  std::uint8_t* to = static_cast<std::uint8_t*>(out);
  for (std::size_t i = 0; i < n; i += V::lanes) {
    if constexpr (arity == 1)
      store_mask(F::call(V::load(x + i)), to + i);
    else
      store_mask(F::call(V::load(x + i), V::load(y + i)), to + i);
  }
}

template <class T>
void tile_where(const void* a, const void* b, const void* c, void* out,
                std::size_t n) {
  using V = Pack<T>;
  const std::uint8_t* m = static_cast<const std::uint8_t*>(a);
  const T* x = static_cast<const T*>(b);
  const T* y = static_cast<const T*>(c);
  T* to = static_cast<T*>(out);
  // From the back: out may be the buffer of the narrower a.
  for (std::size_t k = (n + V::lanes - 1) / V::lanes; k-- > 0;) {
    const std::size_t i = k * V::lanes;
    op_where(load_mask<typename V::S>(m + i), V::load(x + i), V::load(y + i))
        .store(to + i);
  }
}

struct Copy {
  template <class V>
  static JACQUARD_INLINE V call(V x) {
    return x;
  }
};

template <class T>
void fill_structure(KernelTable& table, DType dtype) {
  const int d = static_cast<int>(dtype);
  table.op[static_cast<int>(pointwise::Op::where)][d] = &tile_where<T>;
  table.op[static_cast<int>(pointwise::Op::stop_gradient)][d] =
      &tile_value<Copy, T, 1>;
}

// Classes f, n and b for a floating type.
#define JACQUARD_FILL_f(name, arity)                   \
  table.op[static_cast<int>(pointwise::Op::name)][d] = \
      &tile_value<Fn_##name, T, arity>;
#define JACQUARD_FILL_n(name, arity) JACQUARD_FILL_f(name, arity)
#define JACQUARD_FILL_b(name, arity)                   \
  table.op[static_cast<int>(pointwise::Op::name)][d] = \
      &tile_test<Fn_##name, T, arity>;
#define JACQUARD_FILL_l(name, arity)
#define JACQUARD_FILL_r(name, arity)
#define JACQUARD_FILL_x(name, arity)
#define JACQUARD_FILL(name, arity, cls) JACQUARD_FILL_##cls(name, arity)

template <class T>
void fill_floating(KernelTable& table, DType dtype) {
  const int d = static_cast<int>(dtype);
  JACQUARD_PRIMITIVES(JACQUARD_FILL)
  fill_structure<T>(table, dtype);
}
#undef JACQUARD_FILL_f
#define JACQUARD_FILL_f(name, arity)
#undef JACQUARD_FILL_n
#define JACQUARD_FILL_n(name, arity)                   \
  table.op[static_cast<int>(pointwise::Op::name)][d] = \
      &tile_value<Fn_##name, T, arity>;

template <class T>
void fill_integer(KernelTable& table, DType dtype) {
  const int d = static_cast<int>(dtype);
  JACQUARD_PRIMITIVES(JACQUARD_FILL)
  fill_structure<T>(table, dtype);
}

}  // namespace
}  // namespace jacquard::cpu_fallback::JACQUARD_ISA_LEVEL
