// The loop of skeleton row: chunks of rows, then what follows a chunk and what
// follows them all.

JACQUARD_FN void run_rows(const Args& a) {
  const Fixed f = load_fixed(a);
  __shared__ Staged staged;
  stage(a, staged);
  Spot p;
  p.staged = &staged;
  p.lanes = kBlockRow ? kBlock : static_cast<int>(a.lanes);
  p.lane = static_cast<int>(threadIdx.x) % p.lanes;
  const int phases = kBlock / p.lanes;
  const int phase = static_cast<int>(threadIdx.x) / p.lanes;
  for (Index chunk = blockIdx.x; chunk < a.chunks; chunk += gridDim.x) {
    Sums sums[kSteps];
    clear_sums(sums);
    const Index first = chunk * a.chunk;
    const Index end = a.rows - first < a.chunk ? a.rows : first + a.chunk;
    for (Index base = first; base < end; base += phases) {
      p.row = base + phase;
      p.active = p.row < end;
      process_row(a, f, p, sums);
    }
    finish_chunk(a, sums, p.lanes, chunk);
  }
  finish_all(a);
}
