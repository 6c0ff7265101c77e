// A kernel of somebody who uses Jacquard, and what he needs around it. No CUDA
// header, so that a test needs no nvcc.
#pragma once

#include <cstdint>

namespace user {

// A cudaStream_t of the user's own.
void* make_stream();
void destroy_stream(void* stream);
// Memory of the user's own.
float* allocate(std::int64_t n);
void release(float* data);

// to[i] = factor · from[i] on the stream.
void scale(const float* from, float* to, float factor, std::int64_t n,
           void* stream);
void synchronize(void* stream);

}  // namespace user
