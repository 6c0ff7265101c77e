// Casts between register forms, and rounding to the half types.
#include "cpu_fallback/isa/half.h"

namespace jacquard::cpu::JACQUARD_ISA_LEVEL {
namespace {

// Vectors of equal lane count; N is that of the wider type's pack.
template <class From, class To, int N>
JACQUARD_INLINE Raw<To, N> convert(Raw<From, N> x) {
  constexpr bool from_float = From(0.5) != From(0);
  constexpr bool to_float = To(0.5) != To(0);
  if constexpr (sizeof(To) == 1) {
    using S = typename Element<From>::Signed;
    const Raw<S, N> set = (Raw<S, N>)(x != 0);
    return __builtin_convertvector(set, Raw<To, N>) & 1;
  } else if constexpr (from_float && !to_float) {
    // Out of range (NaN is not in it): the smallest integer.
    constexpr From limit = sizeof(To) == 4 ? From(2147483648.0)
                                           : From(9223372036854775808.0);
    // Above −2^31 − 1 truncation fits; in float32 there is nothing between.
    constexpr From lowest =
        sizeof(From) == 8 && sizeof(To) == 4 ? From(-2147483649.0) : -limit;
    const auto above = sizeof(From) == 8 && sizeof(To) == 4
                           ? (x > lowest) : (x >= lowest);
    using S = typename Element<From>::Signed;
    const Raw<S, N> fits = (Raw<S, N>)(above & (x < limit));
    const Raw<From, N> safe = fits ? x : (Raw<From, N>{} - limit);
    return __builtin_convertvector(safe, Raw<To, N>);
  } else {
    return __builtin_convertvector(x, Raw<To, N>);
  }
}

template <class From, class To, class Round>
void cast(const void* a, const void*, const void*, void* out, std::size_t n) {
  constexpr int width = sizeof(From) > sizeof(To) ? sizeof(From) : sizeof(To);
  constexpr int lanes = kPackBytes / width;
  const From* from = static_cast<const From*>(a);
  To* to = static_cast<To*>(out);
  // In place from narrow to wide: from the back, so that no input is lost.
  const std::size_t count = (n + lanes - 1) / lanes;
  for (std::size_t k = 0; k < count; ++k) {
    const std::size_t i =
        (sizeof(To) > sizeof(From) ? count - 1 - k : k) * lanes;
    Raw<From, lanes> x;
    __builtin_memcpy(&x, from + i, sizeof x);
    Raw<To, lanes> y = convert<From, To, lanes>(x);
    y = Round::call(y);
    __builtin_memcpy(to + i, &y, sizeof y);
  }
}

struct Exact {
  template <class R>
  static JACQUARD_INLINE R call(R x) {
    return x;
  }
};
// Vectors of fewer lanes than a pack pass through one.
template <F32 (*round)(F32)>
struct Rounding {
  template <class R>
  static JACQUARD_INLINE R call(R x) {
    float lanes[F32::lanes] = {};
    __builtin_memcpy(lanes, &x, sizeof x);
    const F32 rounded = round(F32::load(lanes));
    __builtin_memcpy(&x, &rounded.v, sizeof x);
    return x;
  }
};
using ToFloat16 = Rounding<round_to_float16>;
using ToBFloat16 = Rounding<round_to_bfloat16>;

template <class From>
void fill_from(KernelTable& table, DType dtype) {
  TileFn* row = table.cast[static_cast<int>(dtype)];
  const auto at = [row](DType to) -> TileFn& {
    return row[static_cast<int>(to)];
  };
  at(DType::bool_) = &cast<From, std::uint8_t, Exact>;
  at(DType::int32) = &cast<From, std::int32_t, Exact>;
  at(DType::int64) = &cast<From, std::int64_t, Exact>;
  at(DType::float16) = &cast<From, float, ToFloat16>;
  at(DType::bfloat16) = &cast<From, float, ToBFloat16>;
  at(DType::float32) = &cast<From, float, Exact>;
  at(DType::float64) = &cast<From, double, Exact>;
}

}  // namespace

void fill_casts(KernelTable& table) {
  fill_from<std::uint8_t>(table, DType::bool_);
  fill_from<std::int32_t>(table, DType::int32);
  fill_from<std::int64_t>(table, DType::int64);
  fill_from<float>(table, DType::float16);
  fill_from<float>(table, DType::bfloat16);
  fill_from<float>(table, DType::float32);
  fill_from<double>(table, DType::float64);
  table.round_half = &cast<float, float, ToFloat16>;
  table.round_bfloat = &cast<float, float, ToBFloat16>;
}

}  // namespace jacquard::cpu::JACQUARD_ISA_LEVEL
