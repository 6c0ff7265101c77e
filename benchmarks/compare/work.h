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

#include <algorithm>
#include <chrono>
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

// Microseconds of the fastest run; runs for `seconds`, at least three times.
inline double fastest_us(Work& work, double seconds) {
  using Clock = std::chrono::steady_clock;
  using Us = std::chrono::duration<double, std::micro>;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  double best = 1e300;
  for (int i = 0; i < 3 || Clock::now() < end; ++i) {
    const auto start = Clock::now();
    work.run();
    best = std::min(best, Us(Clock::now() - start).count());
  }
  return best;
}

}  // namespace compare
