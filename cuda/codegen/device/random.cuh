// Random leaves: elements at given positions, as core/pointwise/random.h
// defines them. Comes after scalar_random.h and memory.cuh.

struct Uniform {
  template <class V>
  static JACQUARD_FN void pair(V u, V v, V& even, V& odd) {
    even = u;
    odd = v;
  }
};
struct Normal {
  template <class V>
  static JACQUARD_FN void pair(V u, V v, V& even, V& odd) {
    normal_pair(u, v, even, odd);
  }
};

JACQUARD_FN float uniform_float(unsigned word) {
  return to_float(static_cast<int>(word >> 8)) * 0x1p-24f;
}
JACQUARD_FN double uniform_double(unsigned high, unsigned low) {
  const unsigned long long bits =
      static_cast<unsigned long long>(high) << 32 | low;
  return to_float(static_cast<long long>(bits >> 11)) * 0x1p-53;
}
template <class D>
JACQUARD_FN void numbers_of(const unsigned (&c)[4], float (&z)[4]) {
  D::pair(uniform_float(c[0]), uniform_float(c[1]), z[0], z[1]);
  D::pair(uniform_float(c[2]), uniform_float(c[3]), z[2], z[3]);
}
template <class D>
JACQUARD_FN void numbers_of(const unsigned (&c)[4], double (&z)[2]) {
  D::pair(uniform_double(c[0], c[1]), uniform_double(c[2], c[3]), z[0], z[1]);
}

// What the half types make of float32: uniform numbers are cut off, so that
// they stay below 1; normal ones are rounded.
struct AsIs {
  template <class V>
  static JACQUARD_FN V call(V x) {
    return x;
  }
};
template <int kept>
struct CutOff {
  static JACQUARD_FN float call(float x) {
    return float_of_bits(bits_of(x) & static_cast<int>(~0u << kept));
  }
};
struct RoundFloat16 {
  static JACQUARD_FN float call(float x) { return round_float16(x); }
};
struct RoundBFloat16 {
  static JACQUARD_FN float call(float x) { return round_bfloat16(x); }
};

// to[k] = the number at position at[k]. A block of Philox gives several; each
// block that is needed is computed once.
template <class D, class Finish, class T, int N>
JACQUARD_FN void random_fill(unsigned long long seed, unsigned long long offset,
                             const long long (&at)[N], T (&to)[N]) {
  constexpr int a_block = sizeof(T) == 4 ? 4 : 2;
  unsigned left = (1u << N) - 1;
#pragma unroll 1
  while (left != 0) {
    unsigned long long block = 0;
#pragma unroll
    for (int k = N - 1; k >= 0; --k)
      if (left >> k & 1)
        block = static_cast<unsigned long long>(at[k]) / a_block;
    unsigned c[4] = {
        static_cast<unsigned>(block), static_cast<unsigned>(block >> 32),
        static_cast<unsigned>(offset), static_cast<unsigned>(offset >> 32)};
    philox4x32_10(c, static_cast<unsigned>(seed),
                  static_cast<unsigned>(seed >> 32));
    T z[a_block];
    numbers_of<D>(c, z);
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const unsigned long long p = static_cast<unsigned long long>(at[k]);
      if (p / a_block != block) continue;
      left &= ~(1u << k);
      T x = z[0];
#pragma unroll
      for (int j = 1; j < a_block; ++j)
        if (p % a_block == j) x = z[j];
      to[k] = Finish::call(x);
    }
  }
}
