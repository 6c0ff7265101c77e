#include "jacquard/raw_kernel.h"

#include <algorithm>
#include <string>
#include <utility>

#include "core/backend/launch.h"
#include "core/tape/call.h"
#include "core/tensor/writable.h"
#include "jacquard/error.h"

namespace jacquard {

void RawArray::check(DType asked) const {
  if (asked == dtype || (asked == DType::float16 && dtype == DType::bfloat16))
    return;
  throw DTypeError("a raw kernel reads an array of " +
                   std::string(name_of(dtype)) + " as " +
                   std::string(name_of(asked)));
}

RawGrid grid_over(std::int64_t n, std::uint32_t threads) {
  const std::int64_t blocks = (n + threads - 1) / threads;
  return {.blocks = {static_cast<std::uint32_t>(blocks), 1, 1},
          .threads = {threads, 1, 1},
          .sizes = {n}};
}

namespace {

using backend::RawCode;

std::string called(const char* name, CallSite site) {
  return std::string(name) + " (called at " + site.file + ":" +
         std::to_string(site.line) + ")";
}

// The operands of one call, apart.
struct Operands {
  std::vector<TrackedTensor> tensors;
  std::vector<RawScalar> scalars;
};

Operands taken_apart(const std::vector<Operand>& operands) {
  Operands all;
  for (const Operand& x : operands) {
    if (!x.is_scalar())
      all.tensors.push_back(x.tensor());
    else if (x.scalar_kind() == ScalarKind::floating)
      all.scalars.emplace_back(x.floating());
    else
      all.scalars.emplace_back(x.integer());
  }
  return all;
}

void check_inputs(const std::vector<TrackedTensor>& inputs,
                  const std::vector<DType>& dtypes, const std::string& call) {
  if (inputs.empty())
    throw GraphError(call + ": a raw kernel needs a tensor as input");
  for (const TrackedTensor& t : inputs)
    if (!(t.device() == inputs[0].device()))
      throw DeviceError(call + ": inputs on " + to_string(inputs[0].device()) +
                        " and " + to_string(t.device()) +
                        "; move one with to_device");
  if (dtypes.empty()) return;
  if (inputs.size() != dtypes.size())
    throw GraphError(call + ": " + std::to_string(inputs.size()) +
                     " inputs, but the kernel takes " +
                     std::to_string(dtypes.size()));
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i].dtype() != dtypes[i])
      throw DTypeError(call + ": input " + std::to_string(i) + " is " +
                       std::string(name_of(inputs[i].dtype())) +
                       ", but the kernel takes " +
                       std::string(name_of(dtypes[i])));
}

void check_code(const RawCode& code, Device device, const std::string& call) {
  if (device.type == DeviceType::cpu ? static_cast<bool>(code.cpu)
                                     : !code.source.empty())
    return;
  throw DeviceError(
      call + ": the inputs are on " + to_string(device) +
      ", but the kernel has no " +
      (device.type == DeviceType::cpu
           ? "function for the CPU; give one (RawKernelOptions::cpu)"
           : "CUDA source; give one (RawKernelOptions::cuda_source)") +
      ", or move the inputs with to_device");
}

RawArray described(const Tensor& t) { return {t.shape(), t.dtype(), nullptr}; }

// Everything about a kernel.
struct Definition : RawCode {
  RawKernelOptions options;
  detail::RuleInfo info{};
};
using CodePtr = std::shared_ptr<const RawCode>;

// Launches the kernel on contiguous inputs; returns what it writes.
std::vector<Tensor> launch(const RawKernelOptions& options, const CodePtr& code,
                           const std::vector<Tensor>& inputs,
                           const std::vector<RawScalar>& scalars) {
  const Device device = inputs[0].device();
  const Stream stream = current_stream(device);
  std::vector<RawArray> in;
  for (const Tensor& t : inputs) in.push_back(described(t));
  const RawArguments shapes{in, {}, scalars};
  std::vector<RawArray> out =
      options.outputs ? options.outputs(shapes) : std::vector{in[0]};
  std::vector<Tensor> results;
  std::int64_t elements = 0;
  for (RawArray& a : out) {
    results.push_back(Tensor::empty(a.shape, a.dtype, device));
    elements += a.shape.numel();
    a.data = nullptr;
  }
  if (elements == 0) return results;
  const RawArguments known{in, out, scalars};
  const RawGrid grid = device.type == DeviceType::cpu ? RawGrid{}
                       : options.launch               ? options.launch(known)
                                        : grid_over(out[0].shape.numel());
  for (std::size_t i = 0; i < in.size(); ++i)
    in[i].data = inputs[i].data_on(stream);
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i].data = write_on(results[i], stream);
  backend::launch_raw({code, in, out, scalars, grid}, stream);
  return results;
}

std::vector<TrackedTensor> pull_back(const CodePtr& code,
                                     std::span<const RawScalar> scalars,
                                     std::size_t inputs, CallSite site,
                                     std::span<const TrackedTensor> kept,
                                     std::span<const TrackedTensor> cotangents,
                                     const Needs& needs) {
  const auto& definition = static_cast<const Definition&>(*code);
  if (!definition.options.pullback)
    throw GraphError(
        "a gradient is asked for, but the kernel has no pullback "
        "(RawKernelOptions::pullback)");
  std::vector<TrackedTensor> g = definition.options.pullback(
      {kept.first(inputs), kept.subspan(inputs), cotangents, scalars, needs});
  detail::check_gradient_count(definition.info, site, "all inputs", inputs,
                               g.size());
  return g;
}

std::vector<TrackedTensor> run(const std::vector<Operand>& operands,
                               CallSite site, const CodePtr& code) {
  const auto& definition = static_cast<const Definition&>(*code);
  const RawKernelOptions& options = definition.options;
  const std::string where = called(code->name, site);
  Operands x = taken_apart(operands);
  check_inputs(x.tensors, options.dtypes, where);
  check_code(*code, x.tensors[0].device(), where);

  detail::RuleCall rule(definition.info, site);
  std::vector<TrackedTensor> entered;
  std::vector<Tensor> arrays;
  for (const TrackedTensor& t : x.tensors) {
    entered.push_back(rule.enter(t));
    arrays.push_back(entered.back().data().contiguous());
  }
  std::vector<TrackedTensor> results;
  for (Tensor& t : launch(options, code, arrays, x.scalars))
    results.emplace_back(std::move(t));
  if (!rule.records()) return rule.finish(std::move(results));

  const std::size_t n = entered.size();
  std::vector<TrackedTensor> kept(n + results.size());
  if (options.keeps_inputs) std::ranges::copy(entered, kept.begin());
  if (options.keeps_outputs)
    std::ranges::copy(results, kept.begin() + static_cast<std::ptrdiff_t>(n));
  for (const TrackedTensor& t : x.tensors) rule.name_argument(t);
  return rule.finish(
      std::move(results), kept, std::vector<std::string>(kept.size()),
      [code, scalars = x.scalars, n, site](auto all, auto cotangents,
                                           const Needs& needs) {
        return pull_back(code, scalars, n, site, all, cotangents, needs);
      },
      {});
}

}  // namespace

RawKernel::RawKernel(RawKernelOptions options) {
  auto made = std::make_shared<Definition>();
  made->info =
      detail::rule_info({.name = options.name,
                         .once_differentiable = options.once_differentiable});
  made->name = made->info.name;
  made->source = options.cuda_source;
  made->entry = options.cuda_entry.empty() ? options.name : options.cuda_entry;
  made->cpu = options.cpu;
  made->options = std::move(options);
  code_ = std::move(made);
}

std::vector<TrackedTensor> RawKernel::call(
    CallSite site, std::vector<Operand> operands) const {
  return tape::call(code_->name, site, run, std::move(operands), site, code_);
}

TrackedTensor RawKernel::one(std::vector<TrackedTensor> outputs) const {
  if (outputs.size() != 1)
    throw GraphError(std::string(code_->name) + ": the kernel has " +
                     std::to_string(outputs.size()) +
                     " outputs; all() gives them");
  return std::move(outputs[0]);
}

}  // namespace jacquard
