// Structures that the tests of transforms differentiate.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "jacquard/jacquard.h"

namespace jacquard::testing_models {

using Doubles = std::vector<double>;

inline TrackedTensor f64(std::vector<double> values) {
  const auto n = static_cast<std::int64_t>(values.size());
  return tensor(values, {n});
}
inline Doubles values(const TrackedTensor& t) { return t.to_host<double>(); }

struct Linear {
  TrackedTensor weight, bias;
  TrackedTensor operator()(const TrackedTensor& x) const {
    return matmul(x, weight) + bias;
  }
};
struct Model {
  std::vector<Linear> layers;
  std::string name;
  std::function<TrackedTensor(const TrackedTensor&)> activation;
  int width = 3;
  TrackedTensor scale;
  TrackedTensor operator()(TrackedTensor x) const {
    for (const Linear& layer : layers) x = activation(layer(x));
    return x * scale;
  }
};

inline Model small_model() {
  const auto make = [](std::int64_t in, std::int64_t out) {
    return Linear{randn({in, out}, {DType::float64}),
                  randn({out}, {DType::float64})};
  };
  Model m;
  m.layers = {make(2, 3), make(3, 2)};
  m.name = "small";
  m.activation = [](const TrackedTensor& x) { return tanh(x); };
  m.scale = f64({1.5, -0.5});
  return m;
}

template <class F>
std::string message_of(F f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "nothing was thrown";
}

}  // namespace jacquard::testing_models
