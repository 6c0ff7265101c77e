// Functions that the hardware approximates: ex2, lg2, sin, cos, tanh, rcp,
// rsqrt, sqrt with .approx. They are computed here to within about one unit
// in the last place of f32, which is inside of what the PTX ISA documents:
// ex2 2 ulp, lg2 2^-22, sin and cos 2^-20.5 absolute in [-pi, pi], tanh 2^-11
// relative, rcp 1 ulp, rsqrt 2^-22.9, sqrt 2^-23 relative.
#include <cmath>
#include <cstdint>

#include "execute/instruction_table.h"
#include "execute/instructions/float_operations.h"
#include "execute/instructions/vector_math.h"
#include "execute/lanes.h"

namespace ptx_emulator {
namespace {

using ptx::Type;

struct Exp2 {
  static float apply(float a) { return canonical(exp2_of(a)); }
};
struct Log2 {
  static float apply(float a) { return canonical(log2_of(a)); }
};
struct Sine {
  static float apply(float a) { return canonical(sin_of(a)); }
};
struct Cosine {
  static float apply(float a) { return canonical(cos_of(a)); }
};
struct HyperbolicTangent {
  static float apply(float a) { return canonical(tanh_of(a)); }
};
struct Reciprocal {
  static float apply(float a) { return canonical(1.0f / a); }
};
struct ReciprocalRoot {
  static float apply(float a) {
    return canonical(
        static_cast<float>(1.0 / std::sqrt(static_cast<double>(a))));
  }
};
struct Root {
  static float apply(float a) { return canonical(std::sqrt(a)); }
};
// Without .ftz, software of full precision.
struct DoubleReciprocalRoot {
  static double apply(double a) { return 1.0 / std::sqrt(a); }
};
// The .ftz forms of f64 use the upper half of the operand and give as many
// bits; the lower half of the result is zero (PTX ISA, rcp.approx.ftz.f64).
template <bool kRoot>
struct UpperHalf {
  static double apply(double a) {
    constexpr std::uint64_t kUpper = 0xffffffff00000000u;
    const auto cut =
        std::bit_cast<double>(std::bit_cast<std::uint64_t>(a) & kUpper);
    const double size = std::fabs(cut);
    const double input = size < std::numeric_limits<double>::min()
                             ? std::copysign(0.0, cut)
                             : cut;
    const double exact = kRoot ? 1.0 / std::sqrt(input) : 1.0 / input;
    const double flushed = std::fabs(exact) < std::numeric_limits<double>::min()
                               ? std::copysign(0.0, exact)
                               : exact;
    return std::bit_cast<double>(std::bit_cast<std::uint64_t>(flushed) &
                                 kUpper);
  }
};

template <class Op>
bool decode(Decoder& decoder, Instruction& i) {
  if (decoder.type() != Type::kF32 || !decoder.take("approx")) return false;
  decoder.take_type();
  i.handler = decoder.take("ftz")
                  ? unary<float, float, Modified<Op, true, false>>
                  : unary<float, float, Op>;
  i.cls = InstructionClass::kSpecial;
  i.d = decoder.destination(0, Type::kF32);
  i.a = decoder.source(1, Type::kF32);
  return true;
}

template <bool kRoot>
bool decode_upper_half(Decoder& decoder, Instruction& i) {
  if (decoder.type() != Type::kF64 || !decoder.take("approx")) return false;
  decoder.take_type();
  if (decoder.take("ftz")) {
    i.handler = unary<double, double, UpperHalf<kRoot>>;
  } else if (kRoot) {
    i.handler = unary<double, double, DoubleReciprocalRoot>;
  } else {
    return false;
  }
  i.cls = InstructionClass::kF64;
  i.d = decoder.destination(0, Type::kF64);
  i.a = decoder.source(1, Type::kF64);
  return true;
}

}  // namespace

void add_approximate_instructions(InstructionTable* table) {
  (*table)["ex2"].push_back(decode<Exp2>);
  (*table)["lg2"].push_back(decode<Log2>);
  (*table)["sin"].push_back(decode<Sine>);
  (*table)["cos"].push_back(decode<Cosine>);
  (*table)["tanh"].push_back(decode<HyperbolicTangent>);
  (*table)["rcp"].push_back(decode<Reciprocal>);
  (*table)["rcp"].push_back(decode_upper_half<false>);
  (*table)["rsqrt"].push_back(decode<ReciprocalRoot>);
  (*table)["rsqrt"].push_back(decode_upper_half<true>);
  (*table)["sqrt"].push_back(decode<Root>);
}

}  // namespace ptx_emulator
