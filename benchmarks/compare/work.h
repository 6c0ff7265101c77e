// The work that both sides do, by name and size:
//
//   chain          y = tanh(a·x + b)·sigmoid(c), backward from a seed to all
//                  four; [size]
//   cross_entropy  mean over [size, 1024], backward to the logits
//   softmax        over rows of [size, 1024], backward from a seed
//   layer_norm     the same with weight and bias, backward to all three
//   mlp_step       784-512-256-10, relu, cross-entropy, Adam; a batch of size
//   sgemm          size³, float32, no gradient
//
// Everything that is named is computed and in memory when run() returns.
#pragma once

#include <time.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace compare {

inline constexpr std::int64_t kColumns = 1024;
inline constexpr std::int64_t kMlp[] = {784, 512, 256, 10};
inline constexpr int kMlpLayers = 3;

class Work {
 public:
  virtual ~Work() = default;
  virtual void run() = 0;
  // Of the last run: a sum over what it made, to see that both sides do the
  // same. After kWarmUps runs for mlp_step: the loss.
  virtual double checksum() = 0;
};

// Runs before the first that is timed; the checksum is taken after them.
inline constexpr int kWarmUps = 3;

// Element i of the input `salt`, the same on both sides; in [−0.5, 0.5).
inline float input_value(std::uint32_t i, std::uint32_t salt) {
  std::uint32_t h = (i + 1) * 2654435761u + salt * 2246822519u;
  h = (h ^ (h >> 15)) * 2246822519u;
  h ^= h >> 13;
  return static_cast<float>(h >> 8) * (1.0f / 16777216.0f) - 0.5f;
}

inline std::vector<float> input_values(std::int64_t n, std::uint32_t salt,
                                       float scale = 1) {
  std::vector<float> out(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = input_value(static_cast<std::uint32_t>(i), salt) * scale;
  return out;
}

inline std::vector<std::int64_t> input_labels(std::int64_t n,
                                              std::int64_t classes) {
  std::vector<std::int64_t> out(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<std::int64_t>(i) * 7 % classes;
  return out;
}

// What a run is timed by: the clock on the wall, or the time that the process
// computed – for one thread on a machine that others use as well.
enum class Clock { wall, cpu };

inline double now_us(Clock clock) {
  timespec t{};
  clock_gettime(
      clock == Clock::wall ? CLOCK_MONOTONIC : CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e6 +
         static_cast<double>(t.tv_nsec) * 1e-3;
}

// Microseconds of the fastest run; runs for `seconds`, at least three times.
inline double fastest_us(Work& work, double seconds, Clock clock) {
  const double end = now_us(Clock::wall) + seconds * 1e6;
  double best = 1e300;
  for (int i = 0; i < 3 || now_us(Clock::wall) < end; ++i) {
    const double start = now_us(clock);
    work.run();
    best = std::min(best, now_us(clock) - start);
  }
  return best;
}

}  // namespace compare
