// Elements in memory and in registers: how each dtype is stored, casts,
// rounding to the half types, and accesses of up to 16 bytes.
//
// Text of generated programs: comes after core's scalar functions, includes
// nothing.

// Rounded to nearest even, to what the type can hold.
JACQUARD_FN float round_bfloat16(float x) {
  const int bits = bits_of(x);
  const int rounded =
      static_cast<int>((static_cast<unsigned>(bits) + 0x7fffu +
                        (static_cast<unsigned>(bits) >> 16 & 1u)) &
                       0xffff0000u);
  return x == x ? float_of_bits(rounded) : x;
}
JACQUARD_FN float decode_float16(unsigned short bits) {
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
  return x;
}
JACQUARD_FN unsigned short encode_float16(float x) {
  unsigned short bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
  return bits;
}
JACQUARD_FN float round_float16(float x) {
  return decode_float16(encode_float16(x));
}

// A dtype: Bits in memory, Value in registers.
struct Bool {
  using Bits = unsigned char;
  using Value = bool;
  static JACQUARD_FN bool decode(Bits x) { return x != 0; }
  static JACQUARD_FN Bits encode(bool x) { return x ? 1 : 0; }
  static JACQUARD_FN bool add(bool a, bool b) { return a || b; }
};
struct Int32 {
  using Bits = unsigned;
  using Value = int;
  static JACQUARD_FN int decode(Bits x) { return static_cast<int>(x); }
  static JACQUARD_FN Bits encode(int x) { return static_cast<Bits>(x); }
  static JACQUARD_FN int add(int a, int b) { return op_add(a, b); }
};
struct Int64 {
  using Bits = unsigned long long;
  using Value = long long;
  static JACQUARD_FN long long decode(Bits x) {
    return static_cast<long long>(x);
  }
  static JACQUARD_FN Bits encode(long long x) { return static_cast<Bits>(x); }
  static JACQUARD_FN long long add(long long a, long long b) {
    return op_add(a, b);
  }
};
struct Float16 {
  using Bits = unsigned short;
  using Value = float;
  static JACQUARD_FN float decode(Bits x) { return decode_float16(x); }
  static JACQUARD_FN Bits encode(float x) { return encode_float16(x); }
  static JACQUARD_FN float add(float a, float b) { return a + b; }
};
struct BFloat16 {
  using Bits = unsigned short;
  using Value = float;
  static JACQUARD_FN float decode(Bits x) {
    return float_of_bits(static_cast<int>(static_cast<unsigned>(x) << 16));
  }
  static JACQUARD_FN Bits encode(float x) {
    const unsigned bits = static_cast<unsigned>(bits_of(round_bfloat16(x)));
    // A NaN whose payload is all in the lower half must not become infinite.
    return static_cast<Bits>((x == x ? bits : bits | 0x400000u) >> 16);
  }
  static JACQUARD_FN float add(float a, float b) { return a + b; }
};
struct Float32 {
  using Bits = unsigned;
  using Value = float;
  static JACQUARD_FN float decode(Bits x) {
    return float_of_bits(static_cast<int>(x));
  }
  static JACQUARD_FN Bits encode(float x) {
    return static_cast<Bits>(bits_of(x));
  }
  static JACQUARD_FN float add(float a, float b) { return a + b; }
};
struct Float64 {
  using Bits = unsigned long long;
  using Value = double;
  static JACQUARD_FN double decode(Bits x) {
    return float_of_bits(static_cast<long long>(x));
  }
  static JACQUARD_FN Bits encode(double x) {
    return static_cast<Bits>(bits_of(x));
  }
  static JACQUARD_FN double add(double a, double b) { return a + b; }
};

// Casts of values. Floating to integer truncates; NaN and what is out of range
// give the smallest integer.
template <class T>
JACQUARD_FN bool to_bool(T x) {
  return x != T(0);
}
template <class T>
JACQUARD_FN int to_int32(T x) {
  return static_cast<int>(x);
}
JACQUARD_FN int to_int32(float x) {
  const bool fits = x >= -2147483648.0f && x < 2147483648.0f;
  return fits ? static_cast<int>(x) : static_cast<int>(0x80000000u);
}
JACQUARD_FN int to_int32(double x) {
  const bool fits = x > -2147483649.0 && x < 2147483648.0;
  return fits ? static_cast<int>(x) : static_cast<int>(0x80000000u);
}
template <class T>
JACQUARD_FN long long to_int64(T x) {
  return static_cast<long long>(x);
}
JACQUARD_FN long long to_int64(float x) {
  const bool fits = x >= -9223372036854775808.0f && x < 9223372036854775808.0f;
  return fits ? static_cast<long long>(x)
              : static_cast<long long>(0x8000000000000000ull);
}
JACQUARD_FN long long to_int64(double x) {
  const bool fits = x >= -9223372036854775808.0 && x < 9223372036854775808.0;
  return fits ? static_cast<long long>(x)
              : static_cast<long long>(0x8000000000000000ull);
}
template <class T>
JACQUARD_FN float to_float32(T x) {
  return static_cast<float>(x);
}
template <class T>
JACQUARD_FN double to_float64(T x) {
  return static_cast<double>(x);
}

// The value of a slot, from the eight bytes in which it is passed.
JACQUARD_FN bool slot_bool(unsigned long long x) { return x != 0; }
JACQUARD_FN int slot_int32(unsigned long long x) { return static_cast<int>(x); }
JACQUARD_FN long long slot_int64(unsigned long long x) {
  return static_cast<long long>(x);
}
JACQUARD_FN float slot_float32(unsigned long long x) {
  return float_of_bits(static_cast<int>(x));
}
JACQUARD_FN double slot_float64(unsigned long long x) {
  return float_of_bits(static_cast<long long>(x));
}

// One access of 1, 2, 4, 8 or 16 bytes, as 32-bit words. Coherent: what other
// blocks have written, past the first cache.
template <bool coherent, class T>
JACQUARD_FN T read_at(const void* from) {
  if constexpr (coherent)
    return __ldcg(static_cast<const T*>(from));
  else
    return *static_cast<const T*>(from);
}
template <int bytes, bool coherent>
JACQUARD_FN void read_words(const void* from, unsigned (&w)[4]) {
  if constexpr (bytes == 16) {
    const uint4 x = read_at<coherent, uint4>(from);
    w[0] = x.x, w[1] = x.y, w[2] = x.z, w[3] = x.w;
  } else if constexpr (bytes == 8) {
    const uint2 x = read_at<coherent, uint2>(from);
    w[0] = x.x, w[1] = x.y;
  } else if constexpr (bytes == 4) {
    w[0] = read_at<coherent, unsigned>(from);
  } else if constexpr (bytes == 2) {
    w[0] = read_at<coherent, unsigned short>(from);
  } else {
    w[0] = read_at<coherent, unsigned char>(from);
  }
}
template <int bytes>
JACQUARD_FN void write_words(void* to, const unsigned (&w)[4]) {
  if constexpr (bytes == 16)
    *static_cast<uint4*>(to) = make_uint4(w[0], w[1], w[2], w[3]);
  else if constexpr (bytes == 8)
    *static_cast<uint2*>(to) = make_uint2(w[0], w[1]);
  else if constexpr (bytes == 4)
    *static_cast<unsigned*>(to) = w[0];
  else if constexpr (bytes == 2)
    *static_cast<unsigned short*>(to) = static_cast<unsigned short>(w[0]);
  else
    *static_cast<unsigned char*>(to) = static_cast<unsigned char>(w[0]);
}

// N elements from or to an address that is a multiple of their size together.
// Elements of 8 bytes are moved as such: put together from words they would be
// read a second time.
template <class D, int N, bool coherent = false>
JACQUARD_FN void read(const typename D::Bits* from,
                      typename D::Value (&to)[N]) {
  using Bits = typename D::Bits;
  constexpr int size = sizeof(Bits);
  constexpr int piece = size * N < 16 ? size * N : 16, count = piece / size;
#pragma unroll
  for (int p = 0; p < N; p += count) {
    if constexpr (piece == 16 && size == 8) {
      const ulonglong2 x = read_at<coherent, ulonglong2>(from + p);
      to[p] = D::decode(x.x);
      to[p + 1] = D::decode(x.y);
    } else if constexpr (size == 8) {
      to[p] = D::decode(read_at<coherent, Bits>(from + p));
    } else {
      unsigned w[4];
      read_words<piece, coherent>(from + p, w);
#pragma unroll
      for (int k = 0; k < count; ++k)
        to[p + k] =
            D::decode(static_cast<Bits>(w[k * size / 4] >> (k * size % 4 * 8)));
    }
  }
}
template <class D, int N>
JACQUARD_FN void write(typename D::Bits* to,
                       const typename D::Value (&from)[N]) {
  using Bits = typename D::Bits;
  constexpr int size = sizeof(Bits);
  constexpr int piece = size * N < 16 ? size * N : 16, count = piece / size;
#pragma unroll
  for (int p = 0; p < N; p += count) {
    if constexpr (piece == 16 && size == 8) {
      *reinterpret_cast<ulonglong2*>(to + p) =
          make_ulonglong2(D::encode(from[p]), D::encode(from[p + 1]));
    } else if constexpr (size == 8) {
      to[p] = D::encode(from[p]);
    } else {
      unsigned w[4] = {0, 0, 0, 0};
#pragma unroll
      for (int k = 0; k < count; ++k)
        w[k * size / 4] |= static_cast<unsigned>(D::encode(from[p + k]))
                           << (k * size % 4 * 8);
      write_words<piece>(to + p, w);
    }
  }
}
// The same, added to what is there.
template <class D, int N>
JACQUARD_FN void write_added(typename D::Bits* to,
                             const typename D::Value (&from)[N]) {
  typename D::Value sum[N];
  read<D, N>(to, sum);
#pragma unroll
  for (int k = 0; k < N; ++k) sum[k] = D::add(sum[k], from[k]);
  write<D, N>(to, sum);
}
template <class D>
JACQUARD_FN void write_one(typename D::Bits* to, typename D::Value x) {
  *to = D::encode(x);
}
template <class D>
JACQUARD_FN void write_one_added(typename D::Bits* to, typename D::Value x) {
  *to = D::encode(D::add(D::decode(*to), x));
}

// n / d for 0 ≤ n < 2³¹: magic = ⌊2³² (2^shift − d) / d⌋ + 1, shift =
// ⌈log₂ d⌉ (Granlund and Montgomery, "Division by invariant integers using
// multiplication", 1994). 64-bit indices are divided by the machine.
struct Divisor {
  unsigned magic, shift;
};
JACQUARD_FN int quotient(int n, int, Divisor d) {
  const unsigned u = static_cast<unsigned>(n);
  return static_cast<int>((__umulhi(u, d.magic) + u) >> d.shift);
}
JACQUARD_FN long long quotient(long long n, long long divisor, Divisor) {
  return n / divisor;
}
