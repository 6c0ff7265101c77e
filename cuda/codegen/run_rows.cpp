// Skeleton row. Outputs whose reduction can't finish inside the row kernel in
// the order that a reduction alone has are written to scratch memory, and that
// is reduced as an array would be.
#include <algorithm>
#include <mutex>
#include <vector>

#include "cuda/codegen/split.h"
#include "cuda/codegen/workspace.h"
#include "cuda/runtime/device.h"
#include "cuda/runtime/stream.h"

namespace jacquard::cuda_backend {
namespace {

using backend::Binding;
using backend::ProgramLaunch;
using pointwise::Program;
using pointwise::ProgramPtr;

// Words of a thread's cached elements and sums, so that nothing spills.
constexpr int kCacheWords = 128, kWideCacheWords = 32;
// With the sums of columns, where offsets are short and few values are alive.
constexpr int kCacheAndSumWords = 160, kFewAlive = 12;
constexpr int kWideBlock = 1024;
// Shared memory for leaves that are the same in all rows.
constexpr std::size_t kStagedBytes = 24 << 10;
// Rows that a block should have for each time it fills that.
constexpr std::int64_t kStagedRows = 64;

// Loads one leaf of `dtype` and reduces it.
const Program& reduction_program(DType dtype, Reduction reduction) {
  static std::mutex mutex;
  static ProgramPtr programs[kDTypeCount][6];
  const std::lock_guard lock(mutex);
  ProgramPtr& p =
      programs[static_cast<int>(dtype)][static_cast<int>(reduction)];
  if (!p) {
    pointwise::Builder b;
    b.output({b.leaf({Op::load, dtype}), reduction});
    p = Program::intern(b.take());
  }
  return *p;
}

// Reduces `data`, dense over `space`.
void reduce_array(const void* data, DType dtype, Reduction reduction,
                  const Shape& space, const OutputBinding& to, Stream stream) {
  const Binding leaf{data, dtype, contiguous_strides(space)};
  run_map_reduce(
      {&reduction_program(dtype, reduction), space, {&leaf, 1}, {}, {&to, 1}},
      stream);
}

class RowLaunch {
 public:
  RowLaunch(const ProgramLaunch& launch, Workspace& workspace, Stream stream)
      : launch_(launch),
        stream_(stream),
        w_(workspace),
        work_(workspace.work),
        kernels_(ProgramKernels::of(*launch.program)) {}

  void run() {
    bind();
    choose_modes();
    const int rank = work_.shape.rank();
    w_.element_axes.clear();
    for (int a = 0; a < rank; ++a) w_.element_axes.push_back(a);
    w_.point_axes.assign(w_.element_axes.begin(), w_.element_axes.end() - 1);
    work_.lay_out(w_.element_axes, w_.point_axes);
    choose_threads();
    make_scratch();
    launch_kernel();
    for (const Redirected& r : redirected_) reduce(r);
  }

 private:
  // An output that is written to scratch memory first.
  struct Redirected {
    std::size_t output;
    OutputBinding target;
    std::size_t part;
    bool row_value;
  };

  const pointwise::Output& output(std::size_t j) const {
    return launch_.program->outputs()[j];
  }
  bool outer_reduced(std::size_t j) const {
    for (int a = 0; a + 1 < work_.shape.rank(); ++a)
      if (work_.shape[a] != 1 && launch_.outputs[j].strides[a] != 0)
        return false;
    return true;
  }

  void bind() {
    work_.begin(launch_, kernels_.facts(), Skeleton::row);
    columns_ = work_.shape[work_.shape.rank() - 1];
    rows_ = work_.shape.numel() / columns_;
    work_.width = kernels_.facts().wide_rows ? 2 : 4;
  }

  void choose_modes() {
    const int last = work_.shape.rank() - 1;
    for (std::size_t j = 0; j < work_.outputs.size(); ++j) {
      const bool at_row = launch_.outputs[j].strides[last] == 0 && columns_ > 1;
      if (output(j).reduction == Reduction::store) {
        if (output(j).once_a_row || at_row) work_.modes[j] = Mode::once;
      } else if (output(j).once_a_row) {
        if (outer_reduced(j))
          work_.modes[j] = Mode::total;
        else
          redirect(j, true);
      } else if (!at_row && columns_ > 1 && outer_reduced(j)) {
        work_.modes[j] = Mode::column;
        if (size_of(fold_type(work_, j)) == 8) work_.width = 2;
      } else {
        redirect(j, false);
      }
    }
  }

  // Dense in scratch memory, in the type in which it is reduced.
  void redirect(std::size_t j, bool row_value) {
    const DType type = fold_type(work_, j);
    const std::int64_t count = row_value ? rows_ : rows_ * columns_;
    redirected_.push_back(
        {j, launch_.outputs[j],
         parts_.add(count * static_cast<std::int64_t>(size_of(type))),
         row_value});
    work_.modes[j] = row_value ? Mode::once : Mode::element;
    OutputBinding& o = work_.outputs[j];
    o.dtype = type;
    o.accumulate = false;
    if (row_value) {
      Shape rows = work_.shape;
      rows.erase(rows.rank() - 1);
      o.strides = contiguous_strides(rows);
      o.strides.push_back(0);
    } else {
      o.strides = contiguous_strides(work_.shape);
    }
  }

  // Words of a thread's cached elements for each step and place.
  int cached_words() const {
    int words = 0;
    for (std::size_t i = 0; i < work_.leaves.size(); ++i) {
      const int leaf = static_cast<int>(i);
      if (!work_.reads(leaf) || work_.on_rows(leaf) ||
          work_.leaf_access(leaf).kind == Access::Kind::fixed ||
          work_.is_staged(leaf))
        continue;
      words += size_of(compute_type(work_.leaves[i].dtype)) == 8 ? 2 : 1;
    }
    return words;
  }
  int column_words() const {
    int words = 0;
    for (std::size_t j = 0; j < work_.modes.size(); ++j)
      if (work_.modes[j] == Mode::column)
        words += size_of(fold_type(work_, j)) == 8 ? 2 : 1;
    return words;
  }

  // Threads of a row by its length; whether its elements stay in registers.
  void choose_threads() {
    const std::int64_t groups = ceil_div(columns_, work_.width);
    lanes_ = lanes_for(columns_, work_.width);
    work_.block_row = lanes_ > 32;
    if (groups > 8 * kBlock) work_.block = lanes_ = kWideBlock;
    const int most = work_.block == kWideBlock ? 4 : 8;
    const bool wide = work_.block == kWideBlock;
    const int limit = wide ? kWideCacheWords : kCacheWords;
    const bool roomy =
        !wide && work_.small && kernels_.facts().live <= kFewAlive;
    const int with_sums = roomy ? kCacheAndSumWords : limit;
    work_.steps = static_cast<int>(
        std::min<std::int64_t>(ceil_div(groups, lanes_), most + 1));
    work_.cached = work_.steps <= most;
    if (work_.cached) stage();
    const int places = work_.steps * work_.width;
    work_.cached = work_.cached && cached_words() * places <= limit;
    if (!work_.cached || (cached_words() + column_words()) * places > with_sums)
      redirect_columns();
    if (work_.cached) return;
    work_.staged.clear();
    work_.steps = 1;
  }

  void redirect_columns() {
    for (std::size_t j = 0; j < work_.modes.size(); ++j)
      if (work_.modes[j] == Mode::column) redirect(j, false);
    work_.lay_out(w_.element_axes, w_.point_axes);
  }

  // Leaves that depend on the column alone, as far as there is room.
  void stage() {
    const Space& space = work_.elements;
    const int inner = space.rank() - 1;
    if (inner < 1 || space.extent(inner) != columns_) return;
    std::size_t left = kStagedBytes;
    for (std::size_t i = 0; i < work_.leaves.size(); ++i) {
      const int leaf = static_cast<int>(i);
      if (!work_.reads(leaf) || work_.on_rows(leaf) ||
          launch_.program->leaves()[i].op != Op::load)
        continue;
      const Access& a = work_.leaf_access(leaf);
      const std::size_t bytes =
          static_cast<std::size_t>(work_.cached_columns()) *
          size_of(work_.leaves[i].dtype);
      if (a.kind != Access::Kind::strided || !a.unit() ||
          a.varies != 1u << inner || bytes > left)
        continue;
      work_.staged.resize(work_.leaves.size());
      work_.staged[i] = true;
      left -= bytes;
    }
  }

  void make_scratch() {
    const bool has_columns = std::find(work_.modes.begin(), work_.modes.end(),
                                       Mode::column) != work_.modes.end();
    chunk_ = work_.block / lanes_;
    chunks_ = ceil_div(rows_, chunk_);
    if (has_columns) {
      const ColumnSplit split = split_columns(rows_, columns_, work_.width);
      chunk_ = split.chunk;
      chunks_ = split.chunks;
      tickets_ = tickets_for(chunks_);
    }
    std::vector<std::size_t> at(work_.modes.size());
    for (std::size_t j = 0; j < at.size(); ++j) {
      const auto size = static_cast<std::int64_t>(size_of(fold_type(work_, j)));
      if (work_.modes[j] == Mode::column && chunks_ > 1)
        at[j] = parts_.add(chunks_ * ceil_div(columns_, work_.width) *
                           work_.width * size);
      if (work_.modes[j] == Mode::total)
        at[j] = parts_.add((rows_ + total_split(j).chunks) * size);
    }
    parts_.make(stream_);
    for (std::size_t j = 0; j < at.size(); ++j)
      if (work_.modes[j] == Mode::total ||
          (work_.modes[j] == Mode::column && chunks_ > 1))
        work_.partials[j] = parts_.part(at[j]);
    for (const Redirected& r : redirected_)
      work_.outputs[r.output].data = parts_.part(r.part);
  }

  SpanSplit total_split(std::size_t j) const {
    return split_span(1, rows_, size_of(fold_type(work_, j)) == 8 ? 2 : 4);
  }

  void launch_kernel() {
    IndexCheck check{};
    if (kernels_.facts().checks_index)
      check = index_check("cross_entropy", columns_, stream_);
    work_.grouped = work_.grouping(columns_).grouped;
    std::int64_t tasks = chunks_;
    if (!work_.staged.empty())
      tasks = std::min(tasks,
                       std::max<std::int64_t>(
                           device_info(stream_.device().index).multiprocessors,
                           ceil_div(rows_, kStagedRows)));
    launch_work(w_, kernels_, blocks_for(tasks, work_.block, stream_), stream_,
                [&](Arguments& to) {
                  to.add_index(rows_, "rows");
                  to.add_index(columns_, "columns");
                  to.add_index(lanes_, "lanes");
                  to.add_index(chunk_, "chunk");
                  to.add_index(chunks_, "chunks");
                  to.add_pointer(tickets(stream_), "unsigned*", "tickets");
                  to.add_index(tickets_, "tile_tickets");
                  to.add_index(tickets_, "total_ticket");
                  to.add_pointer(check.word, "unsigned long long*", "check");
                  to.add(check.id, "unsigned long long", "check_id");
                  add_totals(to);
                });
  }

  void add_totals(Arguments& to) const {
    for (std::size_t j = 0; j < work_.modes.size(); ++j) {
      if (work_.modes[j] != Mode::total) continue;
      const SpanSplit split = total_split(j);
      to.add_index(split.lanes, 't', j, 'l');
      to.add_index(split.chunk, 't', j, 'c');
      to.add_index(split.chunks, 't', j, 'n');
    }
  }

  void reduce(const Redirected& r) const {
    Shape space = work_.shape;
    OutputBinding target = r.target;
    if (r.row_value) {
      space.erase(space.rank() - 1);
      target.strides.erase(target.strides.rank() - 1);
    }
    reduce_array(parts_.part(r.part), fold_type(work_, r.output),
                 output(r.output).reduction, space, target, stream_);
  }

  const ProgramLaunch& launch_;
  const Stream stream_;
  Workspace& w_;
  Work& work_;
  ProgramKernels& kernels_;
  Parts parts_;
  std::vector<Redirected> redirected_;
  std::int64_t rows_ = 0, columns_ = 0;
  int lanes_ = 1;
  std::int64_t chunk_ = 1, chunks_ = 1, tickets_ = 0;
};

// Nothing to compute: reduced outputs get their neutral element.
void reduce_nothing(const ProgramLaunch& launch, Stream stream) {
  const auto outputs = launch.program->outputs();
  for (std::size_t j = 0; j < outputs.size(); ++j) {
    if (outputs[j].reduction == Reduction::store) continue;
    const DType type =
        compute_type(launch.program->instrs()[outputs[j].value].dtype);
    reduce_array(nullptr, type, outputs[j].reduction, launch.space,
                 launch.outputs[j], stream);
  }
}

// A space of rank 0 is one row of one element.
void run_single(const ProgramLaunch& launch, Stream stream) {
  std::vector<Binding> leaves(launch.leaves.begin(), launch.leaves.end());
  std::vector<OutputBinding> outputs(launch.outputs.begin(),
                                     launch.outputs.end());
  for (Binding& b : leaves) b.strides = {0};
  for (OutputBinding& o : outputs) o.strides = {0};
  run_rows({launch.program, {1}, leaves, launch.slots, outputs}, stream);
}

}  // namespace

void run_rows(const ProgramLaunch& launch, Stream stream) {
  if (launch.space.numel() == 0) return reduce_nothing(launch, stream);
  if (launch.space.rank() == 0) return run_single(launch, stream);
  const BorrowedWorkspace workspace;
  RowLaunch(launch, *workspace, stream).run();
}

}  // namespace jacquard::cuda_backend
