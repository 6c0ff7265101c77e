// What cublasLtMatmul refuses.
#pragma once

#include <cublasLt.h>

#include "libraries/cublaslt_problem.h"

namespace ptx_emulator::cublaslt {

// CUBLAS_STATUS_SUCCESS, or the status of the first rule that the problem
// breaks, whose text goes to stderr after the name of the call. Rules about
// addresses apply only if the problem has them.
cublasStatus_t check(const Problem& problem, const char* call);

// The workspace that the stand-in's algorithm asks for when it may have
// `available` bytes: a part of the product that is reduced at the end, if it
// fits.
std::uint64_t workspace_for(const Problem& problem, std::uint64_t available);

}  // namespace ptx_emulator::cublaslt
