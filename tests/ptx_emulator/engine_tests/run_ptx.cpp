#include "engine_tests/run_ptx.h"

#include <algorithm>
#include <bit>
#include <random>

namespace ptx_emulator {
namespace {

Words with_random(std::vector<std::uint64_t> edges, int bits, unsigned seed) {
  std::mt19937_64 random(seed);
  const std::uint64_t mask =
      bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
  // Different seeds pair the edge cases differently.
  std::rotate(edges.begin(),
              edges.begin() + static_cast<std::ptrdiff_t>(seed % edges.size()),
              edges.end());
  while (edges.size() < 32) edges.push_back(random() & mask);
  edges.resize(32);
  return edges;
}

}  // namespace

std::string with_header(const std::string& text) {
  return ".version 9.0\n.target sm_80\n.address_size 64\n" + text;
}

std::shared_ptr<Module> load_ptx(const std::string& text) {
  return Module::load(with_header(text).c_str(), 120);
}

LaunchCounters launch(const Module& module, std::uint32_t blocks,
                      std::uint32_t threads, const Words& parameters,
                      std::uint32_t dynamic_shared) {
  Launch launch;
  launch.kernel = module.find_kernel("kernel");
  launch.grid[0] = blocks;
  launch.block[0] = threads;
  launch.dynamic_shared = dynamic_shared;
  const auto* bytes = reinterpret_cast<const std::byte*>(parameters.data());
  launch.parameters.assign(bytes,
                           bytes + parameters.size() * sizeof(std::uint64_t));
  return run(launch);
}

Words evaluate(const std::string& body, char result,
               const std::vector<Words>& inputs,
               const std::string& declarations) {
  std::string text = declarations + ".visible .entry kernel(";
  for (std::size_t k = 0; k <= inputs.size(); ++k) {
    text +=
        (k == 0 ? "" : ", ") + std::string(".param .u64 p") + std::to_string(k);
  }
  text +=
      ")\n{\n.reg .b16 %h<9>, %h;\n.reg .b32 %w<9>, %w, %lane, %t<10>;\n"
      ".reg .b64 %d<9>, %d, %at, %u<10>;\n.reg .pred %p<4>, %p;\n"
      "mov.u32 %lane, %tid.x;\n";
  std::vector<std::unique_ptr<DeviceArray<std::uint64_t>>> arrays;
  Words parameters;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    const std::string n = std::to_string(k);
    text += "ld.param.u64 %at, [p" + n +
            "];\nmad.wide.u32 %at, %lane, 8, %at;\nld.global.b64 %d" + n +
            ", [%at];\ncvt.u32.u64 %w" + n + ", %d" + n + ";\ncvt.u16.u64 %h" +
            n + ", %d" + n + ";\n";
    arrays.push_back(std::make_unique<DeviceArray<std::uint64_t>>(inputs[k]));
    parameters.push_back(arrays.back()->address());
  }
  text += body + "\n";
  if (result == 'h') text += "cvt.u64.u16 %d, %h;\n";
  if (result == 'w') text += "cvt.u64.u32 %d, %w;\n";
  if (result == 'p') text += "selp.u64 %d, 1, 0, %p;\n";
  text += "ld.param.u64 %at, [p" + std::to_string(inputs.size()) +
          "];\nmad.wide.u32 %at, %lane, 8, %at;\nst.global.b64 [%at], %d;\n"
          "ret;\n}\n";
  const DeviceArray<std::uint64_t> out(Words(32));
  parameters.push_back(out.address());
  launch(*load_ptx(text), 1, 32, parameters);
  return out.values();
}

Words interesting_integers(int bits, unsigned seed) {
  const std::uint64_t top = std::uint64_t{1} << (bits - 1);
  return with_random({0, 1, 2, 31, 32, 33, 63, 64, 255, top - 1, top, top + 1,
                      2 * top - 1, 2 * top - 2},
                     bits, seed);
}

Words interesting_floats(unsigned seed) {
  return with_random(
      {0, 0x80000000, 1, 0x807fffff, 0x00800000, 0x3f800000, 0xbf800000,
       0x7f7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0x3f000000, 0x40490fdb,
       0xc2f00000, 0x4b000001, 0x5f000000},
      32, seed);
}

Words interesting_doubles(unsigned seed) {
  return with_random(
      {0, 0x8000000000000000, 1, 0x0010000000000000, 0x3ff0000000000000,
       0xbff0000000000000, 0x7fefffffffffffff, 0x7ff0000000000000,
       0xfff0000000000000, 0x3fe0000000000000, 0x400921fb54442d18,
       0x43e0000000000000, 0x41dfffffffc00000, 0x3810000000000000},
      64, seed);
}

Words interesting_halves(unsigned seed) {
  return with_random(
      {0, 0x8000, 1, 0x83ff, 0x0400, 0x3c00, 0xbc00, 0x7bff, 0x7c00, 0xfc00,
       0x7e00, 0x3800, 0x3555, 0x0080, 0x7f80, 0x4248},
      16, seed);
}

float as_float(std::uint64_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits));
}
double as_double(std::uint64_t bits) { return std::bit_cast<double>(bits); }
std::uint64_t bits_of(float value) {
  return std::bit_cast<std::uint32_t>(value);
}
std::uint64_t bits_of(double value) {
  return std::bit_cast<std::uint64_t>(value);
}

}  // namespace ptx_emulator
