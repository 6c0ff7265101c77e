#include "cpu_fallback/executor/row_fusion.h"

#include <bit>
#include <optional>

#include "core/pointwise/levels.h"

namespace jacquard::cpu_fallback {
namespace {

using pointwise::Code;
using pointwise::Instr;
using pointwise::Level;
using pointwise::Op;
using pointwise::Ref;

class Finder {
 public:
  Finder(const Code& code, const std::vector<Ref>& alias,
         const std::vector<int>& uses)
      : code_(code),
        alias_(alias),
        uses_(uses),
        levels_(pointwise::levels(code)) {}

  std::vector<RowFusion> find() {
    std::vector<RowFusion> found;
    for (std::size_t i = 0; i < code_.instrs.size(); ++i) {
      const Ref r = static_cast<Ref>(i);
      const Instr& in = instr(r);
      if (alias_[r] != r ||
          (in.dtype != DType::float32 && in.dtype != DType::float64))
        continue;
      auto fusion = in.op == Op::row_sum             ? dot(r)
                    : in.op == Op::row_normalize_vjp ? both(r)
                    : in.op == Op::add               ? point(r)
                                                     : std::nullopt;
      if (fusion) found.push_back(std::move(*fusion));
    }
    return found;
  }

 private:
  const Instr& instr(Ref r) const { return code_.instrs[r]; }
  Ref arg(Ref r, int i) const { return alias_[instr(r).args[i]]; }
  bool is(Ref r, Op op) const { return instr(r).op == op; }
  bool only_here(Ref r) const { return uses_[r] == 1; }
  bool one_a_row(Ref r) const { return levels_[r] != Level::full; }

  std::optional<RowFusion> dot(Ref r) const {
    const Ref product = arg(r, 0);
    if (!only_here(product) || one_a_row(product)) return {};
    const bool strong = is(product, Op::mulz);
    if (!strong && !is(product, Op::mul)) return {};
    return RowFusion{
        .kind = strong ? RowFusion::Kind::dot_mulz : RowFusion::Kind::dot,
        .out = r,
        .args = {arg(product, 0), arg(product, 1), pointwise::kNoRef,
                 pointwise::kNoRef},
        .inside = {product}};
  }

  bool depends(Ref r, Ref on) const {
    if (r == on) return true;
    if (r < on) return false;
    for (int i = 0; i < pointwise::info(instr(r).op).arity; ++i)
      if (depends(arg(r, i), on)) return true;
    return false;
  }

  std::optional<RowFusion> both(Ref vjp) const {
    for (Ref r = 0; r < vjp; ++r)
      if (alias_[r] == r && is(r, Op::row_normalize) &&
          instr(r).dtype == instr(vjp).dtype && arg(r, 0) == arg(vjp, 0) &&
          arg(r, 1) == arg(vjp, 2) && !depends(arg(vjp, 1), r))
        return RowFusion{
            .kind = RowFusion::Kind::normalize_both,
            .out = vjp,
            .second = r,
            .args = {arg(vjp, 0), arg(vjp, 1), arg(vjp, 2), pointwise::kNoRef},
            .inside = {}};
    return {};
  }

  // The row's value that row_index is compared with.
  std::optional<Ref> point_of(Ref eq) const {
    for (int i = 0; i < 2; ++i)
      if (is(eq, Op::eq) && is(arg(eq, i), Op::row_index) &&
          one_a_row(arg(eq, 1 - i)))
        return arg(eq, 1 - i);
    return {};
  }

  bool is_zero(Ref r) const {
    return is(r, Op::constant) &&
           std::bit_cast<std::uint64_t>(code_.constants[instr(r).imm].f) == 0;
  }

  std::optional<RowFusion> point(Ref add) const {
    for (int i = 0; i < 2; ++i) {
      const Ref choice = arg(add, i), product = arg(add, 1 - i);
      if (!is(choice, Op::where) || !is(product, Op::mulz) ||
          !only_here(choice) || !only_here(product))
        continue;
      const Ref eq = arg(choice, 0), softmax = arg(product, 1);
      const auto index = point_of(eq);
      if (!index || !only_here(eq) || !one_a_row(arg(choice, 1)) ||
          !is_zero(arg(choice, 2)) || !is(softmax, Op::row_softmax) ||
          !only_here(softmax) || !one_a_row(arg(product, 0)))
        continue;
      return RowFusion{
          .kind = RowFusion::Kind::softmax_point,
          .out = add,
          .args = {arg(softmax, 0), *index, arg(choice, 1), arg(product, 0)},
          .inside = {choice, eq, product, softmax}};
    }
    return {};
  }

  const Code& code_;
  const std::vector<Ref>& alias_;
  const std::vector<int>& uses_;
  const std::vector<Level> levels_;
};

}  // namespace

std::vector<RowFusion> find_row_fusions(const Code& code,
                                        const std::vector<Ref>& alias,
                                        const std::vector<int>& uses) {
  if (!pointwise::has_rows(code)) return {};
  return Finder(code, alias, uses).find();
}

}  // namespace jacquard::cpu_fallback
