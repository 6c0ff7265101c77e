#include "cuda/codegen/expressions.h"

#include <bit>
#include <cmath>
#include <cstdio>

#include "cuda/codegen/names.h"
#include "cuda/codegen/text.h"

namespace jacquard::cuda_backend {
namespace {

using pointwise::Instr;
using pointwise::kNoRef;

// Results that the half types hold exactly when they hold the operands.
bool keeps_half(Op op) {
  switch (op) {
    case Op::where:
    case Op::minimum:
    case Op::maximum:
    case Op::neg:
    case Op::abs:
    case Op::sign:
    case Op::relu:
    case Op::floor:
    case Op::ceil:
    case Op::trunc:
    case Op::round:
    case Op::row_max:
    case Op::row_pick:
      return true;
    default:
      return false;
  }
}

std::string hexadecimal(const char* format, unsigned long long bits) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, format, bits);
  return buffer;
}

std::string float_literal(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if (!std::isfinite(x))
    return hexadecimal("float_of_bits(static_cast<int>(0x%llxu))", bits);
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%af", static_cast<double>(x));
  return std::signbit(x) ? text('(', buffer, ')') : buffer;
}

std::string double_literal(double x) {
  const auto bits = std::bit_cast<std::uint64_t>(x);
  if (!std::isfinite(x))
    return hexadecimal("float_of_bits(static_cast<long long>(0x%llxull))",
                       bits);
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%a", x);
  return std::signbit(x) ? text('(', buffer, ')') : buffer;
}

}  // namespace

std::string literal(pointwise::Literal value, DType dtype) {
  switch (dtype) {
    case DType::bool_:
      return value.i != 0 ? "true" : "false";
    case DType::int32:
      return hexadecimal("static_cast<int>(0x%llxu)",
                         static_cast<std::uint32_t>(value.i));
    case DType::int64:
      return hexadecimal("static_cast<long long>(0x%llxull)",
                         static_cast<std::uint64_t>(value.i));
    case DType::float64:
      return double_literal(value.f);
    default:
      return float_literal(std::bit_cast<float>(
          static_cast<std::uint32_t>(slot_word(value, dtype))));
  }
}

Expressions::Expressions(const Work& work)
    : work_(work), instrs_(work.program->instrs()) {
  origin_.resize(instrs_.size());
  for (std::size_t i = 0; i < instrs_.size(); ++i) {
    const Instr& in = instrs_[i];
    origin_[i] = static_cast<Ref>(i);
    if (in.op == Op::stop_gradient) origin_[i] = origin_[in.args[0]];
    if (in.op != Op::cast) continue;
    const DType from = instrs_[in.args[0]].dtype;
    if (in.dtype == from || in.dtype == compute_type(from))
      origin_[i] = origin_[in.args[0]];
  }
}

bool Expressions::on_rows(Ref r) const {
  return work_.skeleton == Skeleton::row && work_.program->row_constant(r);
}

bool Expressions::has_statement(Ref r) const {
  const Instr& in = instr(r);
  if (in.op == Op::constant || in.op == Op::slot || in.op == Op::row_length)
    return false;
  if (in.op == Op::row_index) return false;
  if (is_leaf(in.op) && !on_rows(r))
    return work_.leaf_access(in.imm).kind != Access::Kind::fixed;
  return true;
}

std::string Expressions::name(Ref r) const {
  r = origin_[r];
  const Instr& in = instr(r);
  switch (in.op) {
    case Op::constant:
      return literal(work_.program->code().constants[in.imm], in.dtype);
    case Op::slot:
      return text(slot_function(in.dtype), '(', work_.slot_name(in.imm), ')');
    case Op::row_length:
      return row_length(in.dtype);
    case Op::row_index:
      return "place";
    default:
      break;
  }
  if (on_rows(r)) return text("row.v", r);
  if (is_leaf(in.op) && work_.leaf_access(in.imm).kind == Access::Kind::fixed)
    return text("f.l", in.imm);
  return text('v', r);
}

std::string Expressions::row_length(DType dtype) {
  return rounded(text(cast_function(dtype), "(a.columns)"), dtype);
}

std::string Expressions::rounded(const std::string& x, DType dtype) {
  return is_half(dtype) ? text(round_function(dtype), '(', x, ')') : x;
}

std::string Expressions::converted(const std::string& x, DType from, DType to) {
  if (to == from || to == compute_type(from)) return x;
  const std::string cast = compute_type(to) == compute_type(from)
                               ? x
                               : text(cast_function(to), '(', x, ')');
  return rounded(cast, to);
}

std::string Expressions::call(Ref r) const {
  const Instr& in = instr(r);
  std::string made = text("op_", info(in.op).name, '(');
  for (int k = 0; k < info(in.op).arity; ++k)
    add(made, k == 0 ? "" : ", ", name(in.args[k]));
  return made + ')';
}

// What the row's passes leave in `row` is named in row_source.cpp.
std::string Expressions::row_expression(Ref r) const {
  const Instr& in = instr(r);
  const std::string x = name(in.args[0]);
  switch (in.op) {
    case Op::row_softmax:
      return text("op_exp(", x, " - row.m", r, ") * row.i", r);
    case Op::row_log_softmax:
      return text('(', x, " - row.m", r, ") - row.g", r);
    case Op::row_normalize:
      return text('(', x, " - row.m", r, ") * row.i", r);
    default:  // row_normalize_vjp
      return text("row.i", r, " * ((", name(in.args[1]), " - row.h", r, ") - (",
                  x, " - row.m", r, ") * row.k", r, ')');
  }
}

std::string Expressions::expression(Ref r) const {
  const Instr& in = instr(r);
  if (in.op == Op::cast)
    return rounded(text(cast_function(in.dtype), '(', name(in.args[0]), ')'),
                   in.dtype);
  const std::string x = is_row(in.op) ? row_expression(r) : call(r);
  return keeps_half(in.op) ? x : rounded(x, in.dtype);
}

void Expressions::mark(Ref root, std::vector<bool>& marks) const {
  marks.resize(instrs_.size());
  root = origin_[root];
  if (marks[root] || on_rows(root) || !has_statement(root)) return;
  marks[root] = true;
  if (is_leaf(instr(root).op)) return;
  for (const Ref a : instr(root).args)
    if (a != kNoRef) mark(a, marks);
}

void Expressions::add_statements(std::string& to,
                                 const std::vector<bool>& marks) const {
  for (std::size_t i = 0; i < marks.size(); ++i) {
    if (!marks[i]) continue;
    const Ref r = static_cast<Ref>(i);
    const Instr& in = instr(r);
    const std::string x =
        is_leaf(in.op) ? text("v.l", in.imm, "[k]") : expression(r);
    add(to, "    const ", value_type(in.dtype), " v", r, " = ", x, ";\n");
  }
}

}  // namespace jacquard::cuda_backend
