#include <bit>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "core/pointwise/fold.h"
#include "core/pointwise/program.h"
#include "jacquard/error.h"

namespace jacquard::pointwise {
namespace {

std::uint64_t hash_of(const Instr& i) {
  std::uint64_t low = static_cast<std::uint64_t>(i.op) |
                      static_cast<std::uint64_t>(i.dtype) << 8 |
                      static_cast<std::uint64_t>(i.imm) << 16 |
                      static_cast<std::uint64_t>(i.args[0]) << 32 |
                      static_cast<std::uint64_t>(i.args[1]) << 48;
  low = (low ^ (low >> 32)) * 0x9e3779b97f4a7c15u;
  low = (low ^ i.args[2]) * 0xd6e8feb86659fd93u;
  return low ^ (low >> 32);
}

// Whether every value of `from` is a value of `to`.
bool embeds(DType from, DType to) {
  if (from == to || from == DType::bool_) return true;
  if (is_half(from)) return to == DType::float32 || to == DType::float64;
  return (from == DType::float32 && to == DType::float64) ||
         (from == DType::int32 && (to == DType::int64 || to == DType::float64));
}

[[noreturn]] void misfit(Op op, const std::string& why) {
  throw DTypeError(std::string(info(op).name) + ": " + why);
}

// The dtype of the result, once the operands are known to fit.
DType result_dtype(Op op, DType a, DType b, DType c) {
  const auto same = [op](DType x, DType y) {
    if (x != y)
      misfit(op, "operands differ in dtype (" + std::string(name_of(x)) +
                     " and " + std::string(name_of(y)) + ")");
  };
  if (op == Op::where) {
    if (a != DType::bool_) misfit(op, "the condition is not bool");
    same(b, c);
    return b;
  }
  if (op == Op::row_pick) {
    if (b != DType::int64) misfit(op, "the index is not int64");
    return a;
  }
  if (info(op).arity > 1) same(a, b);
  if (info(op).arity > 2) same(a, c);
  switch (info(op).cls) {
    case OpClass::f:
      if (!is_floating(a))
        misfit(op, std::string(name_of(a)) + " is not floating");
      return a;
    case OpClass::n:
      if (a == DType::bool_) misfit(op, "bool is not numeric");
      return a;
    case OpClass::l:
      if (a != DType::bool_) misfit(op, "the operands are not bool");
      return DType::bool_;
    case OpClass::b:
      return DType::bool_;
    default:
      return op == Op::row_argmax || op == Op::row_argmin ? DType::int64 : a;
  }
}

}  // namespace

Builder::Builder(std::vector<Leaf> leaves, std::vector<DType> slots) {
  code_.leaves = std::move(leaves);
  code_.slots = std::move(slots);
}

Ref Builder::leaf(Leaf leaf) {
  code_.leaves.push_back(leaf);
  return read_leaf(static_cast<int>(code_.leaves.size()) - 1);
}

Ref Builder::slot(DType dtype) {
  code_.slots.push_back(dtype);
  return read_slot(static_cast<int>(code_.slots.size()) - 1);
}

Ref Builder::read_leaf(int i) {
  const Leaf& leaf = code_.leaves[i];
  return push({leaf.op, leaf.dtype, static_cast<std::uint16_t>(i)});
}

Ref Builder::read_slot(int i) {
  return push({Op::slot, code_.slots[i], static_cast<std::uint16_t>(i)});
}

Ref Builder::constant(double value, DType dtype) {
  Literal l;
  if (!is_floating(dtype))
    return constant_int(static_cast<std::int64_t>(value), dtype);
  l.f = rounded(value, dtype);
  return literal(l, dtype);
}

Ref Builder::constant_int(std::int64_t value, DType dtype) {
  if (is_floating(dtype)) return constant(static_cast<double>(value), dtype);
  Literal l;
  l.i = dtype == DType::bool_ ? value != 0 : value;
  return literal(l, dtype);
}

Ref Builder::literal(Literal value, DType dtype) {
  const std::int64_t bits = value.i;
  std::size_t i = 0;
  while (i < code_.constants.size() && code_.constants[i].i != bits) ++i;
  if (i == code_.constants.size()) code_.constants.push_back(value);
  return push({Op::constant, dtype, static_cast<std::uint16_t>(i)});
}

Ref Builder::row_index() { return push({Op::row_index, DType::int64}); }

Ref Builder::row_length(DType dtype) { return push({Op::row_length, dtype}); }

Ref Builder::apply(Op op, Ref a, Ref b, Ref c) {
  const auto type = [this](Ref r) {
    return r == kNoRef ? DType::bool_ : dtype(r);
  };
  return rewritten(
      {op, result_dtype(op, type(a), type(b), type(c)), 0, {a, b, c}});
}

Ref Builder::cast(Ref a, DType to) {
  if (dtype(a) == to) return a;
  return rewritten({Op::cast, to, 0, {a, kNoRef, kNoRef}});
}

// The instruction itself, or an earlier one that has its value for every input
// and its derivative.
Ref Builder::rewritten(const Instr& instr) {
  const auto at = [this](Ref r) { return code_.instrs[r]; };
  const auto [a, b, c] = instr.args;
  const int arity = info(instr.op).arity;

  Literal literals[3];
  DType dtypes[3];
  int known = 0;
  for (; known < arity && at(instr.args[known]).op == Op::constant; ++known) {
    literals[known] = code_.constants[at(instr.args[known]).imm];
    dtypes[known] = dtype(instr.args[known]);
  }
  if (known == arity) {
    const std::size_t n = static_cast<std::size_t>(arity);
    if (auto value = fold(instr, {literals, n}, {dtypes, n}))
      return literal(*value, instr.dtype);
  }

  const auto is_one = [&](Ref r) {
    if (at(r).op != Op::constant) return false;
    const Literal l = code_.constants[at(r).imm];
    return is_floating(at(r).dtype) ? l.f == 1 : l.i == 1;
  };
  const auto is_neg = [&](Ref r) { return at(r).op == Op::neg; };
  switch (instr.op) {
    case Op::mul:
      if (is_one(b)) return a;
      if (is_one(a)) return b;
      break;
    case Op::mulz:
      if (is_one(a)) return b;
      break;
    case Op::div:
      if (is_one(b)) return a;
      break;
    case Op::neg:
      if (is_neg(a)) return at(a).args[0];
      break;
    case Op::add:
      if (is_neg(b)) return apply(Op::sub, a, at(b).args[0]);
      if (is_neg(a)) return apply(Op::sub, b, at(a).args[0]);
      break;
    case Op::sub:
      if (is_neg(b)) return apply(Op::add, a, at(b).args[0]);
      break;
    case Op::logical_not:
      if (at(a).op == Op::logical_not) return at(a).args[0];
      break;
    case Op::cast:
      if (at(a).op == Op::cast && embeds(dtype(at(a).args[0]), dtype(a)))
        return cast(at(a).args[0], instr.dtype);
      break;
    case Op::where:
      if (b == c) return b;
      if (at(a).op == Op::constant) return code_.constants[at(a).imm].i ? b : c;
      break;
    default:
      break;
  }
  return push(instr);
}

Ref Builder::push(Instr instr) {
  if (table_.size() < 2 * (code_.instrs.size() + 1)) grow_table();
  const std::size_t mask = table_.size() - 1;
  std::size_t at = hash_of(instr) & mask;
  for (; table_[at] != 0; at = (at + 1) & mask)
    if (code_.instrs[table_[at] - 1] == instr)
      return static_cast<Ref>(table_[at] - 1);
  if (code_.instrs.size() >= kNoRef)
    throw Error("a fused program may have at most 65535 instructions");
  code_.instrs.push_back(instr);
  table_[at] = static_cast<std::uint32_t>(code_.instrs.size());
  return static_cast<Ref>(code_.instrs.size() - 1);
}

void Builder::grow_table() {
  table_.assign(table_.empty() ? 64 : 2 * table_.size(), 0);
  code_.instrs.reserve(table_.size() / 2);
  const std::size_t mask = table_.size() - 1;
  for (std::size_t i = 0; i < code_.instrs.size(); ++i) {
    std::size_t at = hash_of(code_.instrs[i]) & mask;
    while (table_[at] != 0) at = (at + 1) & mask;
    table_[at] = static_cast<std::uint32_t>(i + 1);
  }
}

}  // namespace jacquard::pointwise
