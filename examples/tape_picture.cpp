// What a training step does, as a table and as a picture: traces one step of a
// small classifier, prints its tape, writes it as a page for the browser, and
// trains on by replaying it.
//
//   tape_picture [step.html]
#include <jacquard/jacquard.h>

#include <cstdio>
#include <exception>
#include <string>
#include <vector>

namespace jq = jacquard;
using jq::TrackedTensor;

namespace {

struct Layer {
  TrackedTensor weight, bias;
};

struct Model {
  std::vector<Layer> layers;

  TrackedTensor operator()(TrackedTensor h) const {
    for (std::size_t i = 0; i < layers.size(); ++i) {
      h = matmul(h, layers[i].weight) + layers[i].bias;
      if (i + 1 < layers.size()) h = relu(h);
    }
    return h;
  }
};

Layer layer(std::int64_t in, std::int64_t out) {
  return {jq::param(jq::randn({in, out}) * 0.1), jq::param(jq::zeros({out}))};
}

TrackedTensor step(const Model& model, const TrackedTensor& x,
                   const TrackedTensor& labels) {
  const auto [loss, g] = jq::withgradient(
      [&](const Model& m) { return jq::cross_entropy(m(x), labels); }, model);
  std::vector<std::vector<TrackedTensor>> pairs;
  for (std::size_t i = 0; i < model.layers.size(); ++i) {
    pairs.push_back({model.layers[i].weight, g.layers[i].weight});
    pairs.push_back({model.layers[i].bias, g.layers[i].bias});
  }
  jq::update_in_place(pairs, 1, [](const std::vector<TrackedTensor>& t) {
    return std::vector{t[0] - 0.5 * t[1]};
  });
  return loss;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    jq::manual_seed(1);
    const Model model{{layer(8, 16), layer(16, 16), layer(16, 3)}};
    const auto x = jq::materialize(jq::randn({32, 8}));
    const auto labels = jq::argmax(jq::slice(x, 1, {.start = 0, .stop = 3}), 1);
    const auto tape = jq::trace(step, model, x, labels);
    std::fputs(tape.to_string().c_str(), stdout);
    tape.save(argc > 1 ? argv[1] : "tape.html");
    std::printf("loss %.3f", tape.result().item<double>());
    TrackedTensor loss;
    for (int i = 0; i < 200; ++i) loss = tape.replay(model, x, labels);
    std::printf(", %.3f after 200 replays\n", loss.item<double>());
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tape_picture: %s\n", error.what());
    return 1;
  }
}
