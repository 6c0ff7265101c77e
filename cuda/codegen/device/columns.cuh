// Sums over the rows of a matrix. Threads stand in kBlock / lanes phases of
// `lanes`; a thread has kWidth neighbouring columns in each of `steps` steps,
// and takes every row of a chunk that is its phase's. The phases of a block are
// combined as a tree by halves, the chunks as a tree of kFan, each node by the
// last block that arrives there.

inline constexpr int kFan = 16;

JACQUARD_FN Index column_of(Index tile, int steps, int step, int lanes) {
  return ((tile * steps + step) * lanes +
          static_cast<int>(threadIdx.x) % lanes) *
         kWidth;
}

template <class Op, class T>
JACQUARD_FN void fold_phases(T (&x)[kWidth], int lanes) {
  __shared__ T pool[kWidth][kBlock / 2];
  for (int half = kBlock / lanes / 2; half > 0; half /= 2) {
    const int threads = half * lanes, t = threadIdx.x;
    __syncthreads();
    if (t >= threads && t < 2 * threads)
#pragma unroll
      for (int j = 0; j < kWidth; ++j) pool[j][t - threads] = x[j];
    __syncthreads();
    if (t < threads)
#pragma unroll
      for (int j = 0; j < kWidth; ++j) x[j] = Op::combine(x[j], pool[j][t]);
  }
}

template <int steps>
JACQUARD_FN void finish_columns(const Args& a, Sums (&sums)[steps], int lanes,
                                Index tile, Index chunk) {
#pragma unroll
  for (int step = 0; step < steps; ++step)
    each_sum(sums[step], [&](auto s, auto& x) {
      fold_phases<typename decltype(s)::Op>(x, lanes);
    });
  const bool writes = static_cast<int>(threadIdx.x) < lanes;
  // f(sum, its kWidth values, the first one's column)
  const auto each = [&](auto f) {
#pragma unroll
    for (int step = 0; step < steps; ++step)
      each_sum(sums[step], [&](auto s, auto& x) {
        if (writes) f(s, x, column_of(tile, steps, step, lanes));
      });
  };
  // Partial results lie in groups of kWidth, padded.
  const Index pitch = (a.columns + kWidth - 1) / kWidth * kWidth;
  const auto keep = [&](Index slot) {
    each([&](auto s, auto& x, Index column) {
      using S = decltype(s);
      if (column < a.columns)
        write<typename S::Element, kWidth>(
            S::partials(a) + slot * pitch + column, x);
    });
  };

  unsigned* ticket = a.tickets + tile * a.tile_tickets;
  Index count = a.chunks, at = chunk, apart = 1;
  if (count > 1) keep(chunk);
  while (count > 1) {
    const Index node = at / kFan, first = node * kFan;
    const Index members = count - first < kFan ? count - first : kFan;
    if (!last_to_arrive(ticket + node, static_cast<unsigned>(members))) return;
    each([&](auto s, auto& x, Index column) {
      using S = decltype(s);
      if (column >= a.columns) return;
      const auto* from = S::partials(a) + first * apart * pitch + column;
      read<typename S::Element, kWidth, true>(from, x);
      for (Index m = 1; m < members; ++m) {
        typename S::Value y[kWidth];
        read<typename S::Element, kWidth, true>(from + m * apart * pitch, y);
#pragma unroll
        for (int j = 0; j < kWidth; ++j) x[j] = S::Op::combine(x[j], y[j]);
      }
    });
    count = (count + kFan - 1) / kFan;
    ticket += count;
    apart *= kFan;
    at = node;
    if (count > 1) keep(at * apart);
  }
  each([&](auto s, auto& x, Index column) {
#pragma unroll
    for (int j = 0; j < kWidth; ++j)
      if (column + j < a.columns) decltype(s)::write(a, column + j, x[j]);
  });
}
