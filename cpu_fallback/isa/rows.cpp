// Row operations, by hand. A row is walked in packs, the rest of it in a last
// partial pack, so that the arithmetic depends on the number of columns alone.
#include "cpu_fallback/isa/pointwise.h"

namespace jacquard::cpu_fallback::JACQUARD_ISA_LEVEL {
namespace {

using pointwise::Op;

// f(pack) for the packs of a row, a partial one filled up with `rest`, summed
// into `ways` sums in turn; every 256 turns these go to outer sums, so that
// long rows keep their precision.
constexpr int kWays = 4;

template <class V>
struct Two {
  V first, second;
  JACQUARD_INLINE friend Two operator+(Two a, Two b) {
    return {a.first + b.first, a.second + b.second};
  }
};
// Sum: Pack<T>, or Two of them.
template <class Sum, int lanes, class F>
JACQUARD_INLINE Sum sum_packs(std::size_t cols, Sum zero, F f) {
  constexpr std::size_t turn = kWays * lanes;
  Sum total = zero;
  std::size_t i = 0;
  Sum acc[kWays];
  do {
    for (Sum& a : acc) a = zero;
    const std::size_t end = cols - i < 256 * turn ? cols : i + 256 * turn;
    for (; i + turn <= end; i += turn)
      for (int w = 0; w < kWays; ++w) acc[w] = acc[w] + f(i + w * lanes, lanes);
    if (end == cols) {
      for (int w = 0; i < cols; i += lanes, ++w)
        acc[w] = acc[w] + f(i, cols - i < lanes ? cols - i : lanes);
    }
    total = total + ((acc[0] + acc[2]) + (acc[1] + acc[3]));
  } while (i < cols);
  return total;
}
template <class T>
JACQUARD_INLINE T sum_lanes(Pack<T> p) {
  return fold_lanes(p, [](Pack<T> a, Pack<T> b) { return a + b; });
}
template <class T, class F>
JACQUARD_INLINE T sum_row(std::size_t cols, F f) {
  return sum_lanes(sum_packs<Pack<T>, Pack<T>::lanes>(cols, Pack<T>(T(0)), f));
}
template <class T, class F>
JACQUARD_INLINE Two<T> sum_row_twice(std::size_t cols, F f) {
  const Pack<T> zero(T(0));
  const auto sum =
      sum_packs<Two<Pack<T>>, Pack<T>::lanes>(cols, {zero, zero}, f);
  return {sum_lanes(sum.first), sum_lanes(sum.second)};
}

template <class T>
JACQUARD_INLINE Pack<T> load_some(const T* from, std::size_t n, T rest) {
  if (n == Pack<T>::lanes) return Pack<T>::load(from);
  return load_partial(from, static_cast<int>(n), Pack<T>(rest));
}
template <class T>
JACQUARD_INLINE void store_some(Pack<T> p, T* to, std::size_t n) {
  if (n == Pack<T>::lanes)
    p.store(to);
  else
    store_partial(p, to, static_cast<int>(n));
}
// f(first, count) for the packs of a row.
template <class T, class F>
JACQUARD_INLINE void each_pack(std::size_t cols, F f) {
  constexpr std::size_t lanes = Pack<T>::lanes;
  std::size_t i = 0;
  for (; i + lanes <= cols; i += lanes) f(i, lanes);
  if (i < cols) f(i, cols - i);
}
template <class T>
JACQUARD_INLINE void splat_row(T value, T* to, std::size_t cols) {
  each_pack<T>(cols, [&](std::size_t i, std::size_t n) {
    store_some(Pack<T>(value), to + i, n);
  });
}

// The largest (or the smallest) of a row. Partial packs are filled with the
// row's first element. NaN wins, noted apart, which leaves one instruction on
// the way from pack to pack; or, if not nan_wins, only if all or the first are.
template <class T, bool smallest, bool nan_wins = true>
JACQUARD_INLINE T extreme_row(const T* x, std::size_t cols) {
  using V = Pack<T>;
  constexpr std::size_t lanes = V::lanes;
  constexpr int ways = 8;
  constexpr bool note_nan = nan_wins && T(0.5) != T(0);
  const auto better = [](V a, V b) {
    return smallest ? lesser_(a, b) : greater_(a, b);
  };
  const V first(x[0]);
  V acc[ways];
  for (V& a : acc) a = first;
  auto nan = first != first;
  std::size_t i = 0;
  for (; i + ways * lanes <= cols; i += ways * lanes) {
    for (int w = 0; w < ways; w += 2) {
      const V p = V::load(x + i + w * lanes);
      const V q = V::load(x + i + (w + 1) * lanes);
      if constexpr (note_nan) nan = nan | unordered_(p, q);
      acc[w] = better(p, acc[w]);
      acc[w + 1] = better(q, acc[w + 1]);
    }
  }
  for (int w = 0; i < cols; i += lanes, ++w) {
    const V p = load_some(x + i, cols - i < lanes ? cols - i : lanes, x[0]);
    if constexpr (note_nan) nan = nan | (p != p);
    acc[w] = better(p, acc[w]);
  }
  if constexpr (note_nan)
    if (mask_bits(nan) != 0) return T(__builtin_nanf(""));
  for (int half = ways / 2; half > 0; half /= 2)
    for (int w = 0; w < half; ++w) acc[w] = better(acc[w], acc[w + half]);
  return fold_lanes(acc[0], better);
}

template <class T>
JACQUARD_INLINE T sum_of(const T* x, std::size_t cols) {
  return sum_row<T>(cols, [&](std::size_t i, std::size_t n) {
    return load_some(x + i, n, T(0));
  });
}

// The operands and results of one row.
template <class T>
struct Row {
  const T *a, *b, *c, *d;
  T *out, *second;
};

// Walks the rows: body(row).
template <class T, class F>
JACQUARD_INLINE void each_row(const RowArgs& args, F body) {
  if (args.cols == 0) return;
  const auto at = [&](const void* p, std::size_t r) {
    return p == nullptr ? nullptr : static_cast<const T*>(p) + r * args.cols;
  };
  for (std::size_t r = 0; r < args.rows; ++r)
    body(Row<T>{at(args.a, r), at(args.b, r), at(args.c, r), at(args.d, r),
                const_cast<T*>(at(args.out, r)),
                const_cast<T*>(at(args.second, r))});
}

template <class T>
void row_sum(const RowArgs& args) {
  each_row<T>(args, [&](const Row<T>& row) {
    splat_row(sum_of(row.a, args.cols), row.out, args.places);
  });
}
template <class T>
void row_mean(const RowArgs& args) {
  each_row<T>(args, [&](const Row<T>& row) {
    splat_row(sum_of(row.a, args.cols) / static_cast<T>(args.cols), row.out,
              args.places);
  });
}
template <class T>
void row_max(const RowArgs& args) {
  each_row<T>(args, [&](const Row<T>& row) {
    splat_row(extreme_row<T, false>(row.a, args.cols), row.out, args.places);
  });
}

// Σ a·b.
template <class T, bool strong_zero>
void row_dot(const RowArgs& args) {
  using V = Pack<T>;
  each_row<T>(args, [&](const Row<T>& row) {
    const T sum = sum_row<T>(args.cols, [&](std::size_t i, std::size_t n) {
      const V x = load_some(row.a + i, n, T(0));
      const V y = load_some(row.b + i, n, T(0));
      if constexpr (strong_zero)
        return op_mulz(x, y);
      else
        return x * y;
    });
    splat_row(sum, row.out, args.places);
  });
}

// The first place that equals the extreme, or is NaN if that is.
template <class T, bool smallest>
void row_arg(const RowArgs& args) {
  using V = Pack<T>;
  constexpr std::size_t lanes = V::lanes;
  const std::size_t cols = args.cols;
  const T* x = static_cast<const T*>(args.a);
  std::int64_t* to = static_cast<std::int64_t*>(args.out);
  for (std::size_t r = 0; r < args.rows && cols > 0;
       ++r, x += cols, to += cols) {
    const T best = extreme_row<T, smallest>(x, cols);
    const V wanted(best);
    std::size_t i = 0;
    for (;; i += lanes) {
      const std::size_t n = cols - i < lanes ? cols - i : lanes;
      const V p = load_some(x + i, n, x[0]);
      const unsigned found = mask_bits(best == best ? p == wanted : p != p);
      if (found != 0) {
        i += static_cast<unsigned>(__builtin_ctz(found));
        break;
      }
    }
    splat_row(static_cast<std::int64_t>(i), to, args.places);
  }
}

// b: the index of the row, at its first place. Out of range: NaN, or 0.
template <class T>
void row_pick(const RowArgs& args) {
  const std::size_t cols = args.cols;
  const T* x = static_cast<const T*>(args.a);
  const std::int64_t* index = static_cast<const std::int64_t*>(args.b);
  T* to = static_cast<T*>(args.out);
  for (std::size_t r = 0; r < args.rows && cols > 0; ++r) {
    const std::int64_t i = index[r * cols];
    T value = T(0.5) != T(0) ? T(__builtin_nanf("")) : T(0);
    if (i >= 0 && i < static_cast<std::int64_t>(cols)) value = x[r * cols + i];
    splat_row(value, to + r * cols, args.places);
  }
}

// exp(x − m) of a pack of a row. Beyond the row it is exp of an element of the
// row, which takes no slow path, and counts as 0.
template <class T>
JACQUARD_INLINE Pack<T> exp_some(const T* x, std::size_t i, std::size_t n,
                                 Pack<T> m) {
  if (n == Pack<T>::lanes) return lib_exp(Pack<T>::load(x + i) - m);
  return keep_first(lib_exp(load_some(x + i, n, x[i]) - m), n);
}
template <class T>
JACQUARD_INLINE T sum_exp(const T* x, T shift, std::size_t cols) {
  const Pack<T> m(shift);
  return sum_row<T>(
      cols, [&](std::size_t i, std::size_t n) { return exp_some(x, i, n, m); });
}
template <class T>
JACQUARD_INLINE T log_of(T x) {
  T lane[Pack<T>::lanes];
  lib_log(Pack<T>(x)).store(lane);
  return lane[0];
}

// In these a NaN that the maximum has missed comes back by the sum.
// log Σ exp(x − m) + m, m the maximum where it is finite, else 0.
template <class T>
void row_logsumexp(const RowArgs& args) {
  each_row<T>(args, [&](const Row<T>& row) {
    const T m = extreme_row<T, false, false>(row.a, args.cols);
    const T shift = m - m == T(0) || m != m ? m : T(0);
    const T sum = log_of(sum_exp(row.a, shift, args.cols)) + shift;
    splat_row(sum, row.out, args.places);
  });
}

// out = exp(x − max x); returns 1 / Σ out.
template <class T>
JACQUARD_INLINE T exp_row(const T* x, T* __restrict out, std::size_t cols) {
  const Pack<T> m(extreme_row<T, false, false>(x, cols));
  const T sum = sum_row<T>(cols, [&](std::size_t i, std::size_t n) {
    const Pack<T> e = exp_some(x, i, n, m);
    store_some(e, out + i, n);
    return e;
  });
  return T(1) / sum;
}

template <class T>
void row_softmax(const RowArgs& args) {
  each_row<T>(args, [&](const Row<T>& row) {
    T* to = row.out;
    const Pack<T> scale(exp_row(row.a, to, args.cols));
    each_pack<T>(args.cols, [&](std::size_t i, std::size_t n) {
      store_some(load_some(to + i, n, T(0)) * scale, to + i, n);
    });
  });
}

// Adding 0 is not nothing: it makes −0 a zero.
template <class T>
void row_softmax_point(const RowArgs& args) {
  using V = Pack<T>;
  const auto* index = static_cast<const std::int64_t*>(args.b);
  each_row<T>({.a = args.a,
               .c = args.c,
               .d = args.d,
               .out = args.out,
               .rows = args.rows,
               .cols = args.cols},
              [&](const Row<T>& row) {
                T* to = row.out;
                const T scale = exp_row(row.a, to, args.cols);
                const T factor = *row.d;
                const std::int64_t place = *index;
                index += args.cols;
                const bool inside =
                    place >= 0 && place < static_cast<std::int64_t>(args.cols);
                T point = 0;
                if (inside)
                  point =
                      *row.c +
                      (factor == T(0) ? T(0) : factor * (to[place] * scale));
                const V scales(scale), factors(factor), zero(T(0));
                each_pack<T>(args.cols, [&](std::size_t i, std::size_t n) {
                  const V p = load_some(to + i, n, T(0)) * scales;
                  store_some(zero + op_mulz(factors, p), to + i, n);
                });
                if (inside) to[place] = point;
              });
}

template <class T>
void row_log_softmax(const RowArgs& args) {
  each_row<T>(args, [&](const Row<T>& row) {
    using V = Pack<T>;
    const T max = extreme_row<T, false, false>(row.a, args.cols);
    const V m(max), log_sum(log_of(sum_exp(row.a, max, args.cols)));
    each_pack<T>(args.cols, [&](std::size_t i, std::size_t n) {
      store_some((load_some(row.a + i, n, T(0)) - m) - log_sum, row.out + i, n);
    });
  });
}

// Mean, then the centred squares. inverse = 1 / sqrt(variance + epsilon).
template <class T>
struct Moments {
  T mean, inverse;
};
template <class T>
JACQUARD_INLINE Moments<T> moments_of(const T* x, T epsilon, std::size_t cols) {
  const T mean = sum_of(x, cols) / static_cast<T>(cols);
  const Pack<T> m(mean);
  const T squares = sum_row<T>(cols, [&](std::size_t i, std::size_t n) {
    const Pack<T> d = load_some(x + i, n, mean) - m;
    return d * d;
  });
  return {mean, T(1) / sqrt_(squares / static_cast<T>(cols) + epsilon)};
}

template <class T>
void row_normalize(const RowArgs& args) {
  each_row<T>(args, [&](const Row<T>& row) {
    const Moments<T> moments = moments_of(row.a, *row.b, args.cols);
    const Pack<T> mean(moments.mean), inverse(moments.inverse);
    each_pack<T>(args.cols, [&](std::size_t i, std::size_t n) {
      store_some((load_some(row.a + i, n, T(0)) - mean) * inverse, row.out + i,
                 n);
    });
  });
}

// dx = inverse · (g − mean(g) − x̂ · mean(g · x̂)), x̂ the normalised row. Two
// sums at a time, x̂ without its factor. If `both`, x̂ is the second result.
template <class T, bool both>
void row_normalize_vjp(const RowArgs& args) {
  using V = Pack<T>;
  each_row<T>(args, [&](const Row<T>& row) {
    const T* x = row.a;
    const T* g = row.b;
    const T count = static_cast<T>(args.cols);
    const auto [sum_x, sum_g] =
        sum_row_twice<T>(args.cols, [&](std::size_t i, std::size_t n) {
          return Two<V>{load_some(x + i, n, T(0)), load_some(g + i, n, T(0))};
        });
    const T row_mean = sum_x / count;
    const V mean(row_mean), shift(sum_g / count);
    const auto [squares, along] =
        sum_row_twice<T>(args.cols, [&](std::size_t i, std::size_t n) {
          const V centred = load_some(x + i, n, row_mean) - mean;
          return Two<V>{centred * centred, load_some(g + i, n, T(0)) * centred};
        });
    const T scale = T(1) / sqrt_(squares / count + *row.c);
    const V inverse(scale), slope(scale * (scale * along / count));
    each_pack<T>(args.cols, [&](std::size_t i, std::size_t n) {
      const V centred = load_some(x + i, n, T(0)) - mean;
      const V rest = load_some(g + i, n, T(0)) - shift;
      store_some(inverse * (rest - centred * slope), row.out + i, n);
      if constexpr (both) store_some(centred * inverse, row.second + i, n);
    });
  });
}

template <class T>
void fill_ordered(KernelTable& table, DType dtype) {
  const auto set = [&](Op op, RowFn fn) {
    table.row[static_cast<int>(op)][static_cast<int>(dtype)] = fn;
  };
  set(Op::row_sum, &row_sum<T>);
  set(Op::row_max, &row_max<T>);
  set(Op::row_argmax, &row_arg<T, false>);
  set(Op::row_argmin, &row_arg<T, true>);
  set(Op::row_pick, &row_pick<T>);
}
template <class T>
void fill_floating_rows(KernelTable& table, DType dtype) {
  const auto set = [&](Op op, RowFn fn) {
    table.row[static_cast<int>(op)][static_cast<int>(dtype)] = fn;
  };
  fill_ordered<T>(table, dtype);
  set(Op::row_mean, &row_mean<T>);
  set(Op::row_logsumexp, &row_logsumexp<T>);
  set(Op::row_softmax, &row_softmax<T>);
  set(Op::row_log_softmax, &row_log_softmax<T>);
  set(Op::row_normalize, &row_normalize<T>);
  set(Op::row_normalize_vjp, &row_normalize_vjp<T, false>);
}

template <class T>
void fill_fused_rows(KernelTable& table, DType dtype) {
  const int d = static_cast<int>(dtype);
  table.row_dot[d] = &row_dot<T, false>;
  table.row_dot_mulz[d] = &row_dot<T, true>;
  table.row_normalize_both[d] = &row_normalize_vjp<T, true>;
  table.row_softmax_point[d] = &row_softmax_point<T>;
}

}  // namespace

void fill_rows(KernelTable& table) {
  fill_fused_rows<float>(table, DType::float32);
  fill_fused_rows<double>(table, DType::float64);
  fill_floating_rows<float>(table, DType::float16);
  fill_floating_rows<float>(table, DType::bfloat16);
  fill_floating_rows<float>(table, DType::float32);
  fill_floating_rows<double>(table, DType::float64);
  fill_ordered<std::int32_t>(table, DType::int32);
  fill_ordered<std::int64_t>(table, DType::int64);
  table.row[static_cast<int>(Op::row_pick)][static_cast<int>(DType::bool_)] =
      &row_pick<std::uint8_t>;
}

}  // namespace jacquard::cpu_fallback::JACQUARD_ISA_LEVEL
