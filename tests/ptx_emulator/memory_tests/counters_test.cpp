#include "memory/counters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace ptx_emulator {
namespace {

LaunchCounters some_counters() {
  LaunchCounters c;
  c.threads = 64;
  c.warp_instructions = 10;
  c.instructions(InstructionClass::kF64) = 7;
  c.instructions(InstructionClass::kAtomic) = 9;
  c.loads = {3, 384, 12, {0, 0, 384, 0, 0, 0}};
  c.stores = {1, 128, 4, {0, 0, 0, 0, 128, 0}};
  c.shared = {5, 640, 8, 3};
  c.barriers = 2;
  return c;
}

TEST(LaunchCounters, AddUp) {
  LaunchCounters sum = some_counters();
  sum += some_counters();
  EXPECT_EQ(sum.threads, 128u);
  EXPECT_EQ(sum.warp_instructions, 20u);
  EXPECT_EQ(sum.f64_instructions(), 14u);
  EXPECT_EQ(sum.instructions(InstructionClass::kAtomic), 18u);
  EXPECT_EQ(sum.loads.requests, 6u);
  EXPECT_EQ(sum.loads.bytes_by_width[2], 768u);
  EXPECT_EQ(sum.stores.sectors, 8u);
  EXPECT_EQ(sum.stores.bytes, 256u);
  EXPECT_EQ(sum.shared.requests, 10u);
  EXPECT_EQ(sum.shared.bytes, 1280u);
  EXPECT_EQ(sum.shared.wavefronts, 16u);
  EXPECT_EQ(sum.shared.conflicts, 6u);
  EXPECT_EQ(sum.barriers, 4u);
}

TEST(LaunchTable, PrintsALineForEachLaunchAndOneOfSums) {
  LaunchTable table;
  table.add({"first", {2, 1, 1}, {32, 1, 1}, 0, 0, 0, some_counters()});
  table.add({"second", {1, 1, 1}, {64, 1, 1}, 0, 0, 0, some_counters()});
  std::ostringstream out;
  table.print(out);
  const std::string text = out.str();
  EXPECT_NE(text.find("first"), std::string::npos);
  EXPECT_NE(text.find("2x1x1"), std::string::npos);
  EXPECT_NE(text.find("2 launches"), std::string::npos);
  EXPECT_NE(text.find(" 768 "), std::string::npos) << "summed load bytes";
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 4);
  table.clear();
  EXPECT_TRUE(table.records().empty());
}

TEST(LaunchTable, WritesJson) {
  LaunchTable table;
  table.add({"a \"b\"\\\n", {2, 3, 4}, {32, 1, 1}, 48, 5, 0, some_counters()});
  std::ostringstream out;
  table.write_json(out);
  for (const char* part :
       {"\"kernel\": \"a \\\"b\\\"\\\\\\u000a\"", "\"grid\": [2, 3, 4]",
        "\"shared_bytes\": 48", "\"stream\": 5", "\"f64\": 7", "\"atomic\": 9",
        "\"loads\": {\"requests\": 3, \"bytes\": 384, \"sectors\": 12",
        "\"16\": 128", "\"conflicts\": 3", "\"barriers\": 2"}) {
    EXPECT_NE(out.str().find(part), std::string::npos) << part << out.str();
  }
}

TEST(LaunchTable, TakesLaunchesFromSeveralThreads) {
  LaunchTable table;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) table.add({"k", {}, {}, 0, 0, 0, {}});
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(table.records().size(), 400u);
}

}  // namespace
}  // namespace ptx_emulator
