#include "runtime/order.h"

#include <algorithm>
#include <cstdlib>

namespace ptx_emulator {
namespace {

// The finaliser of SplitMix64 (Steele, Lea and Flood 2014).
std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

}  // namespace

Order::Order(std::uint64_t seed) : state_(mix(seed)) {
  if (seed == 0) return;
  eagerness_ = static_cast<unsigned>(next() % 4);
  preference_ = static_cast<Preference>(next() % 4);
  favourite_salt_ = next();
}

std::uint64_t Order::next() {
  state_ += 0x9e3779b97f4a7c15ull;
  return mix(state_);
}

std::uint64_t Order::draw(std::uint64_t bound) { return next() % bound; }

bool Order::is_eager() { return eagerness_ != 0 && draw(4) < eagerness_; }

std::size_t Order::choose(const std::vector<Candidate>& candidates) {
  if (candidates.size() == 1) return 0;
  // One choice in eight is random under every preference, so that no stream
  // waits for another's end in all runs.
  if (preference_ == Preference::kRandom || draw(8) == 0)
    return draw(candidates.size());
  const auto rank = [this](const Candidate& candidate) {
    switch (preference_) {
      case Preference::kOldest:
        return candidate.age;
      case Preference::kNewest:
        return ~candidate.age;
      default:
        return mix(candidate.stream ^ favourite_salt_);
    }
  };
  const auto best =
      std::min_element(candidates.begin(), candidates.end(),
                       [&](const Candidate& a, const Candidate& b) {
                         return rank(a) < rank(b);
                       });
  return static_cast<std::size_t>(best - candidates.begin());
}

std::uint64_t order_seed_from_environment() {
  const char* text = std::getenv("PTX_EMULATOR_ORDER");
  return text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
}

}  // namespace ptx_emulator
