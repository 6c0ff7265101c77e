// Graphs of launches: see backend::Backend::make_graph.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "core/backend/backend.h"

namespace jacquard::cuda_backend {

// Launches of other devices than the stream's are not captured: DeviceError.
// CudaError where something can't be captured, and what `enqueue` throws; then
// nothing has been launched, and every stream can be used as before.
std::unique_ptr<backend::LaunchGraph> make_graph(
    const std::function<void()>& enqueue, std::size_t scalars, Stream stream);

}  // namespace jacquard::cuda_backend
