// One box of a launch: tiles are loaded, computed, and stored or reduced.
#include <algorithm>
#include <cstring>
#include <string>

#include "cpu_fallback/executor/launch.h"
#include "cpu_fallback/executor/scratch.h"
#include "cpu_fallback/executor/splat.h"
#include "jacquard/error.h"

namespace jacquard::cpu_fallback {
namespace {

using Kind = OutputState::Kind;

std::int64_t element_bytes(DType dtype) {
  return static_cast<std::int64_t>(size_of(compute_type(dtype)));
}

std::size_t count_of(std::int64_t n) { return static_cast<std::size_t>(n); }

class BoxRunner {
 public:
  BoxRunner(const Launch& launch, std::int64_t box)
      : l_(launch), p_(*launch.plan), k_(kernels()), s_(scratch()) {
    for (int a = l_.rank - 1; a >= 0; --a) {
      const std::int64_t at = box % l_.blocks[a];
      box /= l_.blocks[a];
      origin_[a] = at * l_.block[a];
      extent_[a] = std::min(l_.block[a], l_.extent[a] - origin_[a]);
      coord_[a] = 0;
      numel_ *= extent_[a];
    }
  }

  void run() {
    set_up_registers();
    begin_walks();
    begin_accumulators();
    const std::int64_t line =
        l_.tiled ? extent_[l_.piece_axis] * l_.suffix : numel_;
    const std::int64_t most =
        !l_.tiled || l_.tile > kTile ? l_.tile : l_.piece * l_.suffix;
    for (std::int64_t at = 0; at < numel_; at += n_) {
      n_ = std::min(most, line - at % line);
      rows_ = l_.row_mode ? n_ / l_.cols : 0;
      load_leaves();
      place_outputs();
      compute();
      for (std::size_t i = 0; i < l_.outputs.size(); ++i) finish_output(i);
      if (l_.tiled) advance_coordinates();
    }
    flush();
  }

 private:
  void set_up_registers() {
    const std::int64_t reg = l_.register_bytes;
    const std::int64_t registers = reg * p_.registers;
    // Two more: a converted tile, and the first elements of rows.
    const std::int64_t wide = l_.capacity * 8;
    base_ = s_.reserve(count_of(registers + 2 * wide + l_.accumulator_bytes));
    converted_ = base_ + registers;
    firsts_ = converted_ + wide;
    accumulators_ = firsts_ + wide;
    s_.pointers.resize(p_.home.size());
    for (std::size_t v = 0; v + 1 < p_.home.size(); ++v)
      s_.pointers[v] = base_ + p_.home[v] * reg;
    s_.pointers.back() = nullptr;
    if (s_.launch == l_.id) return;
    for (const FixedPlan& f : p_.fixed) fill_fixed(f, s_.pointers[f.value]);
    for (const LeafState& leaf : l_.leaves)
      if (leaf.splat)
        k_.load[static_cast<int>(leaf.dtype)](
            leaf.data, 0, s_.pointers[leaf.value], count_of(l_.capacity));
    s_.launch = l_.id;
  }

  void fill_fixed(const FixedPlan& f, void* to) const {
    const std::size_t n = count_of(l_.capacity);
    if (f.op == Op::row_index) {
      for (std::int64_t i = 0; i < l_.capacity; ++i)
        static_cast<std::int64_t*>(to)[i] = i % l_.cols;
      return;
    }
    backend::Scalar value;
    if (f.op == Op::slot)
      value = l_.slots[f.index];
    else if (f.op == Op::constant)
      value = p_.constants[f.index];
    else if (is_floating(f.dtype))
      value.f = static_cast<double>(l_.cols);
    else
      value.i = l_.cols;
    splat_scalar(value, f.dtype, to, n);
  }

  std::int64_t start(const PerAxis& stride) const {
    std::int64_t at = 0;
    for (int a = 0; a < l_.rank; ++a) at += origin_[a] * stride[a];
    return at;
  }

  void begin_walks() {
    s_.walks.resize(l_.leaves.size() + l_.outputs.size());
    leaf_walks_ = s_.walks.data();
    output_walks_ = leaf_walks_ + l_.leaves.size();
    for (std::size_t i = 0; i < l_.leaves.size(); ++i)
      if (!l_.leaves[i].splat)
        leaf_walks_[i].begin(l_.rank, extent_, l_.leaves[i].stride,
                             start(l_.leaves[i].stride));
    for (std::size_t i = 0; i < l_.outputs.size(); ++i) {
      const OutputState& o = l_.outputs[i];
      if (o.kind == Kind::reduce) continue;
      output_walks_[i].begin(o.kind == Kind::store ? l_.rank : l_.rank - 1,
                             extent_, o.stride, start(o.stride));
    }
  }

  void begin_accumulators() {
    char* at = accumulators_;
    for (const OutputState& o : l_.outputs) {
      if (o.kind != Kind::reduce) continue;
      const Reducer& r = o.reducer;
      fill_neutral(o.plan->reduction, r.dtype, at, r.accumulators);
      at += (r.accumulators * element_bytes(r.dtype) + 63) / 64 * 64;
    }
  }

  void load_leaves() {
    for (std::size_t i = 0; i < l_.leaves.size(); ++i) {
      const LeafState& leaf = l_.leaves[i];
      if (leaf.splat) continue;
      Walk& w = leaf_walks_[i];
      void*& place = s_.pointers[leaf.value];
      if (leaf.op != Op::load) {
        generate(leaf, w, static_cast<char*>(place));
        continue;
      }
      const auto bytes = static_cast<std::int64_t>(size_of(leaf.dtype));
      const std::int64_t whole = round_up(n_);
      if (leaf.in_place && w.step() == 1 &&
          w.left() >= (leaf.overread ? whole : n_) &&
          (leaf.overread || whole == n_)) {
        place = const_cast<char*>(leaf.data + w.offset * bytes);
        w.advance(n_);
        prefetch(leaf, w.offset * bytes, n_ * bytes);
        continue;
      }
      place = base_ + p_.home[leaf.value] * l_.register_bytes;
      copy_leaf(leaf, w, static_cast<char*>(place));
    }
  }

  // What the next tile reads, while this one is computed: tiles are too short
  // for the processor to see the pattern by itself.
  void prefetch(const LeafState& leaf, std::int64_t from,
                std::int64_t n) const {
    if (!l_.far) return;
    const char* at = leaf.data + from;
    for (std::int64_t i = 0; i < n; i += 64) __builtin_prefetch(at + i, 0, 3);
  }

  static std::int64_t round_up(std::int64_t n) {
    constexpr auto quantum = static_cast<std::int64_t>(kQuantum);
    return (n + quantum - 1) / quantum * quantum;
  }

  void copy_leaf(const LeafState& leaf, Walk& w, char* to) {
    const auto load = k_.load[static_cast<int>(leaf.dtype)];
    const auto bytes = static_cast<std::int64_t>(size_of(leaf.dtype));
    const std::int64_t reg = element_bytes(leaf.dtype);
    if (leaf.narrow && rows_ == 1) {
      load(leaf.data + w.offset * bytes, 1, to, 1);
      w.advance_all(n_);
      return;
    }
    w.runs(n_, [&](std::int64_t done, std::int64_t offset, std::int64_t stride,
                   std::int64_t count) {
      load(leaf.data + offset * bytes, stride, to + done * reg,
           count_of(count));
    });
  }

  void generate(const LeafState& leaf, Walk& w, char* to) {
    const std::int64_t reg = element_bytes(leaf.dtype);
    w.runs(n_, [&](std::int64_t done, std::int64_t offset, std::int64_t stride,
                   std::int64_t count) {
      char* at = to + done * reg;
      if (leaf.op == Op::index) {
        auto* out = reinterpret_cast<std::int64_t*>(at);
        for (std::int64_t j = 0; j < count; ++j) out[j] = offset + j * stride;
      } else {
        const int type = static_cast<int>(leaf.dtype);
        const auto f =
            leaf.op == Op::uniform ? k_.uniform[type] : k_.normal[type];
        f(leaf.seed, leaf.offset, offset, stride, at, count_of(count));
      }
    });
  }

  void place_outputs() {
    for (std::size_t i = 0; i < l_.outputs.size(); ++i) {
      const OutputState& o = l_.outputs[i];
      if (!o.direct) continue;
      const Walk& w = output_walks_[i];
      const bool exact =
          round_up(n_) == n_ || (o.plan->row_step && o.plan->only_stored);
      const std::uint16_t v = o.plan->value;
      if (exact && w.step() == 1 && w.left() >= n_)
        s_.pointers[v] =
            o.data + w.offset * static_cast<std::int64_t>(size_of(o.dtype));
      else
        s_.pointers[v] = base_ + p_.home[v] * l_.register_bytes;
    }
  }

  void compute() {
    void* const* ptr = s_.pointers.data();
    const std::size_t n = count_of(n_);
    for (const Step& step : p_.steps) {
      if (step.kind == Step::Kind::tile) {
        step.run(ptr, step.narrow && rows_ == 1 ? 1 : n);
        continue;
      }
      void* out = ptr[step.out];
      if (step.kind == Step::Kind::row) {
        if (step.check_index) check_index(ptr[step.b]);
        step.row({.a = ptr[step.a],
                  .b = ptr[step.b],
                  .c = ptr[step.c],
                  .d = ptr[step.d],
                  .out = out,
                  .second = ptr[step.second],
                  .rows = count_of(rows_),
                  .cols = count_of(l_.cols),
                  .places = step.narrow ? 1 : count_of(l_.cols)});
        if (step.round) step.round(out, nullptr, nullptr, out, n);
        continue;
      }
      one_hot(static_cast<const std::int64_t*>(ptr[step.b]),
              static_cast<unsigned char*>(out));
    }
  }

  void one_hot(const std::int64_t* index, unsigned char* out) const {
    std::memset(out, 0, count_of(n_));
    for (std::int64_t r = 0; r < rows_; ++r) {
      const std::int64_t i = index[r * l_.cols];
      if (i >= 0 && i < l_.cols) out[r * l_.cols + i] = 1;
    }
  }

  void check_index(const void* indices) const {
    const auto* index = static_cast<const std::int64_t*>(indices);
    for (std::int64_t r = 0; r < rows_; ++r) {
      const std::int64_t i = index[r * l_.cols];
      if (i >= 0 && i < l_.cols) continue;
      throw IndexError("cross_entropy: index " + std::to_string(i) +
                       " is out of range for extent " +
                       std::to_string(l_.cols));
    }
  }

  void finish_output(std::size_t i) {
    const OutputState& o = l_.outputs[i];
    const char* value = static_cast<char*>(s_.pointers[o.plan->value]);
    if (o.kind == Kind::reduce) return reduce(o, i, value);
    Walk& w = output_walks_[i];
    const auto bytes = static_cast<std::int64_t>(size_of(o.dtype));
    std::int64_t n = n_;
    if (o.kind != Kind::store) {
      n = rows_;
      const int type = static_cast<int>(compute_type(o.plan->dtype));
      if (l_.cols != 1) {
        k_.load[type](value, l_.cols, firsts_, count_of(n));
        value = firsts_;
      }
    } else if (o.direct && w.left() >= n && w.step() == 1 &&
               value == o.data + w.offset * bytes) {
      w.advance(n);
      return;
    }
    if (o.kind == Kind::row_buffer) return to_row_buffer(o, w, value, n);
    store(o, w, value, n);
  }

  void to_row_buffer(const OutputState& o, Walk& w, const char* value,
                     std::int64_t n) {
    const std::int64_t reg = element_bytes(o.plan->dtype);
    w.runs(n, [&](std::int64_t done, std::int64_t offset, std::int64_t,
                  std::int64_t count) {
      std::memcpy(o.data + offset * reg, value + done * reg,
                  count_of(count * reg));
    });
  }

  void store(const OutputState& o, Walk& w, const char* value, std::int64_t n) {
    const int to_type = static_cast<int>(o.dtype);
    const DType from = o.plan->dtype;
    if (o.dtype != from && o.dtype != compute_type(from)) {
      k_.cast[static_cast<int>(from)][to_type](value, nullptr, nullptr,
                                               converted_, count_of(n));
      value = converted_;
    }
    const std::int64_t reg = element_bytes(o.dtype);
    const auto bytes = static_cast<std::int64_t>(size_of(o.dtype));
    w.runs(n, [&](std::int64_t done, std::int64_t offset, std::int64_t stride,
                  std::int64_t count) {
      const auto f = o.accumulate              ? k_.store_add[to_type]
                     : o.stream && stride == 1 ? k_.store_stream[to_type]
                                               : k_.store[to_type];
      f(value + done * reg, o.data + offset * bytes, stride, count_of(count));
    });
  }

  char* accumulators_of(std::size_t output) const {
    char* at = accumulators_;
    for (std::size_t i = 0; i < output; ++i) {
      const OutputState& o = l_.outputs[i];
      if (o.kind != Kind::reduce) continue;
      at += (o.reducer.accumulators * element_bytes(o.reducer.dtype) + 63) /
            64 * 64;
    }
    return at;
  }

  // Row tiles longer than kTile are reduced in the pieces that another launch
  // over the same space would use.
  void reduce(const OutputState& o, std::size_t i, const char* value) {
    const Reducer& r = o.reducer;
    const std::int64_t bytes = element_bytes(r.dtype);
    char* acc = accumulators_of(i);
    std::int64_t at = 0;
    for (int a = 0; a < l_.piece_axis; ++a) at += place(r, a, coord_[a]);
    const std::int64_t most = l_.piece * l_.suffix;
    for (std::int64_t done = 0; done < n_; done += most) {
      const std::int64_t n = std::min(most, n_ - done);
      const std::int64_t piece = coord_[l_.piece_axis] + done / l_.suffix;
      reduce_tile(o.plan->reduction, r, value + done * bytes, n,
                  acc + (at + place(r, l_.piece_axis, piece)) * bytes);
    }
  }

  static std::int64_t place(const Reducer& r, int axis, std::int64_t coord) {
    return r.group[axis] == 0
               ? coord * r.acc_stride[axis]
               : coord / r.group[axis] * r.acc_group_stride[axis];
  }

  void reduce_tile(Reduction op, const Reducer& r, const char* value,
                   std::int64_t n, char* acc) {
    const std::int64_t bytes = element_bytes(r.dtype);
    switch (r.pattern) {
      case Pattern::whole:
        return r.fold(value, count_of(n), acc);
      case Pattern::wide:
      case Pattern::stacked:
        return r.combine(value, acc, count_of(n));
      case Pattern::rows:
        if (l_.suffix <= kShortRow)
          return fold_short_rows(op, r.dtype, value, n / l_.suffix, l_.suffix,
                                 acc);
        for (std::int64_t j = 0; j < n / l_.suffix; ++j)
          r.fold(value + j * l_.suffix * bytes, count_of(l_.suffix),
                 acc + j * bytes);
        return;
      case Pattern::mixed:
        reduce_mixed(r, value, n, acc);
    }
  }

  void reduce_mixed(const Reducer& r, const char* value, std::int64_t n,
                    char* acc) {
    PerAxis extent, stride;
    int rank = 0;
    for (int a = l_.piece_axis; a < l_.rank; ++a) {
      extent[rank] = a == l_.piece_axis ? n / l_.suffix : extent_[a];
      stride[rank++] = r.acc_stride[a];
    }
    const std::int64_t bytes = element_bytes(r.dtype);
    Walk w;
    w.begin(rank, extent, stride, 0);
    w.runs(n, [&](std::int64_t done, std::int64_t offset, std::int64_t step,
                  std::int64_t count) {
      if (step == 0)
        r.fold(value + done * bytes, count_of(count), acc + offset * bytes);
      else
        r.combine(value + done * bytes, acc + offset * bytes, count_of(count));
    });
  }

  void advance_coordinates() {
    int a = l_.piece_axis;
    coord_[a] += n_ / l_.suffix;
    while (coord_[a] == extent_[a] && a > 0) {
      coord_[a] = 0;
      ++coord_[--a];
    }
  }

  void flush() {
    bool streams = false;
    for (std::size_t i = 0; i < l_.outputs.size(); ++i) {
      const OutputState& o = l_.outputs[i];
      streams |= o.stream;
      if (o.kind == Kind::reduce)
        flush_box(l_, o, accumulators_of(i), origin_, extent_);
    }
    if (streams) k_.fence();
  }

  const Launch& l_;
  const Plan& p_;
  const KernelTable& k_;
  Scratch& s_;
  PerAxis origin_, extent_, coord_;  // of the box; of the tile in the box
  std::int64_t numel_ = 1;
  std::int64_t n_ = 0, rows_ = 0;  // of the tile
  char *base_ = nullptr, *converted_ = nullptr, *firsts_ = nullptr,
       *accumulators_ = nullptr;
  Walk *leaf_walks_ = nullptr, *output_walks_ = nullptr;
};

}  // namespace

void run_box(const Launch& launch, std::int64_t box) {
  BoxRunner(launch, box).run();
}

}  // namespace jacquard::cpu_fallback
