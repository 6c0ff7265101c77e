// A fixed list of programs that stands for what is compiled at run time:
// skeletons × dtypes × layouts, and the functions, casts and row lengths that
// make a kernel of their own.
#pragma once

#include <string>
#include <vector>

#include "core/backend/backend.h"

namespace jacquard::cuda_backend {

struct ListedProgram {
  std::string name;  // "map, float32, transposed"
  pointwise::ProgramPtr program;
  Shape space;
  std::vector<Strides> leaves, outputs;
  bool in_list = false;  // run as two entries of a list
  // Has sin, cos or tan: to reduce a large argument, CUDA's keep an array.
  bool angles = false;
};

// 150 programs.
std::vector<ListedProgram> listed_programs();

// Enqueues it over zeros, so that its kernels are made.
void run_listed(const ListedProgram& listed, Stream stream);

}  // namespace jacquard::cuda_backend
