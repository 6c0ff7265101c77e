#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <stdexcept>

#include "tests/fuzz/program.h"

namespace jacquard::fuzz {

std::vector<double> random_data(std::int64_t seed, std::int64_t n) {
  Random random(static_cast<std::uint64_t>(seed) * 7919 + 1);
  std::vector<double> v;
  for (std::int64_t i = 0; i < n; ++i)
    v.push_back(static_cast<double>(random.below(1 << 20)) / (1 << 18) - 2);
  return v;
}

TrackedTensor random_tensor(std::int64_t seed, const Shape& shape,
                            DType dtype) {
  const std::vector<double> v = random_data(seed, shape.numel());
  return Tensor::from_host(std::span<const double>(v), shape, default_device())
      .to(dtype);
}

const std::vector<Operation>& operations() {
  static const std::vector<Operation> all = [] {
    std::vector<Operation> out;
    add_elementwise(out);
    add_structural(out);
    add_actions(out);
    return out;
  }();
  return all;
}

bool is_smooth(const Operation& op) {
  constexpr const char* names[] = {
      "add",     "sub",           "mul",
      "sin",     "exp",           "tanh",
      "square",  "neg",           "sigmoid",
      "sum",     "mean",          "matmul",
      "stack",   "cat",           "flip",
      "slice",   "transpose",     "times scalar",
      "softmax", "stop_gradient", "copy of the handle"};
  return op.name[0] == '(' ||
         std::ranges::find(names, op.name) != std::end(names);
}

void Machine::enter_scope(bool enabled) {
  Scope scope;
  if (enabled)
    scope.on = std::make_unique<EnableGrad>();
  else
    scope.off = std::make_unique<NoGrad>();
  scopes_.push_back(std::move(scope));
}

void Machine::leave_scope() {
  if (!scopes_.empty()) scopes_.pop_back();
}

void Machine::leave_scopes() {
  while (!scopes_.empty()) scopes_.pop_back();
}

void Machine::note(std::string what) {
  seen.push_back({current(), std::move(what), {}});
}

void Machine::run(const Step& step) {
  const bool ready = std::ranges::all_of(step.in, [&](int i) {
    return values[static_cast<std::size_t>(i)].defined();
  });
  values.push_back(
      ready ? operations()[static_cast<std::size_t>(step.op)].apply(*this, step)
            : TrackedTensor());
}

std::pair<double, double> Sketch::bounds(int i) {
  bounds_.resize(static_cast<std::size_t>(count()), {2, -2});
  auto& known = bounds_[static_cast<std::size_t>(i)];
  if (known != std::pair<double, double>(2, -2)) return known;
  known = {1, -1};
  const std::vector<double> v = (*this)[i].to_host<double>();
  if (v.empty()) return known;
  known = {v[0], v[0]};
  for (const double x : v) {
    known.first = std::isnan(x) ? x : std::min(known.first, x);
    known.second = std::max(known.second, x);
  }
  return known;
}

bool Sketch::within(int i, double low, double high) {
  if (!tame) return true;
  const auto [smallest, largest] = bounds(i);
  return smallest >= low && largest <= high;
}

int Sketch::pick(const Condition& condition) {
  for (int tries = 0; tries < 24 && count() > 0; ++tries) {
    // Half of the time one of the last six.
    const int window = random.chance(0.5) ? std::min(count(), 6) : count();
    const int i = count() - 1 - static_cast<int>(random.below(window));
    if (rounded[static_cast<std::size_t>(i)] && !may_take_rounded) continue;
    if ((*this)[i].defined() && condition((*this)[i])) return i;
  }
  return -1;
}

int Sketch::pick_floating() {
  return pick([](const TrackedTensor& t) { return is_floating(t.dtype()); });
}

int Sketch::pick_fitting(const Shape& shape, bool floating) {
  return pick([&](const TrackedTensor& t) {
    if (is_floating(t.dtype()) != floating) return false;
    const int rank = std::min(shape.rank(), t.rank());
    for (int d = 1; d <= rank; ++d) {
      const std::int64_t a = shape[shape.rank() - d],
                         b = t.shape()[t.rank() - d];
      if (a != b && a != 1 && b != 1) return false;
    }
    return broadcast(shape, t.shape(), "fuzz").numel() <= 6000;
  });
}

namespace {

std::vector<DType> random_dtypes(Random& random) {
  const auto kind = random.below(10);
  if (kind < 5) return {DType::float64};
  if (kind < 7) return {DType::float32};
  if (kind < 8) return {DType::float32, DType::float64};
  return {DType::float16, DType::bfloat16, DType::float32, DType::float64};
}

// An operation by weight.
int random_operation(Random& random) {
  static const std::int64_t total = [] {
    std::int64_t sum = 0;
    for (const Operation& op : operations()) sum += op.weight;
    return sum;
  }();
  std::int64_t left = random.below(total);
  for (std::size_t i = 0;; ++i) {
    left -= operations()[i].weight;
    if (left < 0) return static_cast<int>(i);
  }
}

int operation_named(const std::string& name) {
  for (std::size_t i = 0; i < operations().size(); ++i)
    if (operations()[i].name == name) return static_cast<int>(i);
  std::abort();
}

// Small enough for its gradients to be compared, and for the next steps.
bool acceptable(Sketch& sketch, int i) {
  const TrackedTensor& t = sketch[i];
  if (!t.defined()) return true;
  if (t.numel() > 20000) return false;
  if (t.dtype() == DType::bool_) return true;
  const double limit = is_floating(t.dtype()) ? 50 : 1e6;
  return sketch.within(i, -limit, limit);
}

std::vector<std::pair<int, double>> random_loss(Sketch& sketch) {
  std::vector<std::pair<int, double>> loss;
  for (int tries = 0; tries < 12 && loss.size() < 3; ++tries) {
    const int i = sketch.pick([](const TrackedTensor& t) {
      return t.is_tracked() && t.numel() > 0 && !t.is_leaf();
    });
    if (i >= 0) loss.emplace_back(i, sketch.random.between(0.25, 2));
  }
  return loss;
}

std::string described(const TrackedTensor& t) {
  if (!t.defined()) return "";
  return std::string(name_of(t.dtype())) + to_string(t.shape()) +
         (t.is_tracked() ? " tracked" : "");
}

}  // namespace

Program generate(std::uint64_t seed) {
  Random random(seed * 0x9E3779B97F4A7C15u + 12345);
  Program program;
  program.seed = seed;
  program.tame = random.chance(0.85);
  program.read_first = random.chance(0.5);
  program.ending =
      static_cast<Ending>(random.chance(0.4) ? 0 : random.below(5));

  manual_seed(seed);
  Machine machine(false);
  Sketch sketch(machine, random, program.tame);
  sketch.dtypes = random_dtypes(random);
  for (int i = 0; i < 2; ++i)
    sketch.extents.push_back(random.chance(0.06) ? 17 + random.below(50)
                                                 : 1 + random.below(4));

  const auto try_step = [&](int op) {
    const Operation& operation = operations()[static_cast<std::size_t>(op)];
    Step step;
    step.op = op;
    sketch.may_take_rounded = is_smooth(operation);
    if (!operation.propose(sketch, step)) return;
    step.rounded = operation.name == "inner gradient";
    for (const int i : step.in)
      step.rounded =
          step.rounded || sketch.rounded[static_cast<std::size_t>(i)];
    const GeneratorState before = generator_state();
    try {
      machine.run(step);
    } catch (const std::exception& e) {
      program.steps.push_back(step);
      throw std::runtime_error(std::string(e.what()) + "\nwhile making\n" +
                               to_string(program));
    }
    const int made = sketch.count() - 1;
    if (!acceptable(sketch, made)) {
      machine.values.pop_back();
      set_generator_state(before);
      return;
    }
    if (sketch[made].defined()) step.made = sketch[made].dtype();
    step.note = described(sketch[made]);
    sketch.rounded.push_back(step.rounded);
    program.steps.push_back(std::move(step));
  };
  for (int i = 0; i < 3; ++i) try_step(operation_named("param"));
  try_step(operation_named("constant"));
  const std::int64_t length = 4 + random.below(40);
  for (std::int64_t i = 0; i < length; ++i) try_step(random_operation(random));
  machine.leave_scopes();
  sketch.may_take_rounded = true;
  program.loss = random_loss(sketch);
  program.other_loss = random_loss(sketch);
  for (auto* asked : {&program.asked_late, &program.asked_later})
    for (std::int64_t n = random.below(4); n > 0; --n) {
      const int i = sketch.pick([](const TrackedTensor& t) {
        return t.is_tracked() && t.numel() > 0 && !t.is_leaf();
      });
      if (i >= 0) asked->push_back(i);
    }
  return program;
}

std::string to_string(const Program& program) {
  constexpr const char* endings[] = {"backward", "two losses", "retained",
                                     "transform", "second order"};
  std::string text = "program " + std::to_string(program.seed) +
                     (program.tame ? "" : ", wild") +
                     ", ending: " + endings[static_cast<int>(program.ending)] +
                     (program.read_first ? ", values read first\n" : "\n");
  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    const Step& s = program.steps[i];
    text += "  v" + std::to_string(i) + " = " +
            operations()[static_cast<std::size_t>(s.op)].name + "(";
    for (std::size_t k = 0; k < s.in.size(); ++k)
      text += (k ? ", v" : "v") + std::to_string(s.in[k]);
    text += ")";
    for (const std::int64_t n : s.n)
      if (n != 0) text += " n=" + std::to_string(n);
    for (const double x : s.s)
      if (x != 0) text += " s=" + std::to_string(x);
    text += "  # " + s.note + "\n";
  }
  const auto sum = [&](const char* name, const auto& loss) {
    text += std::string("  ") + name + " =";
    for (const auto& [i, w] : loss)
      text += " + " + std::to_string(w) + "·mean(v" + std::to_string(i) + ")";
    text += "\n";
  };
  sum("loss", program.loss);
  if (program.ending == Ending::two_losses) sum("other", program.other_loss);
  for (const int i : program.asked_late)
    text += "  asked late: v" + std::to_string(i) + "\n";
  for (const int i : program.asked_later)
    text += "  asked after the first walk: v" + std::to_string(i) + "\n";
  return text;
}

}  // namespace jacquard::fuzz
