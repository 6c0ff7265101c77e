// Gradients of plain structs: no base class, no registration.
//
// A model is any structure of tensors. Its gradient has its type, so that each
// gradient stands under the name of its parameter.
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "jacquard/jacquard.h"

using namespace jacquard;

struct Layer {
  TrackedTensor weight, bias;
  std::string name;  // no parameter, passed along

  TrackedTensor operator()(const TrackedTensor& x) const {
    return tanh(matmul(x, transpose(weight)) + bias);
  }
};

struct Model {
  std::vector<Layer> layers;
  TrackedTensor output;                // [hidden]
  std::optional<TrackedTensor> scale;  // may be missing

  TrackedTensor operator()(TrackedTensor x) const {
    for (const Layer& layer : layers) x = layer(x);
    x = matmul(x, output);
    return scale ? x * *scale : x;
  }
};

Layer make_layer(std::int64_t in, std::int64_t out, std::string name) {
  return {param(0.5 * randn({out, in})), param(zeros({out})), std::move(name)};
}

int main() {
  manual_seed(1);
  const Model model{{make_layer(1, 16, "first"), make_layer(16, 16, "second")},
                    param(0.3 * randn({16})),
                    param(1.0F)};
  const TrackedTensor x = reshape(linspace(-2, 2, 64), {64, 1});
  const TrackedTensor y = sin(2 * select(x, 1, 0));

  // f returns the loss, and whatever else is wanted beside it.
  const auto loss = [&](const Model& m) {
    const TrackedTensor predicted = m(x);
    return std::pair(mean(square(predicted - y)), predicted);
  };

  for (int step = 0; step <= 2000; ++step) {
    const auto [value, g] = withgradient(loss, model);
    apply_gradients(model, g,
                    [](const TrackedTensor& p, const TrackedTensor& d) {
                      return p - 0.1 * d;
                    });
    if (step % 500 == 0)
      std::printf("step %4d  loss %.5f\n", step, value.first.item<float>());
  }

  std::printf("\n%lld parameters:\n",
              static_cast<long long>(count_parameters(model)));
  const Model g = gradient(loss, model);
  zip_tensors(
      [](const std::string& path, const TrackedTensor& p,
         const TrackedTensor& d) {
        std::printf("  %-18s %-10s |gradient| %.1e\n", path.c_str(),
                    to_string(p.shape()).c_str(), norm(d).item<float>());
      },
      model, g);
}
