#include "jacquard/compile.h"

#include <algorithm>
#include <atomic>
#include <iostream>
#include <string>
#include <vector>

#include "core/plan/planner.h"
#include "core/plan/replay.h"
#include "core/tape/anomaly.h"
#include "jacquard/error.h"

namespace jacquard {

using plan::Plan;
using plan::Planner;
using plan::Replay;

namespace {

constexpr std::size_t kPlans = 4;
// Calls in a row that no plan was good for, until none is looked for; and for
// how many calls then, at first and at most.
constexpr int kMisses = 8;
constexpr int kFailures = 3;
constexpr int kRest = 16;
constexpr int kLongestRest = 4096;

}  // namespace

class plan::Session final : public tape::CallObserver {
 public:
  explicit Session(CallSite site) : site_(site) {}

  void run(void (*f)(void*), void* argument);
  CompileStats stats() const { return stats_; }
  // The compiled call of this thread, or nullptr.
  static Session* running();
  // Goes on uncompiled, so that stand-ins get their values.
  void settle();

  void call(tape::Call& c) override;
  void read(const TrackedTensor& x) override;
  void bypassed(const char* name, CallSite site) override;
  void user_code(const char* what, CallSite site) override;

 private:
  void begin();
  void end();
  void abandon();
  void unwind(bool plans);
  void cannot_plan(std::string why);
  void keep(std::unique_ptr<Plan> plan);
  void give_up(const std::string& why);
  bool rests();

  enum class Mode { plain, planning, replaying };
  const CallSite site_;
  Mode mode_ = Mode::plain;
  std::vector<std::unique_ptr<Plan>> plans_;  // the latest first
  std::unique_ptr<Planner> planner_;
  Replay replay_;
  CompileStats stats_;
  int failures_ = 0, misses_ = 0, rest_ = 0, next_rest_ = kRest;
  bool told_ = false;
  std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
};

namespace {

constinit thread_local void* running_session = nullptr;

}  // namespace

plan::Session* plan::Session::running() {
  return static_cast<Session*>(running_session);
}

void plan::Session::run(void (*f)(void*), void* argument) {
  if (tape::observation.installed) return f(argument);
  if (busy_.test_and_set(std::memory_order_acquire))
    throw Error("compile: the function is running already, on another thread");
  const struct Leave {
    ~Leave() {
      running_session = nullptr;
      s.replay_.clear();
      s.planner_ = nullptr;
      s.busy_.clear(std::memory_order_release);
    }
    Session& s;
  } leave{*this};
  if (tape::looks_for_anomalies() || rests()) {
    ++stats_.plain;
    return f(argument);
  }
  running_session = this;
  begin();
  try {
    const tape::Observing observing(*this);
    f(argument);
  } catch (...) {
    abandon();
    throw;
  }
  end();
}

bool plan::Session::rests() {
  if (rest_ == 0) return false;
  --rest_;
  return true;
}

void plan::Session::begin() {
  for (const auto& p : plans_) {
    if (!(p->stream == current_stream(p->stream.device())) ||
        !Replay::may_begin(*p))
      continue;
    replay_.begin(*p);
    mode_ = Mode::replaying;
    return;
  }
  planner_ = std::make_unique<Planner>();
  mode_ = Mode::planning;
}

// The function threw: what it did before, it did.
void plan::Session::abandon() {
  if (mode_ == Mode::replaying) unwind(false);
  planner_ = nullptr;
  ++stats_.plain;
}

void plan::Session::unwind(bool plans) {
  if (plans) planner_ = std::make_unique<Planner>();
  mode_ = plans ? Mode::planning : Mode::plain;
  replay_.unwind(planner_.get());
}

void plan::Session::end() {
  if (mode_ == Mode::replaying) {
    if (replay_.finish()) {
      ++stats_.replayed;
      failures_ = misses_ = 0;
      next_rest_ = kRest;
      const auto used = std::ranges::find(plans_, &replay_.plan(),
                                          &std::unique_ptr<Plan>::get);
      std::rotate(plans_.begin(), used, used + 1);
      return;
    }
    unwind(true);
  }
  if (mode_ == Mode::plain) {
    ++stats_.plain;
    return;
  }
  std::unique_ptr<Plan> made = planner_->finish();
  if (!made) {
    cannot_plan(planner_->failure());
    return;
  }
  keep(std::move(made));
}

void plan::Session::keep(std::unique_ptr<Plan> made) {
  ++stats_.planned;
  stats_.launches = made->list->size();
  failures_ = 0;
  if (plans_.size() == kPlans) plans_.pop_back();
  plans_.insert(plans_.begin(), std::move(made));
  if (++misses_ < kMisses) return;
  give_up("its operations are others at each call");
}

void plan::Session::cannot_plan(std::string why) {
  ++stats_.plain;
  if (++failures_ == kFailures - 1 && !told_) {
    told_ = true;
    std::cerr << "jacquard: compile" << plan::called_at(site_)
              << ": the function runs uncompiled: " << why << "\n";
  }
  if (failures_ >= kFailures) give_up(why);
}

void plan::Session::give_up(const std::string& why) {
  if (!told_)
    std::cerr << "jacquard: compile" << plan::called_at(site_)
              << ": the function runs uncompiled: " << why << "\n";
  told_ = true;
  failures_ = misses_ = 0;
  rest_ = next_rest_;
  next_rest_ = std::min(2 * next_rest_, kLongestRest);
}

void plan::Session::call(tape::Call& c) {
  if (mode_ == Mode::replaying) {
    if (replay_.answer(c)) return;
    for (const auto& p : plans_)
      if (p.get() != &replay_.plan() && replay_.answer_with(*p, c)) return;
    unwind(true);
  }
  if (mode_ == Mode::planning)
    planner_->call(c);
  else
    c.run();
}

void plan::Session::read(const TrackedTensor& x) {
  const tape::Unobserved aside;
  if (mode_ == Mode::replaying && x.value() &&
      (x.value()->cell || x.value()->planned()))
    unwind(true);
  if (mode_ == Mode::planning) planner_->read(x);
}

void plan::Session::settle() {
  const tape::Unobserved aside;
  if (mode_ == Mode::replaying) unwind(false);
}

void plan::Session::bypassed(const char* name, CallSite site) {
  const tape::Unobserved aside;
  if (mode_ == Mode::replaying) unwind(true);
  if (mode_ == Mode::planning)
    planner_->fail(std::string(name) + plan::called_at(site) +
                   " can't be planned");
}

void plan::Session::user_code(const char* what, CallSite site) {
  if (mode_ == Mode::planning)
    planner_->fail(std::string(what) + plan::called_at(site) +
                   " runs a function of the user's");
}

namespace detail {

Compilation::Compilation(CallSite site)
    : session_(std::make_unique<plan::Session>(site)) {}
Compilation::~Compilation() = default;
CompileStats Compilation::stats() const { return session_->stats(); }
void Compilation::run_with(void (*f)(void*), void* argument) {
  session_->run(f, argument);
}

}  // namespace detail

void plan::settle(tape::Value& stand_in) {
  if (Session* s = Session::running()) s->settle();
  if (stand_in.planned())
    throw GraphError("the value of " + std::string(stand_in.name) +
                     called_at(stand_in.site) +
                     " was not computed: the compiled function that makes it "
                     "threw, or is still running");
}

}  // namespace jacquard
