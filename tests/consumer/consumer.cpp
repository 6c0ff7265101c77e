// Uses the library as a stranger would: a gradient through both libraries, and
// an exception across their border.
#include <jacquard/jacquard.h>
#include <jacquard/nn/nn.h>

#include <cmath>
#include <cstdio>

int main() {
  using namespace jacquard;
  const auto x = tensor<float>({1, 2, 3});
  const auto g = gradient([](const TrackedTensor& v) { return sum(v * v); }, x);
  const auto values = g.to_host<float>();
  for (int i = 0; i < 3; ++i) {
    if (std::abs(values[static_cast<std::size_t>(i)] - 2 * (i + 1)) > 1e-6) {
      std::puts("consumer: the gradient is wrong");
      return 1;
    }
  }
  const auto layer = nn::Linear::make(4, 2);
  try {
    layer(ones({3, 5})).data();
  } catch (const ShapeError& error) {
    std::printf("consumer: works; and an error arrives: %s\n", error.what());
    return 0;
  }
  std::puts("consumer: a wrong shape went unnoticed");
  return 1;
}
