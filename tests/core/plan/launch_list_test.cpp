// Launches that are recorded and run again, and their memory.
#include "core/backend/launch_list.h"

#include <gtest/gtest.h>

#include "core/tensor/storage.h"
#include "jacquard/create.h"
#include "jacquard/linalg.h"
#include "jacquard/memory.h"
#include "jacquard/pointwise.h"
#include "jacquard/reduce.h"

namespace jacquard::backend {
namespace {

Tensor numbers(std::vector<float> v) {
  return Tensor::from_host(std::span<const float>(v),
                           {static_cast<std::int64_t>(v.size())});
}

TEST(LaunchList, RunsAgainOnMemoryElsewhere) {
  const Tensor x = numbers({1, 2, 3}), other = numbers({10, 20, 30});
  LaunchList list;
  const int memory = list.declare(x.data_ptr(), x.bytes());
  TrackedTensor y;
  {
    LaunchList::Recording recording(list);
    y = materialize(TrackedTensor(x) * 2.0);
    y = materialize(sum(y + 1.0));
  }
  EXPECT_EQ(list.failure(), "");
  EXPECT_EQ(y.item<float>(), 15);
  list.place(memory, other.data_ptr());
  list.run({});
  EXPECT_EQ(y.item<float>(), 123);
  list.place(memory, x.data_ptr());
  list.run({});
  EXPECT_EQ(y.item<float>(), 15);
  EXPECT_FALSE(list.writes(memory));
}

TEST(LaunchList, SaysThatItReadsMemoryThatItDoesNotKnow) {
  const Tensor x = numbers({1, 2, 3});
  LaunchList list;
  LaunchList::Recording recording(list);
  materialize(exp(TrackedTensor(x)));
  EXPECT_NE(list.failure().find("exp reads memory"), std::string::npos)
      << list.failure();
}

TEST(LaunchList, SaysThatTheHostReads) {
  LaunchList list;
  LaunchList::Recording recording(list);
  ones({1}).item<float>();
  EXPECT_NE(list.failure().find("host"), std::string::npos) << list.failure();
}

TEST(Arena, HandsOutTheSameBlockAgainAndLivesAsLongAsItsStorage) {
  const Device device = default_device();
  synchronize(device);
  const std::size_t before = memory_stats(device).in_use;
  {
    Tensor kept;
    {
      LaunchList list;
      LaunchList::Recording recording(list);
      const void* first = Tensor::empty({1000}, DType::float32).data_ptr();
      kept = Tensor::empty({1000}, DType::float32);
      EXPECT_EQ(kept.data_ptr(), first);
      EXPECT_TRUE(list.arena().holds(kept.data_ptr()));
      const Tensor more = Tensor::empty({1000}, DType::float32);
      EXPECT_NE(more.data_ptr(), first);
      EXPECT_GE(list.arena().bytes(), 8000u);
    }
    EXPECT_GE(memory_stats(device).in_use, before + 4000);
    EXPECT_LT(memory_stats(device).in_use, before + 8000);
  }
  EXPECT_EQ(memory_stats(device).in_use, before);
}

}  // namespace
}  // namespace jacquard::backend
