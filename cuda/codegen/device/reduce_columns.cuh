// Skeleton map-reduce where the innermost axis is kept: the space is a.rows
// rows of a.columns elements, of which the rows are reduced. A block takes one
// tile of columns and one chunk of rows.

JACQUARD_FN void run_reduce_columns(const Args& a) {
  const Fixed f = load_fixed(a);
  const int lanes = a.lanes, phases = kBlock / lanes;
  for (Index task = blockIdx.x; task < a.tiles * a.chunks; task += gridDim.x) {
    const Index chunk = task / a.tiles, tile = task - chunk * a.tiles;
    const Index column = column_of(tile, 1, 0, lanes);
    const Index first = chunk * a.chunk;
    const Index end = a.rows - first < a.chunk ? a.rows : first + a.chunk;
    const bool whole = a.grouped != 0 && column + kWidth <= a.columns;
    Sums sums[1];
    each_sum(sums[0],
             [](auto s, auto& x) { clear<typename decltype(s)::Op>(x); });
    if (column < a.columns)
      for (Index row = first + static_cast<int>(threadIdx.x) / lanes; row < end;
           row += phases) {
        const Index i = row * a.columns + column;
        const Index high = (row + 1) * a.columns;
        Values v;
        if (whole)
          load_whole(a, f, i, v);
        else
          load_pieces(a, f, i, 1, i, high, v);
        evaluate(a, f, v);
        if (whole)
          store_whole(a, i, v);
        else
          store_pieces(a, i, 1, i, high, v);
        each_value(sums[0], v, [](auto s, auto& x, const auto& y) {
#pragma unroll
          for (int j = 0; j < kWidth; ++j)
            x[j] = decltype(s)::Op::combine(x[j], y[j]);
        });
      }
    finish_columns<1>(a, sums, lanes, tile, chunk);
  }
}
