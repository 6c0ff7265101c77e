#include "tests/cuda/compile/programs.h"

#include <utility>

#include "cuda/codegen/run_program.h"
#include "cuda/runtime/memory.h"

namespace jacquard::cuda_backend {
namespace {

using backend::Binding;
using backend::OutputBinding;
using backend::ProgramLaunch;
using backend::Scalar;
using pointwise::Builder;
using pointwise::Leaf;
using pointwise::Op;
using pointwise::Program;
using pointwise::ProgramPtr;
using pointwise::Reduction;
using pointwise::Ref;

constexpr DType kFloating[] = {DType::float16, DType::bfloat16, DType::float32,
                               DType::float64};
constexpr DType kNumeric[] = {DType::float16, DType::bfloat16, DType::float32,
                              DType::float64, DType::int64};
constexpr std::int64_t kRows = 12, kColumns = 64;
constexpr std::size_t kMostLeaves = 4, kMostOutputs = 8;
constexpr std::size_t kBytes = 1 << 19;  // of an operand

template <class F>
ProgramPtr program(F build) {
  Builder b;
  build(b);
  return Program::intern(b.take());
}

struct Layout {
  const char* name;
  Strides x, y;
  bool wide = false;  // positions that need 64 bits
};
const Layout kLayouts[] = {
    {"contiguous", {64, 1}, {64, 1}},
    {"broadcast", {64, 1}, {0, 1}},
    {"strided", {128, 2}, {72, 1}},
    {"transposed", {1, 12}, {64, 1}},
    {"64-bit indices", {64, 1}, {64, 1}, true},
};

class List {
 public:
  std::vector<ListedProgram> make() {
    for (const DType t : kNumeric)
      for (const Layout& layout : kLayouts) add_grid(t, layout);
    for (const DType t : kFloating) {
      add_functions(t);
      add_rows(t);
    }
    add_casts();
    for (const DType t :
         {DType::float16, DType::float32, DType::float64, DType::int64})
      add_columns(t);
    add_several_outputs();
    return std::move(list_);
  }

 private:
  ListedProgram& add(std::string name, ProgramPtr p, Shape space,
                     std::vector<Strides> leaves,
                     std::vector<Strides> outputs) {
    list_.push_back({std::move(name), std::move(p), space, std::move(leaves),
                     std::move(outputs)});
    return list_.back();
  }

  // x · y, and where 64-bit indices are asked for a position that needs them.
  static Ref product(Builder& b, DType t, const Layout& layout) {
    const Ref x = b.leaf({Op::load, t}), y = b.leaf({Op::load, t});
    const Ref xy = b.apply(Op::mul, x, y);
    if (!layout.wide) return xy;
    const Ref position = b.leaf({Op::index, DType::int64});
    return b.apply(Op::add, xy,
                   t == DType::int64 ? position : b.cast(position, t));
  }

  void add_grid(DType t, const Layout& layout) {
    const std::string what =
        ", " + std::string(name_of(t)) + ", " + layout.name;
    const Shape space = {kRows, kColumns};
    std::vector<Strides> leaves = {layout.x, layout.y};
    if (layout.wide) leaves.push_back({std::int64_t{1} << 33, 1});
    const auto map =
        program([&](Builder& b) { b.output({product(b, t, layout)}); });
    add("map" + what, map, space, leaves, {{kColumns, 1}});
    add("list" + what, map, space, leaves, {{kColumns, 1}}).in_list = true;
    add("map-reduce" + what, program([&](Builder& b) {
          b.output({product(b, t, layout), Reduction::sum});
        }),
        space, leaves, {{1, 0}});
    add("row" + what, program([&](Builder& b) {
          const Ref x = product(b, t, layout);
          b.output({is_floating(t)
                        ? b.apply(Op::row_softmax, x)
                        : b.apply(Op::sub, x, b.apply(Op::row_max, x))});
        }),
        space, leaves, {{kColumns, 1}});
  }

  void add_functions(DType t) {
    const std::string what = ", " + std::string(name_of(t));
    const auto chain = [&](const char* name,
                           std::initializer_list<Op> ops) -> ListedProgram& {
      return add(name + what, program([&](Builder& b) {
                   Ref x = b.leaf({Op::load, t});
                   for (const Op op : ops) x = b.apply(op, x);
                   b.output({x});
                 }),
                 {kRows, kColumns}, {{kColumns, 1}}, {{kColumns, 1}});
    };
    chain("exponentials", {Op::exp, Op::log1p, Op::sigmoid, Op::tanh});
    chain("angles", {Op::sin, Op::cos, Op::tan}).angles = true;
    chain("error functions", {Op::erf, Op::erfinv});
    chain("gamma functions", {Op::digamma}).angles = t == DType::float64;
    for (const Op op : {Op::uniform, Op::normal})
      add((op == Op::uniform ? "uniform" : "normal") + what,
          program([&](Builder& b) {
            b.slot(DType::int64);
            b.slot(DType::int64);
            b.output({b.leaf({op, t, 0, 1})});
          }),
          {kRows, kColumns}, {{kColumns, 1}}, {{kColumns, 1}});
  }

  void add_rows(DType t) {
    const std::string what = ", " + std::string(name_of(t));
    const auto softmax = program([&](Builder& b) {
      b.output({b.apply(Op::row_log_softmax, b.leaf({Op::load, t}))});
    });
    // Several turns of a warp; the whole block; read again in each pass.
    for (const std::int64_t columns : {700, 20000})
      add("rows of " + std::to_string(columns) + what, softmax, {3, columns},
          {{columns, 1}}, {{columns, 1}});
    Leaf labels{Op::load, DType::int64};
    labels.per_row = true;
    if (t == DType::float16 || t == DType::float32)
      add("cross-entropy" + what, program([&](Builder& b) {
            const Ref x = b.leaf({Op::load, t}), y = b.leaf(labels);
            b.output({b.apply(Op::sub, b.apply(Op::row_logsumexp, x),
                              b.apply(Op::row_pick, x, y)),
                      Reduction::mean, true});
          }),
          {30, 10}, {{10, 1}, {1, 0}}, {{0, 0}});
    else
      add_normalization(t);
  }

  // Of a sum; with long rows it takes the most registers of all.
  void add_normalization(DType t) {
    const std::int64_t columns = t == DType::float64 ? 64 : 1024;
    const Strides rows = {columns, 1}, row = {0, 1};
    add("normalization reversed, " + std::string(name_of(t)),
        program([&](Builder& b) {
          const Ref x =
              b.apply(Op::add, b.leaf({Op::load, t}), b.leaf({Op::load, t}));
          const Ref g = b.leaf({Op::load, t}), w = b.leaf({Op::load, t});
          const Ref e = b.constant(1e-5, t);
          b.output(
              {b.apply(Op::row_normalize_vjp, x, b.apply(Op::mul, g, w), e)});
          b.output({b.apply(Op::mul, g, b.apply(Op::row_normalize, x, e)),
                    Reduction::sum});
          b.output({g, Reduction::sum});
        }),
        {90, columns}, {rows, rows, rows, row}, {rows, row, row});
  }

  void add_casts() {
    for (int from = 0; from < kDTypeCount; ++from) {
      const auto t = static_cast<DType>(from);
      add("casts of " + std::string(name_of(t)), program([&](Builder& b) {
            const Ref x = b.leaf({Op::load, t});
            for (int to = 0; to < kDTypeCount; ++to)
              if (to != from) b.output({b.cast(x, static_cast<DType>(to))});
          }),
          {kRows, kColumns}, {{kColumns, 1}},
          std::vector<Strides>(kDTypeCount - 1, Strides{kColumns, 1}));
    }
  }

  void add_columns(DType t) {
    add("columns reduced, " + std::string(name_of(t)), program([&](Builder& b) {
          b.output({b.leaf({Op::load, t}), Reduction::max});
        }),
        {500, kColumns}, {{kColumns, 1}}, {{0, 1}});
  }

  void add_several_outputs() {
    const Shape space = {kRows, kColumns};
    const Strides dense = {kColumns, 1};
    add("stored and reduced", program([](Builder& b) {
          const Ref x = b.apply(Op::relu, b.leaf({}));
          b.output({x});
          b.output({x, Reduction::sum});
          b.output({b.apply(Op::mul, x, x), Reduction::mean});
        }),
        space, {dense}, {dense, {0, 1}, {0, 1}});
    add("chosen", program([](Builder& b) {
          const Ref x = b.leaf({}), y = b.leaf({}),
                    m = b.leaf({Op::load, DType::bool_});
          b.output({b.apply(Op::where, m, x, y)});
          b.output({b.apply(Op::logical_and, m, b.apply(Op::lt, x, y))});
        }),
        space, {dense, dense, dense}, {dense, dense});
    add("places of extremes", program([](Builder& b) {
          const Ref x = b.leaf({});
          b.output({b.apply(Op::row_argmax, x), Reduction::store, true});
          b.output({b.apply(Op::row_argmin, x), Reduction::store, true});
        }),
        space, {dense}, {{1, 0}, {1, 0}});
  }

  std::vector<ListedProgram> list_;
};

}  // namespace

std::vector<ListedProgram> listed_programs() { return List().make(); }

void run_listed(const ListedProgram& listed, Stream stream) {
  constexpr std::size_t operands = kMostLeaves + kMostOutputs;
  const Program& p = *listed.program;
  const Scratch memory(operands * kBytes, stream);
  const std::vector<char> zeros(operands * kBytes);
  upload(memory.data(), zeros.data(), zeros.size(), stream);
  const auto at = [&](std::size_t i) { return memory.as<char>() + i * kBytes; };
  std::vector<Binding> leaves;
  for (std::size_t i = 0; i < listed.leaves.size(); ++i) {
    const Leaf& leaf = p.leaves()[i];
    leaves.push_back(
        {leaf.op == Op::load ? at(i) : nullptr, leaf.dtype, listed.leaves[i]});
  }
  std::vector<OutputBinding> outputs;
  for (std::size_t j = 0; j < listed.outputs.size(); ++j)
    outputs.push_back({at(kMostLeaves + j),
                       p.instrs()[p.outputs()[j].value].dtype,
                       listed.outputs[j]});
  const std::vector<Scalar> slots(p.code().slots.size(), Scalar{});
  const ProgramLaunch launch{&p, listed.space, leaves, slots, outputs};
  if (!listed.in_list) return run_program(launch, stream);
  // Two entries, the second over fewer rows and on memory of its own.
  ProgramLaunch second = launch;
  second.space = {listed.space[0] / 2, listed.space[1]};
  OutputBinding elsewhere = outputs[0];
  elsewhere.data = at(kMostLeaves + 1);
  second.outputs = {&elsewhere, 1};
  const ProgramLaunch both[] = {launch, second};
  run_program_list(both, stream);
}

}  // namespace jacquard::cuda_backend
