#include <algorithm>
#include <string>
#include <utility>

#include "core/backend/backend.h"
#include "core/ops/as_tensor.h"
#include "core/ops/operand_checks.h"
#include "core/ops/sum_to.h"
#include "core/tape/call.h"
#include "core/tape/modes.h"
#include "core/tape/pending.h"
#include "core/tape/product.h"
#include "core/tape/record.h"
#include "core/tape/region.h"
#include "jacquard/linalg.h"
#include "jacquard/pointwise.h"
#include "jacquard/reduce.h"
#include "jacquard/shape_ops.h"

namespace jacquard {
namespace {

using tape::folded;
using tape::multiply;
using tape::PullbackContext;
using tape::PushContext;
using tape::readable;
using tape::transposed;

Shape batch_of(const Shape& shape) {
  Shape batch = shape;
  batch.erase(shape.rank() - 1);
  batch.erase(shape.rank() - 2);
  return batch;
}

Shape with_batch(Shape batch, std::int64_t rows, std::int64_t cols) {
  batch.push_back(rows);
  batch.push_back(cols);
  return batch;
}

// Whether the last two axes are swapped in memory.
bool is_transposed(const Tensor& t) {
  return t.rank() >= 2 && !t.is_contiguous() && transposed(t).is_contiguous();
}

TrackedTensor fold(const TrackedTensor& t) {
  return reshape(t, folded(t.shape()));
}

// (target +)= a·b, in either layout of the target.
void multiply_onto(const PullbackContext::Target& target, const Tensor& a,
                   const Tensor& b) {
  const auto& [out, accumulate] = target;
  if (out.is_contiguous())
    multiply(out, a, b, accumulate);
  else
    multiply(transposed(out), transposed(b), transposed(a), accumulate);
}

// What the reverse needs of an operand: its array if the other is tracked, and
// the layout that its own gradient should have.
struct Operands {
  tape::Saved a, b;
  bool a_transposed, b_transposed;
};

void pull_back_left(PullbackContext& c, const TrackedTensor& g,
                    const tape::Saved& b, bool as_transposed) {
  const Shape& shape = c.shape_of(0);
  const bool one_to_one = batch_of(shape) == batch_of(g.shape());
  if (c.recording() || !one_to_one) {
    c.add(0, ops::sum_to(matmul(g, transpose(c.restore(b))), shape));
    return;
  }
  const Tensor cotangent = tape::force(g, "matmul");
  multiply_onto(c.matrix_target(0, as_transposed), cotangent,
                transposed(b.tensor));
}

void pull_back_right(PullbackContext& c, const TrackedTensor& g,
                     const tape::Saved& a, bool as_transposed) {
  const Shape& shape = c.shape_of(1);
  const bool fold_batch = a.tensor.rank() > 2 && shape.rank() == 2;
  const bool one_to_one = batch_of(shape) == batch_of(g.shape());
  if (c.recording() || !(one_to_one || fold_batch)) {
    const TrackedTensor left = c.restore(a);
    if (fold_batch)
      c.add(1, matmul(transpose(fold(left)), fold(g)));
    else
      c.add(1, ops::sum_to(matmul(transpose(left), g), shape));
    return;
  }
  Tensor left = a.tensor;
  Tensor cotangent = tape::force(g, "matmul");
  if (fold_batch) {
    left = left.reshape(folded(left.shape()));
    cotangent = cotangent.reshape(folded(cotangent.shape()));
  }
  multiply_onto(c.matrix_target(1, as_transposed), transposed(left), cotangent);
}

// Column p of a matrix.
Tensor column(const Tensor& t, std::int64_t p) {
  return t.view({t.shape()[0]}, {t.strides()[0]}, p * t.strides()[1]);
}

// Where g has few columns, both gradients are sums of few outer products: that
// of the left operand goes into the next launch, which reads it, and that of
// the right one is summed along there. False if that is not how to do it.
bool pull_back_narrow(PullbackContext& c, const Tensor& g,
                      const Operands& saved) {
  const Tensor& a = saved.a.tensor;
  const Tensor& b = saved.b.tensor;
  if (!tape::epilogues_enabled() || !fusion_enabled() || !a.defined() ||
      !b.defined() || a.rank() != 2 || b.rank() != 2 || is_half(g.dtype()) ||
      g.numel() == 0 || a.numel() == 0 || !c.needs(1) || !c.is_next(0))
    return false;
  const std::int64_t columns = g.shape()[1];
  if (columns > backend::backend_of(g.device().type).narrow_product())
    return false;
  const TrackedTensor left(a);
  const auto target = c.matrix_target(1, saved.b_transposed);
  TrackedTensor total;
  std::vector<tape::ColumnSum> sums;
  for (std::int64_t p = 0; p < columns; ++p) {
    const Tensor own = column(g, p);
    const TrackedTensor factor(
        own.view({g.shape()[0], 1}, {own.strides()[0], 1}, 0));
    const TrackedTensor term = tape::apply("matmul", tape::Op::mul, factor,
                                           TrackedTensor(column(b, p)));
    total = total.defined()
                ? tape::apply("matmul", tape::Op::add, std::move(total), term)
                : term;
    sums.push_back(
        {tape::snapshot(tape::apply("matmul", tape::Op::mul, left, factor),
                        "matmul"),
         column(target.tensor, p), target.accumulate});
  }
  c.add(0, std::move(total));
  c.ride(0, std::move(sums));
  return true;
}

// da·b + a·db.
void push_product(PushContext& c, const Operands& saved, int rank) {
  TrackedTensor total;
  if (c.has(0)) total = matmul(c.aligned(0, rank), c.restore(saved.b));
  if (c.has(1)) {
    TrackedTensor term = matmul(c.restore(saved.a), c.aligned(1, rank));
    total = total.defined() ? total + term : std::move(term);
  }
  c.set(std::move(total));
}

tape::PullbackPtr rules_of(const Operands& saved, DType dtype, int rank) {
  return tape::make_pullback(
      [saved, dtype](PullbackContext& c) {
        // Cotangents of half types come as float32.
        TrackedTensor g = tape::apply_cast("matmul", c.cotangent(), dtype);
        // Both products read one copy.
        if (!c.recording()) {
          g = readable(tape::force(g, "matmul"));
          if (pull_back_narrow(c, g.data(), saved)) return;
        }
        if (c.needs(0)) pull_back_left(c, g, saved.b, saved.a_transposed);
        if (c.needs(1)) pull_back_right(c, g, saved.a, saved.b_transposed);
      },
      [saved, rank](PushContext& c) { push_product(c, saved, rank); },
      tape::bytes_of(saved.a) + tape::bytes_of(saved.b));
}

// Of matrices or batches of them, of one dtype.
TrackedTensor product(CallSite site, const TrackedTensor& a,
                      const TrackedTensor& b, const Shape& shape) {
  const Tensor left = tape::force(a, "matmul");
  const Tensor right = tape::force(b, "matmul");
  tape::PullbackPtr pullback;
  if (const TrackedTensor * both[] = {&a, &b}; tape::would_record(both)) {
    Operands saved{{}, {}, is_transposed(left), is_transposed(right)};
    if (b.is_tracked()) saved.a = tape::save(a, "matmul");
    if (a.is_tracked()) saved.b = tape::save(b, "matmul");
    pullback = rules_of(saved, left.dtype(), shape.rank());
  }
  return tape::make_product(site, shape, a, b, std::move(pullback));
}

[[noreturn]] void throw_misfit(const char* op, const Shape& a, const Shape& b,
                               const std::string& why) {
  throw ShapeError(std::string(op) + ": " + to_string(a) + " × " +
                   to_string(b) + ": " + why);
}

// The shape of the product, for operands of rank ≥ 1; vectors count as a row
// on the left and as a column on the right.
Shape product_shape(const Shape& a, const Shape& b) {
  if (a.rank() == 0 || b.rank() == 0)
    throw_misfit("matmul", a, b, "both operands need at least one axis");
  const std::int64_t inner_a = a[a.rank() - 1];
  const std::int64_t inner_b = b[b.rank() == 1 ? 0 : b.rank() - 2];
  if (inner_a != inner_b)
    throw_misfit("matmul", a, b,
                 "inner dimensions differ (" + std::to_string(inner_a) +
                     " and " + std::to_string(inner_b) + ")");
  const Shape batch_a = a.rank() > 2 ? batch_of(a) : Shape();
  const Shape batch_b = b.rank() > 2 ? batch_of(b) : Shape();
  const int rank = std::max(batch_a.rank(), batch_b.rank());
  for (int i = 1; i <= std::min(batch_a.rank(), batch_b.rank()); ++i) {
    const std::int64_t x = batch_a[batch_a.rank() - i];
    const std::int64_t y = batch_b[batch_b.rank() - i];
    if (x != y && x != 1 && y != 1)
      throw_misfit("matmul", a, b,
                   "batch dimensions do not broadcast (" + to_string(batch_a) +
                       " and " + to_string(batch_b) + ")");
  }
  const Shape batch =
      rank == 0 ? Shape() : broadcast(batch_a, batch_b, "matmul");
  return with_batch(batch, a.rank() == 1 ? 1 : a[a.rank() - 2],
                    b.rank() == 1 ? 1 : b[b.rank() - 1]);
}

// The dtype in which products of the two are made; bools count as int64.
DType product_dtype(const TrackedTensor& a, const TrackedTensor& b) {
  const DType dtype = promote(a.dtype(), b.dtype());
  return dtype == DType::bool_ ? DType::int64 : dtype;
}

void check_vectors(const char* op, const TrackedTensor& a,
                   const TrackedTensor& b) {
  if (a.rank() != 1 || b.rank() != 1)
    throw_misfit(op, a.shape(), b.shape(), "both operands must be vectors");
}

}  // namespace

static TrackedTensor run_matmul(Operand&& a, Operand&& b) {
  const CallSite site = a.site();
  TrackedTensor left = ops::as_tensor("matmul", a);
  TrackedTensor right = ops::as_tensor("matmul", b);
  ops::check_same_device("matmul", left, right);
  const Shape shape = product_shape(left.shape(), right.shape());
  const DType dtype = product_dtype(left, right);
  const bool row = left.rank() == 1;
  const bool column = right.rank() == 1;
  left = tape::apply_cast("matmul", left, dtype);
  right = tape::apply_cast("matmul", right, dtype);
  if (row) left = unsqueeze(left, 0);
  if (column) right = unsqueeze(right, 1);
  TrackedTensor result = product(site, left, right, shape);
  if (!row && !column) return result;
  Shape vector = batch_of(shape);
  if (!row) vector.push_back(shape[shape.rank() - 2]);
  if (!column) vector.push_back(shape[shape.rank() - 1]);
  return reshape(result, vector);
}

TrackedTensor matmul(Operand a, Operand b) {
  return tape::call("matmul", a.site(), run_matmul, std::move(a), std::move(b));
}

static TrackedTensor run_dot(Operand&& a, Operand&& b) {
  const CallSite site = a.site();
  const TrackedTensor left = ops::as_tensor("dot", a);
  const TrackedTensor right = ops::as_tensor("dot", b);
  check_vectors("dot", left, right);
  if (left.shape() != right.shape())
    throw_misfit("dot", left.shape(), right.shape(), "extents differ");
  // One fused launch; half types round once, at the end.
  const DType dtype = product_dtype(left, right);
  const auto wide = [&](const TrackedTensor& t) {
    return tape::apply_cast("dot", t, compute_type(dtype));
  };
  return tape::apply_cast("dot", sum(Operand(wide(left) * wide(right), site)),
                          dtype);
}

TrackedTensor dot(Operand a, Operand b) {
  return tape::call("dot", a.site(), run_dot, std::move(a), std::move(b));
}

static TrackedTensor run_outer(Operand&& a, Operand&& b) {
  const TrackedTensor left = ops::as_tensor("outer", a);
  const TrackedTensor right = ops::as_tensor("outer", b);
  check_vectors("outer", left, right);
  return unsqueeze(left, 1) * unsqueeze(right, 0);
}

TrackedTensor outer(Operand a, Operand b) {
  return tape::call("outer", a.site(), run_outer, std::move(a), std::move(b));
}

}  // namespace jacquard
