#include "cuda/codegen/source.h"

#include <algorithm>

#include "cuda/codegen/embedded.h"
#include "cuda/codegen/names.h"
#include "cuda/codegen/operands_source.h"
#include "cuda/codegen/split.h"
#include "cuda/codegen/text.h"

namespace jacquard::cuda_backend {
namespace {

// What a program needs of the shared scalar functions.
struct Uses {
  bool elementary = false, gamma = false, random = false;

  explicit Uses(const Work& work) {
    const auto instrs = work.program->instrs();
    for (std::size_t i = 0; i < instrs.size(); ++i) {
      const Op op = instrs[i].op;
      if (!work.is_needed(static_cast<Ref>(i))) continue;
      random |= op == Op::uniform || op == Op::normal;
      gamma |= op == Op::digamma || op == Op::polygamma;
      elementary |= (op >= Op::exp && op <= Op::digamma) || op == Op::pow ||
                    op == Op::atan2 || op == Op::polygamma || is_row(op) ||
                    op == Op::normal;
    }
  }
};

// scalar_functions.h is in sections that begin with such lines.
constexpr std::string_view kSection = "\n// --- ";

void add_functions(std::string& to, const Uses& uses) {
  const std::string_view all = embedded("scalar_functions.h");
  for (std::size_t at = all.find(kSection); at != std::string_view::npos;) {
    const std::size_t next = all.find(kSection, at + 1);
    const std::string_view section = all.substr(at, next - at);
    const std::string_view title = section.substr(kSection.size());
    const bool needed = title.starts_with("elementary")
                            ? uses.elementary || uses.gamma
                        : title.starts_with("gamma") ? uses.gamma
                                                     : true;
    if (needed) add(to, section, '\n');
    at = next;
  }
}

void add_comment(std::string& to, const Work& work) {
  const std::string program = work.program->to_string();
  to += "// ";
  for (const char c : program) {
    to += c;
    if (c == '\n') to += "// ";
  }
  to += '\n';
}

void add_constants(std::string& to, const Work& w) {
  add(to, "using Index = ", w.small ? "int" : "long long", ";\n",
      "constexpr int kWidth = ", w.width, ", kBlock = ", w.block,
      ", kFoldBlock = ", kFoldThreads, ";\n");
  if (w.skeleton == Skeleton::row)
    add(to, "constexpr bool kBlockRow = ", w.block_row ? "true" : "false",
        ", kCached = ", w.cached ? "true" : "false",
        ", kGrouped = ", w.grouped ? "true" : "false",
        ";\nconstexpr int kSteps = ", w.steps, ";\n");
}

// A struct for each reduced output, with its way out.
void add_result(std::string& to, const Work& w, int j) {
  const auto& output = w.program->outputs()[static_cast<std::size_t>(j)];
  const OutputBinding& o = w.outputs[static_cast<std::size_t>(j)];
  const Mode m = w.modes[static_cast<std::size_t>(j)];
  const DType type = compute_type(w.value_dtype(j));
  add(to, "struct Result", j,
      " {\n  using Op = ", fold_struct(output.reduction),
      ";\n  using Value = ", value_type(type),
      ";\n  using Element = ", dtype_struct(type),
      ";\n  using Bits = Element::Bits",
      ";\n  static JACQUARD_FN Bits* partials(const Args& a) { return a.p", j,
      "; }\n  static JACQUARD_FN void write(const Args& a, Index i, Value x) ",
      "{\n");
  std::string offset = "0";
  if (m == Mode::folded) {
    const int operand = w.output_operand[static_cast<std::size_t>(j)];
    offset = point_offset(w, operand, text('o', j), "i");
    if (w.points.access(operand).kind == Access::Kind::strided)
      add(to, "    const Point at = locate_point(a, i);\n");
  } else if (m == Mode::column) {
    offset = text("i * a.o", j, "s0");
  }
  if (output.reduction == Reduction::mean && is_floating(type))
    add(to, "    x = x / a.c", j, ";\n");
  add(to, "    write_one", o.accumulate ? "_added<" : "<",
      dtype_struct(o.dtype), ">(a.o", j, " + ", offset, ", ",
      Expressions::converted("x", type, o.dtype), ");\n  }\n};\n");
}

// Accumulators of outputs that each thread folds, and visitors.
void add_results(std::string& to, const Work& w) {
  std::string fields, sums, values;
  for (std::size_t j = 0; j < w.outputs.size(); ++j) {
    const Mode m = w.modes[j];
    if (m != Mode::folded && m != Mode::column && m != Mode::total) continue;
    add_result(to, w, static_cast<int>(j));
    if (m == Mode::total) continue;
    const char* type = value_type(w.value_dtype(static_cast<int>(j)));
    add(fields, "  ", type, " o", j, "[kWidth];\n");
    add(sums, "  f(Result", j, "(), s.o", j, ");\n");
    add(values, "  f(Result", j, "(), s.o", j, ", v.o", j, ");\n");
  }
  add(to, "struct Sums {\n", fields,
      "};\ntemplate <class F>\nJACQUARD_FN void each_sum(Sums& s, F f) {\n",
      sums, "}\ntemplate <class F>\nJACQUARD_FN void each_value(Sums& s, ",
      "const Values& v, F f) {\n", values, "}\n");
}

// Computes the outputs of a thread's elements.
void add_evaluate(std::string& to, const Work& w, const Expressions& code) {
  std::vector<bool> marks;
  std::string stores;
  for (std::size_t j = 0; j < w.outputs.size(); ++j) {
    const Mode m = w.modes[j];
    if (m != Mode::element && m != Mode::folded) continue;
    const Ref value = w.program->outputs()[j].value;
    code.mark(value, marks);
    const std::string x = code.name(value);
    const std::string stored =
        m == Mode::element
            ? Expressions::converted(x, code.dtype(value), w.outputs[j].dtype)
            : x;
    add(stores, "    v.o", j, "[k] = ", stored, ";\n");
  }
  add(to, "JACQUARD_FN void evaluate(const Args& a, const Fixed& f, Values& v)",
      " {\n  fill_random(a, f, v);\n#pragma unroll\n",
      "  for (int k = 0; k < kWidth; ++k) {\n");
  code.add_statements(to, marks);
  add(to, stores, "  }\n}\n");
}

int words_of(DType dtype) { return size_of(compute_type(dtype)) == 8 ? 2 : 1; }

// Blocks that a multiprocessor's registers are to hold at least. ptxas would
// aim at a number of its own, and spill to get there.
int least_blocks(const Work& w) {
  if (w.block > kFoldThreads || !w.small) return 1;
  const bool is_row = w.skeleton == Skeleton::row;
  const int places = w.width * (is_row ? w.steps : 1);
  int registers = 40 + w.width * w.facts->live;
  for (std::size_t i = 0; i < w.leaves.size(); ++i)
    if (is_row && w.cached && w.reads(static_cast<int>(i)))
      registers += places * words_of(w.leaves[i].dtype);
  for (std::size_t j = 0; j < w.outputs.size(); ++j)
    if (w.modes[j] == Mode::folded || w.modes[j] == Mode::column)
      registers += places * words_of(w.value_dtype(static_cast<int>(j)));
  constexpr int kRegisters = 1 << 16;  // of a multiprocessor
  return std::clamp(kRegisters / (w.block * registers), 1, 3);
}

void add_kernel(std::string& to, const std::string& name, const Work& w,
                const char* type, const char* function) {
  add(to, "extern \"C\" __global__ void __launch_bounds__(", w.block, ", ",
      least_blocks(w), ") ", name, "(const __grid_constant__ jacquard::", type,
      " arguments) {\n  jacquard::", function, "(arguments);\n}\n");
}

}  // namespace

int entries_here(std::size_t argument_bytes) {
  return static_cast<int>(
      std::max<std::size_t>(1, (4096 - 16) / (argument_bytes + 8)));
}

std::string source_of(const Work& w, const std::string& name,
                      const std::string& members) {
  const Expressions code(w);
  const Uses uses(w);
  std::string s;
  add_comment(s, w);
  add(s, "namespace jacquard {\n", embedded("scalar_basics.h"));
  add_functions(s, uses);
  s += embedded("memory.cuh");
  if (uses.random) add(s, embedded("scalar_random.h"), embedded("random.cuh"));
  add_constants(s, w);
  add(s, "struct Args {\n", members, "};\n", operands_source(w));
  if (w.skeleton > Skeleton::list) {
    s += embedded("folds.cuh");
    add_results(s, w);
  }
  if (w.skeleton != Skeleton::row) add_evaluate(s, w, code);
  const char *type = "Args", *function = "run_map";
  switch (w.skeleton) {
    case Skeleton::list: {
      const auto fields = std::count(members.begin(), members.end(), ';');
      add(s, "constexpr int kEntriesHere = ",
          entries_here(static_cast<std::size_t>(fields) * 8),
          ", kListTiles = ", kListTiles, ";\n", embedded("map.cuh"),
          embedded("list.cuh"));
      type = "Entries";
      function = "run_list";
      break;
    }
    case Skeleton::map:
      s += embedded("map.cuh");
      break;
    case Skeleton::reduce_rows:
      s += embedded("reduce_rows.cuh");
      function = "run_reduce_rows";
      break;
    case Skeleton::reduce_columns:
      add(s, embedded("columns.cuh"), embedded("reduce_columns.cuh"));
      function = "run_reduce_columns";
      break;
    case Skeleton::row:
      s += row_source(w, code);
      function = "run_rows";
      break;
  }
  s += "}  // namespace jacquard\n";
  add_kernel(s, name, w, type, function);
  return s;
}

}  // namespace jacquard::cuda_backend
