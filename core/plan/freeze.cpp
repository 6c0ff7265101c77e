#include "jacquard/freeze.h"

#include <algorithm>
#include <atomic>
#include <iostream>
#include <string>

#include "core/plan/planner.h"
#include "core/plan/replay.h"
#include "core/tape/anomaly.h"
#include "core/tape/planned_scalar.h"
#include "jacquard/error.h"

namespace jacquard {

using detail::FrozenCall;
using plan::Plan;
using plan::Planner;

void FrozenCall::add_text(std::string_view text) {
  add_key(static_cast<std::int64_t>(text.size()));
  for (const char c : text) add_key(c);
}

void FrozenCall::add_scalar(double x) { scalars.push_back(x); }

namespace {

constexpr std::size_t kPlans = 16;

std::vector<pointwise::Literal> literals_of(const FrozenCall& call) {
  std::vector<pointwise::Literal> all;
  for (double x : call.scalars) all.push_back({.f = x});
  return all;
}

}  // namespace

class plan::FrozenPlans final : public tape::CallObserver {
 public:
  explicit FrozenPlans(CallSite site) : site_(site) {}

  const void* run(const FrozenCall& call, std::vector<TrackedTensor>& results);
  void plan(const FrozenCall& call, const detail::Frozen::First& f,
            const std::function<std::shared_ptr<void>()>& keep);
  CompileStats stats() const { return stats_; }

  void call(tape::Call& c) override { planner_->call(c); }
  void read(const TrackedTensor& x) override { planner_->read(x); }
  void bypassed(const char* name, CallSite site) override {
    planner_->fail(std::string(name) + called_at(site) + " can't be planned");
  }
  void user_code(const char* what, CallSite site) override {
    planner_->fail(std::string(what) + called_at(site) +
                   " runs a function of the user's");
  }

 private:
  struct Known {
    std::vector<std::int64_t> key;
    Modes modes;
    std::unique_ptr<Plan> plan;
    std::shared_ptr<void> kept;
  };
  class Turn;
  void tell(const std::string& why);

  const CallSite site_;
  std::vector<Known> known_;  // the latest first
  Replay replay_;
  std::unique_ptr<Planner> planner_;
  CompileStats stats_;
  bool told_ = false;
  std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
};

// One call at a time.
class plan::FrozenPlans::Turn {
 public:
  explicit Turn(FrozenPlans& of) : of_(of) {
    if (of_.busy_.test_and_set(std::memory_order_acquire))
      throw Error("freeze: the function is running already");
  }
  ~Turn() {
    of_.replay_.clear();
    of_.planner_ = nullptr;
    of_.busy_.clear(std::memory_order_release);
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  FrozenPlans& of_;
};

const void* plan::FrozenPlans::run(const FrozenCall& call,
                                   std::vector<TrackedTensor>& results) {
  if (tape::observation.installed || tape::looks_for_anomalies())
    return nullptr;
  const Turn turn(*this);
  const std::vector<Literal> scalars = literals_of(call);
  for (auto k = known_.begin(); k != known_.end(); ++k) {
    if (k->key != call.key ||
        !(k->modes == Modes::now(k->plan->stream.device())))
      continue;
    if (!replay_.run_frozen(*k->plan, call.tensors, scalars, results)) {
      replay_.clear();
      continue;
    }
    ++stats_.replayed;
    std::rotate(known_.begin(), k, k + 1);
    return known_.front().kept.get();
  }
  return nullptr;
}

void plan::FrozenPlans::tell(const std::string& why) {
  ++stats_.plain;
  if (!told_)
    std::cerr << "jacquard: freeze" << called_at(site_)
              << ": the function runs at each call: " << why << "\n";
  told_ = true;
}

void plan::FrozenPlans::plan(
    const FrozenCall& call, const detail::Frozen::First& f,
    const std::function<std::shared_ptr<void>()>& keep) {
  std::vector<Operand> scalars(call.scalars.begin(), call.scalars.end());
  if (tape::observation.installed || tape::looks_for_anomalies()) {
    f(scalars);
    return;
  }
  const Turn turn(*this);
  Device device = default_device();
  for (const TrackedTensor& t : call.tensors)
    if (t.defined()) device = t.device();
  const Modes modes = Modes::now(device);
  planner_ = std::make_unique<Planner>();
  planner_->freeze();
  for (Operand& x : scalars) {
    Literal l = tape::PlannedScalar::value(x);
    l.origin = planner_->add_argument(l);
    x = tape::PlannedScalar::with_value(x, l);
  }
  for (const TrackedTensor& t : call.tensors) planner_->add_argument(t);
  std::vector<std::uint32_t> seen;
  std::vector<TrackedTensor> results;
  {
    const tape::PlannedScalar::Watch watch(seen);
    const tape::Observing observing(*this);
    results = f(scalars);
  }
  planner_->guard(seen);
  for (const TrackedTensor& t : results) planner_->add_result(t);
  std::unique_ptr<Plan> made = planner_->finish();
  if (!made) return tell(planner_->failure());
  ++stats_.planned;
  stats_.launches = made->list->size();
  if (known_.size() == kPlans) known_.pop_back();
  known_.insert(known_.begin(), {call.key, modes, std::move(made), keep()});
}

namespace detail {

Frozen::Frozen(CallSite site)
    : plans_(std::make_unique<plan::FrozenPlans>(site)) {}
Frozen::~Frozen() = default;
const void* Frozen::run(const FrozenCall& call,
                        std::vector<TrackedTensor>& results) {
  return plans_->run(call, results);
}
void Frozen::plan(const FrozenCall& call, const First& f,
                  const std::function<std::shared_ptr<void>()>& keep) {
  plans_->plan(call, f, keep);
}
CompileStats Frozen::stats() const { return plans_->stats(); }

}  // namespace detail
}  // namespace jacquard
