#include "core/tape/call.h"

#include <array>
#include <charconv>

#include "jacquard/error.h"

namespace jacquard::tape {

constinit thread_local Observation observation;

void Describe::attribute(const Shape& x) {
  attributes.push_back(x.rank());
  for (const std::int64_t extent : x) attributes.push_back(extent);
}

void Describe::attribute(const Axes& x) {
  attributes.push_back(x.all() ? -1
                               : static_cast<std::int64_t>(x.list().size()));
  for (const int axis : x.list()) attributes.push_back(axis);
}

void Spell::attribute(double x) {
  std::array<char, 32> digits;
  const auto end =
      std::to_chars(digits.data(), digits.data() + digits.size(), x).ptr;
  add(std::string(digits.data(), end));
}

void Spell::attribute(const Axes& x) {
  if (x.all()) return;
  std::string list;
  for (const int axis : x.list())
    list += (list.empty() ? "" : ", ") + std::to_string(axis);
  add("(" + list + ")");
}

namespace {

// Inside a body; nested observers go on looking.
class Inside {
 public:
  explicit Inside(bool nested)
      : before_(std::exchange(observation.active,
                              nested ? observation.installed : nullptr)) {}
  ~Inside() { observation.active = before_; }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  CallObserver* before_;
};

}  // namespace

void Call::run() {
  const CallObserver* o = observation.installed;
  const Inside inside(o && o->nested());
  invoke();
}

void show(Call& c) {
  CallObserver& o = *observation.active;
  // What the observer does is nobody's call.
  const Unobserved aside;
  o.call(c);
}

}  // namespace jacquard::tape
