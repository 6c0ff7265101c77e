// Skeleton list: the map over many spaces. A block takes kListTiles tiles of
// one entry; `first` says at which block each entry starts.

struct Entry {
  Args args;
  long long first;
};
// The entries themselves if they are few, else where they are.
struct Entries {
  const Entry* there;
  long long count;
  Entry here[kEntriesHere];
};

JACQUARD_FN void run_list(const Entries& entries) {
  const Entry* all = entries.there ? entries.there : entries.here;
  int low = 0, high = static_cast<int>(entries.count);
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (all[middle].first <= blockIdx.x)
      low = middle;
    else
      high = middle;
  }
  const Args a = all[low].args;
  const Index block = static_cast<Index>(blockIdx.x - all[low].first);
  const Fixed f = load_fixed(a);
  for (int j = 0; j < kListTiles; ++j) {
    const Index tile = block * kListTiles + j;
    if (tile < a.tiles) map_tile(a, f, tile);
  }
}
