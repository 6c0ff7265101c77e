#include "tests/cuda/codegen/program_testing.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

namespace jacquard::cuda_backend {
namespace {

using Bytes = std::vector<unsigned char>;

double decoded(DType dtype, const unsigned char* at) {
  std::uint16_t h;
  std::int32_t i;
  std::int64_t l;
  float f;
  double d;
  switch (dtype) {
    case DType::bool_:
      return *at;
    case DType::int32:
      std::memcpy(&i, at, 4);
      return i;
    case DType::int64:
      std::memcpy(&l, at, 8);
      return static_cast<double>(l);
    case DType::float16:
      std::memcpy(&h, at, 2);
      return static_cast<double>(half_to_float(h));
    case DType::bfloat16:
      std::memcpy(&h, at, 2);
      return static_cast<double>(bfloat16_to_float(h));
    case DType::float32:
      std::memcpy(&f, at, 4);
      return static_cast<double>(f);
    case DType::float64:
      std::memcpy(&d, at, 8);
      return d;
  }
  return 0;
}

void encode(DType dtype, double x, unsigned char* at) {
  const auto put = [at](auto value) { std::memcpy(at, &value, sizeof value); };
  switch (dtype) {
    case DType::bool_:
      return put(static_cast<unsigned char>(x > 0));
    case DType::int32:
      return put(static_cast<std::int32_t>(std::lround(x)));
    case DType::int64:
      return put(static_cast<std::int64_t>(std::llround(x)));
    case DType::float16:
      return put(float_to_half(static_cast<float>(x)));
    case DType::bfloat16:
      return put(float_to_bfloat16(static_cast<float>(x)));
    case DType::float32:
      return put(static_cast<float>(x));
    case DType::float64:
      return put(x);
  }
}

// The distance to the next value of the dtype.
double ulp_of(DType dtype, double x) {
  const int digits = dtype == DType::float16    ? 11
                     : dtype == DType::bfloat16 ? 8
                     : dtype == DType::float32  ? 24
                                                : 53;
  const int least = dtype == DType::float16   ? -24
                    : dtype == DType::float64 ? -1074
                                              : -149;
  if (x == 0 || !std::isfinite(x)) return std::ldexp(1.0, least);
  return std::ldexp(1.0, std::max(std::ilogb(x) + 1 - digits, least));
}

}  // namespace

Scalar real(double f) {
  Scalar s;
  s.f = f;
  return s;
}
Scalar integer(std::int64_t i) {
  Scalar s;
  s.i = i;
  return s;
}

Strides dense(const Shape& space) { return contiguous_strides(space); }
Strides reduced(const Shape& space, unsigned mask) {
  Strides strides = Shape::filled(space.rank(), 0);
  std::int64_t stride = 1;
  for (int a = space.rank() - 1; a >= 0; --a) {
    if (mask >> a & 1) continue;
    strides[a] = stride;
    stride *= space[a];
  }
  return strides;
}

std::size_t reach(const Shape& space, const Strides& strides) {
  if (space.numel() == 0) {
    // A reduction of nothing still has results.
    std::int64_t n = 1;
    for (int a = 0; a < space.rank(); ++a)
      if (strides[a] != 0) n *= space[a];
    return static_cast<std::size_t>(n);
  }
  std::int64_t last = 0;
  for (int a = 0; a < space.rank(); ++a) last += (space[a] - 1) * strides[a];
  return static_cast<std::size_t>(last + 1);
}

Bytes random_elements(DType dtype, std::size_t count, const LeafSpec& spec,
                      unsigned seed) {
  std::mt19937_64 engine(seed);
  std::uniform_real_distribution<double> d(spec.low, spec.high);
  constexpr double inf = std::numeric_limits<double>::infinity();
  const double special[] = {std::nan(""), inf, -inf, 0.0, -0.0, 1.0};
  Bytes bytes(count * size_of(dtype));
  for (std::size_t i = 0; i < count; ++i) {
    double x = d(engine);
    if (spec.specials && engine() % 8 == 0 && is_floating(dtype))
      x = special[engine() % 6];
    encode(dtype, x, bytes.data() + i * size_of(dtype));
  }
  return bytes;
}

void expect_alike(DType dtype, const Bytes& want, const Bytes& got,
                  Tolerance tolerance) {
  ASSERT_EQ(want.size(), got.size());
  const std::size_t size = size_of(dtype);
  int shown = 0;
  for (std::size_t i = 0; i < want.size() && shown < 4; i += size) {
    if (std::memcmp(&want[i], &got[i], size) == 0) continue;
    const double w = decoded(dtype, &want[i]), g = decoded(dtype, &got[i]);
    if (std::isnan(w) && std::isnan(g)) continue;
    const double error = std::fabs(w - g);
    if (std::isfinite(w) && std::isfinite(g) && tolerance.ulps > 0 &&
        error <= tolerance.ulps * ulp_of(dtype, w))
      continue;
    if (std::isfinite(w) && std::isfinite(g) && tolerance.relative > 0 &&
        error <= tolerance.relative * (1 + std::fabs(w)))
      continue;
    ++shown;
    ADD_FAILURE() << "element " << i / size << " of " << want.size() / size
                  << ": " << g << " on the device, " << w << " on the CPU ("
                  << error / ulp_of(dtype, w) << " ulp)";
  }
}

DeviceBytes::DeviceBytes(const Bytes& bytes, std::size_t shift, Stream stream)
    : base_(allocate(bytes.size() + shift, stream)),
      shift_(shift),
      bytes_(bytes.size()),
      stream_(stream) {
  if (bytes_ > 0) upload(data(), bytes.data(), bytes_, stream_);
}
DeviceBytes::DeviceBytes(DeviceBytes&& other) noexcept
    : base_(other.base_),
      shift_(other.shift_),
      bytes_(other.bytes_),
      stream_(other.stream_) {
  other.base_ = nullptr;
}
DeviceBytes::~DeviceBytes() {
  if (base_) free(base_, bytes_ + shift_, stream_);
}
Bytes DeviceBytes::read() const {
  Bytes bytes(bytes_);
  if (bytes_ > 0) download(bytes.data(), data(), bytes_, stream_);
  return bytes;
}

void ProgramTest::SetUp() {
  if (device_count() == 0) GTEST_SKIP() << "there is no CUDA device";
  stream = current_stream(0);
}

void ProgramTest::compare(const ProgramPtr& program, const Shape& space,
                          const std::vector<LeafSpec>& leaves,
                          const std::vector<OutputSpec>& outputs,
                          const std::vector<Scalar>& slots,
                          Tolerance tolerance) {
  std::vector<Bytes> host;
  host.reserve(leaves.size());
  std::vector<DeviceBytes> device;
  std::vector<Binding> on_host, on_device;
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    const Leaf& leaf = program->leaves()[i];
    if (leaf.op != Op::load) {
      on_host.push_back({nullptr, leaf.dtype, leaves[i].strides});
      on_device.push_back(on_host.back());
      continue;
    }
    host.push_back(random_elements(leaf.dtype, reach(space, leaves[i].strides),
                                   leaves[i], 7 + static_cast<unsigned>(i)));
    device.emplace_back(
        host.back(),
        static_cast<std::size_t>(leaves[i].shift) * size_of(leaf.dtype),
        stream);
    on_host.push_back({host.back().data(), leaf.dtype, leaves[i].strides});
    on_device.push_back({device.back().data(), leaf.dtype, leaves[i].strides});
  }
  std::vector<Bytes> results;
  results.reserve(outputs.size());
  std::vector<DeviceBytes> device_results;
  std::vector<OutputBinding> to_host, to_device;
  for (const OutputSpec& o : outputs) {
    results.push_back(
        random_elements(o.dtype, reach(space, o.strides), {}, 99));
    device_results.emplace_back(
        results.back(), static_cast<std::size_t>(o.shift) * size_of(o.dtype),
        stream);
    to_host.push_back(
        {results.back().data(), o.dtype, o.strides, o.accumulate});
    to_device.push_back(
        {device_results.back().data(), o.dtype, o.strides, o.accumulate});
  }
  backend::backend_of(DeviceType::cpu)
      .run({program.get(), space, on_host, slots, to_host}, Stream());
  run_program({program.get(), space, on_device, slots, to_device}, stream);
  synchronize(stream);
  results_.clear();
  for (std::size_t j = 0; j < outputs.size(); ++j) {
    SCOPED_TRACE("output " + std::to_string(j) + " of\n" +
                 program->to_string() + "over " + to_string(space));
    results_.push_back(device_results[j].read());
    expect_alike(outputs[j].dtype, results[j], results_.back(), tolerance);
  }
}

}  // namespace jacquard::cuda_backend
