// Random programs, compiled: what each of several calls gives, and leaves in
// the leaves, has the bits of the uncompiled program.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "tests/fuzz/program.h"

namespace jacquard::fuzz {
namespace {

using T = TrackedTensor;
using Numbers = std::vector<double>;

const std::string& name_of_step(const Step& s) {
  return operations()[static_cast<std::size_t>(s.op)].name;
}

bool is_kept(const Step& s) { return name_of_step(s) == "param"; }
bool is_input(const Step& s) { return name_of_step(s) == "constant"; }

T total_of(const Machine& m, const Program& p) {
  T total;
  for (const auto& [i, w] : p.loss) {
    const T& v = m.values[static_cast<std::size_t>(i)];
    if (!v.defined() || !v.is_tracked() || v.numel() == 0) continue;
    const T term = mean(cast(v, DType::float64)) * w;
    total = total.defined() ? total + term : term;
  }
  return total;
}

// The program as a function of its inputs; its leaves stay.
class Body {
 public:
  explicit Body(const Program& p) : program_(p) {
    for (const Step& s : p.steps)
      leaves_.push_back(
          is_kept(s) ? param(random_tensor(s.n[0], s.shape, s.dtype)) : T());
  }

  std::vector<T> operator()(const std::vector<T>& inputs) const {
    Machine m(false);
    std::size_t next = 0;
    for (std::size_t i = 0; i < program_.steps.size(); ++i) {
      const Step& s = program_.steps[i];
      if (is_kept(s))
        m.values.push_back(leaves_[i]);
      else if (is_input(s))
        m.values.push_back(inputs[next++]);
      else
        m.run(s);
    }
    m.leave_scopes();
    std::vector<T> out;
    for (std::size_t i = 0; i < m.values.size(); i += 3)
      if (m.values[i].defined() && !m.values[i].is_leaf())
        out.push_back(stop_gradient(m.values[i]));
    if (const T loss = total_of(m, program_); loss.defined()) {
      backward(loss);
      out.push_back(stop_gradient(loss));
    }
    for (const T& leaf : leaves_) {
      if (!leaf.defined()) continue;
      if (const T g = leaf.grad(); g.defined()) out.push_back(g);
      leaf.clear_grad();
    }
    return out;
  }

 private:
  const Program& program_;
  std::vector<T> leaves_;
};

struct Calls {
  std::vector<Numbers> numbers;
  std::string error;
};

// Several calls; the third to last repeats the inputs of the first.
template <class F>
Calls run(const Program& p, F f) {
  constexpr int kCalls = 4;
  manual_seed(p.seed);
  Calls made;
  std::vector<std::vector<T>> held;
  for (int call = 0; call < kCalls; ++call) {
    std::vector<T> inputs;
    for (const Step& s : p.steps)
      if (is_input(s))
        inputs.push_back(materialize(
            random_tensor(s.n[0] + 7 * (call % 3), s.shape, s.dtype)));
    try {
      held.push_back(f(inputs));
    } catch (const GraphError& e) {
      made.error += e.what();
    }
  }
  for (const auto& results : held)
    for (const T& t : results) made.numbers.push_back(t.to_host<double>());
  return made;
}

bool same(const Numbers& a, const Numbers& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (std::memcmp(&a[i], &b[i], sizeof a[i]) != 0 &&
        !(std::isnan(a[i]) && std::isnan(b[i])))
      return false;
  return true;
}

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

TEST(Compiled, ProgramsHaveTheBitsOfUncompiledOnes) {
  const std::uint64_t count = from_environment("JACQUARD_FUZZ", 1500);
  const std::uint64_t first = from_environment("JACQUARD_FUZZ_SEED", 0);
  int failures = 0;
  std::uint64_t replayed = 0, calls = 0;
  ::testing::internal::CaptureStderr();
  for (std::uint64_t i = first; i < first + count && failures < 5; ++i) {
    const Program p = generate(i);
    const Calls plain = run(p, Body(p));
    auto f = compile(Body(p));
    const Calls compiled = run(p, [&](const auto& x) { return f(x); });
    replayed += f.stats().replayed;
    calls += 4;
    std::string d;
    if (plain.error != compiled.error) d = "other errors: " + compiled.error;
    if (plain.numbers.size() != compiled.numbers.size()) d += "other results";
    for (std::size_t k = 0; d.empty() && k < plain.numbers.size(); ++k)
      if (!same(plain.numbers[k], compiled.numbers[k]))
        d = "result " + std::to_string(k) + " of " +
            std::to_string(plain.numbers.size()) + ": " +
            ::testing::PrintToString(compiled.numbers[k]) + ", uncompiled " +
            ::testing::PrintToString(plain.numbers[k]);
    if (d.empty()) continue;
    ++failures;
    ADD_FAILURE() << "JACQUARD_FUZZ_SEED=" << i << " JACQUARD_FUZZ=1: " << d
                  << "\n"
                  << to_string(p);
  }
  ::testing::internal::GetCapturedStderr();
  RecordProperty("replayed", std::to_string(replayed));
  if (count >= 100) {
    EXPECT_GE(10 * replayed, calls) << replayed << " of " << calls;
  }
}

}  // namespace
}  // namespace jacquard::fuzz
