#include <cstdio>
#include <string>

#include "core/pointwise/program.h"

namespace jacquard::pointwise {
namespace {

const char* short_name(DType t) {
  constexpr const char* names[] = {"bool", "i32", "i64", "f16",
                                   "bf16", "f32", "f64"};
  return names[static_cast<int>(t)];
}

std::string to_text(Literal l, DType dtype) {
  if (!is_floating(dtype)) return std::to_string(l.i);
  char buffer[32];
  // Short where that is exact.
  std::snprintf(buffer, sizeof buffer, "%g", l.f);
  double read = 0;
  std::sscanf(buffer, "%lf", &read);
  if (read != l.f) std::snprintf(buffer, sizeof buffer, "%.17g", l.f);
  return buffer;
}

std::string immediate(const Code& code, const Instr& i) {
  switch (i.op) {
    case Op::load:
    case Op::index:
    case Op::uniform:
    case Op::normal:
      return " @" + std::to_string(i.imm) +
             (code.leaves[i.imm].per_row ? " per row" : "");
    case Op::slot:
      return " $" + std::to_string(i.imm);
    case Op::constant:
      return " " + to_text(code.constants[i.imm], i.dtype);
    default:
      return "";
  }
}

}  // namespace

std::string Program::to_string() const {
  std::string out;
  for (std::size_t r = 0; r < code_.instrs.size(); ++r) {
    const Instr& i = code_.instrs[r];
    out += "%" + std::to_string(r) + ":" + short_name(i.dtype) + " = " +
           info(i.op).name + immediate(code_, i);
    for (int k = 0; k < info(i.op).arity; ++k)
      out += " %" + std::to_string(i.args[k]);
    out += "\n";
  }
  constexpr const char* reductions[] = {"store", "sum", "mean",
                                        "prod",  "max", "min"};
  for (const Output& o : code_.outputs)
    out += std::string(reductions[static_cast<int>(o.reduction)]) + " %" +
           std::to_string(o.value) + (o.once_a_row ? " once a row" : "") + "\n";
  return out;
}

}  // namespace jacquard::pointwise
