// A chain of layers in checkpoints.
#pragma once

#include <algorithm>
#include <functional>
#include <vector>

#include "jacquard/checkpoint.h"
#include "jacquard/error.h"

namespace jacquard::nn {

// layers[n-1](… layers[0](x)), each `every` layers of it a checkpoint. Layers
// are structures (structure.h) or functions. For the least memory `every` is
// about the root of their number. Error if it is less than 1.
template <class Layer>
TrackedTensor checkpoint_sequential(const std::vector<Layer>& layers, int every,
                                    TrackedTensor x) {
  if (every < 1)
    throw Error("checkpoint_sequential: a checkpoint needs a layer at least");
  const auto run = [](const std::vector<Layer>& some, TrackedTensor h) {
    for (const Layer& layer : some) h = std::invoke(layer, h);
    return h;
  };
  const auto n = static_cast<std::size_t>(every);
  for (std::size_t i = 0; i < layers.size(); i += n) {
    const std::size_t end = std::min(i + n, layers.size());
    const std::vector<Layer> some(layers.begin() + static_cast<long>(i),
                                  layers.begin() + static_cast<long>(end));
    x = checkpoint(run, some, x);
  }
  return x;
}

}  // namespace jacquard::nn
