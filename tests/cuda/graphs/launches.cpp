#include "tests/cuda/graphs/launches.h"

namespace jacquard::testing {
namespace {

constexpr std::int64_t kLong = 20000;  // reduced by several blocks
constexpr std::int64_t kRows = 300, kColumns = 10;
constexpr std::int64_t kSlots = 300, kKeys = 40;
// Enough that their table does not fit into a kernel's arguments.
constexpr int kEntries = 60;

Bytes indices(std::int64_t count, std::int64_t extent) {
  std::vector<std::int64_t> list;
  for (std::int64_t i = 0; i < count; ++i) list.push_back(i * 7 % extent);
  return bytes_of(list);
}

std::string entry(const char* name, int i) { return name + std::to_string(i); }

std::int64_t entry_elements(int i) { return 1 + i * 5 % 23; }

// y = x·rate + 1, where 1 is a slot without an origin.
const ProgramPtr& line() {
  static const ProgramPtr p = program([](Builder& b) {
    const Ref x = b.leaf({}), rate = b.slot(f32), one = b.slot(f32);
    b.output({b.apply(Op::add, b.apply(Op::mul, x, rate), one)});
  });
  return p;
}

// The same scalar in another dtype.
const ProgramPtr& wide_line() {
  static const ProgramPtr p = program([](Builder& b) {
    const Ref x = b.leaf({Op::load, DType::float64});
    b.output({b.apply(Op::mul, x, b.slot(DType::float64))});
  });
  return p;
}

const ProgramPtr& scaled_sum() {
  static const ProgramPtr p = program([](Builder& b) {
    b.output({b.apply(Op::mul, b.leaf({}), b.slot(f32)), Reduction::sum});
  });
  return p;
}

const ProgramPtr& scaled_softmax() {
  static const ProgramPtr p = program([](Builder& b) {
    const Ref x = b.apply(Op::mul, b.leaf({}), b.slot(f32));
    const Ref y = b.apply(Op::row_softmax, x);
    b.output({y});
    b.output({y, Reduction::sum});
  });
  return p;
}

const ProgramPtr& noise(Op op) {
  const auto make = [](Op random) {
    return program([&](Builder& b) {
      const std::uint16_t seed = 0, offset = 1;
      b.slot(DType::int64);
      b.slot(DType::int64);
      b.output({b.leaf({random, f32, seed, offset})});
    });
  };
  static const ProgramPtr uniform = make(Op::uniform),
                          normal = make(Op::normal);
  return op == Op::uniform ? uniform : normal;
}

const ProgramPtr& step() {
  static const ProgramPtr p = program([](Builder& b) {
    const Ref x = b.leaf({}), g = b.leaf({}), rate = b.slot(f32);
    b.output({b.apply(Op::sub, x, b.apply(Op::mul, rate, g))});
  });
  return p;
}

}  // namespace

Launches::Launches() {
  const auto zeros = [](std::int64_t n) {
    return Bytes(static_cast<std::size_t>(n) * 4, 0);
  };
  add("x", uneven_elements(f32, kLong, 1));
  add("wide", uneven_elements(DType::float64, 37, 2));
  add("line", zeros(kLong));
  add("wide line", Bytes(37 * 8, 0));
  add("sum", zeros(1));
  add("all sums", zeros(1));
  add("column sums", zeros(kColumns));
  add("softmax", zeros(kRows * kColumns));
  add("softmax sums", zeros(kColumns));
  add("uniform", zeros(101));
  add("normal", zeros(101));
  add("one", zeros(101));
  add("product", zeros(24 * 20));
  add("integers", small_integers(DType::int32, 24 * 16, 3));
  add("integer product", zeros(24 * 24));
  add("keys", indices(kSlots, kKeys));
  add("few keys", indices(5, kKeys));
  add("gathered", zeros(kSlots * 3));
  add("table", uneven_elements(f32, kKeys * 3, 4));
  add("scattered", zeros(kKeys * 3));
  add("copy", zeros(kLong));
  add("scan", zeros(kLong));
  add("positions", Bytes(kRows * kColumns * 8, 0));
  for (int i = 0; i < kEntries; ++i) {
    add(entry("p", i),
        uneven_elements(f32, entry_elements(i), static_cast<unsigned>(i) + 10));
    add(entry("g", i),
        uneven_elements(f32, entry_elements(i), static_cast<unsigned>(i) + 90));
  }
}

void Launches::add(const std::string& name, const Bytes& bytes) {
  buffers_[name] = std::make_unique<DeviceArray>(bytes);
}

Binding Launches::leaf(const std::string& name, Strides strides, DType dtype) {
  return {buffer(name).data(), dtype, strides};
}
OutputBinding Launches::output(const std::string& name, Strides strides,
                               bool accumulate, DType dtype) {
  return {buffer(name).data(), dtype, strides, accumulate};
}

void Launches::maps(const Settings& s, Stream stream) {
  const Binding x = leaf("x", {1}), wide = leaf("wide", {1}, DType::float64);
  const OutputBinding y = output("line", {1}),
                      z = output("wide line", {1}, false, DType::float64);
  const Scalar slots[] = {s.slot(0), real(1)}, rate = s.slot(0);
  on_cuda().run({line().get(), {kLong}, {&x, 1}, slots, {&y, 1}}, stream);
  on_cuda().run({wide_line().get(), {37}, {&wide, 1}, {&rate, 1}, {&z, 1}},
                stream);
}

void Launches::reductions(const Settings& s, Stream stream) {
  const Binding x = leaf("line", {1}), rows = leaf("line", {kColumns, 1});
  const OutputBinding sum = output("sum", {0}),
                      all = output("all sums", {0}, true),
                      columns = output("column sums", {0, 1});
  const Scalar scale = s.slot(1);
  on_cuda().run({scaled_sum().get(), {kLong}, {&x, 1}, {&scale, 1}, {&sum, 1}},
                stream);
  on_cuda().run({scaled_sum().get(), {kLong}, {&x, 1}, {&scale, 1}, {&all, 1}},
                stream);
  on_cuda().run({scaled_sum().get(),
                 {kRows, kColumns},
                 {&rows, 1},
                 {&scale, 1},
                 {&columns, 1}},
                stream);
}

void Launches::rows(const Settings& s, Stream stream) {
  const Binding x = leaf("x", {kColumns, 1});
  const OutputBinding to[] = {output("softmax", {kColumns, 1}),
                              output("softmax sums", {0, 1})};
  const Scalar scale = s.slot(1);
  on_cuda().run(
      {scaled_softmax().get(), {kRows, kColumns}, {&x, 1}, {&scale, 1}, to},
      stream);
}

void Launches::random(const Settings& s, Stream stream) {
  const Scalar slots[] = {s.slot(2), s.slot(3)};
  Binding at = {nullptr, f32, {1}};
  const OutputBinding uniform = output("uniform", {1}),
                      normal = output("normal", {1}), one = output("one", {1});
  on_cuda().run(
      {noise(Op::uniform).get(), {101}, {&at, 1}, slots, {&uniform, 1}},
      stream);
  on_cuda().run({noise(Op::normal).get(), {101}, {&at, 1}, slots, {&normal, 1}},
                stream);
  at.strides = {0};  // the same number everywhere
  on_cuda().run({noise(Op::uniform).get(), {101}, {&at, 1}, slots, {&one, 1}},
                stream);
}

void Launches::update(const Settings& s, Stream stream) {
  std::vector<std::vector<Binding>> leaves;
  std::vector<OutputBinding> outputs;
  std::vector<ProgramLaunch> launches;
  const Scalar rate = s.slot(0);
  for (int i = 0; i < kEntries; ++i) {
    leaves.push_back({leaf(entry("p", i), {1}), leaf(entry("g", i), {1})});
    outputs.push_back(output(entry("p", i), {1}));
  }
  for (std::size_t i = 0; i < kEntries; ++i)
    launches.push_back({step().get(),
                        {entry_elements(static_cast<int>(i))},
                        leaves[i],
                        {&rate, 1},
                        {&outputs[i], 1}});
  on_cuda().run_list(launches, stream);
  on_cuda().run_list({launches.data(), 3}, stream);
}

void Launches::products(Stream stream) {
  backend::MatmulLaunch l;
  l.m = 24;
  l.k = 16;
  l.n = 20;
  l.a = {buffer("line").data(), 16, 1, {}};
  l.b = {buffer("softmax").data(), 20, 1, {}};
  l.c = buffer("product").data();
  on_cuda().matmul(l, stream);
  l.accumulate = true;
  on_cuda().matmul(l, stream);
  l.dtype = l.out_dtype = DType::int32;
  l.n = 24;
  l.a = {buffer("integers").data(), 16, 1, {}};
  l.b = {buffer("integers").data(), 1, 16, {}};
  l.c = buffer("integer product").data();
  on_cuda().matmul(l, stream);
}

void Launches::indexing(Stream stream) {
  IndexLaunch l;
  l.op = "test_index";
  l.extent = kKeys;
  l.count = kSlots;
  l.inner = 3;
  l.index = static_cast<const std::int64_t*>(buffer("keys").data());
  l.source = buffer("table").data();
  l.target = buffer("gathered").data();
  on_cuda().gather(l, stream);
  l.source = buffer("gathered").data();
  l.target = buffer("table").data();
  on_cuda().scatter_add(l, stream);
  l.source = buffer("line").data();
  l.target = buffer("scattered").data();
  on_cuda().scatter(l, stream);
  l.count = 5;
  l.index = static_cast<const std::int64_t*>(buffer("few keys").data());
  on_cuda().scatter_add(l, stream);
}

void Launches::scans_and_sorts(Stream stream) {
  backend::ScanLaunch scan;
  scan.op = "test_scan";
  scan.extent = kLong;
  scan.b = buffer("line").data();
  scan.out = buffer("scan").data();
  on_cuda().scan(scan, stream);
  backend::SortLaunch sort;
  sort.op = "test_sort";
  sort.rows = kRows;
  sort.extent = kColumns;
  sort.keys = buffer("softmax").data();
  sort.positions = static_cast<std::int64_t*>(buffer("positions").data());
  on_cuda().sort(sort, stream);
}

void Launches::run(const Settings& s, Stream stream) {
  run_on_two(s, stream, stream);
}

void Launches::run_on_two(const Settings& s, Stream stream, Stream other) {
  random(s, other);
  maps(s, stream);
  on_cuda().order(other, stream);
  reductions(s, other);
  rows(s, stream);
  products(stream);
  indexing(stream);
  scans_and_sorts(stream);
  update(s, other);
  on_cuda().copy(buffer("copy").data(), buffer("line").data(), kLong * 4,
                 stream);
  on_cuda().order(stream, other);
}

std::map<std::string, Bytes> Launches::contents() const {
  std::map<std::string, Bytes> all;
  for (const auto& [name, array] : buffers_) all[name] = array->read();
  return all;
}

}  // namespace jacquard::testing
