// A fixed list of programs – skeletons × dtypes × layouts – is run once, which
// leaves their sources in a folder; each is then compiled to machine code for
// each architecture that is supported.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>
#include <vector>

#include "core/backend/backend.h"
#include "core/pointwise/program.h"
#include "cuda/codegen/nvrtc.h"
#include "cuda/codegen/run_program.h"
#include "cuda/runtime/device.h"
#include "cuda/runtime/memory.h"
#include "cuda/runtime/stream.h"

namespace jacquard::cuda_backend {
namespace {

namespace fs = std::filesystem;
using backend::Binding;
using backend::OutputBinding;
using backend::Scalar;
using pointwise::Builder;
using pointwise::Leaf;
using pointwise::Op;
using pointwise::Program;
using pointwise::ProgramPtr;
using pointwise::Reduction;
using pointwise::Ref;

constexpr int kArchitectures[] = {75, 80, 90, 100, 103, 110, 120};
constexpr DType kFloating[] = {DType::float32, DType::float16, DType::bfloat16,
                               DType::float64};

// Must be there before the first program is compiled.
const std::string& folder() {
  static const std::string made = [] {
    std::string pattern =
        (fs::temp_directory_path() / "jacquard-sources-XXXXXX").string();
    if (!mkdtemp(pattern.data())) throw std::runtime_error("no folder");
    setenv("JACQUARD_CUDA_DUMP", pattern.c_str(), 1);
    return pattern;
  }();
  return made;
}

// Runs programs of up to four leaves and outputs over zeros.
class Runner {
 public:
  explicit Runner(Stream stream)
      : stream_(stream), memory_(9 * kBytes, stream) {
    const std::vector<char> zeros(9 * kBytes);
    upload(memory_.data(), zeros.data(), zeros.size(), stream);
  }

  void run(const ProgramPtr& p, const Shape& space,
           const std::vector<Strides>& leaves,
           const std::vector<Strides>& outputs) {
    std::vector<Binding> from;
    std::vector<OutputBinding> to;
    for (std::size_t i = 0; i < leaves.size(); ++i)
      from.push_back({at(i), p->leaves()[i].dtype, leaves[i]});
    for (std::size_t j = 0; j < outputs.size(); ++j) {
      const auto& o = p->outputs()[j];
      to.push_back({at(4 + j), p->instrs()[o.value].dtype, outputs[j]});
    }
    const std::vector<Scalar> slots(p->code().slots.size(), Scalar{});
    run_program({p.get(), space, from, slots, to}, stream_);
  }

 private:
  static constexpr std::size_t kBytes = 1 << 20;
  void* at(std::size_t i) const { return memory_.as<char>() + i * kBytes; }

  Stream stream_;
  Scratch memory_;
};

template <class F>
ProgramPtr program(F build) {
  Builder b;
  build(b);
  return Program::intern(b.take());
}

void run_maps(Runner& r) {
  const Shape s = {12, 64};
  for (const DType t : kFloating) {
    const auto chain = program([&](Builder& b) {
      const Ref x = b.leaf({Op::load, t}), y = b.leaf({Op::load, t});
      b.output({b.apply(Op::tanh, b.apply(Op::add, x, y))});
    });
    r.run(chain, s, {{64, 1}, {64, 1}}, {{64, 1}});
    r.run(chain, s, {{64, 1}, {0, 1}}, {{64, 1}});
    r.run(chain, s, {{1, 12}, {1, 0}}, {{64, 1}});
    r.run(chain, s, {{0, 0}, {128, 2}}, {{1, 12}});
    for (const Op op : {Op::exp, Op::log, Op::sigmoid, Op::erf, Op::sin,
                        Op::erfinv, Op::digamma})
      r.run(program([&](Builder& b) {
              b.output({b.apply(op, b.leaf({Op::load, t}))});
            }),
            s, {{64, 1}}, {{64, 1}});
    for (const Op op : {Op::uniform, Op::normal})
      r.run(program([&](Builder& b) {
              b.slot(DType::int64);
              b.slot(DType::int64);
              b.output({b.leaf({op, t, 0, 1})});
            }),
            s, {{64, 1}}, {{64, 1}});
  }
  for (int from = 0; from < kDTypeCount; ++from)
    for (int to = 0; to < kDTypeCount; ++to)
      if (from != to)
        r.run(program([&](Builder& b) {
                const Ref x = b.leaf({Op::load, static_cast<DType>(from)});
                b.output({b.cast(x, static_cast<DType>(to))});
              }),
              s, {{64, 1}}, {{64, 1}});
}

void run_reductions(Runner& r) {
  const Shape s = {12, 64}, tall = {2000, 64};
  for (const DType t : {DType::float32, DType::float16, DType::bfloat16,
                        DType::float64, DType::int32, DType::int64})
    for (const Reduction how : {Reduction::sum, Reduction::max}) {
      const auto p = program([&](Builder& b) {
        b.output({b.leaf({Op::load, t}), how});
      });
      r.run(p, s, {{64, 1}}, {{1, 0}});
      r.run(p, tall, {{64, 1}}, {{0, 1}});
      r.run(p, {12, 1600}, {{1600, 1}}, {{1, 0}});
    }
}

void run_rows(Runner& r) {
  for (const DType t : kFloating) {
    const auto softmax = program([&](Builder& b) {
      b.output({b.apply(Op::row_softmax, b.leaf({Op::load, t}))});
    });
    for (const std::int64_t c : {10, 64, 700, 2000, 5000, 20000})
      r.run(softmax, {3, c}, {{c, 1}}, {{c, 1}});
    Leaf labels{Op::load, DType::int64};
    labels.per_row = true;
    const auto loss = program([&](Builder& b) {
      const Ref x = b.leaf({Op::load, t}), y = b.leaf(labels);
      b.output({b.apply(Op::sub, b.apply(Op::row_logsumexp, x),
                        b.apply(Op::row_pick, x, y)),
                Reduction::mean, true});
    });
    r.run(loss, {30, 10}, {{10, 1}, {1, 0}}, {{0, 0}});
    r.run(loss, {30, 100}, {{100, 1}, {1, 0}}, {{0, 0}});
    const auto norm = program([&](Builder& b) {
      const Ref x = b.leaf({Op::load, t}), g = b.leaf({Op::load, t}),
                w = b.leaf({Op::load, t});
      const Ref e = b.constant(1e-5, t);
      b.output({b.apply(Op::row_normalize_vjp, x, b.apply(Op::mul, g, w), e)});
      b.output({b.apply(Op::mul, g, b.apply(Op::row_normalize, x, e)),
                Reduction::sum});
    });
    r.run(norm, {90, 64}, {{64, 1}, {64, 1}, {0, 1}}, {{64, 1}, {0, 1}});
    r.run(norm, {40, 1200}, {{1200, 1}, {1200, 1}, {0, 1}},
          {{1200, 1}, {0, 1}});
  }
}

TEST(Architectures, EveryProgramCompilesToMachineCode) {
  if (device_count() == 0) GTEST_SKIP() << "there is no CUDA device";
  const std::string& sources = folder();
  const Stream stream = current_stream(0);
  {
    Runner r(stream);
    run_maps(r);
    run_reductions(r);
    run_rows(r);
    synchronize(stream);
  }
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(sources))
    if (entry.path().extension() == ".cu") files.push_back(entry.path());
  EXPECT_GE(files.size(), 150u);

  std::atomic<std::size_t> next{0}, failed{0};
  const auto work = [&] {
    for (std::size_t i; (i = next++) < files.size();) {
      std::ifstream in(files[i]);
      const std::string source{std::istreambuf_iterator<char>(in), {}};
      for (const int architecture : kArchitectures) try {
          (void)compile(source, files[i].stem().string(), {architecture, true},
                        false);
        } catch (const std::exception& e) {
          ++failed;
          ADD_FAILURE() << "sm_" << architecture << ": " << e.what();
        }
    }
  };
  std::thread other(work);
  work();
  other.join();
  EXPECT_EQ(failed, 0u);
  fs::remove_all(sources);
}

}  // namespace
}  // namespace jacquard::cuda_backend
