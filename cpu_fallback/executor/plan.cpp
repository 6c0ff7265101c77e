#include "cpu_fallback/executor/plan.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>

#include "cpu_fallback/executor/row_fusion.h"
#include "jacquard/error.h"

namespace jacquard::cpu_fallback {
namespace {

using pointwise::Code;
using pointwise::Instr;
using pointwise::kNoRef;
using pointwise::Ref;

constexpr std::uint16_t kNoRegister = 0xffff;

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
    case Op::cast:  // the cast itself rounds
    case Op::row_max:
    case Op::row_pick:
      return true;
    default:
      return false;
  }
}

double cost_of(Op op, DType dtype) {
  double ns = 0.05;
  if (op >= Op::exp && op <= Op::erfinv && op != Op::sqrt) ns = 0.4;
  if (op == Op::pow || op == Op::atan2 || op == Op::fmod || op == Op::remainder)
    ns = 0.8;
  if (op == Op::div || op == Op::sqrt) ns = 0.15;
  if (op == Op::lgamma || op == Op::digamma || op == Op::polygamma) ns = 15;
  if (op == Op::uniform) ns = 1;
  if (op == Op::normal) ns = 2;
  if (is_row(op)) ns = 0.4;
  return size_of(compute_type(dtype)) == 8 ? 2 * ns : ns;
}

class Compiler {
 public:
  explicit Compiler(const Code& code) : code_(code), table_(kernels()) {}

  Plan compile() {
    resolve_aliases();
    collect_leaves();
    count_uses();
    fuse_rows();
    link_chains();
    emit_steps();
    collect_outputs();
    find_narrow();
    assign_registers();
    return std::move(plan_);
  }

 private:
  const Instr& instr(Ref r) const { return code_.instrs[r]; }
  int count() const { return static_cast<int>(code_.instrs.size()); }
  static bool is_fixed(Op op) {
    return op == Op::slot || op == Op::constant || op == Op::row_index ||
           op == Op::row_length;
  }
  bool is_source(Ref r) const {
    return is_leaf(instr(r).op) || is_fixed(instr(r).op);
  }

  // Instructions that move nothing, and second readers of one leaf or slot.
  void resolve_aliases() {
    alias_.resize(code_.instrs.size());
    std::vector<Ref> leaf(code_.leaves.size(), kNoRef);
    std::vector<Ref> slot(code_.slots.size(), kNoRef);
    for (int i = 0; i < count(); ++i) {
      const Ref r = static_cast<Ref>(i);
      const Instr& in = instr(r);
      alias_[r] = r;
      if (in.op == Op::stop_gradient) {
        alias_[r] = alias_[in.args[0]];
      } else if (in.op == Op::cast) {
        const DType from = instr(in.args[0]).dtype;
        if (in.dtype == from || in.dtype == compute_type(from))
          alias_[r] = alias_[in.args[0]];
      } else if (in.op == Op::slot || is_leaf(in.op)) {
        if (in.op == Op::constant) continue;
        Ref& first = in.op == Op::slot ? slot[in.imm] : leaf[in.imm];
        if (first == kNoRef) first = r;
        alias_[r] = first;
      }
    }
  }

  void collect_leaves() {
    for (const auto& leaf : code_.leaves)
      plan_.leaves.push_back({none(), leaf, -1, false});
    for (int i = 0; i < count(); ++i) {
      const Ref r = static_cast<Ref>(i);
      const Instr& in = instr(r);
      if (is_row(in.op)) plan_.rows = true;
      if (alias_[r] != r || !is_source(r)) continue;
      if (is_fixed(in.op)) {
        plan_.fixed.push_back({r, in.op, in.imm, in.dtype});
      } else {
        plan_.leaves[in.imm].value = r;
        plan_.cost += cost_of(in.op, in.dtype);
      }
    }
    plan_.constants = code_.constants;
  }

  std::uint16_t none() const {
    return static_cast<std::uint16_t>(code_.instrs.size());
  }

  void emit_steps() {
    made_by_.assign(code_.instrs.size(), -1);
    for (int i = 0; i < count(); ++i) {
      const Ref r = static_cast<Ref>(i);
      if (alias_[r] != r || is_source(r)) continue;
      plan_.cost += cost_of(instr(r).op, instr(r).dtype);
      if (!inside_[r] && !chains_[r].absorbed) emit(r);
    }
  }

  // The step that makes r, after those that make its operands.
  void emit(Ref r) {
    if (is_source(r) || made_by_[r] >= 0) return;
    Step s = fusion_of_[r] != nullptr ? fused_step(*fusion_of_[r])
             : chains_[r].count > 1   ? chain_step(r)
                                      : step(r);
    for (const std::uint16_t v : {s.a, s.b, s.c, s.d})
      if (v != none()) emit(v);
    const int number = static_cast<int>(plan_.steps.size());
    made_by_[s.out] = number;
    if (s.second != none()) made_by_[s.second] = number;
    for (const std::uint16_t v : {s.a, s.b, s.c, s.d})
      if (v != none()) touch(v, number);
    plan_.steps.push_back(s);
  }

  void count_uses() {
    uses_.assign(code_.instrs.size(), 0);
    for (int i = 0; i < count(); ++i) {
      const Ref r = static_cast<Ref>(i);
      if (alias_[r] != r) continue;
      for (const Ref a : instr(r).args)
        if (a != kNoRef) ++uses_[alias_[a]];
    }
    for (const auto& out : code_.outputs) ++uses_[alias_[out.value]];
  }

  void fuse_rows() {
    fusions_ = find_row_fusions(code_, alias_, uses_);
    fusion_of_.assign(code_.instrs.size(), nullptr);
    inside_.assign(code_.instrs.size(), false);
    for (const RowFusion& f : fusions_) {
      fusion_of_[f.out] = &f;
      if (f.second != kNoRef) fusion_of_[f.second] = &f;
      for (const Ref r : f.inside) inside_[r] = true;
    }
  }

  Step fused_step(const RowFusion& f) const {
    const int type = static_cast<int>(instr(f.out).dtype);
    const auto value = [&](Ref r) { return r == kNoRef ? none() : r; };
    Step s;
    s.kind = Step::Kind::row;
    s.dtype = instr(f.out).dtype;
    s.a = value(f.args[0]);
    s.b = value(f.args[1]);
    s.c = value(f.args[2]);
    s.d = value(f.args[3]);
    s.out = f.out;
    s.second = value(f.second);
    switch (f.kind) {
      case RowFusion::Kind::dot:
        s.row = table_.row_dot[type];
        break;
      case RowFusion::Kind::dot_mulz:
        s.row = table_.row_dot_mulz[type];
        break;
      case RowFusion::Kind::normalize_both:
        s.row = table_.row_normalize_both[type];
        s.row_values = 1u << 2;
        break;
      case RowFusion::Kind::softmax_point:
        s.row = table_.row_softmax_point[type];
        s.row_values = 1u << 1 | 1u << 2 | 1u << 3;
        break;
    }
    return s;
  }

  // Arithmetic on a value that nothing else reads joins the chain which makes
  // that value.
  void link_chains() {
    chains_.resize(code_.instrs.size());
    for (int i = 0; i < count(); ++i) {
      const Ref r = static_cast<Ref>(i);
      if (alias_[r] == r && !inside_[r] && fusion_of_[r] == nullptr &&
          link_of(r) != kNoLink)
        link(r);
    }
  }

  void link(Ref r) {
    const Ref args[] = {alias_[instr(r).args[0]], alias_[instr(r).args[1]]};
    int best = -1, most = 0;
    for (int k = 0; k < 2; ++k) {
      const Chain& c = chains_[args[k]];
      // mulz is no chain's second operand.
      if (uses_[args[k]] != 1 || c.count == 3 || c.count <= most ||
          (k == 1 && instr(r).op == Op::mulz))
        continue;
      best = k;
      most = c.count;
    }
    Chain& mine = chains_[r];
    if (best < 0) {
      mine = {1, false, {link_of(r)}, {args[0], args[1], none(), none()}};
      return;
    }
    mine = chains_[args[best]];
    chains_[args[best]].absorbed = true;
    mine.links[mine.count] = best == 1 && instr(r).op == Op::sub
                                 ? static_cast<int>(Link::from)
                                 : link_of(r);
    mine.args[++mine.count] = args[1 - best];
  }

  static constexpr int kNoLink = -1;
  int link_of(Ref r) const {
    const Instr& in = instr(r);
    if (in.dtype != DType::float32 && in.dtype != DType::float64)
      return kNoLink;
    switch (in.op) {
      case Op::add:
        return static_cast<int>(Link::add);
      case Op::sub:
        return static_cast<int>(Link::sub);
      case Op::mul:
        return static_cast<int>(Link::mul);
      case Op::mulz:
        return static_cast<int>(Link::mulz);
      default:
        return kNoLink;
    }
  }

  Step chain_step(Ref r) const {
    const Chain& c = chains_[r];
    const int type = static_cast<int>(instr(r).dtype);
    Step s;
    s.dtype = instr(r).dtype;
    s.a = c.args[0];
    s.b = c.args[1];
    s.c = c.args[2];
    s.d = c.args[3];
    s.out = r;
    s.second = none();
    s.chain = c.count == 2
                  ? table_.chain2[type][c.links[0]][c.links[1]]
                  : table_.chain3[type][c.links[0]][c.links[1]][c.links[2]];
    return s;
  }

  void touch(Ref value, int step) {
    const Instr& in = instr(value);
    if (in.op == Op::load || in.op == Op::index || in.op == Op::uniform ||
        in.op == Op::normal)
      plan_.leaves[in.imm].last_use = step;
  }

  Step step(Ref r) const {
    const Instr& in = instr(r);
    const auto arg = [&](int i) {
      return in.args[i] == kNoRef ? none() : alias_[in.args[i]];
    };
    Step s;
    s.dtype = in.dtype;
    s.a = arg(0);
    s.b = arg(1);
    s.c = arg(2);
    s.d = none();
    s.out = r;
    s.second = none();
    const DType operand = instr(in.args[in.op == Op::where ? 1 : 0]).dtype;
    const int op = static_cast<int>(in.op), type = static_cast<int>(operand);
    if (in.op == Op::cast) {
      s.tile = table_.cast[type][static_cast<int>(in.dtype)];
    } else if (in.op == Op::eq && is_one_hot(r)) {
      s.kind = Step::Kind::one_hot;
      if (instr(s.a).op != Op::row_index) std::swap(s.a, s.b);
      s.a = none();
      s.row_values = 1u << 1;
      return s;
    } else if (is_row(in.op)) {
      s.kind = Step::Kind::row;
      s.row = table_.row[op][type];
      s.check_index = in.op == Op::row_pick;
      if (in.op == Op::row_pick || in.op == Op::row_normalize)
        s.row_values = 1u << 1;
      if (in.op == Op::row_normalize_vjp) s.row_values = 1u << 2;
    } else {
      s.tile = table_.op[op][type];
    }
    if (!s.tile && !s.row)
      throw DTypeError(std::string("cpu: no kernel for ") + info(in.op).name +
                       " of " + std::string(name_of(operand)));
    if (is_half(in.dtype) && !keeps_half(in.op))
      s.round =
          in.dtype == DType::float16 ? table_.round_half : table_.round_bfloat;
    return s;
  }

  // row_index == a leaf with one value a row.
  bool is_one_hot(Ref r) const {
    const auto leaf_of_row = [&](Ref v) {
      return instr(v).op == Op::load && code_.leaves[instr(v).imm].per_row;
    };
    const Ref a = alias_[instr(r).args[0]], b = alias_[instr(r).args[1]];
    return (instr(a).op == Op::row_index && leaf_of_row(b)) ||
           (instr(b).op == Op::row_index && leaf_of_row(a));
  }

  void collect_outputs() {
    std::vector<bool> claimed(code_.instrs.size());
    for (const auto& out : code_.outputs) {
      const Ref v = alias_[out.value];
      OutputPlan o{};
      o.value = v;
      o.dtype = instr(out.value).dtype;
      o.reduction = out.reduction;
      o.once_a_row = out.once_a_row;
      o.made_by = made_by_[v];
      o.row_step = is_row(instr(v).op);
      o.only_stored = std::none_of(
          plan_.steps.begin(), plan_.steps.end(), [&](const Step& s) {
            return s.a == v || s.b == v || s.c == v || s.d == v;
          });
      if (out.reduction == Reduction::store) {
        o.direct = o.made_by >= 0 && !claimed[v] && !is_half(o.dtype) &&
                   instr(v).dtype == o.dtype;
        claimed[v] = claimed[v] || o.direct;
      } else {
        plan_.reduces = true;
      }
      plan_.rows = plan_.rows || out.once_a_row;
      plan_.cost += 0.05;
      touch(v, LeafPlan::kAlways);
      plan_.outputs.push_back(o);
    }
  }

  // Values of which only the first place of each row is read: by once-a-row
  // outputs, by other such values, as the row value of a row operation.
  void find_narrow() {
    std::vector<bool> wide(code_.instrs.size() + 1);
    for (const auto& o : plan_.outputs)
      if (!o.once_a_row) wide[o.value] = true;
    for (std::size_t i = plan_.steps.size(); i-- > 0;) {
      Step& s = plan_.steps[i];
      s.narrow = !wide[s.out] && (s.kind == Step::Kind::tile ||
                                  is_row_constant(instr(s.out).op));
      if (s.narrow && s.kind == Step::Kind::tile) continue;
      const std::uint16_t args[] = {s.a, s.b, s.c, s.d};
      for (int k = 0; k < 4; ++k)
        if ((s.row_values >> k & 1) == 0) wide[args[k]] = true;
    }
    for (auto& l : plan_.leaves) l.narrow = l.value != none() && !wide[l.value];
  }

  void assign_registers() {
    std::vector<int> last(code_.instrs.size() + 1, -1);
    for (std::size_t i = 0; i < plan_.steps.size(); ++i)
      for (const std::uint16_t v : {plan_.steps[i].a, plan_.steps[i].b,
                                    plan_.steps[i].c, plan_.steps[i].d})
        last[v] = static_cast<int>(i);
    for (const auto& o : plan_.outputs) last[o.value] = LeafPlan::kAlways;

    plan_.home.assign(code_.instrs.size() + 1, kNoRegister);
    int next = 0;
    const auto own = [&](std::uint16_t value) {
      plan_.home[value] = static_cast<std::uint16_t>(next++);
    };
    for (const auto& l : plan_.leaves)
      if (l.value != none()) own(l.value);
    for (const auto& f : plan_.fixed) own(f.value);
    const int shared = next;

    std::vector<std::uint16_t> idle;
    for (std::size_t i = 0; i < plan_.steps.size(); ++i) {
      const Step& s = plan_.steps[i];
      // Operands that end here give their registers back after the result has
      // one: casts and comparisons can't work in place, row operations mustn't.
      std::uint16_t reg;
      if (idle.empty()) {
        reg = static_cast<std::uint16_t>(next++);
      } else {
        reg = idle.back();
        idle.pop_back();
      }
      plan_.home[s.out] = reg;
      if (s.second != none())
        plan_.home[s.second] = static_cast<std::uint16_t>(next++);
      if (last[s.out] < 0) idle.push_back(reg);
      for (const std::uint16_t v : {s.a, s.b, s.c, s.d}) {
        if (v == none() || plan_.home[v] < shared ||
            last[v] != static_cast<int>(i))
          continue;
        last[v] = LeafPlan::kAlways;  // once, if it is two operands
        idle.push_back(plan_.home[v]);
      }
    }
    plan_.registers = next;
    for (const Instr& in : code_.instrs)
      if (size_of(in.dtype) == 8) plan_.width = 8;
  }

  // The chain that ends with an instruction; count 0: it isn't arithmetic.
  struct Chain {
    int count = 0;
    bool absorbed = false;  // in a longer chain
    int links[3] = {};
    Ref args[4] = {};
  };

  const Code& code_;
  const KernelTable& table_;
  Plan plan_;
  std::vector<Ref> alias_;
  std::vector<int> made_by_;
  std::vector<Chain> chains_;
  std::vector<int> uses_;
  std::vector<RowFusion> fusions_;
  std::vector<const RowFusion*> fusion_of_;  // that makes an instruction
  std::vector<bool> inside_;                 // a fusion
};

Code reduction_code(DType dtype, Reduction reduction) {
  Code code;
  code.leaves.push_back({Op::load, dtype});
  Instr load{Op::load, dtype};
  code.instrs.push_back(load);
  code.outputs.push_back({0, reduction, false});
  return code;
}

}  // namespace

const Plan& Plan::of(const pointwise::Program& program) {
  std::atomic<void*>& cell = program.compiled(0);
  if (void* p = cell.load(std::memory_order_acquire))
    return *static_cast<const Plan*>(p);
  auto made = std::make_unique<Plan>(Compiler(program.code()).compile());
  void* expected = nullptr;
  if (cell.compare_exchange_strong(expected, made.get(),
                                   std::memory_order_acq_rel))
    return *made.release();
  return *static_cast<const Plan*>(expected);
}

const Plan& Plan::reduction(DType dtype, Reduction reduction) {
  static std::mutex mutex;
  static std::unique_ptr<Plan> plans[kDTypeCount][6];
  const std::lock_guard lock(mutex);
  auto& p = plans[static_cast<int>(dtype)][static_cast<int>(reduction)];
  if (!p)
    p = std::make_unique<Plan>(
        Compiler(reduction_code(dtype, reduction)).compile());
  return *p;
}

}  // namespace jacquard::cpu_fallback
