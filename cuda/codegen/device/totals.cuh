// Row values, one for each of a.rows rows, reduced to one value by the last
// block of a row kernel: in the order in which skeleton map-reduce reduces an
// array of a.rows elements.

template <class S>
JACQUARD_FN typename S::Value total_of_span(const typename S::Bits* from,
                                            Index end, int lanes) {
  using T = typename S::Value;
  constexpr int width = sizeof(T) == 8 ? 2 : 4;
  T x[width];
  clear<typename S::Op>(x);
  if (static_cast<int>(threadIdx.x) < lanes)
#pragma unroll 1
    for (Index c = static_cast<int>(threadIdx.x) * width; c < end;
         c += lanes * width)
#pragma unroll
      for (int j = 0; j < width; ++j)
        if (c + j < end)
          x[j] = S::Op::combine(x[j], read_partial<S>(from + c + j));
  return fold_items<typename S::Op>(x);
}

template <class S>
JACQUARD_FN void finish_total(const Args& a, const int lanes, const Index chunk,
                              const Index chunks) {
  auto* values = S::partials(a);
  typename S::Value total;
  if (lanes <= 32) {
    total = fold_lanes<typename S::Op>(total_of_span<S>(values, a.rows, lanes),
                                       lanes);
  } else {
#pragma unroll 1
    for (Index c = 0; c < chunks; ++c) {
      const Index first = c * chunk;
      const Index count = a.rows - first < chunk ? a.rows - first : chunk;
      total = fold_block<typename S::Op, kFoldBlock / 32>(
          total_of_span<S>(values + first, count, kFoldBlock));
      if (threadIdx.x == 0)
        write_one<typename S::Element>(values + a.rows + c, total);
    }
    __threadfence_block();
    __syncthreads();
    if (chunks > 1) total = combine_partials<S>(values + a.rows, chunks);
  }
  if (threadIdx.x == 0) S::write(a, 0, total);
}
