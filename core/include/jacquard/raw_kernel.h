// Kernels of the user's: CUDA C++ for the GPU, a C++ function for the CPU, and
// together one operation.
//
//   const auto scale = raw_kernel({
//       .name = "scale",
//       .cuda_source = R"(
//         extern "C" __global__ void scale(const float* x, float* y,
//                                          long long n, double factor) {
//           long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
//           if (i < n) y[i] = (float)factor * x[i];
//         })",
//       .cpu = [](const RawArguments& a) {
//         const float* x = a.inputs[0].as<const float>();
//         float* y = a.outputs[0].as<float>();
//         const float factor = static_cast<float>(a.scalars[0].floating());
//         for (std::int64_t i = 0; i < a.outputs[0].shape.numel(); ++i)
//           y[i] = factor * x[i];
//       },
//       .pullback = [](const RawPullback& p) -> std::vector<TrackedTensor> {
//         return {p.cotangents[0] * p.scalars[0].floating()};
//       },
//   });
//   TrackedTensor y = scale(x, 3.0);
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "jacquard/custom.h"
#include "jacquard/raw_arguments.h"
#include "jacquard/tracked_tensor.h"

namespace jacquard {

// What a pullback sees.
struct RawPullback {
  std::span<const TrackedTensor> inputs;   // undefined unless keeps_inputs
  std::span<const TrackedTensor> outputs;  // undefined unless keeps_outputs
  // Of the outputs; undefined where they aren't floating, structural zeros
  // where no path leads.
  std::span<const TrackedTensor> cotangents;
  std::span<const RawScalar> scalars;
  const Needs& needs;
};

struct RawKernelOptions {
  // Shown in messages and on the tape.
  std::string name = "raw_kernel";

  // CUDA C++ with an extern "C" __global__ function `cuda_entry` (empty: named
  // like the kernel), whose parameters are pointers to the inputs, to the
  // outputs, the sizes of its RawGrid as long long, and the scalars of the call
  // as long long or double. NVRTC compiles it, once, without contraction of
  // products and sums; nothing can be included. Empty: not on the GPU.
  std::string cuda_source = {};
  std::string cuda_entry = {};
  // Empty: grid_over the elements of the first output.
  std::function<RawGrid(const RawArguments&)> launch = {};
  // The same on the CPU. Empty: not there.
  std::function<void(const RawArguments&)> cpu = {};

  // The dtypes of the inputs, which are checked, and so is their number; empty:
  // any.
  std::vector<DType> dtypes = {};
  // Shapes and dtypes of the outputs, from the inputs and scalars (throw a
  // ShapeError for what doesn't fit). Empty: one output like the first input.
  std::function<std::vector<RawArray>(const RawArguments&)> outputs = {};

  // One gradient for each input, undefined for none: as for custom_vjp. Empty:
  // a gradient is a GraphError.
  std::function<std::vector<TrackedTensor>(const RawPullback&)> pullback = {};
  bool keeps_inputs = true;
  bool keeps_outputs = true;
  bool once_differentiable = false;
};

namespace backend {
struct RawCode;
}

// What raw_kernel returns.
class JACQUARD_API RawKernel {
 public:
  explicit RawKernel(RawKernelOptions options);

  // Tensors are inputs, on one device, in the order given; host scalars are
  // scalars. The only output (GraphError if there are several).
  template <class... More>
  TrackedTensor operator()(Operand first, const More&... more) const {
    const CallSite site = first.site();
    return one(call(site, {std::move(first), Operand(more)...}));
  }
  // All outputs.
  template <class... More>
  std::vector<TrackedTensor> all(Operand first, const More&... more) const {
    const CallSite site = first.site();
    return call(site, {std::move(first), Operand(more)...});
  }
  std::vector<TrackedTensor> call(CallSite site,
                                  std::vector<Operand> operands) const;

 private:
  TrackedTensor one(std::vector<TrackedTensor> outputs) const;

  std::shared_ptr<const backend::RawCode> code_;
};

// The operation. Inputs are written before, contiguous, and given as they are;
// the kernel writes every element of its outputs and nothing else, and may read
// outputs only after it wrote them. It runs on the caller's current stream; the
// function for the CPU has done its work when it returns. The kernel's source
// is compiled at its first call (CudaError with the compiler's log and its line
// numbers); the result is kept on disk like other kernels. DeviceError that
// says what is missing where there is no code for the device.
inline RawKernel raw_kernel(RawKernelOptions options) {
  return RawKernel(std::move(options));
}

}  // namespace jacquard
