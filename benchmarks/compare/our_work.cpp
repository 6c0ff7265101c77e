#include "compare/our_work.h"

#include <jacquard/jacquard.h>
#include <jacquard/nn/nn.h>

#include <stdexcept>
#include <utility>

namespace compare {
namespace {

namespace jq = jacquard;
namespace nn = jacquard::nn;

jq::TrackedTensor input(const jq::Shape& shape, std::uint32_t salt,
                        float scale = 1) {
  return jq::tensor(input_values(shape.numel(), salt, scale), shape, jq::cpu());
}
jq::TrackedTensor param(const jq::Shape& shape, std::uint32_t salt) {
  return jq::param(input(shape, salt));
}
jq::TrackedTensor labels(std::int64_t n, std::int64_t classes) {
  return jq::tensor(input_labels(n, classes), {n}, jq::cpu());
}

double sum_of(const jq::TrackedTensor& t) {
  return jq::sum(jq::cast(t, jq::DType::float64)).item<double>();
}

// f of leaves, forward and backward.
class Differentiated : public Work {
 public:
  Differentiated(std::vector<jq::TrackedTensor> leaves, jq::TrackedTensor seed)
      : leaves_(std::move(leaves)), seed_(std::move(seed)) {}

  void run() final {
    for (const auto& leaf : leaves_) leaf.clear_grad();
    y_ = {};
    y_ = jq::materialize(forward(leaves_));
    jq::backward(y_, seed_);
    std::vector<jq::TrackedTensor> grads;
    for (const auto& leaf : leaves_) grads.push_back(leaf.grad());
    jq::materialize(grads);
    jq::synchronize(jq::cpu());
  }
  double checksum() final {
    double total = sum_of(y_ * y_);
    for (const auto& leaf : leaves_) total += sum_of(jq::abs(leaf.grad()));
    return total;
  }

 protected:
  virtual jq::TrackedTensor forward(
      const std::vector<jq::TrackedTensor>& leaves) const = 0;

 private:
  std::vector<jq::TrackedTensor> leaves_;
  jq::TrackedTensor seed_, y_;
};

struct Chain final : Differentiated {
  explicit Chain(std::int64_t n)
      : Differentiated(
            {param({n}, 1), param({n}, 2), param({n}, 3), param({n}, 4)},
            input({n}, 5)) {}
  jq::TrackedTensor forward(
      const std::vector<jq::TrackedTensor>& v) const override {
    const auto &x = v[0], &a = v[1], &b = v[2], &c = v[3];
    return jq::tanh(a * x + b) * jq::sigmoid(c);
  }
};

struct CrossEntropy final : Differentiated {
  explicit CrossEntropy(std::int64_t rows)
      : Differentiated({param({rows, kColumns}, 1)}, {}),
        target(labels(rows, kColumns)) {}
  jq::TrackedTensor forward(
      const std::vector<jq::TrackedTensor>& v) const override {
    return jq::cross_entropy(v[0], target);
  }
  jq::TrackedTensor target;
};

struct Softmax final : Differentiated {
  explicit Softmax(std::int64_t rows)
      : Differentiated({param({rows, kColumns}, 1)},
                       input({rows, kColumns}, 2)) {}
  jq::TrackedTensor forward(
      const std::vector<jq::TrackedTensor>& v) const override {
    return jq::softmax(v[0]);
  }
};

struct LayerNorm final : Differentiated {
  explicit LayerNorm(std::int64_t rows)
      : Differentiated({param({rows, kColumns}, 1), param({kColumns}, 2),
                        param({kColumns}, 3)},
                       input({rows, kColumns}, 4)) {}
  jq::TrackedTensor forward(
      const std::vector<jq::TrackedTensor>& v) const override {
    return jq::layer_norm(v[0], v[1], v[2]);
  }
};

struct Mlp {
  nn::Linear first, second, last;
  jq::TrackedTensor operator()(const jq::TrackedTensor& x) const {
    return last(jq::relu(second(jq::relu(first(x)))));
  }
};

nn::Linear mlp_layer(int i) {
  const auto salt = static_cast<std::uint32_t>(2 * i);
  return {jq::param(input({kMlp[i + 1], kMlp[i]}, 10 + salt, 0.1f)),
          jq::param(input({kMlp[i + 1]}, 11 + salt, 0.1f))};
}

class MlpStep final : public Work {
 public:
  explicit MlpStep(std::int64_t batch)
      : x_(input({batch, kMlp[0]}, 1)), target_(labels(batch, kMlp[3])) {}
  void run() override {
    auto [loss, grads] = jq::withgradient(
        [&](const Mlp& m) { return jq::cross_entropy(m(x_), target_); },
        model_);
    optimizer_.step(model_, grads);
    loss_ = jq::materialize(loss);
    jq::synchronize(jq::cpu());
  }
  double checksum() override { return loss_.item<double>(); }

 private:
  jq::TrackedTensor x_, target_, loss_;
  Mlp model_{mlp_layer(0), mlp_layer(1), mlp_layer(2)};
  nn::Adam optimizer_;
};

class Sgemm final : public Work {
 public:
  explicit Sgemm(std::int64_t n) : a_(input({n, n}, 1)), b_(input({n, n}, 2)) {}
  void run() override {
    c_ = {};  // the memory of the last product is free for the next
    c_ = jq::materialize(jq::matmul(a_, b_));
    jq::synchronize(jq::cpu());
  }
  double checksum() override { return sum_of(c_ * c_); }

 private:
  jq::TrackedTensor a_, b_, c_;
};

}  // namespace

std::unique_ptr<Work> our_work(const std::string& name, std::int64_t size) {
  if (name == "chain") return std::make_unique<Chain>(size);
  if (name == "cross_entropy") return std::make_unique<CrossEntropy>(size);
  if (name == "softmax") return std::make_unique<Softmax>(size);
  if (name == "layer_norm") return std::make_unique<LayerNorm>(size);
  if (name == "mlp_step") return std::make_unique<MlpStep>(size);
  if (name == "sgemm") return std::make_unique<Sgemm>(size);
  throw std::invalid_argument("no such work: " + name);
}

}  // namespace compare
