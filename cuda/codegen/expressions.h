// The instructions of a program as C++ statements.
#pragma once

#include <string>
#include <vector>

#include "cuda/codegen/work.h"

namespace jacquard::cuda_backend {

// A literal of the dtype's value type, exact.
std::string literal(pointwise::Literal value, DType dtype);

class Expressions {
 public:
  explicit Expressions(const Work& work);

  // One value a row, kept in `row`.
  bool on_rows(Ref r) const;
  DType dtype(Ref r) const { return instr(r).dtype; }
  const pointwise::Instr& instr(Ref r) const { return instrs_[r]; }
  // The instruction that makes the value: behind stop_gradient and casts that
  // change nothing.
  Ref origin(Ref r) const { return origin_[r]; }
  // Names the value where its statement came before: `v7`, `row.v7`, a literal
  // or a slot.
  std::string name(Ref r) const;
  // Whether it is computed by a statement, and not named in place.
  bool has_statement(Ref r) const;
  // "a.op(b)" of instruction r, rounded to its dtype; no leaves, and of row
  // operations only those that give one value an element.
  std::string expression(Ref r) const;
  // Marks in `marks` the element values that `root` needs.
  void mark(Ref root, std::vector<bool>& marks) const;
  // Statements for the marked element values, in order. Leaves are read from
  // v.l<leaf>[k]; the place in the row is `place`.
  void add_statements(std::string& to, const std::vector<bool>& marks) const;
  // The value x of dtype `from` (or its compute type) as one of dtype `to`.
  static std::string converted(const std::string& x, DType from, DType to);
  static std::string rounded(const std::string& x, DType dtype);

  // The length of the row in the dtype.
  static std::string row_length(DType dtype);

 private:
  std::string row_expression(Ref r) const;
  std::string call(Ref r) const;

  const Work& work_;
  std::span<const pointwise::Instr> instrs_;
  std::vector<Ref> origin_;
};

}  // namespace jacquard::cuda_backend
