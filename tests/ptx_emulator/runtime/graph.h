// Work as it is given to streams, and graphs of it.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "runtime/scheduler.h"

namespace ptx_emulator {

// One piece of work for a stream or a node of a graph.
struct Task {
  cudaGraphNodeType type = cudaGraphNodeTypeEmpty;
  std::string name;  // for messages
  Work work;         // throws Fault or AccessFault
};

struct GraphNode {
  std::shared_ptr<const Task> task;
  std::vector<std::size_t> after;  // indices of earlier nodes
};

// What cudaGraph_t points to. Nodes are in an order in which they may run. A
// cudaGraphNode_t points to its element of `handles`.
struct Graph {
  std::vector<GraphNode> nodes;
  std::vector<std::unique_ptr<GraphNode*>> handles;
};

// What cudaGraphExec_t points to.
struct ExecutableGraph {
  std::vector<GraphNode> nodes;
  OperationPtr last_launch;  // launches of one graph run one after the other
};

// Whether the nodes of `update` can replace those of `graph`: the same number,
// types and dependencies. If not, `node` is the first that differs.
cudaGraphExecUpdateResult compare_topology(const ExecutableGraph& graph,
                                           const Graph& update,
                                           std::size_t* node);

}  // namespace ptx_emulator
