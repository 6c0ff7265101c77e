// Faults in the rules of differentiation, one at a time, for the test that the
// suite sees each of them.
//
// Linked with the objects of jacquard_core into a library of the same name,
// the linker leading calls of the functions below here (--wrap). The variable
// JACQUARD_MUTANT says what is wrong, "KIND OPERATION OPERAND":
//   factor  the gradient of that operand is multiplied by 1.001
//   drop    it is not passed on
//   swap    it is that of the operation's other operand
//   term    the first sum or difference in its formula loses its second term
//   forward the tangent that it passes on is multiplied by 1.001
// OPERATION is a primitive of fused programs or the name of a node.
#include <cstdlib>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/pointwise/derivatives.h"
#include "core/pointwise/rebuild.h"
#include "core/tape/record.h"
#include "core/tape/region.h"
#include "jacquard/create.h"
#include "jacquard/pointwise.h"

namespace jacquard {
namespace {

constexpr double kFactor = 1.001;

struct Mutant {
  std::string kind, operation;
  int operand = -1;

  bool is(std::string_view k, std::string_view op, int i) const {
    return kind == k && operation == op && operand == i;
  }
};

const Mutant& mutant() {
  static const Mutant m = [] {
    Mutant read;
    const char* text = std::getenv("JACQUARD_MUTANT");
    std::istringstream words(text ? text : "");
    words >> read.kind >> read.operation >> read.operand;
    return read;
  }();
  return m;
}

TrackedTensor scaled(const TrackedTensor& g) {
  return g.defined() ? g * kFactor : g;
}

}  // namespace

// The function behind a symbol, and what stands in for it.
#define JACQUARD_SEAM(result, name, parameters, symbol) \
  result real_##name parameters asm("__real_" symbol);  \
  result wrapped_##name parameters asm("__wrap_" symbol)

namespace pointwise {

JACQUARD_SEAM(Expr, vjp, (const Differential& d, int k),
              "_ZN8jacquard9pointwise3vjpERKNS0_12DifferentialEi");
JACQUARD_SEAM(Expr, jvp, (const Differential& d, int k),
              "_ZN8jacquard9pointwise3jvpERKNS0_12DifferentialEi");

namespace {

// `e`, made again from instruction `from` on without that term.
Expr without_a_term(Expr e, std::size_t from) {
  Builder& b = *e.builder;
  const Code code = b.code();
  std::vector<Ref> map;
  bool dropped = false;
  for (std::size_t i = 0; i <= e.ref; ++i) {
    const Instr& instr = code.instrs[i];
    if (i < from) {
      map.push_back(static_cast<Ref>(i));
    } else if (!dropped && (instr.op == Op::add || instr.op == Op::sub)) {
      map.push_back(map[instr.args[0]]);
      dropped = true;
    } else {
      map.push_back(rebuild(b, code, instr, map));
    }
  }
  return {&b, map.back()};
}

}  // namespace

Expr wrapped_vjp(const Differential& d, int k) {
  const Mutant& m = mutant();
  const char* op = info(d.op).name;
  if (m.is("swap", op, k)) return real_vjp(d, 1 - k);
  const std::size_t before = d.cotangent.builder->code().instrs.size();
  const Expr g = real_vjp(d, k);
  if (m.is("factor", op, k)) return g * kFactor;
  if (m.is("drop", op, k)) return g.like(0);
  if (m.is("term", op, k)) return without_a_term(g, before);
  return g;
}

Expr wrapped_jvp(const Differential& d, int k) {
  const Expr t = real_jvp(d, k);
  return mutant().is("forward", info(d.op).name, k) ? t * kFactor : t;
}

}  // namespace pointwise

namespace tape {

using Target = PullbackContext::Target;

JACQUARD_SEAM(void, add, (PullbackContext * c, int i, TrackedTensor g),
              "_ZN8jacquard4tape15PullbackContext3addEiNS_13TrackedTensorE");
JACQUARD_SEAM(Tensor, part_buffer, (PullbackContext * c, int i),
              "_ZN8jacquard4tape15PullbackContext11part_bufferEi");
JACQUARD_SEAM(void, add_into, (const Tensor& part, const TrackedTensor& g),
              "_ZN8jacquard4tape15PullbackContext8add_intoERKNS_6TensorERKNS_"
              "13TrackedTensorE");
JACQUARD_SEAM(Target, target, (PullbackContext * c, int i),
              "_ZN8jacquard4tape15PullbackContext6targetEi");
JACQUARD_SEAM(Target, matrix_target,
              (PullbackContext * c, int i, bool transposed),
              "_ZN8jacquard4tape15PullbackContext13matrix_targetEib");
JACQUARD_SEAM(void, multiply,
              (const Tensor& out, const Tensor& a, const Tensor& b,
               bool accumulate),
              "_ZN8jacquard4tape8multiplyERKNS_6TensorES3_S3_b");

namespace {
// Whether what is next written into a part, or multiplied, is to be wrong.
thread_local bool next_part = false;
thread_local bool next_product = false;
}  // namespace

void wrapped_add(PullbackContext* c, int i, TrackedTensor g) {
  const Mutant& m = mutant();
  if (m.is("drop", c->name(), i)) return;
  if (m.is("factor", c->name(), i)) g = scaled(g);
  real_add(c, i, std::move(g));
}

Tensor wrapped_part_buffer(PullbackContext* c, int i) {
  next_part = mutant().is("factor", c->name(), i);
  return real_part_buffer(c, i);
}

void wrapped_add_into(const Tensor& part, const TrackedTensor& g) {
  const bool wrong = std::exchange(next_part, false);
  real_add_into(part, wrong ? scaled(g) : g);
}

namespace {

// In place of `target`: memory that nobody reads.
Target elsewhere(const Target& target) {
  const Tensor& t = target.tensor;
  if (!target.accumulate) compute_into(t, zeros_like(t), false, "mutant");
  return {zeros_like(t).data(), false};
}

}  // namespace

Target wrapped_target(PullbackContext* c, int i) {
  Target t = real_target(c, i);
  return mutant().is("drop", c->name(), i) ? elsewhere(t) : t;
}

Target wrapped_matrix_target(PullbackContext* c, int i, bool transposed) {
  next_product = mutant().is("factor", c->name(), i);
  Target t = real_matrix_target(c, i, transposed);
  return mutant().is("drop", c->name(), i) ? elsewhere(t) : t;
}

void wrapped_multiply(const Tensor& out, const Tensor& a, const Tensor& b,
                      bool accumulate) {
  if (!std::exchange(next_product, false)) {
    real_multiply(out, a, b, accumulate);
    return;
  }
  const NoGrad constant;
  const Tensor values = scaled(TrackedTensor(a)).data();
  real_multiply(out, values, b, accumulate);
}

}  // namespace tape
}  // namespace jacquard
