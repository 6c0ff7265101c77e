// Loops over the lanes of a warp, written so that compilers turn them into
// vector code.
#pragma once

#include <bit>
#include <cstdint>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "execute/program.h"
#include "execute/warp.h"
#include "memory/address.h"

#if defined(__clang__)
#define PTX_EMULATOR_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define PTX_EMULATOR_INDEPENDENT _Pragma("GCC ivdep")
#endif

namespace ptx_emulator {

// Calls f(lane) for each lane of the mask, in order.
template <class F>
inline void for_each_lane(std::uint32_t lanes, F f) {
  for (; lanes != 0; lanes &= lanes - 1) f(std::countr_zero(lanes));
}

// Stores value(lane) into d[lane] for the lanes of the mask. `value` must be
// cheap and defined for all lanes: with few lanes missing it is computed for
// those too.
template <class D, class F>
inline void write_lanes(D* d, std::uint32_t lanes, F value) {
  if (lanes == kAllLanes) {
    PTX_EMULATOR_INDEPENDENT
    for (int l = 0; l < kWarpSize; ++l) d[l] = value(l);
  } else if (std::popcount(lanes) > 2) {
    PTX_EMULATOR_INDEPENDENT
    for (int l = 0; l < kWarpSize; ++l) {
      const D result = value(l);
      d[l] = (lanes >> l & 1) != 0 ? result : d[l];
    }
  } else {
    for_each_lane(lanes, [&](int l) { d[l] = value(l); });
  }
}

// Stores the bits of `value` that the mask names into a predicate.
inline void write_predicate(Warp& warp, Row row, std::uint32_t lanes,
                            std::uint32_t value) {
  std::uint32_t& d = *warp.row<std::uint32_t>(row);
  d = (d & ~lanes) | (value & lanes);
}

// Bit l is set if flags[l] is not 0; all flags are 0 or ~0.
inline std::uint32_t mask_of(const std::uint32_t* flags) {
#if defined(__AVX512F__)
  const __m512i low = _mm512_loadu_si512(flags);
  const __m512i high = _mm512_loadu_si512(flags + 16);
  return _mm512_test_epi32_mask(low, low) |
         static_cast<std::uint32_t>(_mm512_test_epi32_mask(high, high)) << 16;
#elif defined(__AVX2__)
  std::uint32_t mask = 0;
  for (int k = 0; k < 4; ++k) {
    const __m256 part =
        _mm256_loadu_ps(reinterpret_cast<const float*>(flags + 8 * k));
    mask |= static_cast<std::uint32_t>(_mm256_movemask_ps(part)) << (8 * k);
  }
  return mask;
#else
  std::uint32_t mask = 0;
  for (int l = 0; l < kWarpSize; ++l) mask |= (flags[l] & 1) << l;
  return mask;
#endif
}

// d = Op::apply(a), lane by lane; and with two and three sources.
template <class D, class A, class Op>
void unary(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const A* a = warp.row<A>(i.a);
  write_lanes(warp.row<D>(i.d), lanes,
              [=](int l) -> D { return Op::apply(a[l]); });
}

template <class D, class A, class B, class Op>
void binary(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const A* a = warp.row<A>(i.a);
  const B* b = warp.row<B>(i.b);
  write_lanes(warp.row<D>(i.d), lanes,
              [=](int l) -> D { return Op::apply(a[l], b[l]); });
}

template <class D, class A, class B, class C, class Op>
void ternary(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const A* a = warp.row<A>(i.a);
  const B* b = warp.row<B>(i.b);
  const C* c = warp.row<C>(i.c);
  write_lanes(warp.row<D>(i.d), lanes,
              [=](int l) -> D { return Op::apply(a[l], b[l], c[l]); });
}

}  // namespace ptx_emulator
