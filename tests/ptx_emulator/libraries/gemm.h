// Products of packed matrices on the host.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <thread>
#include <vector>

namespace ptx_emulator {

// c[i * columns + j] = sum over k of a(i, k) * b(k, j), each sum in order of k
// and rounded at every step, so the result does not depend on the number of
// threads. `a` and `b` are called once for each element.
template <class T, class A, class B>
std::vector<T> multiply(std::size_t rows, std::size_t columns,
                        std::size_t depth, const A& a, const B& b);

namespace gemm {

inline constexpr std::size_t kTileRows = 4;
inline constexpr std::size_t kVectors = 4;  // of a tile's row

template <class T>
struct Vector {
  typedef T Type __attribute__((vector_size(16)));
  static constexpr std::size_t kLanes = 16 / sizeof(T);
};
template <class T>
inline constexpr std::size_t kTileColumns = kVectors * Vector<T>::kLanes;

// Panels of kTileRows rows or kTileColumns columns, padded with zeros; within
// one, all elements of a k are together.
template <class T, class Element>
std::vector<T> pack(std::size_t extent, std::size_t depth, std::size_t width,
                    const Element& element) {
  const std::size_t panels = (extent + width - 1) / width;
  std::vector<T> packed(panels * width * depth, T{0});
  for (std::size_t i = 0; i < extent; ++i)
    for (std::size_t k = 0; k < depth; ++k)
      packed[(i / width * depth + k) * width + i % width] = element(i, k);
  return packed;
}

// One tile of kTileRows x kTileColumns sums.
template <class T>
void multiply_tile(const T* a, const T* b, std::size_t depth, T* tile) {
  using V = typename Vector<T>::Type;
  V sum[kTileRows][kVectors] = {};
  for (std::size_t k = 0; k < depth; ++k) {
    V right[kVectors];
    std::memcpy(right, b + k * kTileColumns<T>, sizeof right);
    for (std::size_t i = 0; i < kTileRows; ++i) {
      const T left = a[k * kTileRows + i];
      for (std::size_t v = 0; v < kVectors; ++v) sum[i][v] += left * right[v];
    }
  }
  std::memcpy(tile, sum, sizeof sum);
}

// Runs body(i) for i below `count` on the host's processors.
template <class Body>
void parallel_for(std::size_t count, const Body& body) {
  const std::size_t workers = std::clamp<std::size_t>(
      std::thread::hardware_concurrency(), 1, std::max<std::size_t>(count, 1));
  const auto run = [&](std::size_t worker) {
    for (std::size_t i = worker; i < count; i += workers) body(i);
  };
  std::vector<std::thread> threads;
  for (std::size_t worker = 1; worker < workers; ++worker)
    threads.emplace_back(run, worker);
  run(0);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace gemm

template <class T, class A, class B>
std::vector<T> multiply(std::size_t rows, std::size_t columns,
                        std::size_t depth, const A& a, const B& b) {
  constexpr std::size_t kWidth = gemm::kTileColumns<T>;
  const std::vector<T> left = gemm::pack<T>(rows, depth, gemm::kTileRows, a);
  const std::vector<T> right =
      gemm::pack<T>(columns, depth, kWidth,
                    [&](std::size_t j, std::size_t k) { return b(k, j); });
  std::vector<T> result(rows * columns);
  const auto tile_row = [&](std::size_t panel) {
    T tile[gemm::kTileRows * kWidth];
    const std::size_t first = panel * gemm::kTileRows;
    const std::size_t used = std::min(gemm::kTileRows, rows - first);
    for (std::size_t j = 0; j < columns; j += kWidth) {
      gemm::multiply_tile<T>(left.data() + first * depth,
                             right.data() + j * depth, depth, tile);
      for (std::size_t i = 0; i < used; ++i)
        std::copy_n(tile + i * kWidth, std::min(kWidth, columns - j),
                    result.data() + (first + i) * columns + j);
    }
  };
  const std::size_t panels = (rows + gemm::kTileRows - 1) / gemm::kTileRows;
  // Starting threads costs more than a small product.
  if (rows * columns * depth < 200000)
    for (std::size_t panel = 0; panel < panels; ++panel) tile_row(panel);
  else
    gemm::parallel_for(panels, tile_row);
  return result;
}

}  // namespace ptx_emulator
