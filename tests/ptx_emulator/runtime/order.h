// The choice among legal orders of work, from a seed.
//
// A device promises only the order within a stream and that of event waits. A
// program that needs more has a defect that shows under some orders only, so a
// seed draws one temper for the whole run:
//   eagerness  how often work that nobody waits for is run before the work
//              that is waited for;
//   preference whether the oldest, the newest, a random, or a fixed favourite
//              stream's work goes first among what is ready.
// Seed 0 is the laziest: nothing runs that nobody waits for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ptx_emulator {

class Order {
 public:
  explicit Order(std::uint64_t seed);

  // Whether work may run that nobody waits for.
  bool may_be_eager() const { return eagerness_ != 0; }
  // Whether to choose from all ready work instead of the needed part.
  bool is_eager();

  // The index of the work to run next. `streams` and `ages` describe the
  // ready work: its stream's number and its place in the order of submission.
  struct Candidate {
    std::uint64_t stream = 0;
    std::uint64_t age = 0;
  };
  std::size_t choose(const std::vector<Candidate>& candidates);

  // From 0 to `bound` - 1.
  std::uint64_t draw(std::uint64_t bound);

 private:
  enum class Preference { kRandom, kOldest, kNewest, kFavourite };
  std::uint64_t next();

  std::uint64_t state_;
  unsigned eagerness_ = 0;  // in quarters
  Preference preference_ = Preference::kRandom;
  std::uint64_t favourite_salt_ = 0;
};

// The seed in PTX_EMULATOR_ORDER; 0 without it.
std::uint64_t order_seed_from_environment();

}  // namespace ptx_emulator
