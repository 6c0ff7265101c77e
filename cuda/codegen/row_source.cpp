// The part of skeleton row that is made for the program.
//
// A row program is a sequence of *passes* over the row's elements. A pass
// collects what row operations ask for – sums, extremes, picks – of values
// whose row values are known by then; when it is settled, more row values are.
// An instruction is *ready* at the first pass before which its row values are
// known. After the last pass the outputs are computed.
#include <algorithm>

#include "cuda/codegen/embedded.h"
#include "cuda/codegen/names.h"
#include "cuda/codegen/operands_source.h"
#include "cuda/codegen/source.h"
#include "cuda/codegen/text.h"

namespace jacquard::cuda_backend {
namespace {

using pointwise::Instr;
using pointwise::kNoRef;
using pointwise::Leaf;

class RowSource {
 public:
  RowSource(const Work& work, const Expressions& code)
      : w_(work), c_(code), count_(work.program->instrs().size()) {}

  std::string source() {
    schedule();
    plan_outputs();
    row_values();
    std::string s;
    s += embedded("row.cuh");
    if (has(Mode::column)) s += embedded("columns.cuh");
    if (has(Mode::total)) s += embedded("totals.cuh");
    add(s, "struct Row {\n", fields_, "};\n");
    add_begin(s);
    for (std::size_t p = 0; p < passes_.size(); ++p) add_pass(s, p);
    add_evaluate(s);
    add_write_row(s);
    add_process(s);
    add_finish(s);
    s += embedded("run_rows.cuh");
    return s;
  }

 private:
  struct Pass {
    std::string fields, clears, collects, settles;
    std::vector<bool> marks;
  };

  const Instr& instr(Ref r) const { return c_.instr(r); }
  bool has(Mode m) const {
    return std::find(w_.modes.begin(), w_.modes.end(), m) != w_.modes.end();
  }
  Pass& pass(int p) {
    if (passes_.size() <= static_cast<std::size_t>(p))
      passes_.resize(static_cast<std::size_t>(p) + 1);
    return passes_[static_cast<std::size_t>(p)];
  }
  std::string type_of(Ref r) const { return value_type(instr(r).dtype); }
  // The row's length as a value of the type.
  std::string length(const std::string& type) const {
    return text("static_cast<", type, ">(a.columns)");
  }

  void schedule() {
    ready_.assign(count_, 0);
    for (std::size_t i = 0; i < count_; ++i) {
      const Ref r = static_cast<Ref>(i);
      const Instr& in = instr(r);
      if (is_leaf(in.op) || !w_.is_needed(r)) continue;
      for (const Ref a : in.args)
        if (a != kNoRef) ready_[i] = std::max(ready_[i], ready_[a]);
      if (c_.origin(r) == r && is_row(in.op) && in.op != Op::row_index &&
          in.op != Op::row_length)
        ready_[i] = row_operation(r, ready_[i]);
    }
  }

  // A row value beside the instruction's own: row.<letter><r>.
  std::string temporary(char letter, Ref r, const std::string& type) {
    const std::string name = text(letter, r);
    add(fields_, "  ", type, ' ', name, ";\n");
    return "row." + name;
  }
  // Folds `x`, a value of the element, in pass p; the total is named for
  // settles.
  std::string fold(int p, const char* op, char letter, Ref r,
                   const std::string& type, const std::string& x) {
    Pass& q = pass(p);
    const std::string name = text(letter, r);
    add(q.fields, "  ", type, ' ', name, "[kWidth];\n");
    add(q.clears, "  clear<", op, ">(s.", name, ");\n");
    add(q.collects, "    s.", name, "[k] = ", op, "::combine(s.", name, "[k], ",
        x, ");\n");
    return text("fold_row_items<", op, ">(s.", name, ", p)");
  }
  std::string element(int p, Ref r) {
    c_.mark(r, pass(p).marks);
    return c_.name(r);
  }
  void settle(int p, const std::string& to, const std::string& x) {
    add(pass(p).settles, "  ", to, " = ", x, ";\n");
  }

  // Adds the passes of a row operation whose operands are ready at pass p, and
  // returns at which its result is.
  int row_operation(Ref r, int p) {
    const Instr& in = instr(r);
    const std::string type = type_of(in.args[0]);
    const std::string x = element(p, in.args[0]);
    const std::string result = text("row.v", r);
    const auto rounded = [&](const std::string& value) {
      return Expressions::rounded(value, in.dtype);
    };
    switch (in.op) {
      case Op::row_sum:
        settle(p, result, rounded(fold(p, "Sum", 's', r, type, x)));
        return p + 1;
      case Op::row_mean:
        settle(p, result,
               rounded(
                   text(fold(p, "Sum", 's', r, type, x), " / ", length(type))));
        return p + 1;
      case Op::row_max:
        settle(p, result, fold(p, "Maximum", 's', r, type, x));
        return p + 1;
      case Op::row_argmax:
      case Op::row_argmin:
        best(r, p, type, x);
        return p + 1;
      case Op::row_pick:
        return pick(r, p) + 1;
      case Op::row_logsumexp:
      case Op::row_softmax:
      case Op::row_log_softmax:
        exponentials(r, p, type, x);
        return p + 2;
      default:
        moments(r, p, type, x);
        return p + 2;
    }
  }

  void best(Ref r, int p, const std::string& type, const std::string& x) {
    const char* smallest = instr(r).op == Op::row_argmin ? "<true>" : "<false>";
    Pass& q = pass(p);
    add(q.fields, "  Best<", type, "> b", r, ";\n");
    add(q.clears, "  s.b", r, " = {", type == "bool" ? "false" : "0",
        ", -1};\n");
    add(q.collects, "    improve", smallest, "(s.b", r, ", ", x, ", place);\n");
    settle(p, text("row.v", r), text("fold_best", smallest, "(s.b", r, ", p)"));
  }

  // The value at the row's first place, collected in pass p: of an operand that
  // has one value a row without being known to, since rows have one element.
  std::string first_of(Ref value, Ref r, int p) {
    const DType dtype = instr(value).dtype;
    const std::string x = element(p, value);
    const std::string to = temporary('f', r, type_of(value));
    Pass& q = pass(p);
    add(q.fields, "  unsigned long long f", r, ";\n");
    add(q.clears, "  s.f", r, " = 0;\n");
    add(q.collects, "    if (place == 0) s.f", r, " = pick_bits(", x, ");\n");
    settle(p, to,
           text(slot_function(dtype), "(fold_row<Either>(s.f", r, ", p))"));
    return to;
  }

  // Returns the pass that finds it.
  int pick(Ref r, int p) {
    const DType dtype = instr(r).dtype;
    const Ref where = instr(r).args[1];
    std::string index = c_.name(where);
    if (!w_.program->row_constant(where)) index = first_of(where, r, p++);
    const std::string x = element(p, instr(r).args[0]);
    Pass& q = pass(p);
    add(q.fields, "  unsigned long long b", r, ";\n");
    add(q.clears, "  s.b", r, " = 0;\n");
    add(q.collects, "    if (place == ", index, ") s.b", r, " = pick_bits(", x,
        ");\n");
    settle(p, text("row.v", r),
           text(slot_function(dtype), "(fold_row<Either>(s.b", r, ", p))"));
    pointwise::Literal none;
    if (is_floating(dtype))
      none.f = __builtin_nan("");
    else
      none.i = 0;
    add(q.settles, "  if (", index, " < 0 || ", index, " >= a.columns) {\n",
        "    row.v", r, " = ", literal(none, compute_type(dtype)),
        ";\n    report_index(a, p, ", index, ");\n  }\n");
    return p;
  }

  // log Σ exp(x − m) + m and its relatives: first the maximum, then the sum.
  void exponentials(Ref r, int p, const std::string& type,
                    const std::string& x) {
    const Instr& in = instr(r);
    const std::string m = temporary('m', r, type);
    settle(p, m, fold(p, "Maximum", 'm', r, type, x));
    if (in.op == Op::row_logsumexp)
      // The maximum where it is finite.
      add(pass(p).settles, "  if (", m, " == ", m, " && ", m, " - ", m,
          " != ", type, "(0)) ", m, " = ", type, "(0);\n");
    element(p + 1, in.args[0]);
    const std::string sum =
        fold(p + 1, "Sum", 's', r, type, text("op_exp(", x, " - ", m, ')'));
    if (in.op == Op::row_logsumexp)
      settle(p + 1, text("row.v", r),
             Expressions::rounded(text("op_log(", sum, ") + ", m), in.dtype));
    else if (in.op == Op::row_softmax)
      settle(p + 1, temporary('i', r, type), text(type, "(1) / ", sum));
    else
      settle(p + 1, temporary('g', r, type), text("op_log(", sum, ')'));
  }

  // row_normalize and its cotangent: the mean, then the centred squares. The
  // cotangent is i · (g − h − (x − m) · k), h the mean of g and k = i² times
  // the mean of g · (x − m).
  void moments(Ref r, int p, const std::string& type, const std::string& x) {
    const Instr& in = instr(r);
    const bool vjp = in.op == Op::row_normalize_vjp;
    const std::string m = temporary('m', r, type), i = temporary('i', r, type);
    settle(p, m, text(fold(p, "Sum", 's', r, type, x), " / ", length(type)));
    element(p + 1, in.args[0]);
    const std::string centred = text('(', x, " - ", m, ')');
    const std::string squares =
        fold(p + 1, "Sum", 's', r, type, text(centred, " * ", centred));
    settle(p + 1, i,
           text("inverse_deviation<", type, ">(", squares, ", ", length(type),
                ", ", c_.name(in.args[vjp ? 2 : 1]), ')'));
    if (!vjp) return;
    const std::string g = element(p, in.args[1]);
    element(p + 1, in.args[1]);
    settle(p, temporary('h', r, type),
           text(fold(p, "Sum", 'h', r, type, g), " / ", length(type)));
    settle(p + 1, temporary('k', r, type),
           text(i, " * (", i, " * ",
                fold(p + 1, "Sum", 'k', r, type, text(g, " * ", centred)),
                " / ", length(type), ')'));
  }

  // Which element values the outputs need, and the pass after which all is
  // known.
  void plan_outputs() {
    int last = static_cast<int>(passes_.size());
    for (std::size_t j = 0; j < w_.outputs.size(); ++j) {
      const Ref value = w_.program->outputs()[j].value;
      last = std::max(last, ready_[value]);
      if (w_.modes[j] == Mode::element || w_.modes[j] == Mode::column) {
        walks_ = true;
        c_.mark(value, marks_);
      } else if (!c_.on_rows(c_.origin(value)) && varies(value)) {
        // Meant to be one value a row: that of its first element.
        walks_ = true;
        c_.mark(value, marks_);
        add(fields_, "  ", type_of(value), " first", j, ";\n");
      }
    }
    if (last > 0) pass(last - 1);
  }
  bool varies(Ref r) const {
    r = c_.origin(r);
    return c_.has_statement(r) || instr(r).op == Op::row_index;
  }

  // Row values that are no results of row operations, when they are ready.
  void row_values() {
    for (std::size_t i = 0; i < count_; ++i) {
      const Ref r = static_cast<Ref>(i);
      if (c_.origin(r) != r || !c_.on_rows(r) || !c_.has_statement(r) ||
          !w_.is_needed(r))
        continue;
      add(fields_, "  ", type_of(r), " v", r, ";\n");
      if (is_row(instr(r).op)) continue;
      std::string& to = ready_[i] == 0 ? begins_ : pass(ready_[i] - 1).settles;
      if (is_leaf(instr(r).op))
        row_leaf(to, r);
      else
        add(to, "  row.v", r, " = ", c_.expression(r), ";\n");
    }
  }

  void row_leaf(std::string& to, Ref r) {
    const int i = instr(r).imm;
    const Leaf& leaf = w_.program->leaves()[static_cast<std::size_t>(i)];
    const std::string at =
        point_offset(w_, w_.leaf_operand[static_cast<std::size_t>(i)],
                     text('l', i), "p.row");
    if (leaf.op == Op::load) {
      add(to, "  if (p.active && p.lane == 0) row.v", r, " = ",
          dtype_struct(leaf.dtype), "::decode(a.l", i, '[', at, "]);\n  row.v",
          r, " = from_first(row.v", r, ", p);\n");
    } else if (leaf.op == Op::index) {
      add(to, "  row.v", r, " = ", at, ";\n");
    } else {
      add(to, "  {\n    const long long position[1] = {", at, "};\n    ",
          type_of(r), " x[1];\n    ", random_call(w_, i, "position", "x"),
          "    row.v", r, " = x[0];\n  }\n");
    }
  }

  void add_begin(std::string& s) const {
    add(s, "JACQUARD_FN void begin_row(const Args& a, const Fixed& f, ",
        "const Spot& p, Row& row) {\n");
    if (w_.points.needs_coordinates())
      add(s, "  const Point at = locate_point(a, p.active ? p.row : 0);\n");
    add(s, begins_, "}\n");
  }

  void add_pass(std::string& s, std::size_t p) const {
    const Pass& q = passes_[p];
    add(s, "struct Pass", p, " {\n", q.fields,
        "};\nJACQUARD_FN void clear_pass(Pass", p, "& s) {\n", q.clears,
        "}\nJACQUARD_FN void collect(const Args& a, const Fixed& f, ",
        "const Row& row, const Values& v, Index column, int count, Pass", p,
        "& s) {\n#pragma unroll\n  for (int k = 0; k < kWidth; ++k) {\n",
        "    if (k >= count) continue;\n",
        "    const long long place = column + k;\n");
    c_.add_statements(s, q.marks);
    add(s, q.collects,
        "  }\n}\nJACQUARD_FN void settle(const Args& a, const Fixed& f, ",
        "const Spot& p, Row& row, const Pass", p, "& s) {\n", q.settles, "}\n");
  }

  void add_evaluate(std::string& s) const {
    add(s, "JACQUARD_FN void evaluate_row(const Args& a, const Fixed& f, ",
        "Row& row, Index column, Values& v) {\n#pragma unroll\n",
        "  for (int k = 0; k < kWidth; ++k) {\n",
        "    const long long place = column + k;\n");
    c_.add_statements(s, marks_);
    for (std::size_t j = 0; j < w_.outputs.size(); ++j) {
      const Ref value = w_.program->outputs()[j].value;
      const std::string x = c_.name(value);
      if (w_.modes[j] == Mode::element)
        add(s, "    v.o", j, "[k] = ",
            Expressions::converted(x, c_.dtype(value), w_.outputs[j].dtype),
            ";\n");
      else if (w_.modes[j] == Mode::column)
        add(s, "    v.o", j, "[k] = ", x, ";\n");
      else if (!c_.on_rows(c_.origin(value)) && varies(value))
        add(s, "    if (place == 0) row.first", j, " = ", x, ";\n");
    }
    add(s, "  }\n}\n");
  }

  // By the first thread of each row.
  void add_write_row(std::string& s) const {
    add(s, "JACQUARD_FN void write_row(const Args& a, const Fixed& f, ",
        "const Spot& p, const Row& row) {\n",
        "  if (p.lane != 0 || !p.active) return;\n");
    if (w_.points.needs_coordinates())
      add(s, "  const Point at = locate_point(a, p.row);\n");
    for (std::size_t j = 0; j < w_.outputs.size(); ++j) {
      const Mode m = w_.modes[j];
      if (m != Mode::once && m != Mode::total) continue;
      const Ref value = w_.program->outputs()[j].value;
      const std::string x = !c_.on_rows(c_.origin(value)) && varies(value)
                                ? text("row.first", j)
                                : c_.name(value);
      const OutputBinding& o = w_.outputs[j];
      if (m == Mode::total)
        add(s, "  write_one<", dtype_struct(compute_type(c_.dtype(value))),
            ">(a.p", j, " + p.row, ", x, ");\n");
      else
        add(s, "  write_one", o.accumulate ? "_added<" : "<",
            dtype_struct(o.dtype), ">(a.o", j, " + ",
            point_offset(w_, w_.output_operand[j], text('o', j), "p.row"), ", ",
            Expressions::converted(x, c_.dtype(value), o.dtype), ");\n");
    }
    add(s, "}\n");
  }

  void add_process(std::string& s) const {
    add(s, "JACQUARD_FN void process_row(const Args& a, const Fixed& f, ",
        "const Spot& p, Sums (&sums)[kSteps]) {\n  Row row{};\n",
        "  begin_row(a, f, p, row);\n  Values cache[kCacheSteps];\n",
        "  fill_cache(a, f, p, cache);\n");
    for (std::size_t p = 0; p < passes_.size(); ++p) {
      add(s, "  {\n    Pass", p, " s;\n    clear_pass(s);\n");
      if (!passes_[p].collects.empty())
        add(s, "    each_step(a, f, p, cache, [&](const Values& v, ",
            "Index column, int count, int) {\n",
            "      collect(a, f, row, v, column, count, s);\n    });\n");
      add(s, "    settle(a, f, p, row, s);\n  }\n");
    }
    if (walks_) {
      add(s, "  each_step(a, f, p, cache, [&](Values& v, Index column, ",
          "int count, int step) {\n",
          "    evaluate_row(a, f, row, column, v);\n",
          "    store_step(a, p, column, count, v);\n");
      if (has(Mode::column))
        add(s, "    each_value(sums[step], v, [&](auto s, auto& x, ",
            "const auto& y) {\n#pragma unroll\n",
            "      for (int j = 0; j < kWidth; ++j)\n",
            "        if (j < count) x[j] = decltype(s)::Op::combine(x[j], ",
            "y[j]);\n    });\n");
      add(s, "  });\n");
    }
    add(s, "  write_row(a, f, p, row);\n}\n");
  }

  void add_finish(std::string& s) const {
    add(s, "JACQUARD_FN void clear_sums(Sums (&sums)[kSteps]) {\n",
        "#pragma unroll\n  for (int i = 0; i < kSteps; ++i)\n",
        "    each_sum(sums[i], [](auto s, auto& x) ",
        "{ clear<typename decltype(s)::Op>(x); });\n}\n",
        "JACQUARD_FN void finish_chunk(const Args& a, Sums (&sums)[kSteps], ",
        "int lanes, Index chunk) {\n");
    if (has(Mode::column))
      add(s, "  finish_columns<kSteps>(a, sums, lanes, 0, chunk);\n");
    add(s, "}\nJACQUARD_FN void finish_all(const Args& a) {\n");
    if (has(Mode::total))
      add(s, "  if (!last_to_arrive(a.tickets + a.total_ticket, gridDim.x)) ",
          "return;\n");
    for (std::size_t j = 0; j < w_.outputs.size(); ++j)
      if (w_.modes[j] == Mode::total)
        add(s, "  finish_total<Result", j, ">(a, a.t", j, "l, a.t", j, "c, a.t",
            j, "n);\n");
    add(s, "}\n");
  }

  const Work& w_;
  const Expressions& c_;
  const std::size_t count_;
  std::vector<int> ready_;
  std::vector<Pass> passes_;
  std::vector<bool> marks_;  // of the outputs
  bool walks_ = false;       // outputs need the elements once more
  std::string fields_, begins_;
};

}  // namespace

std::string row_source(const Work& work, const Expressions& code) {
  return RowSource(work, code).source();
}

}  // namespace jacquard::cuda_backend
