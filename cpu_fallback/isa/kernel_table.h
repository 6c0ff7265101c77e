// The table of tile functions that each instruction-set level exports.
//
// Code in cpu_fallback/isa/ is compiled once per level, into
// jacquard::cpu_fallback::<level>; the rest of the backend calls it through
// this table only. Nothing here may use a std:: container or algorithm: an
// inline function that the linker keeps from a higher level would crash on a
// smaller machine.
//
// A *tile* is a run of elements of one program value, in *register form*:
//   bool_ → unsigned char 0/1, int32, int64, float32, float64 as they are,
//   float16 and bfloat16 → float (holding values that the half type can hold).
// Tile buffers that a function reads or writes are accessible up to n rounded
// up to kQuantum elements, need no alignment, and may hold anything beyond n:
// functions work on whole packs, so that each element goes through the same
// vector code wherever in a tile it lies. Where "exactly n" is said, nothing
// beyond is touched. Except where said, out may be the same buffer as an input.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/pointwise/primitives.h"
#include "core/pointwise/program.h"
#include "jacquard/dtype.h"

// Not `cpu`: that is a function of jacquard/device.h.
namespace jacquard::cpu_fallback {

inline constexpr std::size_t kQuantum = 64;  // elements

// out[i] = op(a[i], b[i], c[i]); unused operands are nullptr.
using TileFn = void (*)(const void* a, const void* b, const void* c, void* out,
                        std::size_t n);

// One operation of a chain on the value so far, x, and another, y: x + y, x −
// y, x · y, mulz(x, y), y − x.
enum class Link : std::uint8_t { add, sub, mul, mulz, from };
inline constexpr std::size_t kLinks = 5;

// a joined with b, the result with c, and in a chain of three that with d. The
// same bits as one tile function after another.
using ChainFn = void (*)(const void* a, const void* b, const void* c,
                         const void* d, void* out, std::size_t n);

// Row operations: `rows` rows of `cols` elements, dense one after another
// (rows·cols = the tile); all buffers hold rows·cols elements. Sums inside a
// row are pairwise or in lanes: a function of cols alone. May read and write
// only rows·cols elements (exactly). Results differ from the inputs.
struct RowArgs {
  const void *a = nullptr, *b = nullptr, *c = nullptr, *d = nullptr;
  void* out = nullptr;
  void* second = nullptr;  // of operations with two results
  std::size_t rows = 0, cols = 0;
  // At how many places of a row a row-constant result is written: cols or 1.
  std::size_t places = 0;
};
using RowFn = void (*)(const RowArgs& args);

struct KernelTable {
  const char* level;  // "x86-64-v2", "x86-64-v3", "x86-64-v4", "generic"

  // By primitive and dtype of the *operands* (of b and c for `where`); entries
  // for the half types are those of float32 (the executor rounds afterwards).
  // nullptr: no such combination, or not a tile function (leaves, cast, rows).
  TileFn op[pointwise::kOpCount][kDTypeCount];
  RowFn row[pointwise::kOpCount][kDTypeCount];
  // Several operations in one, for float32 and float64: see
  // executor/row_fusion.h for what they compute. Operands with one value a row
  // are read at the first place of each row.
  RowFn row_dot[kDTypeCount], row_dot_mulz[kDTypeCount];
  RowFn row_normalize_both[kDTypeCount];
  RowFn row_softmax_point[kDTypeCount];
  // cast[from][to], register form to register form; to a half type rounds.
  // To bool: ≠ 0. Floating to integer truncates; NaN and values out of range
  // give the smallest integer of the type.
  TileFn cast[kDTypeCount][kDTypeCount];
  // By the dtype of all operands and the links; float32 and float64.
  ChainFn chain2[kDTypeCount][kLinks][kLinks];
  ChainFn chain3[kDTypeCount][kLinks][kLinks][kLinks];
  // float registers rounded to what float16 / bfloat16 can hold.
  TileFn round_half, round_bfloat;

  // Memory → register form: element i is from[i·stride] (stride in elements,
  // any sign, 0: splat). Reads exactly n elements.
  using LoadFn = void (*)(const void* from, std::int64_t stride, void* out,
                          std::size_t n);
  LoadFn load[kDTypeCount];
  // Register form → memory, exactly n elements. store_stream uses
  // non-temporal stores where `to` allows; the caller ends with fence().
  using StoreFn = void (*)(const void* from, void* to, std::int64_t stride,
                           std::size_t n);
  StoreFn store[kDTypeCount];
  StoreFn store_stream[kDTypeCount];  // stride 1
  StoreFn store_add[kDTypeCount];     // to[i·stride] += from[i]
  void (*fence)();

  // Reductions (sum, prod, max, min; mean is a sum) in register form of the
  // dtype: float32, float64, int32, int64, bool (max and min only).
  // fold: the n elements of a tile to *acc, acc = acc op (lane-wise tree of
  // the tile), exactly n; n need not be a multiple of anything.
  using FoldFn = void (*)(const void* from, std::size_t n, void* acc);
  FoldFn fold[6][kDTypeCount];
  // combine: acc[i] = acc[i] op from[i], exactly n.
  using CombineFn = void (*)(const void* from, void* acc, std::size_t n);
  CombineFn combine[6][kDTypeCount];

  // Philox4x32-10 keyed by seed; counter = (offset, element i / 4), lane i % 4
  // for float32. Exactly the same bits on each level and on CUDA; the mapping
  // is defined in core/pointwise/random.h. Elements position + i·stride.
  using RandomFn = void (*)(std::uint64_t seed, std::uint64_t offset,
                            std::int64_t position, std::int64_t stride,
                            void* out, std::size_t n);
  RandomFn
      uniform[kDTypeCount];  // register form of the dtype (halves: rounded)
  RandomFn normal[kDTypeCount];

  // c (m×n, row-major with leading dimension ldc) = a·b (+ c), float64 with
  // Eigen compiled for the level. Element (i, j) of a at a[i·a_row + j·a_col].
  void (*gemm_f64)(std::int64_t m, std::int64_t n, std::int64_t k,
                   const double* a, std::int64_t a_row, std::int64_t a_col,
                   const double* b, std::int64_t b_row, std::int64_t b_col,
                   double* c, std::int64_t ldc, bool accumulate);
};

// The table of the best level of this machine, or of $JACQUARD_ISA (v2, v3,
// v4, generic), which must not exceed it (DeviceError). Chosen once.
JACQUARD_API const KernelTable& kernels();

}  // namespace jacquard::cpu_fallback
