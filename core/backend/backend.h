// What a backend fulfils: the contracts of every kernel family.
//
// Core says what is to be computed; `cuda/` and `cpu_fallback/` say how, in
// files of the same names. No contract assumes that the host can read device
// memory; all work is enqueued on the stream that is handed in and runs in the
// order of that stream. Pointers are device pointers, strides count elements.
//
// Contracts are checked by core before a launch: a backend may assume that
// shapes, dtypes and devices fit. Sizes may be 0 (nothing is then written,
// reductions write their neutral element) and may exceed 2³¹.
//
// Results do not depend on the number of threads: whatever is summed is split
// by size alone.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "core/pointwise/program.h"
#include "jacquard/device.h"
#include "jacquard/dtype.h"
#include "jacquard/raw_arguments.h"
#include "jacquard/shape.h"

namespace jacquard::backend {

// The value of a slot: read as `i` if the slot's dtype is bool or integer,
// else as `f`.
using Scalar = pointwise::Literal;

// Where a leaf of a program is. For index and random leaves data is nullptr and
// the strides say how the leaf's own row-major position runs over the space.
struct Binding {
  const void* data = nullptr;
  DType dtype = DType::float32;
  Strides strides;  // one for each axis of the space; 0: broadcast
};

// Where an output of a program goes. The output's dtype may differ from its
// instruction's: it is converted when written.
struct OutputBinding {
  void* data = nullptr;
  DType dtype = DType::float32;
  // One for each axis of the space. An axis on which a reduced output has
  // stride 0 is reduced. A stored output has stride 0 only on axes of extent 1
  // and, for a row constant, on the last axis.
  Strides strides;
  bool accumulate = false;  // out = out + value instead of out = value
};

// Skeletons map, map-reduce and row: which one follows from the program.
struct ProgramLaunch {
  const pointwise::Program* program = nullptr;
  Shape space;  // iteration space, row-major; any rank up to 8
  std::span<const Binding> leaves;         // in the program's order
  std::span<const Scalar> slots;           // in the program's order
  std::span<const OutputBinding> outputs;  // in the program's order
};

// A dense matrix operand: element (i, j) of batch element with offset o is
// data[o + i·row_stride + j·col_stride]. One of the two strides is 1 (or its
// extent is 1), the other at least the extent of the first.
struct MatrixBinding {
  const void* data = nullptr;
  std::int64_t row_stride = 0;
  std::int64_t col_stride = 0;
  Strides batch_strides;  // one for each axis of MatmulLaunch::batch
};

// c[b] = a[b]·b[b] (+ c[b] if accumulate). a: m×k, b: k×n, c: m×n row-major
// contiguous, batch element i of c at i·m·n. All of `dtype` (floating, or an
// integer type, where products and sums wrap); halves accumulate in float32 and
// round once. k = 0 gives zeros. c may be float32 for half operands.
struct MatmulLaunch {
  DType dtype = DType::float32;
  DType out_dtype = DType::float32;
  Shape batch;
  std::int64_t m = 0, n = 0, k = 0;
  MatrixBinding a, b;
  void* c = nullptr;
  bool accumulate = false;
  // Epilogue: c[b](i, j) = a[b]·b[b](i, j) + bias[j], and of that the relu
  // (NaN stays NaN). Only where supports_epilogue says so; never with
  // accumulate. The same bits as the bare product followed by the two.
  const void* bias = nullptr;  // n elements of out_dtype
  bool relu = false;
};

// Gather along one axis: for each position (o, j, i) of outer × count × inner
//   out[o, j, i] = x[o, index(o, j, i), i].
// x is contiguous outer × extent × inner, out contiguous. index is int64 with
// strides over (outer, count, inner), 0 where it is the same. Negative indices
// count from the end. An index out of range: on the CPU IndexError at the
// launch; elsewhere reported at the next synchronisation.
struct IndexLaunch {
  const char* op = "";  // for the message
  DType dtype = DType::float32;
  std::int64_t outer = 1, extent = 0, count = 0, inner = 1;
  const std::int64_t* index = nullptr;
  std::int64_t index_strides[3] = {0, 1, 0};
  const void* source = nullptr;  // gather: x; scatter: values, like out above
  void* target = nullptr;        // gather: out; scatter: the array like x
};

// A scan along one axis of contiguous arrays of outer × extent × inner. From
// the first place of the axis, or from the last if `reverse`, with p the place
// before j in that order:
//   sum          h[j] = h[p] + b[j]            a is nullptr
//   product      h[j] = a[j]·h[p]              b is nullptr
//   recurrence   h[j] = a[j]·h[p] + b[j],      or a[p] for a[j] if
//                                              `coefficient_of_previous`
// The first place has h = b, or h = a where there is no b; its coefficient is
// not read. dtype: float32, float64, int32 or int64 (which wrap); a recurrence
// is floating. Where an axis is cut, and so the bits, follows from sizes alone.
struct ScanLaunch {
  const char* op = "";
  DType dtype = DType::float32;
  std::int64_t outer = 1, extent = 0, inner = 1;
  bool reverse = false;
  bool coefficient_of_previous = false;
  const void* a = nullptr;
  const void* b = nullptr;
  void* out = nullptr;
};

// For each row of rows × extent, contiguous, the positions of its elements in
// rising or falling order; equal ones (−0 and 0 are equal) in rising order of
// position. NaN is greater than all else. Any dtype.
struct SortLaunch {
  const char* op = "";
  DType dtype = DType::float32;
  std::int64_t rows = 1, extent = 0;
  bool descending = false;
  const void* keys = nullptr;
  std::int64_t* positions = nullptr;
};

// A kernel of the user's.
struct RawCode {
  const char* name = "";  // lives as long as the process
  std::string source;     // CUDA C++; empty: none
  std::string entry;      // its extern "C" __global__ function
  std::function<void(const RawArguments&)> cpu;
  // What a backend compiled from the source; owned by the backend, which never
  // frees it.
  mutable std::atomic<void*> compiled{nullptr};
};

// One launch of it over contiguous arrays. The parameters of the entry are
// pointers to the inputs and to the outputs, the sizes of the grid, the
// scalars. The function for the CPU is handed the same but for the grid. There
// is code for the stream's device.
struct RawLaunch {
  std::shared_ptr<const RawCode> code;
  std::span<const RawArray> inputs;
  std::span<const RawArray> outputs;
  std::span<const RawScalar> scalars;
  RawGrid grid;
};

// Launches that run again and again as one object of the device. What it
// launches is what was enqueued when it was made: the same kernels at the same
// addresses, which stay valid as long as it is used.
class JACQUARD_API LaunchGraph {
 public:
  virtual ~LaunchGraph() = default;
  // Runs them, with scalar k for every slot whose origin is k + 1: one upload
  // and one launch, both on `stream`.
  virtual void run(std::span<const Scalar> scalars, Stream stream) = 0;
};

class JACQUARD_API Backend {
 public:
  virtual ~Backend() = default;
  virtual const char* name() const = 0;

  // Devices present; 0 is a normal answer.
  virtual int device_count() const = 0;

  // Memory, in the order of the stream: `free` may be called as soon as the
  // last use was enqueued. At least 64-byte aligned; 0 bytes give a pointer
  // that is not nullptr. OutOfMemory with requested, in use, peak and free.
  virtual void* allocate(std::size_t bytes, Stream stream) = 0;
  virtual void free(void* data, std::size_t bytes, Stream stream) noexcept = 0;
  // Bytes handed out now, the most ever, and calls that went to the system.
  struct MemoryStats {
    std::size_t in_use = 0, peak = 0;
    std::uint64_t system_allocations = 0;
  };
  virtual MemoryStats memory_stats(int device) const = 0;
  // The peak becomes what is in use.
  virtual void reset_peak_memory(int device) = 0;

  // The source of an upload may be reused as soon as the call returns; a
  // download has arrived when it returns.
  virtual void upload(void* to, const void* from_host, std::size_t bytes,
                      Stream stream) = 0;
  virtual void download(void* to_host, const void* from, std::size_t bytes,
                        Stream stream) = 0;
  virtual void copy(void* to, const void* from, std::size_t bytes,
                    Stream stream) = 0;

  // The calling thread's own stream.
  virtual Stream current_stream(int device) = 0;
  // A new one, which lives as long as the process.
  virtual Stream make_stream(int device) = 0;
  // Work enqueued on `after` from now on waits for what was enqueued on
  // `before` until now. Both are streams of one device type.
  virtual void order(Stream after, Stream before) = 0;
  virtual void synchronize(Stream stream) = 0;
  virtual void synchronize_device(int device) = 0;

  virtual void run(const ProgramLaunch& launch, Stream stream) = 0;
  // Skeleton list: one program over many spaces, one launch. All entries have
  // the same program; it has stored outputs only. An output may be the same
  // memory as a leaf of its own entry, element by element.
  virtual void run_list(std::span<const ProgramLaunch> launches,
                        Stream stream) = 0;
  virtual void matmul(const MatmulLaunch& launch, Stream stream) = 0;
  // Whether `matmul` carries the epilogue of this very launch, of which no size
  // is 0.
  virtual bool supports_epilogue(const MatmulLaunch& launch, Stream stream) = 0;
  // The largest k of a product a·b that is better computed inside the
  // elementwise launch that reads it, and the largest m or n of one that is
  // better reduced inside the launch that reads its other operand: where a
  // launch costs more than the arithmetic. 0: none.
  virtual std::int64_t narrow_product() const { return 0; }
  virtual void gather(const IndexLaunch& launch, Stream stream) = 0;
  // target[o, index, i] += source[o, j, i], repeated indices in rising j: the
  // same bits whatever the number of threads.
  virtual void scatter_add(const IndexLaunch& launch, Stream stream) = 0;
  // target[o, index, i] = source[o, j, i]; of repeated indices the last wins.
  virtual void scatter(const IndexLaunch& launch, Stream stream) = 0;
  virtual void scan(const ScanLaunch& launch, Stream stream) = 0;
  virtual void sort(const SortLaunch& launch, Stream stream) = 0;
  // CudaError with the compiler's log if the source doesn't compile.
  virtual void run_raw(const RawLaunch& launch, Stream stream) = 0;

  // The work that `enqueue` puts on `stream` with the functions above (launches
  // and copies, no uploads, no downloads, nothing allocated or freed by it), as
  // one object; it is not run by that. No slot is an
  // argument of a kernel: those with an origin are read from `scalars` numbers
  // in device memory, at origin − 1, the others from constants behind them.
  // nullptr: this backend has no such object; `enqueue` was not called.
  virtual std::unique_ptr<LaunchGraph> make_graph(
      const std::function<void()>& enqueue, std::size_t scalars,
      Stream stream) {
    static_cast<void>(enqueue), static_cast<void>(scalars);
    static_cast<void>(stream);
    return nullptr;
  }
};

// The backend of a device type. DeviceError that says what to install or why it
// is not there. Opens the backend's library at the first call.
JACQUARD_API Backend& backend_of(DeviceType type);
// nullptr instead of an exception.
JACQUARD_API Backend* find_backend(DeviceType type) noexcept;

// The one function that a backend library exports, by this name.
inline constexpr const char* kEntryPoint = "jacquard_backend";
using EntryPoint = Backend* (*)();

}  // namespace jacquard::backend
