#include "core/tape/product.h"

#include <algorithm>
#include <utility>

#include "core/backend/launch.h"
#include "core/tape/modes.h"
#include "core/tape/region.h"
#include "core/tensor/layout.h"
#include "core/tensor/writable.h"

namespace jacquard::tape {
namespace {

using backend::MatmulLaunch;
using backend::MatrixBinding;
using pointwise::Instr;

Shape batch_of(const Shape& shape) {
  Shape batch = shape;
  batch.erase(shape.rank() - 1);
  batch.erase(shape.rank() - 2);
  return batch;
}

// How the last two axes are read in place as a matrix, or false.
bool lay_out(const Tensor& t, MatrixBinding& out) {
  const int last = t.rank() - 1;
  const std::int64_t rows = t.shape()[last - 1], cols = t.shape()[last];
  const std::int64_t row_stride = t.strides()[last - 1];
  const std::int64_t col_stride = t.strides()[last];
  if ((cols <= 1 || col_stride == 1) && (rows <= 1 || row_stride >= cols)) {
    out.row_stride = rows <= 1 ? cols : row_stride;
    out.col_stride = 1;
    return true;
  }
  if ((rows <= 1 || row_stride == 1) && (cols <= 1 || col_stride >= rows)) {
    out.row_stride = 1;
    out.col_stride = cols <= 1 ? rows : col_stride;
    return true;
  }
  return false;
}

bool is_readable(const Tensor& t) {
  MatrixBinding layout;
  return lay_out(t, layout);
}

// `keep` holds what is read: t or a copy of it.
MatrixBinding bound(const Tensor& t, const Shape& batch, Tensor& keep) {
  MatrixBinding binding;
  keep = readable(t);
  lay_out(keep, binding);
  binding.data = keep.data_on(current_stream(keep.device()));
  Strides strides = keep.strides();
  strides.erase(keep.rank() - 1);
  strides.erase(keep.rank() - 2);
  binding.batch_strides =
      broadcast_strides(batch_of(keep.shape()), strides, batch, "matmul");
  return binding;
}

// What is multiplied, and where to.
struct Operands {
  Tensor out, a, b;
};

// Where the rows of a batch meet one matrix b and lie one after the other, one
// product does for the batch.
Operands fold_batch(Operands x) {
  if (x.b.rank() == 2 && x.a.rank() > 2 &&
      reshape_strides(x.a.shape(), x.a.strides(), folded(x.a.shape()))) {
    x.out = x.out.reshape(folded(x.out.shape()));
    x.a = x.a.reshape(folded(x.a.shape()));
  }
  return x;
}

// The launch but for the epilogue. Changes a and b to what is read.
MatmulLaunch prepare(Operands& x) {
  const int last = x.out.rank() - 1;
  MatmulLaunch work;
  work.dtype = x.a.dtype();
  work.out_dtype = x.out.dtype();
  work.batch = batch_of(x.out.shape());
  work.m = x.out.shape()[last - 1];
  work.n = x.out.shape()[last];
  work.k = x.a.shape()[x.a.rank() - 1];
  work.a = bound(x.a, work.batch, x.a);
  work.b = bound(x.b, work.batch, x.b);
  work.c = write_on(x.out, current_stream(x.out.device()));
  return work;
}

// Half types round between the product and the sum.
bool may_carry(DType dtype) {
  return dtype == DType::float32 || dtype == DType::float64;
}

bool is_bias(const Value& v, const Value& product) {
  if (!v.written() || v.dtype != product.dtype || v.shape.rank() == 0)
    return false;
  const int last = v.shape.rank() - 1;
  const std::int64_t n = product.shape[product.shape.rank() - 1];
  return v.shape[last] == n && v.shape.numel() == n &&
         (n == 1 || v.tensor().strides()[last] == 1);
}

}  // namespace

Tensor transposed(const Tensor& t) {
  Shape shape = t.shape();
  Strides strides = t.strides();
  const int last = t.rank() - 1;
  std::swap(shape[last - 1], shape[last]);
  std::swap(strides[last - 1], strides[last]);
  return t.view(shape, strides, 0);
}

Shape folded(const Shape& shape) {
  const std::int64_t cols = shape[shape.rank() - 1];
  Shape rows = shape;
  rows.erase(shape.rank() - 1);
  return {rows.numel(), cols};
}

Tensor readable(const Tensor& t) { return is_readable(t) ? t : t.contiguous(); }

void multiply(const Tensor& out, const Tensor& a, const Tensor& b,
              bool accumulate) {
  Operands x = fold_batch({out, a, b});
  MatmulLaunch work = prepare(x);
  work.accumulate = accumulate;
  backend::launch_matmul("matmul", work, current_stream(out.device()));
}

TrackedTensor make_product(CallSite site, const Shape& shape,
                           const TrackedTensor& a, const TrackedTensor& b,
                           PullbackPtr pullback) {
  const ValuePtr left = snapshot(a, "matmul"), right = snapshot(b, "matmul");
  Expression e;
  e.product = true;
  e.args[0] = {left, {}, Arg::Kind::value};
  e.args[1] = {right, {}, Arg::Kind::value};
  auto v =
      make_intrusive<Value>("matmul", site, shape, left->dtype, left->device,
                            static_cast<bool>(pullback), std::move(e));
  v->leads_to_tracked = left->tracked || right->tracked;
  v->exact_weight = true;
  v->leaf_weight = 1;
  if (pullback) {
    pullback->add_edge(left->node());
    pullback->add_edge(right->node());
    v->product_node =
        make_intrusive<Node>(v->id, v->name, site, shape, v->dtype, v->stream);
    v->product_node->set_pullback(std::move(pullback));
  }
  if (!epilogues_enabled() || !fusion_enabled() || !may_carry(v->dtype))
    force(*v);
  return handle(std::move(v));
}

std::optional<CarriedRegion> carried_region(const RegionBuilder& region,
                                            const Value& root) {
  const auto& code = region.code;
  if (region.products.size() != 1 || region.leaves.size() != 2 ||
      code.outputs.size() != 1 ||
      code.outputs[0].reduction != Reduction::store || !epilogues_enabled())
    return {};
  const Value& product = *region.products[0];
  if (!(root.shape == product.shape) || root.dtype != product.dtype ||
      !(root.stream == product.stream) || product.use_count() != 1)
    return {};
  for (const Value* v : region.inside)
    if (v != &root && v->use_count() != 1) return {};

  const auto at = [&](pointwise::Ref r) -> const Instr& {
    return code.instrs[r];
  };
  const Instr* sum = &at(code.outputs[0].value);
  const bool relu = sum->op == Op::relu;
  if (relu) sum = &at(sum->args[0]);
  if (sum->op != Op::add || at(sum->args[0]).op != Op::load ||
      at(sum->args[1]).op != Op::load)
    return {};
  const bool first = region.leaves[0] == &product;
  const Value& bias = *region.leaves[first ? 1 : 0];
  if (!is_bias(bias, product)) return {};
  return CarriedRegion{&product, &bias, relu};
}

bool multiply_carrying(const char* op, const Tensor& out,
                       const CarriedRegion& carried) {
  const Expression& e = carried.product->pinned();
  const Tensor& a = e.args[0].value->tensor();
  const Tensor& b = e.args[1].value->tensor();
  if (!is_readable(a) || !is_readable(b)) return false;
  Operands x = fold_batch({out, a, b});
  if (x.out.numel() == 0 || x.a.shape()[x.a.rank() - 1] == 0) return false;
  MatmulLaunch work = prepare(x);
  const Stream stream = current_stream(out.device());
  work.bias = carried.bias->tensor().data_on(stream);
  work.relu = carried.relu;
  if (!backend::backend_of(out.device().type).supports_epilogue(work, stream))
    return false;
  backend::launch_matmul(op, work, stream);
  return true;
}

}  // namespace jacquard::tape
