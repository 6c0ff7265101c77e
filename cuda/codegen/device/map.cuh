// Skeleton map. A tile is kBlock · kWidth elements; a warp takes 32 · kWidth of
// them that lie together. Grouped, each thread has kWidth neighbours, and its
// accesses are whole where its group is inside the space; otherwise its
// elements are 32 apart, so that the warp's accesses are coalesced.

JACQUARD_FN void map_tile(const Args& a, const Fixed& f, Index tile) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const Index base = (tile * (kBlock / 32) + warp) * (32 * kWidth) - a.skew;
  if (base >= a.n) return;
  const bool grouped = a.grouped != 0;
  const Index i = base + lane * (grouped ? kWidth : 1);
  const Index step = grouped ? 1 : 32;
  const bool whole = grouped && i >= 0 && i + kWidth <= a.n;
  Values v;
  if (whole)
    load_whole(a, f, i, v);
  else
    load_pieces(a, f, i, step, 0, a.n, v);
  evaluate(a, f, v);
  if (whole)
    store_whole(a, i, v);
  else
    store_pieces(a, i, step, 0, a.n, v);
}

JACQUARD_FN void run_map(const Args& a) {
  const Fixed f = load_fixed(a);
  for (Index tile = blockIdx.x; tile < a.tiles; tile += gridDim.x)
    map_tile(a, f, tile);
}
