// How reductions are cut into chunks and spread over threads: functions of
// sizes alone, so that a sum has the same bits in whatever launch it is
// computed.
#pragma once

#include <algorithm>
#include <cstdint>

namespace jacquard::cuda_backend {

inline constexpr int kFoldThreads = 256;

constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

// Threads that share a row: a power of two up to 32, or kFoldThreads for rows
// too long for a warp. `width`: neighbouring elements of a thread.
constexpr int lanes_for(std::int64_t extent, int width) {
  const std::int64_t groups = ceil_div(extent, width);
  if (groups > 256) return kFoldThreads;
  int lanes = 1;
  while (lanes < groups && lanes < 32) lanes *= 2;
  return lanes;
}

// `kept` rows of `reduced` elements, each row reduced.
struct SpanSplit {
  int lanes;
  std::int64_t chunk, chunks;
};
constexpr SpanSplit split_span(std::int64_t kept, std::int64_t reduced,
                               int width) {
  const int lanes = lanes_for(reduced, width);
  if (lanes <= 32) return {lanes, reduced, 1};
  const std::int64_t turn = kFoldThreads * width;
  const std::int64_t wanted =
      std::max<std::int64_t>(1, 1024 / std::max<std::int64_t>(kept, 1));
  const std::int64_t chunk =
      std::max(ceil_div(ceil_div(reduced, wanted), turn), std::int64_t{2}) *
      turn;
  return {lanes, chunk, ceil_div(reduced, chunk)};
}

// `rows` rows of `columns` elements, each column reduced.
struct ColumnSplit {
  int lanes;
  std::int64_t tiles, chunk, chunks;
};
constexpr ColumnSplit split_columns(std::int64_t rows, std::int64_t columns,
                                    int width) {
  const int lanes = lanes_for(columns, width);
  const std::int64_t tiles =
      std::max<std::int64_t>(1, ceil_div(columns, lanes * width));
  const std::int64_t phases = kFoldThreads / lanes;
  const std::int64_t wanted = std::clamp<std::int64_t>(1024 / tiles, 1, 512);
  const std::int64_t least = std::max<std::int64_t>(32, 4 * phases);
  const std::int64_t chunk =
      tiles > 1024
          ? std::max<std::int64_t>(rows, 1)
          : ceil_div(std::max(ceil_div(rows, wanted), least), phases) * phases;
  return {lanes, tiles, chunk,
          std::max<std::int64_t>(1, ceil_div(rows, chunk))};
}

// Tickets of one tile's tree over its chunks (device/columns.cuh).
inline constexpr std::int64_t kFan = 16;
constexpr std::int64_t tickets_for(std::int64_t chunks) {
  std::int64_t tickets = 0;
  while (chunks > 1) {
    chunks = ceil_div(chunks, kFan);
    tickets += chunks;
  }
  return tickets;
}

}  // namespace jacquard::cuda_backend
