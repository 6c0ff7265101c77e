// What a cubin says of its kernels.
#pragma once

#include <string>
#include <vector>

namespace jacquard::cuda_backend {

struct KernelResources {
  std::string name;
  unsigned registers = 0;  // a thread
  // Bytes of local memory a thread: arrays that are indexed at run time,
  // spilled registers.
  unsigned stack = 0;
};

// Of the functions in the image of an ELF file as ptxas writes it.
// std::runtime_error if it isn't one.
std::vector<KernelResources> resources_of(const std::string& cubin);

}  // namespace jacquard::cuda_backend
