// libtorch's side: a program of its own, since what tunes libtorch is set in
// the environment before a program starts, and since its oneDNN and OpenMP may
// be others than ours. It is told on its standard input what to do, a line
// each, and answers with one line:
//
//   begin NAME SIZE THREADS   →  ok CHECKSUM
//   time SECONDS wall|cpu     →  us FASTEST_RUN
//
// The first line, before it is asked anything, is "ready" with what it is.
#include <dlfcn.h>
#include <torch/torch.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "compare/work.h"

namespace compare {
namespace {

using torch::Tensor;

Tensor input(at::IntArrayRef shape, std::uint32_t salt, float scale = 1) {
  const auto values = input_values(c10::multiply_integers(shape), salt, scale);
  return torch::tensor(values).reshape(shape);
}
Tensor param(at::IntArrayRef shape, std::uint32_t salt, float scale = 1) {
  return input(shape, salt, scale).requires_grad_();
}
Tensor labels(std::int64_t n, std::int64_t classes) {
  return torch::tensor(input_labels(n, classes));
}

double sum_of(const Tensor& t) {
  return t.to(torch::kFloat64).sum().item<double>();
}

class Differentiated : public Work {
 public:
  Differentiated(std::vector<Tensor> leaves, Tensor seed)
      : leaves_(std::move(leaves)), seed_(std::move(seed)) {}

  void run() final {
    // Undefined gradients are moved in, not added to zeros.
    for (Tensor& leaf : leaves_) leaf.mutable_grad().reset();
    y_.reset();
    y_ = forward(leaves_);
    y_.backward(seed_);
  }
  double checksum() final {
    const torch::NoGradGuard no_grad;
    double total = sum_of(y_ * y_);
    for (const Tensor& leaf : leaves_) total += sum_of(leaf.grad().abs());
    return total;
  }

 protected:
  virtual Tensor forward(const std::vector<Tensor>& leaves) const = 0;

 private:
  std::vector<Tensor> leaves_;
  Tensor seed_, y_;
};

struct Chain final : Differentiated {
  explicit Chain(std::int64_t n)
      : Differentiated(
            {param({n}, 1), param({n}, 2), param({n}, 3), param({n}, 4)},
            input({n}, 5)) {}
  Tensor forward(const std::vector<Tensor>& v) const override {
    const auto &x = v[0], &a = v[1], &b = v[2], &c = v[3];
    return torch::tanh(a * x + b) * torch::sigmoid(c);
  }
};

struct CrossEntropy final : Differentiated {
  explicit CrossEntropy(std::int64_t rows)
      : Differentiated({param({rows, kColumns}, 1)}, {}),
        target(labels(rows, kColumns)) {}
  Tensor forward(const std::vector<Tensor>& v) const override {
    return torch::nn::functional::cross_entropy(v[0], target);
  }
  Tensor target;
};

struct Softmax final : Differentiated {
  explicit Softmax(std::int64_t rows)
      : Differentiated({param({rows, kColumns}, 1)},
                       input({rows, kColumns}, 2)) {}
  Tensor forward(const std::vector<Tensor>& v) const override {
    return torch::softmax(v[0], -1);
  }
};

struct LayerNorm final : Differentiated {
  explicit LayerNorm(std::int64_t rows)
      : Differentiated({param({rows, kColumns}, 1), param({kColumns}, 2),
                        param({kColumns}, 3)},
                       input({rows, kColumns}, 4)) {}
  Tensor forward(const std::vector<Tensor>& v) const override {
    return torch::layer_norm(v[0], {kColumns}, v[1], v[2]);
  }
};

class MlpStep final : public Work {
 public:
  explicit MlpStep(std::int64_t batch)
      : x_(input({batch, kMlp[0]}, 1)), target_(labels(batch, kMlp[3])) {
    for (int i = 0; i < kMlpLayers; ++i) {
      const auto salt = static_cast<std::uint32_t>(2 * i);
      params_.push_back(param({kMlp[i + 1], kMlp[i]}, 10 + salt, 0.1f));
      params_.push_back(param({kMlp[i + 1]}, 11 + salt, 0.1f));
    }
    optimizer_ = std::make_unique<torch::optim::Adam>(params_);
  }
  void run() override {
    for (Tensor& p : params_) p.mutable_grad().reset();
    Tensor h = x_;
    for (std::size_t i = 0; i < params_.size(); i += 2) {
      h = torch::linear(h, params_[i], params_[i + 1]);
      if (i + 2 < params_.size()) h = torch::relu(h);
    }
    loss_ = torch::nn::functional::cross_entropy(h, target_);
    loss_.backward();
    optimizer_->step();
  }
  double checksum() override { return loss_.item<double>(); }

 private:
  Tensor x_, target_, loss_;
  std::vector<Tensor> params_;
  std::unique_ptr<torch::optim::Adam> optimizer_;
};

class Sgemm final : public Work {
 public:
  explicit Sgemm(std::int64_t n) : a_(input({n, n}, 1)), b_(input({n, n}, 2)) {
    c_ = torch::empty({n, n});
  }
  void run() override { torch::mm_out(c_, a_, b_); }
  double checksum() override { return sum_of(c_ * c_); }

 private:
  Tensor a_, b_, c_;
};

std::unique_ptr<Work> torch_work(const std::string& name, std::int64_t size) {
  if (name == "chain") return std::make_unique<Chain>(size);
  if (name == "cross_entropy") return std::make_unique<CrossEntropy>(size);
  if (name == "softmax") return std::make_unique<Softmax>(size);
  if (name == "layer_norm") return std::make_unique<LayerNorm>(size);
  if (name == "mlp_step") return std::make_unique<MlpStep>(size);
  if (name == "sgemm") return std::make_unique<Sgemm>(size);
  throw std::invalid_argument("no such work: " + name);
}

// What follows `label` in the line of libtorch's configuration that has it.
std::string configured(const std::string& label) {
  const std::string all = at::show_config();
  const std::size_t at = all.find(label);
  if (at == std::string::npos) return "?";
  const std::size_t begin = at + label.size();
  return all.substr(begin, all.find('\n', begin) - begin);
}

std::string description() {
  std::string blas = at::hasMKL() ? "MKL" : "unknown BLAS";
  using CoreName = char* (*)();
  if (const auto core = reinterpret_cast<CoreName>(
          dlsym(RTLD_DEFAULT, "openblas_get_corename")))
    blas = std::string("OpenBLAS for ") + core();
  return std::string("libtorch ") + TORCH_VERSION + ", vectors " +
         configured("CPU capability usage: ") + ", " + blas;
}

void serve(std::FILE* answers) {
  std::unique_ptr<Work> work;
  std::string line;
  std::fprintf(answers, "ready %s\n", description().c_str());
  while (std::fflush(answers), std::getline(std::cin, line)) {
    std::istringstream words(line);
    std::string command, name;
    words >> command;
    if (command == "begin") {
      std::int64_t size = 0;
      int threads = 1;
      words >> name >> size >> threads;
      torch::set_num_threads(threads);
      work.reset();
      work = torch_work(name, size);
      for (int i = 0; i < kWarmUps; ++i) work->run();
      std::fprintf(answers, "ok %.17g\n", work->checksum());
    } else if (command == "time" && work) {
      double seconds = 0;
      std::string clock;
      words >> seconds >> clock;
      std::fprintf(answers, "us %.17g\n",
                   fastest_us(*work, seconds,
                              clock == "cpu" ? Clock::cpu : Clock::wall));
    } else {
      throw std::invalid_argument("not understood: " + line);
    }
  }
}

}  // namespace
}  // namespace compare

int main() {
  // Whatever libtorch prints must not get between the answers.
  std::FILE* answers = fdopen(dup(STDOUT_FILENO), "w");
  dup2(STDERR_FILENO, STDOUT_FILENO);
  try {
    compare::serve(answers);
  } catch (const std::exception& error) {
    std::fprintf(answers, "error %s\n", error.what());
    return 1;
  }
}
