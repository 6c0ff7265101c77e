// Skeleton list: entries of one key go into one launch.
#include <cstring>
#include <numeric>
#include <vector>

#include "cuda/codegen/run_program.h"
#include "cuda/codegen/source.h"
#include "cuda/codegen/split.h"
#include "cuda/codegen/workspace.h"
#include "cuda/runtime/capture.h"

namespace jacquard::cuda_backend {
namespace {

using backend::ProgramLaunch;

// Entries of one key: the words of each, then the block at which it starts.
struct Group {
  std::string key;
  const Kernel* kernel = nullptr;
  std::size_t entry_bytes = 0;
  std::vector<std::uint64_t> words;
  std::int64_t count = 0, blocks = 0;
};

Group& group_of(std::vector<Group>& groups, const std::string& key) {
  for (Group& g : groups)
    if (g.key == key) return g;
  groups.emplace_back().key = key;
  return groups.back();
}

void add_entry(const ProgramLaunch& launch, ProgramKernels& kernels,
               std::vector<Group>& groups, Stream stream) {
  const std::int64_t n = launch.space.numel();
  if (n == 0) return;
  const BorrowedWorkspace borrowed;
  Workspace& w = *borrowed;
  w.work.begin(launch, kernels.facts(), Skeleton::list);
  w.element_axes.resize(static_cast<std::size_t>(launch.space.rank()));
  std::iota(w.element_axes.begin(), w.element_axes.end(), 0);
  w.work.lay_out(w.element_axes, {});
  choose_width(w.work);
  const auto [grouped, skew] = w.work.grouping(0);
  const std::int64_t tiles = ceil_div(n + skew, kBlock * w.work.width);
  const auto pack = [&, grouped = grouped, skew = skew](std::string* members) {
    w.arguments.begin(members);
    w.work.add_operands(w.arguments);
    w.arguments.add_index(skew, "skew");
    w.arguments.add_index(grouped, "grouped");
    w.arguments.add_index(tiles, "tiles");
  };
  thread_local std::string key;
  key.clear();
  w.work.append_key(key);
  Group& g = group_of(groups, key);
  if (!g.kernel)
    g.kernel = &kernels.find(w.work, capability_of(stream),
                             [&](std::string& members) { pack(&members); });
  pack(nullptr);
  g.entry_bytes = w.arguments.bytes() + sizeof(std::uint64_t);
  g.words.insert(g.words.end(), w.arguments.data(),
                 w.arguments.data() + w.arguments.count());
  g.words.push_back(static_cast<std::uint64_t>(g.blocks));
  g.blocks += ceil_div(tiles, kListTiles);
  ++g.count;
}

void launch_group(const Group& g, Stream stream) {
  const int here = entries_here(g.entry_bytes - sizeof(std::uint64_t));
  // struct Entries of device/list.cuh
  std::vector<std::uint64_t> table(2 + static_cast<std::size_t>(here) *
                                           g.entry_bytes /
                                           sizeof(std::uint64_t));
  table[1] = static_cast<std::uint64_t>(g.count);
  const std::size_t bytes = g.words.size() * sizeof(std::uint64_t);
  const bool fits = g.count <= here;
  Capture* const capture = Capture::current();
  const Scratch there(fits || capture ? 0 : bytes, stream);
  if (fits) {
    std::memcpy(table.data() + 2, g.words.data(), bytes);
  } else if (capture) {
    table[0] =
        reinterpret_cast<std::uintptr_t>(capture->keep(g.words.data(), bytes));
  } else {
    upload(there.data(), g.words.data(), bytes, stream);
    table[0] = reinterpret_cast<std::uintptr_t>(there.data());
  }
  Geometry geometry;
  geometry.blocks_x = static_cast<std::uint32_t>(g.blocks);
  geometry.threads_x = kBlock;
  void* pointer = table.data();
  launch(*g.kernel, geometry, &pointer, stream);
}

}  // namespace

void run_program_list(std::span<const ProgramLaunch> launches, Stream stream) {
  if (launches.empty()) return;
  if (launches.size() == 1 || launches[0].program->has_row_ops()) {
    for (const ProgramLaunch& l : launches) run_program(l, stream);
    return;
  }
  ProgramKernels& kernels = ProgramKernels::of(*launches[0].program);
  std::vector<Group> groups;
  for (const ProgramLaunch& l : launches) add_entry(l, kernels, groups, stream);
  for (const Group& g : groups) launch_group(g, stream);
}

}  // namespace jacquard::cuda_backend
