// Runs the blocks of a launch one after another on one host thread.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "execute/warp.h"

namespace ptx_emulator {

class BlockRunner {
 public:
  // `thread` and what it points to must outlive the runner.
  BlockRunner(const Launch& launch, HostThread* thread);

  // Runs the block of that index within the grid to completion. Throws Fault.
  void run(std::uint64_t block);

 private:
  // What the waiting and arrived threads of one barrier amount to.
  struct Waiting {
    std::uint32_t threads = 0;
    std::uint32_t expected = 0;  // as named by bar.sync a, b; 0 without
    std::uint32_t warps = 0;
    bool any = false;
  };

  void prepare(const std::uint32_t block[3]);
  void fill_constant_rows(Warp* warp, std::uint32_t index);
  bool run_warps();
  bool release_barriers();
  Waiting waiting_at(std::uint32_t barrier);
  void check_shape(std::uint32_t barrier, const Waiting& waiting);
  void check_group(Warp* warp, const Group& group, int groups);
  void combine_predicates(std::uint32_t barrier, std::uint32_t threads);
  void release(std::uint32_t barrier);
  [[noreturn]] void fail_deadlock();
  template <class F>
  void for_each_waiting(std::uint32_t barrier, F f);

  const Launch& launch_;
  HostThread& thread_;
  std::uint32_t threads_ = 0;
  std::uint32_t shared_bytes_ = 0;
  std::vector<std::unique_ptr<Warp>> warps_;
};

}  // namespace ptx_emulator
