// The one place through which core reaches a backend's kernels and copies: each
// function forwards to the backend of the stream's device and, while a
// LaunchLog is alive, records.
//
// `op` names the operation in logs and must live as long as the process (a
// literal). Errors are those of the backend; nothing is recorded then.
#pragma once

#include <cstddef>
#include <span>

#include "core/backend/backend.h"

namespace jacquard::backend {

// Skeletons map, map-reduce and row.
JACQUARD_API void launch(const char* op, const ProgramLaunch& work,
                         Stream stream);
// Skeleton list; nothing is launched for an empty list.
JACQUARD_API void launch_list(const char* op,
                              std::span<const ProgramLaunch> work,
                              Stream stream);
JACQUARD_API void launch_matmul(const char* op, const MatmulLaunch& work,
                                Stream stream);
// Named by IndexLaunch::op.
JACQUARD_API void launch_gather(const IndexLaunch& work, Stream stream);
JACQUARD_API void launch_scatter(const IndexLaunch& work, Stream stream);
JACQUARD_API void launch_scatter_add(const IndexLaunch& work, Stream stream);
// Named by `op` of the launch.
JACQUARD_API void launch_scan(const ScanLaunch& work, Stream stream);
JACQUARD_API void launch_sort(const SortLaunch& work, Stream stream);

// Named by the code's name.
JACQUARD_API void launch_raw(const RawLaunch& work, Stream stream);

// Work on `after` waits for what is on `before` until now. Streams of different
// device types: the host waits for `before`. Nothing happens for equal ones.
JACQUARD_API void order(Stream after, Stream before);

// On the device. Nothing happens for 0 bytes, here and below.
JACQUARD_API void copy(const char* op, void* to, const void* from,
                       std::size_t bytes, Stream stream);
// From the host; the source may be reused as soon as the call returns.
JACQUARD_API void upload(const char* op, void* to, const void* from_host,
                         std::size_t bytes, Stream stream);
// To the host, where it has arrived when the call returns: the only way by
// which core reads device memory.
JACQUARD_API void read_back(const char* op, void* to_host, const void* from,
                            std::size_t bytes, Stream stream);

}  // namespace jacquard::backend
