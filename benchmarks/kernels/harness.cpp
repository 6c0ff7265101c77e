#include "kernels/harness.h"

#include <algorithm>
#include <chrono>
#include <map>

#include "kernels/device_timer.h"

namespace kernels {
namespace {

namespace jq = jacquard;

// More than the last-level cache of any device at hand: 50 MB on an H100,
// 126 MB on a B200.
constexpr double kBeyondCaches = 256e6;
constexpr int kMostSets = 512;

class HostTimer final : public DeviceTimer {
 public:
  void start() override { start_ = Clock::now(); }
  double stop() override {
    return std::chrono::duration<double>(Clock::now() - start_).count();
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_;
};

std::unique_ptr<DeviceTimer> timer_of(jq::Device device) {
  return device.type == jq::DeviceType::cuda
             ? event_timer(jq::current_stream(device))
             : std::make_unique<HostTimer>();
}

// What the device reaches: the best of some runs.
struct Reach {
  double bytes_per_second = 0, flops = 0;
};

template <class F>
double best_seconds(jq::Device device, F run) {
  const auto timer = timer_of(device);
  double best = 1e300;
  for (int i = 0; i < 10; ++i) {
    timer->start();
    run();
    best = std::min(best, timer->stop());
  }
  return best;
}

const Reach& reach_of(jq::Device device) {
  static std::map<jq::DeviceType, Reach> known;
  auto [it, fresh] = known.try_emplace(device.type);
  if (!fresh) return it->second;
  const bool cpu = device.type == jq::DeviceType::cpu;
  const std::int64_t words = cpu ? 32'000'000 : 128'000'000;
  const jq::Tensor from = jq::materialize(jq::zeros({words})).data();
  it->second.bytes_per_second =
      8.0 * static_cast<double>(words) /
      best_seconds(device, [&] { (void)from.clone(); });
  const std::int64_t n = cpu ? 1024 : 8192;
  const auto a = jq::materialize(jq::randn({n, n}));
  it->second.flops = 2.0 * static_cast<double>(n * n * n) /
                     best_seconds(device, [&] { jq::matmul(a, a); });
  return it->second;
}

void run(benchmark::State& state, jq::Device device, const MakeWork& make,
         const std::vector<std::int64_t>& arguments) {
  jq::set_default_device(device);
  const Reach& reach = reach_of(device);
  const Work work = make(arguments);
  std::vector<std::function<void()>> sets;
  const int count = static_cast<int>(
      std::clamp(kBeyondCaches / work.set_bytes, 1.0, 1.0 * kMostSets));
  for (int i = 0; i < count; ++i) sets.push_back(work.make_set());
  for (const auto& set : sets) set();
  const auto timer = timer_of(device);
  std::size_t next = 0;
  double seconds = 0;
  for (auto _ : state) {
    timer->start();
    sets[next]();
    const double taken = timer->stop();
    state.SetIterationTime(taken);
    seconds += taken;
    next = (next + 1) % sets.size();
  }
  const double runs = static_cast<double>(state.iterations());
  if (work.bytes > 0) {
    state.counters["bytes_per_second"] = work.bytes * runs / seconds;
    state.counters["of_copy"] =
        work.bytes * runs / seconds / reach.bytes_per_second;
  }
  if (work.flops > 0) {
    state.counters["flops"] = work.flops * runs / seconds;
    state.counters["of_gemm"] = work.flops * runs / seconds / reach.flops;
  }
  state.counters["sets"] = count;
}

}  // namespace

void add(const std::string& name,
         const std::vector<std::vector<std::int64_t>>& arguments,
         MakeWork make) {
  std::vector<jq::Device> devices{jq::cpu()};
  if (jq::is_available(jq::cuda())) devices.push_back(jq::cuda());
  for (const jq::Device device : devices)
    for (const auto& args : arguments) {
      std::string full =
          (device.type == jq::DeviceType::cpu ? "cpu/" : "cuda/") + name;
      for (const auto argument : args) full += "/" + std::to_string(argument);
      benchmark::RegisterBenchmark(full.c_str(), [=](benchmark::State& state) {
        run(state, device, make, args);
      })->UseManualTime();
    }
}

void add_missing_device() {
  if (jq::is_available(jq::cuda())) return;
  benchmark::RegisterBenchmark("cuda", [](benchmark::State& state) {
    state.SkipWithError(
        "skipped: no GPU here, or no CUDA backend in this build");
  });
}

}  // namespace kernels
