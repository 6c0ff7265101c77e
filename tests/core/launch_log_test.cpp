#include "jacquard/launch_log.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

#include "core/backend/launch.h"
#include "core/backend/launch_cost.h"
#include "jacquard/tensor.h"

namespace jacquard {
namespace {

using backend::Binding;
using backend::OutputBinding;
using backend::ProgramLaunch;
using pointwise::Builder;
using pointwise::Op;
using pointwise::Program;
using pointwise::ProgramPtr;
using pointwise::Reduction;
using pointwise::Ref;

ProgramPtr sum_of_two(Reduction reduction = Reduction::store) {
  Builder builder;
  const Ref a = builder.leaf({.dtype = DType::float32});
  const Ref b = builder.leaf({.dtype = DType::float32});
  builder.output(
      {.value = builder.apply(Op::add, a, b), .reduction = reduction});
  return Program::intern(builder.take());
}

ProgramPtr softmax() {
  Builder builder;
  const Ref a = builder.leaf({.dtype = DType::float32});
  builder.output({.value = builder.apply(Op::row_softmax, a)});
  return Program::intern(builder.take());
}

Tensor numbers(const Shape& shape) {
  std::vector<float> values(static_cast<std::size_t>(shape.numel()), 1.0f);
  return Tensor::from_host<float>(values, shape, cpu());
}

// One launch of a program; strides of the leaves and the output as given.
struct Work {
  ProgramPtr program;
  Shape space;
  std::vector<Binding> leaves;
  std::vector<OutputBinding> outputs;

  ProgramLaunch launch() const {
    return {.program = program.get(),
            .space = space,
            .leaves = leaves,
            .slots = {},
            .outputs = outputs};
  }
};

float memory_a[64];
float memory_b[64];
float memory_c[64];

Work add_work(const Shape& space, const Strides& a, const Strides& b,
              const Strides& out, Reduction reduction = Reduction::store) {
  return {
      .program = sum_of_two(reduction),
      .space = space,
      .leaves = {{memory_a, DType::float32, a}, {memory_b, DType::float32, b}},
      .outputs = {{memory_c, DType::float32, out}}};
}

std::size_t read_by(const Work& work) {
  return backend::traffic_of(work.launch()).read;
}
std::size_t written_by(const Work& work) {
  return backend::traffic_of(work.launch()).written;
}

TEST(LaunchCost, CountsEachOperandOnce) {
  const Work work = add_work({4, 5}, {5, 1}, {5, 1}, {5, 1});
  EXPECT_EQ(read_by(work), 2 * 20 * 4u);
  EXPECT_EQ(written_by(work), 20 * 4u);
}

TEST(LaunchCost, CountsABroadcastOperandsOwnElements) {
  EXPECT_EQ(read_by(add_work({4, 5}, {5, 1}, {0, 1}, {5, 1})), (20 + 5) * 4u);
  EXPECT_EQ(read_by(add_work({4, 5}, {1, 0}, {0, 0}, {5, 1})), (4 + 1) * 4u);
  // Windows that overlap: 4 + 5 − 1 elements.
  EXPECT_EQ(read_by(add_work({4, 5}, {1, 1}, {0, 0}, {5, 1})), (8 + 1) * 4u);
}

TEST(LaunchCost, CountsTheSameMemoryInTheSameLayoutOnce) {
  Work work = add_work({4, 1, 5}, {5, 3, 1}, {5, 7, 1}, {5, 5, 1});
  work.leaves[1].data = memory_a;
  EXPECT_EQ(read_by(work), 20 * 4u);
  work.leaves[1].strides = {1, 0, 4};  // transposed: read again
  EXPECT_EQ(read_by(work), 2 * 20 * 4u);
}

TEST(LaunchCost, CountsAnAccumulatedOutputAsRead) {
  Work work = add_work({4, 5}, {5, 1}, {5, 1}, {5, 1});
  work.outputs[0].accumulate = true;
  EXPECT_EQ(read_by(work), 3 * 20 * 4u);
  EXPECT_EQ(written_by(work), 20 * 4u);
}

TEST(LaunchCost, CountsAReducedOutputsOwnElements) {
  const auto sum = [](const Strides& out) {
    return written_by(add_work({4, 5}, {5, 1}, {5, 1}, out, Reduction::sum));
  };
  EXPECT_EQ(sum({0, 0}), 4u);
  EXPECT_EQ(sum({1, 0}), 4 * 4u);
  EXPECT_EQ(sum({0, 1}), 5 * 4u);
}

TEST(LaunchCost, OfAnEmptySpaceIsTheNeutralElement) {
  const Work work = add_work({4, 0}, {1, 1}, {1, 1}, {1, 0}, Reduction::sum);
  EXPECT_EQ(read_by(work), 0u);
  EXPECT_EQ(written_by(work), 4 * 4u);
  EXPECT_EQ(written_by(add_work({4, 0}, {1, 1}, {1, 1}, {1, 1})), 0u);
}

TEST(LaunchCost, UsesTheTypesInMemory) {
  Work work = add_work({4, 5}, {5, 1}, {5, 1}, {5, 1});
  work.leaves[0].dtype = DType::float64;
  work.outputs[0].dtype = DType::float16;
  EXPECT_EQ(read_by(work), 20 * (8 + 4u));
  EXPECT_EQ(written_by(work), 20 * 2u);
}

TEST(LaunchCost, SkipsLeavesWithoutMemory) {
  Builder builder;
  const Ref a = builder.leaf({.dtype = DType::int64});
  const Ref i = builder.leaf({.op = Op::index, .dtype = DType::int64});
  builder.output({.value = builder.apply(Op::add, a, i)});
  const Work work = {
      .program = Program::intern(builder.take()),
      .space = {6},
      .leaves = {{memory_a, DType::int64, {1}}, {nullptr, DType::int64, {1}}},
      .outputs = {{memory_c, DType::int64, {1}}}};
  EXPECT_EQ(read_by(work), 6 * 8u);
}

TEST(LaunchCost, OfAMatmulCountsBroadcastBatchesOnce) {
  backend::MatmulLaunch work;
  work.batch = {10};
  work.m = 2;
  work.k = 3;
  work.n = 4;
  work.a = {memory_a, 3, 1, {6}};
  work.b = {memory_b, 1, 3, {0}};  // transposed, the same for all
  EXPECT_EQ(backend::traffic_of(work).read, (10 * 6 + 12) * 4u);
  EXPECT_EQ(backend::traffic_of(work).written, 10 * 8 * 4u);
  work.accumulate = true;
  EXPECT_EQ(backend::traffic_of(work).read, (10 * 6 + 12 + 10 * 8) * 4u);

  backend::MatmulLaunch square;
  square.m = square.k = square.n = 3;
  square.a = {memory_a, 3, 1, {}};
  square.b = {memory_a, 1, 3, {}};
  EXPECT_EQ(backend::traffic_of(square).read, 9 * 4u);
}

TEST(LaunchCost, OfAGatherCountsWhatIsIndexed) {
  backend::IndexLaunch work;
  work.outer = 2;
  work.extent = 100;
  work.count = 5;
  work.inner = 3;
  EXPECT_EQ(backend::gather_traffic(work).read, 5 * 8 + 30 * 4u);
  EXPECT_EQ(backend::gather_traffic(work).written, 30 * 4u);
  EXPECT_EQ(backend::scatter_traffic(work, false).read, 5 * 8 + 30 * 4u);
  EXPECT_EQ(backend::scatter_traffic(work, true).read, 5 * 8 + 60 * 4u);
}

void run(const char* op, const ProgramPtr& program,
         const std::vector<Tensor>& inputs, const Tensor& out,
         const Strides& out_strides) {
  std::vector<Binding> leaves;
  for (const Tensor& t : inputs)
    leaves.push_back({t.data_ptr(), t.dtype(), t.strides()});
  const OutputBinding output{out.data_ptr(), out.dtype(), out_strides};
  backend::launch(op,
                  {.program = program.get(),
                   .space = inputs[0].shape(),
                   .leaves = leaves,
                   .slots = {},
                   .outputs = {&output, 1}},
                  current_stream(cpu()));
}

TEST(LaunchLog, NamesTheSkeletonAndTheOperation) {
  const Tensor a = numbers({4, 5});
  const Tensor out = numbers({4, 5});
  const Tensor one = numbers({});
  LaunchLog log;
  run("add", sum_of_two(), {a, a}, out, {5, 1});
  run("sum", sum_of_two(Reduction::sum), {a, a}, one, {0, 0});
  run("softmax", softmax(), {a}, out, {5, 1});
  ASSERT_EQ(log.records().size(), 3u);
  EXPECT_STREQ(log.records()[0].kind, "map");
  EXPECT_STREQ(log.records()[0].op, "add");
  EXPECT_EQ(log.records()[0].stream, current_stream(cpu()));
  EXPECT_EQ(log.records()[0].bytes_read, 80u);
  EXPECT_EQ(log.records()[0].bytes_written, 80u);
  EXPECT_STREQ(log.records()[1].kind, "map-reduce");
  EXPECT_EQ(log.records()[1].bytes_written, 4u);
  EXPECT_STREQ(log.records()[2].kind, "row");
  EXPECT_EQ(log.launches(), 3u);
  EXPECT_EQ(log.bytes_read(), 240u);
  EXPECT_EQ(log.bytes_written(), 164u);
  EXPECT_EQ(log.bytes(), 404u);
  EXPECT_EQ(log.seconds(), 0);
  EXPECT_EQ(one.item<float>(), 40);
}

TEST(LaunchLog, RecordsListsMatmulsAndIndexing) {
  const Tensor a = numbers({2, 2});
  const Tensor b = numbers({2, 2});
  const std::vector<std::int64_t> places = {1, 0};
  const Tensor index = Tensor::from_host<std::int64_t>(places, {2}, cpu());
  const Stream stream = current_stream(cpu());

  LaunchLog log;
  const Binding leaves[] = {{a.data_ptr(), DType::float32, {1}},
                            {b.data_ptr(), DType::float32, {1}}};
  const OutputBinding output{b.data_ptr(), DType::float32, {1}};
  const auto program = sum_of_two();
  const ProgramLaunch entry{.program = program.get(),
                            .space = {4},
                            .leaves = leaves,
                            .slots = {},
                            .outputs = {&output, 1}};
  backend::launch_list("step", {&entry, 1}, stream);
  backend::launch_list("step", {}, stream);

  backend::MatmulLaunch matmul;
  matmul.m = matmul.n = matmul.k = 2;
  matmul.a = {a.data_ptr(), 2, 1, {}};
  matmul.b = {a.data_ptr(), 2, 1, {}};
  matmul.c = b.data_ptr();
  backend::launch_matmul("matmul", matmul, stream);

  backend::IndexLaunch indexed;
  indexed.op = "index";
  indexed.extent = indexed.count = indexed.inner = 2;
  indexed.index = static_cast<const std::int64_t*>(index.data_ptr());
  indexed.source = a.data_ptr();
  indexed.target = b.data_ptr();
  backend::launch_gather(indexed, stream);
  backend::launch_scatter(indexed, stream);
  backend::launch_scatter_add(indexed, stream);

  std::vector<std::string> kinds;
  for (const LaunchRecord& record : log.records())
    kinds.emplace_back(record.kind);
  EXPECT_EQ(kinds, (std::vector<std::string>{"list", "matmul", "gather",
                                             "scatter", "scatter_add"}));
  EXPECT_EQ(log.count("matmul"), 1u);
  EXPECT_EQ(log.records()[0].bytes_read, 32u);
}

TEST(LaunchLog, KeepsTrafficWithTheHostApart) {
  LaunchLog log;
  const Tensor a = numbers({4});
  a.clone().to_host<float>();
  EXPECT_EQ(log.records().size(), 3u);
  EXPECT_EQ(log.count("upload"), 1u);
  EXPECT_EQ(log.count("copy"), 1u);
  EXPECT_EQ(log.host_reads(), 1u);
  EXPECT_EQ(log.launches(), 1u);
  EXPECT_EQ(log.bytes_read(), 16u);
  EXPECT_EQ(log.bytes_written(), 16u);
  EXPECT_EQ(log.records()[2].bytes_read, 16u);
  EXPECT_EQ(log.records()[2].bytes_written, 0u);
}

TEST(LaunchLog, SaysNothingOfEmptyCopies) {
  LaunchLog log;
  numbers({0}).clone().to_host<float>();
  EXPECT_TRUE(log.records().empty());
}

TEST(LaunchLog, RecordsWhileItIsAlive) {
  const Tensor a = numbers({4});
  a.clone();
  LaunchLog outer;
  a.clone();
  {
    LaunchLog inner;
    a.clone();
    EXPECT_EQ(inner.launches(), 1u);
    EXPECT_EQ(outer.launches(), 2u);
  }
  a.clone();
  EXPECT_EQ(outer.launches(), 3u);
  outer.clear();
  EXPECT_TRUE(outer.records().empty());
}

TEST(LaunchLog, MayEndBeforeOneThatBeganLater) {
  const Tensor a = numbers({4});
  auto first = std::make_unique<LaunchLog>();
  LaunchLog second;
  first.reset();
  a.clone();
  EXPECT_EQ(second.launches(), 1u);
}

TEST(LaunchLog, RecordsItsOwnThreadOnly) {
  LaunchLog log;
  std::thread([] {
    const Tensor a = numbers({4});
    a.clone();
    LaunchLog there;
    a.clone();
    EXPECT_EQ(there.launches(), 1u);
  }).join();
  EXPECT_TRUE(log.records().empty());
}

TEST(LaunchLog, RecordsNothingOfALaunchThatFails) {
  const Tensor a = numbers({2});
  const Tensor out = numbers({1});
  const std::vector<std::int64_t> places = {5};
  const Tensor index = Tensor::from_host<std::int64_t>(places, {1}, cpu());
  backend::IndexLaunch work;
  work.op = "index";
  work.extent = 2;
  work.count = 1;
  work.index = static_cast<const std::int64_t*>(index.data_ptr());
  work.source = a.data_ptr();
  work.target = out.data_ptr();
  LaunchLog log;
  EXPECT_THROW(backend::launch_gather(work, current_stream(cpu())), IndexError);
  EXPECT_TRUE(log.records().empty());
}

TEST(LaunchLog, TakesTheTimeIfAsked) {
  const Tensor a = numbers({1000});
  LaunchLog outer;
  LaunchLog log(true);
  a.clone();
  EXPECT_GT(log.seconds(), 0);
  EXPECT_EQ(outer.seconds(), 0);
}

TEST(LaunchLog, PrintsATable) {
  const Tensor a = numbers({3000});
  LaunchLog log;
  a.clone();
  a.view({}, {}, 0).item<float>();
  EXPECT_EQ(log.to_string(),
            "kind       op     device   read  written\n"
            "copy       clone  cpu     12 kB    12 kB\n"
            "host-read  item   cpu       4 B      0 B\n"
            "1 launch, 12 kB read, 12 kB written, 0 uploads, 1 host read\n");
}

}  // namespace
}  // namespace jacquard
