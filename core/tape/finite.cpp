#include "core/tape/finite.h"

#include <string>

#include "core/backend/launch.h"
#include "core/pointwise/program.h"
#include "core/tape/bindings.h"
#include "jacquard/error.h"

namespace jacquard::tape {
namespace {

using pointwise::Builder;
using pointwise::Op;
using pointwise::ProgramPtr;
using pointwise::Reduction;

// Whether any element is NaN, and whether any is infinite.
ProgramPtr program_for(DType dtype) {
  Builder b;
  const pointwise::Ref x = b.leaf({.op = Op::load, .dtype = dtype});
  b.output({b.apply(Op::is_nan, x), Reduction::max});
  b.output({b.apply(Op::is_inf, x), Reduction::max});
  return pointwise::Program::intern(b.take());
}

}  // namespace

NonFinite find_non_finite(const Tensor& t) {
  if (!is_floating(t.dtype()) || t.numel() == 0) return {};
  const Stream stream = current_stream(t.device());
  const Tensor found = Tensor::empty({2}, DType::bool_, t.device());
  auto* bytes = static_cast<char*>(write_on(found, stream));
  Strides reduced;
  for (int i = 0; i < t.rank(); ++i) reduced.push_back(0);
  const backend::OutputBinding outputs[] = {
      {bytes, DType::bool_, reduced, false},
      {bytes + 1, DType::bool_, reduced, false}};
  const backend::Binding leaf = bind(t, t.shape());
  const ProgramPtr program = program_for(t.dtype());
  backend::launch("check_finite",
                  {program.get(), t.shape(), std::span(&leaf, 1), {}, outputs},
                  stream);
  const auto host = found.to_host<bool>();
  return {host[0], host[1]};
}

void require_finite(const Tensor& t, const Node& node, const char* op) {
  if (const NonFinite bad = find_non_finite(t))
    throw NumericError(std::string(op) + ": the loss is " + bad.name() + ": " +
                       node.name + " " + described(node.dtype, node.shape) +
                       called_at(node.site));
}

std::string described(DType dtype, const Shape& shape) {
  return std::string(name_of(dtype)) + to_string(shape);
}

std::string called_at(CallSite site) {
  if (!site.line) return "";
  return " (called at " + std::string(site.file) + ":" +
         std::to_string(site.line) + ")";
}

}  // namespace jacquard::tape
