// Fusing and forcing are invisible: random programs, run lazily, run with
// random forcing, and run with fusion off, agree in every bit of every value,
// in what is tracked, in what is refused, and to rounding in gradients.
//
// JACQUARD_FUZZ is the number of programs, JACQUARD_FUZZ_SEED the first.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>

#include "core/tape/modes.h"
#include "tests/fuzz/program.h"

namespace jacquard::fuzz {
namespace {

using T = TrackedTensor;
using Numbers = std::vector<double>;

struct Observed {
  std::optional<Numbers> numbers;
  DType dtype = DType::bool_;
  bool tracked = false;
};

struct Outcome {
  std::vector<Observed> values;                 // one for each step
  std::map<int, Numbers> leaf_gradients, kept;  // by step
  std::vector<Seen> seen;
  bool gave_up = false;
  bool second_walk_failed = false, third_walk_failed = false;
  std::string error;  // of another kind than a program may meet
};

// int64 beyond 2⁵³ does not occur.
Observed observe(const T& t) {
  if (!t.defined()) return {};
  return {t.to_host<double>(), t.dtype(), t.is_tracked()};
}

T weighted(const Machine& m, const std::vector<std::pair<int, double>>& loss) {
  T total;
  for (const auto& [i, w] : loss) {
    const T& v = m.values[static_cast<std::size_t>(i)];
    if (!v.defined() || !v.is_tracked() || v.numel() == 0) continue;
    const T term = mean(cast(v, DType::float64)) * w;
    total = total.defined() ? total + term : term;
  }
  return total;
}

void run_steps(Machine& m, const Program& p, std::size_t from) {
  for (std::size_t i = from; i < p.steps.size(); ++i) m.run(p.steps[i]);
  m.leave_scopes();
}

// Whether f met a GraphError.
template <class F>
bool fails(F&& f) {
  try {
    f();
    return false;
  } catch (const GraphError&) {
    return true;
  }
}

void read_values(const Machine& m, Outcome& out) {
  if (!out.values.empty()) return;
  for (const T& v : m.values) out.values.push_back(observe(v));
}

void ask(Machine& m, const std::vector<int>& which) {
  for (const int i : which) {
    const T& v = m.values[static_cast<std::size_t>(i)];
    if (!v.defined() || !v.is_tracked()) continue;
    watch(m, v, -1 - i);
    v.retain_grad();
    m.retained.push_back(i);
  }
}

void run_backward(Machine& m, const Program& p, Outcome& out) {
  run_steps(m, p, 0);
  if (p.read_first) read_values(m, out);
  const T loss = weighted(m, p.loss);
  const T other =
      p.ending == Ending::two_losses ? weighted(m, p.other_loss) : T();
  ask(m, p.asked_late);
  if (loss.defined()) {
    const bool retained = p.ending == Ending::retained;
    if (fails([&] { backward(loss, {}, {.retain_graph = retained}); }))
      m.note("error");
    ask(m, p.asked_later);
    if (other.defined() && fails([&] { backward(other); })) m.note("error");
    if (retained) {
      out.second_walk_failed = fails([&] { backward(loss); });
      out.third_walk_failed = fails([&] { backward(loss); });
    }
  }
  for (std::size_t i = 0; i < m.values.size(); ++i) {
    const T& v = m.values[i];
    if (v.defined() && v.is_leaf() && v.grad().defined())
      out.leaf_gradients[static_cast<int>(i)] = v.grad().to_host<double>();
  }
}

// The leading leaves are the arguments.
void run_transform(Machine& m, const Program& p, Outcome& out) {
  std::size_t leaves = 0;
  while (leaves < p.steps.size() &&
         operations()[static_cast<std::size_t>(p.steps[leaves].op)].name ==
             "param")
    m.run(p.steps[leaves++]);
  m.inside_transform = true;
  m.hooks_change = p.ending == Ending::transform;
  const std::vector<T> arguments = m.values;
  const auto body = [&](const std::vector<T>& x) {
    m.values = x;
    try {
      run_steps(m, p, leaves);
    } catch (...) {
      m.leave_scopes();
      throw;
    }
    // A loss that depends on each argument.
    T total = weighted(m, p.loss);
    for (const T& t : x) {
      const T term = sum(cast(t * t, DType::float64)) * 0.125;
      total = total.defined() ? total + term : term;
    }
    return total;
  };
  const auto first = [&](const std::vector<T>& x) { return gradient(body, x); };
  const auto slope = [&](const std::vector<T>& x) {
    T total;
    for (const T& g : first(x)) {
      const T term = sum(cast(g, DType::float64)) * 0.5;
      total = total.defined() ? total + term : term;
    }
    return total;
  };
  std::vector<T> grads;
  if (fails([&] {
        grads = p.ending == Ending::transform ? first(arguments)
                                              : gradient(slope, arguments);
      }))
    m.note("error");
  for (std::size_t i = 0; i < grads.size(); ++i)
    out.leaf_gradients[static_cast<int>(i)] = grads[i].to_host<double>();
}

Outcome run(const Program& p, bool fusion, bool schedules) {
  Outcome out;
  const bool before = fusion_enabled();
  set_fusion(fusion);
  manual_seed(p.seed);
  {
    Machine m(schedules);
    try {
      if (p.ending == Ending::transform || p.ending == Ending::second_order)
        run_transform(m, p, out);
      else
        run_backward(m, p, out);
      read_values(m, out);
      for (const int i : m.retained) {
        const T& v = m.values[static_cast<std::size_t>(i)];
        if (v.defined() && v.grad().defined())
          out.kept[i] = v.grad().to_host<double>();
      }
    } catch (const std::exception& e) {
      out.error = "step " + std::to_string(m.current()) + ": " + e.what();
    }
    out.seen = m.seen;
    out.gave_up = m.gave_up;
  }
  set_fusion(before);
  return out;
}

bool same_bits(double a, double b) {
  return std::memcmp(&a, &b, sizeof a) == 0 || (std::isnan(a) && std::isnan(b));
}

// By the coarsest dtype that a gradient may have gone through.
double tolerance_of(const Program& p) {
  double worst = 1e-9;
  for (const Step& s : p.steps) {
    if (s.made == DType::float32) worst = std::max(worst, 2e-3);
    if (is_half(s.made)) worst = std::max(worst, 0.2);
  }
  return worst;
}

std::string difference(const Numbers& a, const Numbers& b, double tolerance) {
  if (a.size() != b.size()) return "sizes differ";
  double scale = 1e-3;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (std::isfinite(a[i])) scale = std::max(scale, std::abs(a[i]));
    if (std::isfinite(b[i])) scale = std::max(scale, std::abs(b[i]));
  }
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!same_bits(a[i], b[i]) && !(std::abs(a[i] - b[i]) <= tolerance * scale))
      return "element " + std::to_string(i) + ": " +
             ::testing::PrintToString(a[i]) + " and " +
             ::testing::PrintToString(b[i]);
  return "";
}

std::string compare_values(const Program& p, const Outcome& lazy,
                           const Outcome& unfused) {
  for (std::size_t i = 0; i < unfused.values.size(); ++i) {
    const Observed &a = lazy.values[i], &b = unfused.values[i];
    const std::string name = "v" + std::to_string(i) + ": ";
    if (a.numbers.has_value() != b.numbers.has_value())
      return name + "is there in one run only";
    if (!a.numbers) continue;
    if (a.dtype != b.dtype || a.numbers->size() != b.numbers->size())
      return name + "dtypes or sizes differ";
    if (a.tracked != b.tracked) return name + "tracked in one run only";
    if (p.steps[i].rounded) {
      const std::string d = difference(*a.numbers, *b.numbers, tolerance_of(p));
      if (p.tame && !d.empty()) return name + d + ", unfused";
      continue;
    }
    for (std::size_t k = 0; k < a.numbers->size(); ++k)
      if (!same_bits((*a.numbers)[k], (*b.numbers)[k]))
        return name + "element " + std::to_string(k) + ": " +
               ::testing::PrintToString((*a.numbers)[k]) + " and, unfused, " +
               ::testing::PrintToString((*b.numbers)[k]);
  }
  return "";
}

std::vector<const Seen*> all_of(const std::vector<Seen>& seen,
                                const std::string& what) {
  std::vector<const Seen*> found;
  for (const Seen& s : seen)
    if (s.what == what) found.push_back(&s);
  return found;
}

// Walks go by the order of the calls that made the values, not by that in which
// they were computed.
std::string compare_hooks(const Outcome& lazy, const Outcome& unfused,
                          double tolerance) {
  const auto a = all_of(lazy.seen, "hook");
  const auto b = all_of(unfused.seen, "hook");
  if (a.size() != b.size())
    return "hooks are called a different number of times";
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i]->step != b[i]->step) return "hooks are called in another order";
    const std::string d = difference(a[i]->numbers, b[i]->numbers, tolerance);
    if (!d.empty())
      return "hook of step " + std::to_string(a[i]->step) + ": " + d +
             ", unfused";
  }
  return "";
}

// The walks that met a part of the tape that was given up, in their order.
std::vector<int> failed_walks(const Program& p, const Outcome& out) {
  std::vector<int> failed;
  for (const Seen* s : all_of(out.seen, "error")) failed.push_back(s->step);
  const int end = static_cast<int>(p.steps.size());
  if (out.second_walk_failed) failed.push_back(end + 1);
  if (out.third_walk_failed) failed.push_back(end + 2);
  return failed;
}

std::string compare_gradients(const std::map<int, Numbers>& a,
                              const std::map<int, Numbers>& b, double tolerance,
                              const std::string& what) {
  for (const auto& [i, g] : b) {
    const std::string name = what + " of v" + std::to_string(i) + ": ";
    const auto other = a.find(i);
    if (other == a.end()) return name + "there without fusion only";
    const std::string d = difference(other->second, g, tolerance);
    if (!d.empty()) return name + d + ", unfused";
  }
  if (a.size() != b.size()) return what + "s are there with fusion only";
  return "";
}

// Arguments of a transform aren't assigned to, so that their numbers may be
// others than those that the program was made with.
bool all_finite(const Outcome& out) {
  for (const Observed& v : out.values)
    if (v.numbers)
      for (const double x : *v.numbers)
        if (!std::isfinite(x)) return false;
  return true;
}

// What differs; empty if nothing that counts does.
std::string compare(const Program& p, const Outcome& lazy,
                    const Outcome& unfused) {
  if (!unfused.error.empty()) return "unfused, " + unfused.error;
  if (!lazy.error.empty()) return lazy.error;
  std::string d = compare_values(p, lazy, unfused);
  if (!d.empty()) return d;

  // With fusion a walk may give up less: a value in the inside of a region has
  // nothing that could be given up. From then on gradients differ.
  const std::vector<int> failed = failed_walks(p, lazy);
  const std::vector<int> expected = failed_walks(p, unfused);
  if (failed != expected) {
    const auto [a, b] = std::ranges::mismatch(failed, expected);
    if (b != expected.end() && (a == failed.end() || *a > *b)) return "";
    return "a walk met a part that was given up with fusion only";
  }
  if (!lazy.gave_up && lazy.second_walk_failed)
    return "a retained tape can't be walked again";

  if (!p.tame || !all_finite(unfused)) return "";
  const double tolerance = tolerance_of(p);
  d = compare_gradients(lazy.leaf_gradients, unfused.leaf_gradients, tolerance,
                        "gradient");
  if (!d.empty()) return d;
  // Of a gradient's gradient, what reaches a value in the middle depends on
  // whether pullbacks read inputs or outputs; the leaves' totals don't.
  if (p.ending == Ending::second_order) return "";
  d = compare_gradients(lazy.kept, unfused.kept, tolerance, "kept gradient");
  if (!d.empty()) return d;
  return compare_hooks(lazy, unfused, tolerance);
}

std::string check(const Program& p) {
  const Outcome unfused = run(p, false, false);
  std::string d = compare(p, run(p, true, false), unfused);
  if (!d.empty()) return "run lazily: " + d;
  d = compare(p, run(p, true, true), unfused);
  return d.empty() ? d : "run with forcing: " + d;
}

// Leaves out steps as long as something differs.
Program shrunk(Program p) {
  for (bool smaller = true; smaller;) {
    smaller = false;
    for (std::size_t i = p.steps.size(); i-- > 0;) {
      Program less = p;
      less.steps.erase(less.steps.begin() + static_cast<std::ptrdiff_t>(i));
      const int gone = static_cast<int>(i);
      const auto uses = [&](int v) { return v == gone; };
      bool used = false;
      for (Step& s : less.steps)
        for (int& v : s.in) {
          used = used || uses(v);
          v -= v > gone;
        }
      for (auto* asked : {&less.asked_late, &less.asked_later}) {
        std::erase(*asked, gone);
        for (int& v : *asked) v -= v > gone;
      }
      for (auto* loss : {&less.loss, &less.other_loss}) {
        std::erase_if(*loss, [&](const auto& l) { return l.first == gone; });
        for (auto& l : *loss) l.first -= l.first > gone;
      }
      if (used || check(less).empty()) continue;
      p = std::move(less);
      smaller = true;
    }
  }
  return p;
}

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

TEST(Laziness, IsInvisible) {
  const std::uint64_t count = from_environment("JACQUARD_FUZZ", 5000);
  const std::uint64_t first = from_environment("JACQUARD_FUZZ_SEED", 0);
  int failures = 0;
  for (std::uint64_t i = first; i < first + count && failures < 5; ++i) {
    Program program;
    std::string d;
    // Products wait in every other program.
    tape::set_epilogues(i % 2 == 0);
    try {
      program = generate(i);
      d = check(program);
    } catch (const std::exception& e) {
      d = e.what();
    }
    if (d.empty()) continue;
    ++failures;
    const Program small = shrunk(program);
    ADD_FAILURE() << "JACQUARD_FUZZ_SEED=" << i << " JACQUARD_FUZZ=1: " << d
                  << "\nshrunk: " << check(small) << "\n"
                  << to_string(small);
  }
}

}  // namespace
}  // namespace jacquard::fuzz
