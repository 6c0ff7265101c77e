// Uniform and normal tiles, counter-based: any element by itself.
#include "cpu_fallback/isa/half.h"
#include "cpu_fallback/isa/pointwise.h"

namespace jacquard::cpu_fallback::JACQUARD_ISA_LEVEL {
namespace {

// A pack of 64-bit lanes of which the lower half is a word.
struct Words {
  U64 v;
  Words() = default;
  JACQUARD_INLINE Words(U64 lanes) : v(lanes) {}
  JACQUARD_INLINE explicit Words(unsigned x) : v(std::uint64_t(x)) {}
  JACQUARD_INLINE friend Words operator^(Words a, Words b) {
    return Words(a.v ^ b.v);
  }
};

JACQUARD_INLINE void mul_wide(Words a, unsigned b, Words& high, Words& low) {
#if JACQUARD_PACK_BYTES == 64
  low = U64((Raw<std::uint64_t>)_mm512_mul_epu32((__m512i)a.v.v,
                                                 _mm512_set1_epi64(b)));
#elif JACQUARD_PACK_BYTES == 32
  low = U64((Raw<std::uint64_t>)_mm256_mul_epu32((__m256i)a.v.v,
                                                 _mm256_set1_epi64x(b)));
#elif defined(__SSE2__)
  low = U64(
      (Raw<std::uint64_t>)_mm_mul_epu32((__m128i)a.v.v, _mm_set1_epi64x(b)));
#else
  low = (a.v & U64(std::uint64_t{0xffffffff})) * U64(std::uint64_t(b));
#endif
  high = low.v >> 32;
}

#include "core/pointwise/scalar_random.h"

constexpr int kBlocks = U64::lanes;  // blocks of Philox at a time

// The words of the blocks whose numbers are in `block`.
JACQUARD_INLINE void random_words(std::uint64_t seed, std::uint64_t offset,
                                  U64 block, Words (&c)[4]) {
  c[0] = block;
  c[1] = block >> 32;
  c[2] = Words(static_cast<unsigned>(offset));
  c[3] = Words(static_cast<unsigned>(offset >> 32));
  philox4x32_10(c, static_cast<unsigned>(seed),
                static_cast<unsigned>(seed >> 32));
}

// The low words of two packs, first a's then b's.
struct EvenPlaces {
  static constexpr int at(int i) { return 2 * i; }
};
JACQUARD_INLINE I32 low_words(Words a, Words b) {
  return shuffle<EvenPlaces>(I32((Raw<std::int32_t>)a.v.v),
                             I32((Raw<std::int32_t>)b.v.v));
}

// a₀ b₀ a₁ b₁ … : its first and its second pack.
template <int lanes, bool second>
struct Interleaved {
  static constexpr int at(int i) {
    return (i + (second ? lanes : 0)) / 2 + (i % 2) * lanes;
  }
};
template <class T>
JACQUARD_INLINE void interleave(Pack<T> a, Pack<T> b, Pack<T>& first,
                                Pack<T>& second) {
  first = shuffle<Interleaved<Pack<T>::lanes, false>>(a, b);
  second = shuffle<Interleaved<Pack<T>::lanes, true>>(a, b);
}

JACQUARD_INLINE F32 uniform_of(I32 word) {
  return to_float((word >> 8) & I32(0xffffff)) * F32(0x1p-24f);
}
JACQUARD_INLINE F64 uniform_of(Words high, Words low) {
  const U64 bits = (high.v << 32) | (low.v & U64(std::uint64_t{0xffffffff}));
  return to_float(I64((Raw<std::int64_t>)(bits >> 11).v)) * F64(0x1p-53);
}

struct Uniform {
  template <class V>
  static JACQUARD_INLINE void pair(V u, V v, V& even, V& odd) {
    even = u;
    odd = v;
  }
};
struct Normal {
  template <class V>
  static JACQUARD_INLINE void pair(V u, V v, V& even, V& odd) {
    normal_pair(u, v, even, odd);
  }
};

// Elements in the order of their blocks: block b gives out[b·L … b·L + L − 1].
// float: 2·kBlocks blocks of 4; double: kBlocks blocks of 2.
template <class D>
JACQUARD_INLINE void generate(std::uint64_t seed, std::uint64_t offset, U64 a,
                              U64 b, F32 (&z)[4]) {
  Words c[4], d[4];
  random_words(seed, offset, a, c);
  random_words(seed, offset, b, d);
  for (int j = 0; j < 4; j += 2)
    D::pair(uniform_of(low_words(c[j], d[j])),
            uniform_of(low_words(c[j + 1], d[j + 1])), z[j], z[j + 1]);
}
template <class D>
JACQUARD_INLINE void generate(std::uint64_t seed, std::uint64_t offset, U64 a,
                              F64 (&z)[2]) {
  Words c[4];
  random_words(seed, offset, a, c);
  D::pair(uniform_of(c[0], c[1]), uniform_of(c[2], c[3]), z[0], z[1]);
}

JACQUARD_INLINE U64 counting_from(std::uint64_t first) {
  std::uint64_t x[kBlocks];
  for (int i = 0; i < kBlocks; ++i) x[i] = first + static_cast<unsigned>(i);
  return U64::load(x);
}

// What one call of generate gives, from block `first` on.
template <class D>
JACQUARD_INLINE void consecutive(std::uint64_t seed, std::uint64_t offset,
                                 std::uint64_t first, float* out) {
  F32 z[4];
  generate<D>(seed, offset, counting_from(first),
              counting_from(first + kBlocks), z);
  F32 even[2], odd[2], r[4];
  interleave(z[0], z[2], even[0], even[1]);
  interleave(z[1], z[3], odd[0], odd[1]);
  interleave(even[0], odd[0], r[0], r[1]);
  interleave(even[1], odd[1], r[2], r[3]);
  for (int j = 0; j < 4; ++j) r[j].store(out + j * F32::lanes);
}
template <class D>
JACQUARD_INLINE void consecutive(std::uint64_t seed, std::uint64_t offset,
                                 std::uint64_t first, double* out) {
  F64 z[2];
  generate<D>(seed, offset, counting_from(first), z);
  F64 r[2];
  interleave(z[0], z[1], r[0], r[1]);
  for (int j = 0; j < 2; ++j) r[j].store(out + j * F64::lanes);
}

// One pack of elements, each in a block of its own.
template <class D>
JACQUARD_INLINE F32 scattered(std::uint64_t seed, std::uint64_t offset,
                              const std::uint64_t* element, const float*) {
  std::uint64_t block[F32::lanes];
  std::int32_t place[F32::lanes];
  for (int i = 0; i < F32::lanes; ++i) {
    block[i] = element[i] / 4;
    place[i] = static_cast<std::int32_t>(element[i] % 4);
  }
  F32 z[4];
  generate<D>(seed, offset, U64::load(block), U64::load(block + kBlocks), z);
  const I32 j = I32::load(place);
  const F32 low = select(j == I32(0), z[0], z[1]);
  return select(j < I32(2), low, select(j == I32(2), z[2], z[3]));
}
template <class D>
JACQUARD_INLINE F64 scattered(std::uint64_t seed, std::uint64_t offset,
                              const std::uint64_t* element, const double*) {
  const U64 e = U64::load(element);
  F64 z[2];
  generate<D>(seed, offset, e >> 1, z);
  const I64 odd((Raw<std::int64_t>)(e & U64(std::uint64_t{1})).v);
  return select(odd == I64(0), z[0], z[1]);
}

// Half types: uniform numbers are cut off, so that they stay below 1; normal
// ones are rounded.
struct Whole {
  template <class V>
  static JACQUARD_INLINE V call(V x) {
    return x;
  }
};
template <int kept>
struct Cut {
  static JACQUARD_INLINE F32 call(F32 x) {
    return float_of_bits(bits_of(x) & I32(static_cast<int>(~0u << kept)));
  }
};
struct RoundFloat16 {
  static JACQUARD_INLINE F32 call(F32 x) { return round_to_float16(x); }
};
struct RoundBFloat16 {
  static JACQUARD_INLINE F32 call(F32 x) { return round_to_bfloat16(x); }
};

template <class D, class T, class Finish>
void random(std::uint64_t seed, std::uint64_t offset, std::int64_t position,
            std::int64_t stride, void* target, std::size_t n) {
  using V = Pack<T>;
  T* out = static_cast<T*>(target);
  if (stride != 1) {
    for (std::size_t i = 0; i < n; i += V::lanes) {
      std::uint64_t element[V::lanes];
      for (int k = 0; k < V::lanes; ++k)
        element[k] =
            static_cast<std::uint64_t>(position) +
            (i + static_cast<unsigned>(k)) * static_cast<std::uint64_t>(stride);
      Finish::call(scattered<D>(seed, offset, element, out)).store(out + i);
    }
    return;
  }
  constexpr std::size_t a_block = sizeof(T) == 4 ? 4 : 2;
  constexpr std::size_t batch = a_block * static_cast<std::size_t>(V::lanes);
  T buffer[batch];
  std::uint64_t block = static_cast<std::uint64_t>(position) / a_block;
  std::size_t skip = static_cast<std::uint64_t>(position) % a_block;
  for (std::size_t i = 0; i < n; block += batch / a_block, skip = 0) {
    consecutive<D>(seed, offset, block, buffer);
    for (std::size_t k = 0; k < batch; k += V::lanes)
      Finish::call(V::load(buffer + k)).store(buffer + k);
    const std::size_t left = n - i;
    const std::size_t count = left < batch - skip ? left : batch - skip;
    __builtin_memcpy(out + i, buffer + skip, count * sizeof(T));
    i += count;
  }
}

}  // namespace

void fill_random(KernelTable& table) {
  const auto set = [](KernelTable::RandomFn* row, DType dtype,
                      KernelTable::RandomFn fn) {
    row[static_cast<int>(dtype)] = fn;
  };
  set(table.uniform, DType::float16, &random<Uniform, float, Cut<13>>);
  set(table.uniform, DType::bfloat16, &random<Uniform, float, Cut<16>>);
  set(table.uniform, DType::float32, &random<Uniform, float, Whole>);
  set(table.uniform, DType::float64, &random<Uniform, double, Whole>);
  set(table.normal, DType::float16, &random<Normal, float, RoundFloat16>);
  set(table.normal, DType::bfloat16, &random<Normal, float, RoundBFloat16>);
  set(table.normal, DType::float32, &random<Normal, float, Whole>);
  set(table.normal, DType::float64, &random<Normal, double, Whole>);
}

}  // namespace jacquard::cpu_fallback::JACQUARD_ISA_LEVEL
