// How a kernel is measured: by the device's own clock, over sets of operands
// that together don't fit its caches, beside the bandwidth of a copy and the
// speed of a matrix product that the same device shows.
#pragma once

#include <benchmark/benchmark.h>
#include <jacquard/jacquard.h>

#include <functional>
#include <string>
#include <vector>

namespace kernels {

// One piece of work on a device.
struct Work {
  // Bytes that one run has to move at least, and its multiplications and
  // additions; 0: not reported.
  double bytes = 0;
  double flops = 0;
  // Bytes of one set of operands, where that isn't `bytes`.
  double set_bytes = bytes;
  // Makes one set of operands and returns what runs on them.
  std::function<std::function<void()>()> make_set;
};

// Operands are made on the default device, which is the one to be measured.
using MakeWork =
    std::function<Work(const std::vector<std::int64_t>& arguments)>;

// Registers the work for the CPU ("cpu/name/arguments") and for the GPU
// ("cuda/name/arguments") where there is one. Counters: bytes_per_second,
// of_copy (its part of the measured copy bandwidth), flops, of_gemm (its part
// of the measured product), sets.
void add(const std::string& name,
         const std::vector<std::vector<std::int64_t>>& arguments,
         MakeWork make);
// Where there is no GPU, an entry "cuda" that says so.
void add_missing_device();

}  // namespace kernels
