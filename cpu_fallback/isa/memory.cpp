// Loads and stores: memory to register form and back.
#include "cpu_fallback/isa/half.h"

namespace jacquard::cpu_fallback::JACQUARD_ISA_LEVEL {
namespace {

// How a dtype lies in memory, and as a tile.
template <class T>
struct Plain {
  using Memory = T;
  using Register = T;
  static JACQUARD_INLINE Pack<T> decode(const T* from) {
    return Pack<T>::load(from);
  }
  static JACQUARD_INLINE void encode(Pack<T> p, T* to) { p.store(to); }
  static JACQUARD_INLINE Pack<T> add(Pack<T> a, Pack<T> b) { return a + b; }
};
struct Bool : Plain<std::uint8_t> {
  static JACQUARD_INLINE U8 add(U8 a, U8 b) { return a | b; }
};
struct Float16 {
  using Memory = std::uint16_t;
  using Register = float;
  static JACQUARD_INLINE F32 decode(const Memory* from) {
    HalfBits h;
    __builtin_memcpy(&h, from, sizeof h);
    return from_float16(h);
  }
  static JACQUARD_INLINE void encode(F32 p, Memory* to) {
    const HalfBits h = to_float16(p);
    __builtin_memcpy(to, &h, sizeof h);
  }
  static JACQUARD_INLINE F32 add(F32 a, F32 b) { return a + b; }
};
struct BFloat16 {
  using Memory = std::uint16_t;
  using Register = float;
  static JACQUARD_INLINE F32 decode(const Memory* from) {
    HalfBits h;
    __builtin_memcpy(&h, from, sizeof h);
    return from_bfloat16(h);
  }
  static JACQUARD_INLINE void encode(F32 p, Memory* to) {
    const HalfBits h = to_bfloat16(p);
    __builtin_memcpy(to, &h, sizeof h);
  }
  static JACQUARD_INLINE F32 add(F32 a, F32 b) { return a + b; }
};

inline constexpr std::size_t kChunk = 256;  // elements gathered at a time

template <class C>
inline constexpr std::size_t kLanes = Pack<typename C::Register>::lanes;

// Whole packs are written. The lanes of the last one beyond n repeat the last
// element, so that no function takes a slow path for the sake of the padding.
template <class C>
JACQUARD_INLINE void decode_run(const typename C::Memory* from,
                                typename C::Register* out, std::size_t n) {
  std::size_t i = 0;
  for (; i + kLanes<C> <= n; i += kLanes<C>) C::decode(from + i).store(out + i);
  if (i == n) return;
  using M = typename C::Memory;
  if constexpr (sizeof(M) == sizeof(typename C::Register)) {
    load_partial(from + i, static_cast<int>(n - i), Pack<M>(from[n - 1]))
        .store(out + i);
  } else {
    M last[kLanes<C>];
    for (std::size_t j = 0; j < kLanes<C>; ++j)
      last[j] = from[i + j < n ? i + j : n - 1];
    C::decode(last).store(out + i);
  }
}

// The last n registers of a run: a run may start amid a pack of the tile, or of
// an operand's own memory, and end where that ends.
template <class R>
JACQUARD_INLINE Pack<R> last_of(const R* from, std::size_t n) {
  return load_partial(from, static_cast<int>(n), Pack<R>(from[0]));
}

template <class C>
JACQUARD_INLINE void encode_run(const typename C::Register* from,
                                typename C::Memory* to, std::size_t n) {
  using P = Pack<typename C::Register>;
  std::size_t i = 0;
  for (; i + kLanes<C> <= n; i += kLanes<C>)
    C::encode(P::load(from + i), to + i);
  if (i == n) return;
  if constexpr (sizeof(typename C::Memory) == sizeof(typename C::Register)) {
    store_partial(last_of(from + i, n - i), to + i, static_cast<int>(n - i));
  } else {
    typename C::Memory last[kLanes<C>];
    C::encode(last_of(from + i, n - i), last);
    for (std::size_t j = 0; i + j < n; ++j) to[i + j] = last[j];
  }
}

template <class C>
void load(const void* source, std::int64_t stride, void* target,
          std::size_t n) {
  using M = typename C::Memory;
  const M* from = static_cast<const M*>(source);
  auto* out = static_cast<typename C::Register*>(target);
  if (stride == 1) return decode_run<C>(from, out, n);
  M gathered[kChunk];
  if (stride == 0) {
    if (n == 0) return;
    for (std::size_t j = 0; j < kLanes<C>; ++j) gathered[j] = *from;
    const auto splat = C::decode(gathered);
    for (std::size_t i = 0; i < n; i += kLanes<C>) splat.store(out + i);
    return;
  }
  for (std::size_t i = 0; i < n; i += kChunk) {
    const std::size_t count = n - i < kChunk ? n - i : kChunk;
    for (std::size_t j = 0; j < count; ++j)
      gathered[j] = from[static_cast<std::int64_t>(i + j) * stride];
    decode_run<C>(gathered, out + i, count);
  }
}

template <class C>
void store(const void* source, void* target, std::int64_t stride,
           std::size_t n) {
  using M = typename C::Memory;
  const auto* from = static_cast<const typename C::Register*>(source);
  M* to = static_cast<M*>(target);
  if (stride == 1) return encode_run<C>(from, to, n);
  M encoded[kChunk];
  for (std::size_t i = 0; i < n; i += kChunk) {
    const std::size_t count = n - i < kChunk ? n - i : kChunk;
    encode_run<C>(from + i, encoded, count);
    for (std::size_t j = 0; j < count; ++j)
      to[static_cast<std::int64_t>(i + j) * stride] = encoded[j];
  }
}

template <class C>
JACQUARD_INLINE void add_run(const typename C::Register* from,
                             typename C::Memory* to, std::size_t n) {
  using P = Pack<typename C::Register>;
  std::size_t i = 0;
  for (; i + kLanes<C> <= n; i += kLanes<C>)
    C::encode(C::add(C::decode(to + i), P::load(from + i)), to + i);
  if (i == n) return;
  typename C::Memory last[kLanes<C>];
  for (std::size_t j = 0; j < kLanes<C>; ++j)
    last[j] = to[i + j < n ? i + j : n - 1];
  C::encode(C::add(C::decode(last), last_of(from + i, n - i)), last);
  for (std::size_t j = 0; i + j < n; ++j) to[i + j] = last[j];
}

template <class C>
void store_add(const void* source, void* target, std::int64_t stride,
               std::size_t n) {
  using M = typename C::Memory;
  const auto* from = static_cast<const typename C::Register*>(source);
  M* to = static_cast<M*>(target);
  if (stride == 1) return add_run<C>(from, to, n);
  // Stride 0 adds one after another into one place.
  const std::size_t step = stride == 0 ? 1 : kChunk;
  M old[kChunk];
  for (std::size_t i = 0; i < n; i += step) {
    const std::size_t count = n - i < step ? n - i : step;
    for (std::size_t j = 0; j < count; ++j)
      old[j] = to[static_cast<std::int64_t>(i + j) * stride];
    typename C::Register run[kChunk];
    __builtin_memcpy(run, from + i, count * sizeof run[0]);
    add_run<C>(run, old, count);
    for (std::size_t j = 0; j < count; ++j)
      to[static_cast<std::int64_t>(i + j) * stride] = old[j];
  }
}

// 64 bytes past the caches where the machine can; `to` is 64-byte aligned.
JACQUARD_INLINE void stream_line(const void* from, void* to) {
#if defined(__x86_64__)
  const char* s = static_cast<const char*>(from);
  char* t = static_cast<char*>(to);
  for (int i = 0; i < 64; i += kPackBytes) {
#if JACQUARD_PACK_BYTES == 64
    _mm512_stream_si512(reinterpret_cast<__m512i*>(t + i),
                        _mm512_loadu_si512(s + i));
#elif JACQUARD_PACK_BYTES == 32
    _mm256_stream_si256(
        reinterpret_cast<__m256i*>(t + i),
        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(s + i)));
#else
    _mm_stream_si128(reinterpret_cast<__m128i*>(t + i),
                     _mm_loadu_si128(reinterpret_cast<const __m128i*>(s + i)));
#endif
  }
#else
  __builtin_memcpy(to, from, 64);
#endif
}

template <class C>
void store_stream(const void* source, void* target, std::int64_t,
                  std::size_t n) {
  using M = typename C::Memory;
  constexpr std::size_t line = 64 / sizeof(M);
  const auto* from = static_cast<const typename C::Register*>(source);
  M* to = static_cast<M*>(target);
  const std::size_t misaligned = reinterpret_cast<std::uintptr_t>(to) % 64;
  std::size_t head = misaligned == 0 ? 0 : (64 - misaligned) / sizeof(M);
  // The tile that is read ends on a whole pack; a run that starts amid one may
  // not read beyond it, so the last line is stored as ever.
  if (misaligned % sizeof(M) != 0 || n < head + 2 * line)
    return encode_run<C>(from, to, n);
  if (head != 0) {
    typename C::Register first[64];
    __builtin_memcpy(first, from, head * sizeof first[0]);
    encode_run<C>(first, to, head);
  }
  std::size_t i = head;
  for (; i + line <= n; i += line) {
    if constexpr (sizeof(M) == sizeof(typename C::Register)) {
      stream_line(from + i, to + i);
    } else {
      M encoded[line];
      encode_run<C>(from + i, encoded, line);
      stream_line(encoded, to + i);
    }
  }
  if (i < n) {
    typename C::Register last[64];
    __builtin_memcpy(last, from + i, (n - i) * sizeof last[0]);
    encode_run<C>(last, to + i, n - i);
  }
}

void fence() {
#if defined(__x86_64__)
  _mm_sfence();
#endif
}

template <class C>
void fill(KernelTable& table, DType dtype) {
  const int d = static_cast<int>(dtype);
  table.load[d] = &load<C>;
  table.store[d] = &store<C>;
  table.store_stream[d] = &store_stream<C>;
  table.store_add[d] = &store_add<C>;
}

}  // namespace

void fill_memory(KernelTable& table) {
  fill<Bool>(table, DType::bool_);
  fill<Plain<std::int32_t>>(table, DType::int32);
  fill<Plain<std::int64_t>>(table, DType::int64);
  fill<Float16>(table, DType::float16);
  fill<BFloat16>(table, DType::bfloat16);
  fill<Plain<float>>(table, DType::float32);
  fill<Plain<double>>(table, DType::float64);
  table.fence = &fence;
}

}  // namespace jacquard::cpu_fallback::JACQUARD_ISA_LEVEL
