#include "cuda/codegen/operands_source.h"

#include <utility>
#include <vector>

#include "cuda/codegen/names.h"
#include "cuda/codegen/text.h"

namespace jacquard::cuda_backend {
namespace {

using pointwise::Leaf;

bool generates(Op op) { return op == Op::uniform || op == Op::normal; }

class Operands {
 public:
  explicit Operands(const Work& work) : w_(work) {
    for (int i = 0; i < static_cast<int>(w_.leaves.size()); ++i)
      if (w_.reads(i) && !w_.on_rows(i)) leaves_.push_back(i);
    for (int j = 0; j < static_cast<int>(w_.outputs.size()); ++j)
      if (w_.modes[at(j)] == Mode::element) stored_.push_back(j);
  }

  std::string source() {
    fixed();
    values();
    locate(w_.elements, "Place", "locate", 'e', false);
    locate(w_.points, "Point", "locate_point", 'q', true);
    load_whole();
    load_pieces();
    fill_random();
    if (w_.skeleton == Skeleton::row) staged();
    store_whole();
    store_pieces();
    return std::move(s_);
  }

 private:
  static std::size_t at(int i) { return static_cast<std::size_t>(i); }
  const Leaf& leaf(int i) const { return w_.program->leaves()[at(i)]; }
  const Access& leaf_access(int i) const { return w_.leaf_access(i); }
  const Access& output_access(int j) const {
    return w_.elements.access(w_.output_operand[at(j)]);
  }
  // Neither read with the other elements.
  bool is_apart(int i) const { return is_fixed(i) || w_.is_staged(i); }
  bool is_fixed(int i) const {
    return leaf_access(i).kind == Access::Kind::fixed;
  }

  // Leaves that are the same everywhere, read once by each thread.
  void fixed() {
    add(s_, "struct Fixed {\n");
    for (const int i : leaves_)
      if (is_fixed(i)) add(s_, "  ", value_type(leaf(i).dtype), " l", i, ";\n");
    const std::size_t slots = w_.slots_in_memory ? w_.slots.size() : 0;
    for (std::size_t i = 0; i < slots; ++i)
      add(s_, "  unsigned long long s", i, ";\n");
    add(s_, "};\nJACQUARD_FN Fixed load_fixed(const Args& a) {\n  Fixed f{};\n",
        "  if (a.n <= 0) return f;\n");
    for (std::size_t i = 0; i < slots; ++i)
      add(s_, "  f.s", i, " = *a.s", i, ";\n");
    for (const int i : leaves_) {
      if (!is_fixed(i)) continue;
      if (leaf(i).op == Op::load) {
        add(s_, "  f.l", i, " = ", dtype_struct(leaf(i).dtype), "::decode(*a.l",
            i, ");\n");
      } else if (generates(leaf(i).op)) {
        add(s_, "  {\n    const long long at[1] = {0};\n    ",
            value_type(leaf(i).dtype), " x[1];\n    ",
            random_call(w_, i, "at", "x"), "    f.l", i, " = x[0];\n  }\n");
      }
    }
    add(s_, "  return f;\n}\n");
  }

  // The elements of one thread.
  void values() {
    add(s_, "struct Values {\n");
    for (const int i : leaves_) {
      if (is_fixed(i)) continue;
      add(s_, "  ", value_type(leaf(i).dtype), " l", i, "[kWidth];\n");
      if (generates(leaf(i).op)) add(s_, "  long long p", i, "[kWidth];\n");
    }
    for (std::size_t j = 0; j < w_.outputs.size(); ++j) {
      const Mode m = w_.modes[j];
      if (m == Mode::element)
        add(s_, "  ", value_type(w_.outputs[j].dtype), " o", j, "[kWidth];\n");
      if (m == Mode::folded || m == Mode::column)
        add(s_, "  ", value_type(w_.value_dtype(static_cast<int>(j))), " o", j,
            "[kWidth];\n");
    }
    add(s_, "};\n");
  }

  // Fields of operands that are found by coordinates: their offsets, and the
  // operand's number.
  std::vector<std::pair<std::string, int>> strided(bool points) const {
    std::vector<std::pair<std::string, int>> found;
    const Space& space = points ? w_.points : w_.elements;
    const auto check = [&](char kind, std::size_t i, int operand) {
      if (space.access(operand).kind == Access::Kind::strided)
        found.emplace_back(text(kind, i), operand);
    };
    for (int i = 0; i < static_cast<int>(w_.leaves.size()); ++i)
      if (w_.reads(i) && w_.on_rows(i) == points)
        check('l', at(i), w_.leaf_operand[at(i)]);
    for (std::size_t j = 0; j < w_.outputs.size(); ++j)
      if (w_.output_operand[j] >= 0 && (w_.modes[j] != Mode::element) == points)
        check('o', j, w_.output_operand[j]);
    return found;
  }

  void locate(const Space& space, const char* type, const char* function,
              char extents, bool points) {
    const auto fields = strided(points);
    add(s_, "struct ", type, " {\n");
    for (const auto& [field, operand] : fields)
      add(s_, "  Index ", field, ";\n");
    add(s_, "};\nJACQUARD_FN ", type, ' ', function,
        "(const Args& a, Index i) {\n  ", type, " at{};\n");
    if (!fields.empty()) add(s_, "  Index rest = i, c;\n");
    for (int d = space.rank() - 1; d >= 0 && !fields.empty(); --d) {
      if (d > 0)
        add(s_, "  {\n    const Index q = quotient(rest, a.", extents, 'd', d,
            ", a.", extents, 'm', d, ");\n    c = rest - q * a.", extents, 'd',
            d, ";\n    rest = q;\n  }\n");
      else
        add(s_, "  c = rest;\n");
      for (const auto& [field, operand] : fields)
        if (space.access(operand).varies >> d & 1)
          add(s_, "  at.", field, " += c * a.", field, 's', d, ";\n");
    }
    add(s_, "  return at;\n}\n");
  }

  bool needs_place() const { return w_.elements.needs_coordinates(); }

  // The offset of an operand at position `i`, and of its k-th neighbour.
  std::string offset(const Access& a, char kind, int i,
                     const char* position) const {
    if (a.kind == Access::Kind::dense) return position;
    if (a.kind == Access::Kind::fixed) return "0";
    return text("at.", kind, i);
  }
  std::string neighbour(const Access& a, char kind, int i) const {
    if (a.unit()) return " + k";
    if (a.inner == Access::Inner::none) return "";
    return text(" + k * a.", kind, i, 's', w_.elements.rank() - 1);
  }

  void load_whole() {
    add(s_, "JACQUARD_FN void load_whole(const Args& a, const Fixed& f, Index ",
        "i, Values& v) {\n");
    if (needs_place()) add(s_, "  const Place at = locate(a, i);\n");
    for (const int i : leaves_) {
      if (is_apart(i)) continue;
      const Access& a = leaf_access(i);
      const std::string from = offset(a, 'l', i, "i");
      if (leaf(i).op != Op::load) {
        each_k();
        add(s_, "v.", generates(leaf(i).op) ? 'p' : 'l', i, "[k] = ", from,
            neighbour(a, 'l', i), ";\n");
      } else if (a.unit()) {
        add(s_, "  read<", dtype_struct(leaf(i).dtype), ", kWidth>(a.l", i,
            " + ", from, ", v.l", i, ");\n");
      } else {
        each_k();
        add(s_, "v.l", i, "[k] = ", dtype_struct(leaf(i).dtype), "::decode(a.l",
            i, '[', from, neighbour(a, 'l', i), "]);\n");
      }
    }
    add(s_, "}\n");
  }

  void each_k() {
    add(s_, "#pragma unroll\n  for (int k = 0; k < kWidth; ++k) ");
  }

  // Elements i, i + step, …; outside low … high − 1 they are zeros.
  void load_pieces() {
    add(s_, "JACQUARD_FN void load_pieces(const Args& a, const Fixed& f, ",
        "Index i, Index step, Index low, Index high, Values& v) {\n");
    each_k();
    add(s_, "{\n    const Index e = i + k * step;\n",
        "    const bool there = e >= low && e < high;\n");
    if (needs_place())
      add(s_, "    Place at{};\n    if (there) at = locate(a, e);\n");
    for (const int i : leaves_) {
      if (is_apart(i)) continue;
      const std::string from = offset(leaf_access(i), 'l', i, "e");
      if (leaf(i).op != Op::load)
        add(s_, "    v.", generates(leaf(i).op) ? 'p' : 'l', i,
            "[k] = there ? ", from, " : 0;\n");
      else
        add(s_, "    v.l", i, "[k] = there ? ", dtype_struct(leaf(i).dtype),
            "::decode(a.l", i, '[', from, "]) : ",
            value_type(leaf(i).dtype) == std::string("long long")
                ? "0ll"
                : text(value_type(leaf(i).dtype), "(0)"),
            ";\n");
    }
    add(s_, "  }\n}\n");
  }

  void fill_random() {
    add(s_,
        "JACQUARD_FN void fill_random(const Args& a, const Fixed& f, Values& "
        "v) ",
        "{\n");
    for (const int i : leaves_)
      if (!is_fixed(i) && generates(leaf(i).op))
        add(s_, "  ", random_call(w_, i, text("v.p", i), text("v.l", i)));
    add(s_, "}\n");
  }

  // Leaves that are the same in all rows: copied to shared memory, read from
  // there.
  void staged() {
    std::string fields, copies, reads;
    for (const int i : leaves_) {
      if (!w_.is_staged(i)) continue;
      const char* d = dtype_struct(leaf(i).dtype);
      add(fields, "  alignas(16) ", d, "::Bits l", i, '[', w_.cached_columns(),
          "];\n");
      add(copies, "    s.l", i, "[c] = a.l", i, "[c];\n");
      add(reads, "  if (count == kWidth)\n    read<", d, ", kWidth>(s.l", i,
          " + column, v.l", i, ");\n  else\n#pragma unroll\n",
          "    for (int k = 0; k < kWidth; ++k)\n      v.l", i,
          "[k] = k < count ? ", d, "::decode(s.l", i, "[column + k]) : ", d,
          "::Value(0);\n");
    }
    add(s_, "struct Staged {\n", fields,
        "};\nJACQUARD_FN void stage(const Args& a, Staged& s) {\n");
    if (!copies.empty())
      add(s_, "  for (Index c = threadIdx.x; c < a.columns; c += kBlock) {\n",
          copies, "  }\n  __syncthreads();\n");
    add(s_, "}\nJACQUARD_FN void load_staged(const Staged& s, Index column, ",
        "int count, Values& v) {\n", reads, "}\n");
  }

  void store_whole() {
    add(s_, "JACQUARD_FN void store_whole(const Args& a, Index i, ",
        "const Values& v) {\n");
    if (needs_place() && !stored_.empty())
      add(s_, "  const Place at = locate(a, i);\n");
    for (const int j : stored_) {
      const Access& a = output_access(j);
      const OutputBinding& o = w_.outputs[at(j)];
      const std::string to = offset(a, 'o', j, "i");
      if (a.unit()) {
        add(s_, "  write", o.accumulate ? "_added<" : "<",
            dtype_struct(o.dtype), ", kWidth>(a.o", j, " + ", to, ", v.o", j,
            ");\n");
      } else {
        each_k();
        add(s_, "write_one", o.accumulate ? "_added<" : "<",
            dtype_struct(o.dtype), ">(a.o", j, " + ", to, neighbour(a, 'o', j),
            ", v.o", j, "[k]);\n");
      }
    }
    add(s_, "}\n");
  }

  void store_pieces() {
    add(s_, "JACQUARD_FN void store_pieces(const Args& a, Index i, Index step",
        ", Index low, Index high, const Values& v) {\n");
    if (!stored_.empty()) {
      each_k();
      add(s_, "{\n    const Index e = i + k * step;\n",
          "    if (e < low || e >= high) continue;\n");
      if (needs_place()) add(s_, "    const Place at = locate(a, e);\n");
      for (const int j : stored_) {
        const OutputBinding& o = w_.outputs[at(j)];
        add(s_, "    write_one", o.accumulate ? "_added<" : "<",
            dtype_struct(o.dtype), ">(a.o", j, " + ",
            offset(output_access(j), 'o', j, "e"), ", v.o", j, "[k]);\n");
      }
      add(s_, "  }\n");
    }
    add(s_, "}\n");
  }

  const Work& w_;
  std::vector<int> leaves_, stored_;
  std::string s_;
};

}  // namespace

std::string random_call(const Work& work, int leaf, const std::string& at,
                        const std::string& to) {
  const Leaf& l = work.program->leaves()[static_cast<std::size_t>(leaf)];
  const char* finish = "AsIs";
  if (l.op == Op::uniform && l.dtype == DType::float16) finish = "CutOff<13>";
  if (l.op == Op::uniform && l.dtype == DType::bfloat16) finish = "CutOff<16>";
  if (l.op == Op::normal && l.dtype == DType::float16) finish = "RoundFloat16";
  if (l.op == Op::normal && l.dtype == DType::bfloat16)
    finish = "RoundBFloat16";
  return text("random_fill<", l.op == Op::uniform ? "Uniform" : "Normal", ", ",
              finish, ">(", work.slot_name(l.seed_slot), ", ",
              work.slot_name(l.offset_slot), ", ", at, ", ", to, ");\n");
}

std::string operands_source(const Work& work) {
  return Operands(work).source();
}

std::string point_offset(const Work& work, int operand,
                         const std::string& field, const char* position) {
  switch (work.points.access(operand).kind) {
    case Access::Kind::fixed:
      return "0";
    case Access::Kind::dense:
      return position;
    default:
      return text("at.", field);
  }
}

}  // namespace jacquard::cuda_backend
