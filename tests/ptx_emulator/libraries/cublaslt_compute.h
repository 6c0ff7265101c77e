// The computation of cublasLtMatmul on the host.
#pragma once

#include "libraries/cublaslt_problem.h"

namespace ptx_emulator::cublaslt {

// The factors alpha and beta: values, or addresses in device memory that are
// read when the product is computed.
struct Scaling {
  bool on_device = false;
  double alpha = 1, beta = 0;
  std::uint64_t alpha_address = 0, beta_address = 0;
};

// Computes all batch entries: products of the inputs, rounded as the compute
// type says, are summed in order of k in the scale type; each result is
// rounded once to the type of D after the epilogue. The workspace is
// overwritten. AccessFault if an operand is not accessible as a whole or has
// bytes that nothing wrote.
void compute(const Problem& problem, const Scaling& scaling);

std::size_t bytes_read(const Problem& problem, const Scaling& scaling);
std::size_t bytes_written(const Problem& problem);

}  // namespace ptx_emulator::cublaslt
