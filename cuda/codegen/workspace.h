// What the ways of running a program share.
#pragma once

#include <optional>
#include <vector>

#include "cuda/codegen/arguments.h"
#include "cuda/codegen/kernels.h"
#include "cuda/codegen/work.h"
#include "cuda/runtime/launch.h"
#include "cuda/runtime/memory.h"

namespace jacquard::cuda_backend {

// A Work and its arguments, reused by the thread so that their vectors keep
// their memory. A launch inside a launch takes the next one.
struct Workspace {
  Work work;
  Arguments arguments;
  std::vector<int> element_axes, point_axes;
};
class BorrowedWorkspace {
 public:
  BorrowedWorkspace();
  ~BorrowedWorkspace();
  BorrowedWorkspace(const BorrowedWorkspace&) = delete;
  BorrowedWorkspace& operator=(const BorrowedWorkspace&) = delete;
  Workspace& operator*() const { return *workspace_; }

 private:
  Workspace* workspace_;
};

// Scratch memory of one launch, in parts: first `add` each, then `make`, then
// `part`.
class Parts {
 public:
  // Returns the part's number.
  std::size_t add(std::int64_t bytes) {
    const std::size_t at = bytes_;
    bytes_ += (static_cast<std::size_t>(bytes) + 255) / 256 * 256;
    return at;
  }
  void make(Stream stream) {
    if (bytes_ > 0) scratch_.emplace(bytes_, stream);
  }
  void* part(std::size_t number) const { return scratch_->as<char>() + number; }

 private:
  std::size_t bytes_ = 0;
  std::optional<Scratch> scratch_;
};

int capability_of(Stream stream);
// Blocks for `wanted` tasks which each block takes in turn: no more than some
// waves of the device.
std::uint32_t blocks_for(std::int64_t wanted, int threads, Stream stream);

inline DType fold_type(const Work& work, std::size_t output) {
  return compute_type(work.value_dtype(static_cast<int>(output)));
}

// Finds the kernel of the workspace's work and launches it. add_numbers adds
// the skeleton's own arguments.
template <class F>
void launch_work(Workspace& w, ProgramKernels& kernels, std::uint32_t blocks,
                 Stream stream, F add_numbers) {
  const auto pack = [&](std::string* members) {
    w.arguments.begin(members);
    w.work.add_operands(w.arguments);
    add_numbers(w.arguments);
  };
  const Kernel& kernel =
      kernels.find(w.work, capability_of(stream),
                   [&](std::string& members) { pack(&members); });
  pack(nullptr);
  Geometry g;
  g.blocks_x = blocks;
  g.threads_x = static_cast<std::uint32_t>(w.work.block);
  void* pointer = w.arguments.data();
  launch(kernel, g, &pointer, stream);
}

// The skeletons. Spaces may be empty.
void run_map(const backend::ProgramLaunch& launch, Stream stream);
void run_map_reduce(const backend::ProgramLaunch& launch, Stream stream);
void run_rows(const backend::ProgramLaunch& launch, Stream stream);

// Chooses the width of skeletons map and list, once the work is laid out.
void choose_width(Work& work);
inline constexpr int kBlock = 256;

}  // namespace jacquard::cuda_backend
