// Skeleton map-reduce where the innermost axis is reduced: the space is a.kept
// rows of a.reduced elements. Short rows are reduced by a.lanes threads each,
// up to 32; long ones are cut into a.chunks chunks, a block each (a.lanes is
// kBlock), and the last block of a row combines them. Which it is changes with
// the sizes, so one kernel does both.

// Elements first … end − 1 of a row.
JACQUARD_FN void reduce_span(const Args& a, const Fixed& f, Index row,
                             Index first, Index end, int lanes, int lane,
                             Sums& sums) {
  each_sum(sums, [](auto s, auto& x) { clear<typename decltype(s)::Op>(x); });
  const Index origin = row * a.reduced;
  for (Index c = first + lane * kWidth; c < end; c += lanes * kWidth) {
    const Index i = origin + c;
    const bool whole = a.grouped != 0 && c + kWidth <= end;
    Values v;
    if (whole)
      load_whole(a, f, i, v);
    else
      load_pieces(a, f, i, 1, i, origin + end, v);
    evaluate(a, f, v);
    if (whole)
      store_whole(a, i, v);
    else
      store_pieces(a, i, 1, i, origin + end, v);
    each_value(sums, v, [&](auto s, auto& x, const auto& y) {
#pragma unroll
      for (int j = 0; j < kWidth; ++j)
        if (c + j < end) x[j] = decltype(s)::Op::combine(x[j], y[j]);
    });
  }
}

// Combines the partial results of a row whose chunks are all done.
JACQUARD_FN void finish_long_row(const Args& a, Index row, Sums& sums) {
  each_sum(sums, [&](auto s, auto&) {
    using S = decltype(s);
    const auto total =
        combine_partials<S>(S::partials(a) + row * a.chunks, a.chunks);
    if (threadIdx.x == 0) S::write(a, row, total);
  });
}

JACQUARD_FN void run_reduce_rows(const Args& a) {
  const Fixed f = load_fixed(a);
  const int lanes = static_cast<int>(a.lanes);
  const bool is_long = lanes == kBlock;
  const int thread = static_cast<int>(threadIdx.x), lane = thread % lanes;
  const int rows = kBlock / lanes;  // of a block at a time
  const Index tasks =
      is_long ? a.kept * a.chunks : (a.kept + (rows - 1)) / rows;
  for (Index task = blockIdx.x; task < tasks; task += gridDim.x) {
    Index row = task * rows + thread / lanes, first = 0, end = a.reduced;
    if (is_long) {
      row = task / a.chunks;
      first = (task - row * a.chunks) * a.chunk;
      if (end - first > a.chunk) end = first + a.chunk;
    }
    if (row >= a.kept) end = 0;
    Sums sums;
    reduce_span(a, f, row, first, end, lanes, lane, sums);
    each_sum(sums, [&](auto s, auto& x) {
      using S = decltype(s);
      auto total = fold_items<typename S::Op>(x);
      total = is_long ? fold_block<typename S::Op, kBlock / 32>(total)
                      : fold_lanes<typename S::Op>(total, lanes);
      if (lane != 0 || row >= a.kept) return;
      if (a.chunks == 1)
        S::write(a, row, total);
      else
        write_one<typename S::Element>(S::partials(a) + task, total);
    });
    if (a.chunks > 1 &&
        last_to_arrive(a.tickets + row, static_cast<unsigned>(a.chunks)))
      finish_long_row(a, row, sums);
  }
}
