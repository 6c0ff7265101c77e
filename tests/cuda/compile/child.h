// A test of this program that runs in a process of its own, under other
// variables of the environment, and reports the kernels that it made.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cuda/codegen/kernels.h"

namespace jacquard::cuda_backend {

using Environment = std::vector<std::pair<std::string, std::string>>;

class Child {
 public:
  // Starts `test`, which is disabled ("Suite.DISABLED_Name"), so that it runs
  // as a child only.
  Child(const std::string& test, const Environment& environment);
  Child(Child&& other) noexcept;
  Child(const Child&) = delete;
  ~Child();

  // Waits for its end. The counts that it reported, in order; a failure of the
  // calling test, with all that the child printed, if it failed or reported
  // none.
  std::vector<KernelCounts> counts();

 private:
  std::string name_;
  int pid_ = -1, output_ = -1;
};

// In the child: one more report.
void report(const KernelCounts& counts);

}  // namespace jacquard::cuda_backend
