// Casts between register forms, and rounding to the half types.
#include "cpu_fallback/isa/half.h"

namespace jacquard::cpu_fallback::JACQUARD_ISA_LEVEL {
namespace {

// Vectors of equal lane count; N is that of the wider type's pack.
template <class From, class To, int N>
JACQUARD_INLINE Raw<To, N> convert(Raw<From, N> x) {
  constexpr bool from_float = From(0.5) != From(0);
  constexpr bool to_float = To(0.5) != To(0);
  if constexpr (from_float && !to_float) {
    // Out of range (NaN is not in it): the smallest integer.
    constexpr From limit =
        sizeof(To) == 4 ? From(2147483648.0) : From(9223372036854775808.0);
    // Above −2^31 − 1 truncation fits; in float32 there is nothing between.
    constexpr From lowest =
        sizeof(From) == 8 && sizeof(To) == 4 ? From(-2147483649.0) : -limit;
    const auto above =
        sizeof(From) == 8 && sizeof(To) == 4 ? (x > lowest) : (x >= lowest);
    using S = typename Element<From>::Signed;
    const Raw<S, N> fits = (Raw<S, N>)(above & (x < limit));
    const Raw<From, N> safe = fits ? x : (Raw<From, N>{} - limit);
    return __builtin_convertvector(safe, Raw<To, N>);
  } else {
    return __builtin_convertvector(x, Raw<To, N>);
  }
}

template <class From, class To>
JACQUARD_INLINE void cast_run(const void* a, void* out, std::size_t n) {
  constexpr int width = sizeof(From) > sizeof(To) ? sizeof(From) : sizeof(To);
  constexpr int lanes = kPackBytes / width;
  const From* from = static_cast<const From*>(a);
  To* to = static_cast<To*>(out);
  const std::size_t count = (n + lanes - 1) / lanes;
  for (std::size_t k = 0; k < count; ++k) {
    // From narrow to wide in place: from the back.
    const std::size_t i =
        (sizeof(To) > sizeof(From) ? count - 1 - k : k) * lanes;
    if constexpr (sizeof(From) == 1 && sizeof(To) == 1) {
      Pack<To>::load(from + i).store(to + i);
    } else if constexpr (sizeof(From) == 1) {
      using V = Pack<To>;
      select(load_mask<typename V::S>(from + i), V(To(1)), V(To(0)))
          .store(to + i);
    } else if constexpr (sizeof(To) == 1) {
      store_mask(Pack<From>::load(from + i) != Pack<From>(From(0)), to + i);
    } else {
      Raw<From, lanes> x;
      __builtin_memcpy(&x, from + i, sizeof x);
      const Raw<To, lanes> y = convert<From, To, lanes>(x);
      __builtin_memcpy(to + i, &y, sizeof y);
    }
  }
}

template <class From, class To>
void cast(const void* a, const void*, const void*, void* out, std::size_t n) {
  cast_run<From, To>(a, out, n);
}

// To float32 first, as PyTorch does, then to the half type.
template <class From, F32 (*round)(F32)>
void cast_to_half(const void* a, const void*, const void*, void* out,
                  std::size_t n) {
  float* to = static_cast<float*>(out);
  const float* from = to;
  if constexpr (sizeof(From) == 4 && From(0.5) != From(0))
    from = static_cast<const float*>(a);
  else
    cast_run<From, float>(a, out, n);
  for (std::size_t i = 0; i < n; i += F32::lanes)
    round(F32::load(from + i)).store(to + i);
}

template <class From>
void fill_from(KernelTable& table, DType dtype) {
  TileFn* row = table.cast[static_cast<int>(dtype)];
  const auto at = [row](DType to) -> TileFn& {
    return row[static_cast<int>(to)];
  };
  at(DType::bool_) = &cast<From, std::uint8_t>;
  at(DType::int32) = &cast<From, std::int32_t>;
  at(DType::int64) = &cast<From, std::int64_t>;
  at(DType::float16) = &cast_to_half<From, round_to_float16>;
  at(DType::bfloat16) = &cast_to_half<From, round_to_bfloat16>;
  at(DType::float32) = &cast<From, float>;
  at(DType::float64) = &cast<From, double>;
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
  table.round_half = &cast_to_half<float, round_to_float16>;
  table.round_bfloat = &cast_to_half<float, round_to_bfloat16>;
}

}  // namespace jacquard::cpu_fallback::JACQUARD_ISA_LEVEL
