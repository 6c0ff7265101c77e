// Skeleton row: a.rows rows of a.columns elements. A row is taken by `lanes`
// neighbouring threads, a power of two up to 32, or by the whole block; each
// has kWidth neighbouring columns in each step. Cached, a row's elements stay
// in registers; otherwise each pass reads them again.

struct Spot {
  Index row;
  bool active;  // whether there is such a row
  int lane, lanes;
  const Staged* staged;
};

JACQUARD_FN void load_step(const Args& a, const Fixed& f, const Spot& p,
                           Index column, int count, Values& v) {
  const Index i = p.row * a.columns + column;
  // Grouped, count is 0 or kWidth.
  if constexpr (!kGrouped)
    load_pieces(a, f, i, 1, i, i + count, v);
  else if (count == kWidth)
    load_whole(a, f, i, v);
  else
    v = Values();
  fill_random(a, f, v);
}
JACQUARD_FN void store_step(const Args& a, const Spot& p, Index column,
                            int count, const Values& v) {
  const Index i = p.row * a.columns + column;
  if constexpr (!kGrouped)
    store_pieces(a, i, 1, i, i + count, v);
  else if (count == kWidth)
    store_whole(a, i, v);
}
JACQUARD_FN int count_at(const Args& a, const Spot& p, Index column) {
  const Index left = a.columns - column;
  return !p.active || left <= 0 ? 0
         : left < kWidth        ? static_cast<int>(left)
                                : kWidth;
}

inline constexpr int kCacheSteps = kCached ? kSteps : 1;

JACQUARD_FN void fill_cache(const Args& a, const Fixed& f, const Spot& p,
                            Values (&cache)[kCacheSteps]) {
  if constexpr (kCached)
#pragma unroll
    for (int s = 0; s < kSteps; ++s) {
      const Index column = (s * p.lanes + p.lane) * kWidth;
      load_step(a, f, p, column, count_at(a, p, column), cache[s]);
    }
}
// body(values, first column, how many, step)
template <class F>
JACQUARD_FN void each_step(const Args& a, const Fixed& f, const Spot& p,
                           Values (&cache)[kCacheSteps], F body) {
  if constexpr (kCached) {
#pragma unroll
    for (int s = 0; s < kSteps; ++s) {
      const Index column = (s * p.lanes + p.lane) * kWidth;
      const int count = count_at(a, p, column);
      load_staged(*p.staged, column, count, cache[s]);
      body(cache[s], column, count, s);
    }
  } else {
    for (Index column = p.lane * kWidth; column < a.columns;
         column += p.lanes * kWidth) {
      const int count = count_at(a, p, column);
      load_step(a, f, p, column, count, cache[0]);
      body(cache[0], column, count, 0);
    }
  }
}

// The value of the first thread of a row.
template <class T>
JACQUARD_FN T from_first(T x, const Spot& p) {
  if constexpr (kBlockRow) {
    __shared__ T first;
    __syncthreads();
    if (threadIdx.x == 0) first = x;
    __syncthreads();
    return first;
  } else {
    return first_of(x, p.lanes);
  }
}

// Over the threads of a row.
template <class Op, class T>
JACQUARD_FN T fold_row(T x, const Spot& p) {
  if constexpr (kBlockRow)
    return fold_block<Op, kBlock / 32>(x);
  else
    return fold_lanes<Op>(x, p.lanes);
}
template <class Op, class T>
JACQUARD_FN T fold_row_items(const T (&x)[kWidth], const Spot& p) {
  return fold_row<Op>(fold_items<Op>(x), p);
}

// The first place of the extreme; NaN wins. at < 0: nothing yet.
template <class T>
struct Best {
  T value;
  long long at;
};
template <bool smallest, class T>
JACQUARD_FN void improve(Best<T>& best, T value, long long at) {
  const bool nan = value != value, had = best.value != best.value;
  const bool beats = smallest ? value < best.value : value > best.value;
  const bool ties = nan ? had : value == best.value;
  const bool wins =
      best.at < 0 || (nan && !had) || (beats && !had) || (ties && at < best.at);
  if (at >= 0 && wins) best = {value, at};
}
template <bool smallest, class T>
JACQUARD_FN void fold_best_lanes(Best<T>& best, int lanes) {
  for (int m = lanes / 2; m > 0; m /= 2) {
    const T value = exchange(best.value, m);
    const long long at = exchange(best.at, m);
    improve<smallest>(best, value, at);
  }
}
template <bool smallest, class T>
JACQUARD_FN long long fold_best(Best<T> best, const Spot& p) {
  if constexpr (kBlockRow) {
    constexpr int warps = kBlock / 32;
    __shared__ T values[warps];
    __shared__ long long places[warps];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    fold_best_lanes<smallest>(best, 32);
    __syncthreads();
    if (lane == 0) {
      values[warp] = best.value;
      places[warp] = best.at;
    }
    __syncthreads();
    best = {values[lane % warps], places[lane % warps]};
    fold_best_lanes<smallest>(best, warps);
  } else {
    fold_best_lanes<smallest>(best, p.lanes);
  }
  return best.at;
}

// Values as bits, for the one thread of a row that has the value.
JACQUARD_FN unsigned long long pick_bits(bool x) { return x; }
JACQUARD_FN unsigned long long pick_bits(int x) {
  return static_cast<unsigned>(x);
}
JACQUARD_FN unsigned long long pick_bits(long long x) {
  return static_cast<unsigned long long>(x);
}
JACQUARD_FN unsigned long long pick_bits(float x) {
  return pick_bits(bits_of(x));
}
JACQUARD_FN unsigned long long pick_bits(double x) {
  return pick_bits(bits_of(x));
}
JACQUARD_FN void report_index(const Args& a, const Spot& p, long long index) {
  if (p.lane == 0 && p.active && atomicCAS(&a.check[0], 0ull, a.check_id) == 0)
    a.check[1] = static_cast<unsigned long long>(index);
}

template <class T>
JACQUARD_FN T inverse_deviation(T squares, T count, T epsilon) {
  return T(1) / sqrt_(squares / count + epsilon);
}
