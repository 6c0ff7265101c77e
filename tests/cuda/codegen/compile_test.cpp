#include <thread>

#include "cuda/codegen/kernels.h"
#include "cuda/codegen/nvrtc.h"
#include "cuda/codegen/split.h"
#include "jacquard/error.h"
#include "tests/cuda/codegen/program_testing.h"

namespace jacquard::cuda_backend {
namespace {

using CompileTest = ProgramTest;

constexpr DType f32 = DType::float32;

unsigned long made() {
  const KernelCounts c = kernel_counts();
  return c.compiled + c.found;
}

TEST_F(CompileTest, SizesAreNotInTheKey) {
  const auto p = program([](Builder& b) {
    const Ref x = b.apply(Op::sub, b.leaf({}), b.constant(0.123, f32));
    b.output({x});
    b.output({x, Reduction::sum});
  });
  const auto run = [&](std::int64_t r, std::int64_t c) {
    compare(p, {r, c}, {{{c, 1}}}, {{f32, {c, 1}}, {f32, {0, 1}}}, {},
            {0, 1e-4});
  };
  run(5, 7);
  const unsigned long before = made();
  run(128, 512);
  run(100, 64);
  run(1000, 3);
  EXPECT_EQ(made(), before);
}

TEST_F(CompileTest, ThreadsCompileAKernelOnce) {
  const auto p = program([](Builder& b) {
    b.output({b.apply(Op::mul, b.leaf({}), b.constant(0.4711, f32))});
  });
  const std::vector<unsigned char> zeros(400);
  const unsigned long before = made();
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&] {
      const Stream mine = current_stream(0);
      const DeviceBytes x(zeros, 0, mine), y(zeros, 0, mine);
      const Binding leaf{x.data(), f32, {1}};
      const OutputBinding out{y.data(), f32, {1}};
      run_program({p.get(), {100}, {&leaf, 1}, {}, {&out, 1}}, mine);
      synchronize(mine);
    });
  for (auto& t : threads) t.join();
  EXPECT_EQ(made(), before + 1);
}

TEST_F(CompileTest, ErrorsShowTheLogAndTheSource) {
  const Target target = target_for(device_info(0).capability());
  try {
    compile("// a comment\n__global__ void k() { wrong; }\n", "k", target,
            false);
    FAIL() << "no error";
  } catch (const CudaError& e) {
    const std::string what = e.what();
    EXPECT_NE(what.find("k.cu(2): error: identifier \"wrong\""),
              std::string::npos)
        << what;
    EXPECT_NE(what.find("// a comment"), std::string::npos);
  }
}

TEST_F(CompileTest, DevicesNewerThanNvrtcGetPtx) {
  const Target newest = target_for(999);
  EXPECT_FALSE(newest.machine_code);
  EXPECT_GE(newest.architecture, 120);
  EXPECT_EQ(newest.option().substr(0, 14), "-arch=compute_");
  EXPECT_THROW(target_for(30), DeviceError);
}

static_assert(lanes_for(1, 4) == 1 && lanes_for(10, 4) == 4 &&
              lanes_for(128, 4) == 32 && lanes_for(1024, 4) == 32 &&
              lanes_for(1025, 4) == 256);

TEST(Split, ChunksCoverWhatIsReduced) {
  for (const std::int64_t n :
       {0ll, 1ll, 31ll, 1024ll, 1025ll, 100000ll, 1ll << 33})
    for (const std::int64_t kept : {1ll, 3ll, 700ll, 5000ll, 1ll << 20})
      for (const int width : {2, 4}) {
        const SpanSplit s = split_span(kept, n, width);
        EXPECT_GE(s.chunk * s.chunks, n);
        EXPECT_LE(s.chunks > 1 ? kept : 0, 4096);
        const ColumnSplit c = split_columns(n, kept, width);
        EXPECT_GE(c.chunk * c.chunks, n);
        EXPECT_GE(c.tiles * c.lanes * width, kept);
        EXPECT_EQ(c.chunk % (kFoldThreads / c.lanes), 0);
        // One more for the totals of row kernels.
        EXPECT_LT(c.tiles * tickets_for(c.chunks),
                  static_cast<std::int64_t>(kTicketCount));
      }
}

}  // namespace
}  // namespace jacquard::cuda_backend
