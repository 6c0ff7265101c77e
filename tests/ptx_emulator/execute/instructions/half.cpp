// f16 and bf16 arithmetic and its packed forms: add, sub, mul, fma, min, max,
// abs, neg, ex2, tanh. A row of packed values is a row of twice as many
// 16-bit values, so both forms share their loops.
#include <cmath>
#include <cstdint>

#include "execute/instruction_table.h"
#include "execute/instructions/float_operations.h"
#include "execute/instructions/half_format.h"
#include "execute/instructions/vector_math.h"
#include "execute/lanes.h"

namespace ptx_emulator {
namespace {

using ptx::Type;

// Operations on values as f32. Sums and differences of f16 and bf16 are
// rounded twice without harm, because f32 has more than twice as many bits
// and two (Figueroa, 1995).
template <class Format>
struct Add {
  static float apply(float a, float b, float) { return a + b; }
};
template <class Format>
struct Subtract {
  static float apply(float a, float b, float) { return a - b; }
};
template <class Format>
struct Multiply {
  static float apply(float a, float b, float) { return Format::multiply(a, b); }
};
template <class Format>
struct FusedMultiplyAdd {
  static float apply(float a, float b, float c) { return Format::fma(a, b, c); }
};
template <bool kMinimum, bool kPropagateNan>
struct ExtremumOf {
  template <class Format>
  struct Op {
    static float apply(float a, float b, float) {
      return Extremum<kMinimum, kPropagateNan>::apply(a, b);
    }
  };
};
template <bool kMinimum, bool kPropagateNan>
struct SignedExtremumOf {
  template <class Format>
  struct Op {
    static float apply(float a, float b, float) {
      const float size =
          Extremum<kMinimum, kPropagateNan>::apply(std::fabs(a), std::fabs(b));
      const bool negative = std::signbit(a) != std::signbit(b);
      return std::copysign(size, negative ? -1.0f : 1.0f);
    }
  };
};
template <class Format>
struct Exp2 {
  static float apply(float a, float, float) { return exp2_of(a); }
};
template <class Format>
struct HyperbolicTangent {
  static float apply(float a, float, float) { return tanh_of(a); }
};

enum Modifier : std::uint8_t { kFtz = 1, kSat = 2, kRelu = 4 };

template <class Format>
float flush_half(float x) {
  return std::fabs(x) < Format::kSmallestNormal ? std::copysign(0.0f, x) : x;
}

// option: Modifier bits. kCount is 32, or 64 for packed forms.
template <class Format, class Op, int kCount>
void compute(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  alignas(64) float x[kCount], y[kCount], z[kCount];
  alignas(64) std::uint16_t out[kCount];
  const auto read = [&](Row row, float* values) {
    Format::to_floats(warp.row<std::uint16_t>(row), values, kCount);
    if ((i.option & kFtz) == 0) return;
    for (int k = 0; k < kCount; ++k) values[k] = flush_half<Format>(values[k]);
  };
  read(i.a, x);
  read(i.b, y);
  read(i.c, z);
  for (int k = 0; k < kCount; ++k) x[k] = Op::apply(x[k], y[k], z[k]);
  if ((i.option & kSat) != 0) {
    for (int k = 0; k < kCount; ++k) x[k] = saturate(x[k]);
  }
  if ((i.option & kRelu) != 0) {
    for (int k = 0; k < kCount; ++k) x[k] = x[k] <= 0.0f ? 0.0f : x[k];
  }
  Format::from_floats(x, out, kCount);
  if ((i.option & kFtz) != 0) {
    for (int k = 0; k < kCount; ++k) {
      const float back = Format::to_float(out[k]);
      const auto zero = static_cast<std::uint16_t>(out[k] & 0x8000);
      out[k] = std::fabs(back) < Format::kSmallestNormal ? zero : out[k];
    }
  }
  constexpr int kParts = kCount / kWarpSize;
  auto* d = warp.row<std::uint16_t>(i.d);
  for (int k = 0; k < kCount; ++k) {
    d[k] = (lanes >> (k / kParts) & 1) != 0 ? out[k] : d[k];
  }
}

template <template <class> class Op>
Handler handler_of(Type type) {
  switch (type) {
    case Type::kF16:
      return compute<Half, Op<Half>, 32>;
    case Type::kBF16:
      return compute<Brain, Op<Brain>, 32>;
    case Type::kF16x2:
      return compute<Half, Op<Half>, 64>;
    default:
      return compute<Brain, Op<Brain>, 64>;
  }
}

bool is_half(Type type) {
  return type == Type::kF16 || type == Type::kBF16 || ptx::is_packed(type);
}

void operands(Decoder& decoder, Instruction& i, Type type, int count) {
  i.cls = InstructionClass::kF16;
  i.d = decoder.destination(0, type);
  i.a = i.b = i.c = decoder.source(1, type);
  if (count > 1) i.b = decoder.source(2, type);
  if (count > 2) i.c = decoder.source(3, type);
}

void take_modifiers(Decoder& decoder, Instruction& i, bool relu) {
  decoder.take("rn");
  i.option = static_cast<std::uint8_t>(
      (decoder.take("ftz") ? kFtz : 0) | (decoder.take("sat") ? kSat : 0) |
      (relu && decoder.take("relu") ? kRelu : 0));
}

template <template <class> class Op, int kOperands>
bool decode(Decoder& decoder, Instruction& i) {
  if (!is_half(decoder.type())) return false;
  const Type type = decoder.take_type();
  take_modifiers(decoder, i, kOperands == 3);
  i.handler = handler_of<Op>(type);
  operands(decoder, i, type, kOperands);
  return true;
}

template <template <class> class Op>
bool decode_approximate(Decoder& decoder, Instruction& i) {
  if (!is_half(decoder.type()) || !decoder.take("approx")) return false;
  const Type type = decoder.take_type();
  // .ftz of bf16 concerns only numbers whose exponential is 1.
  decoder.take("ftz");
  i.handler = handler_of<Op>(type);
  operands(decoder, i, type, 1);
  return true;
}

template <bool kMinimum>
bool decode_extremum(Decoder& decoder, Instruction& i) {
  if (!is_half(decoder.type())) return false;
  const Type type = decoder.take_type();
  i.option = decoder.take("ftz") ? kFtz : 0;
  const bool nan = decoder.take("NaN");
  if (decoder.take("xorsign")) {
    if (!decoder.take("abs")) return false;
    i.handler =
        nan ? handler_of<SignedExtremumOf<kMinimum, true>::template Op>(type)
            : handler_of<SignedExtremumOf<kMinimum, false>::template Op>(type);
  } else {
    i.handler =
        nan ? handler_of<ExtremumOf<kMinimum, true>::template Op>(type)
            : handler_of<ExtremumOf<kMinimum, false>::template Op>(type);
  }
  operands(decoder, i, type, 2);
  return true;
}

struct ClearSign {
  template <class T>
  static T apply(T a) {
    return static_cast<T>(a & static_cast<T>(0x7fff7fff));
  }
};
struct FlipSign {
  template <class T>
  static T apply(T a) {
    return static_cast<T>(a ^ static_cast<T>(0x80008000));
  }
};

template <class Op>
bool decode_sign(Decoder& decoder, Instruction& i) {
  if (!is_half(decoder.type())) return false;
  const Type type = decoder.take_type();
  if (decoder.has("ftz")) return false;
  i.handler = ptx::is_packed(type)
                  ? Handler{unary<std::uint32_t, std::uint32_t, Op>}
                  : Handler{unary<std::uint16_t, std::uint16_t, Op>};
  i.cls = InstructionClass::kF16;
  i.d = decoder.destination(0, type);
  i.a = decoder.source(1, type);
  return true;
}

}  // namespace

void add_half_instructions(InstructionTable* table) {
  (*table)["add"].push_back(decode<Add, 2>);
  (*table)["sub"].push_back(decode<Subtract, 2>);
  (*table)["mul"].push_back(decode<Multiply, 2>);
  (*table)["fma"].push_back(decode<FusedMultiplyAdd, 3>);
  (*table)["min"].push_back(decode_extremum<true>);
  (*table)["max"].push_back(decode_extremum<false>);
  (*table)["abs"].push_back(decode_sign<ClearSign>);
  (*table)["neg"].push_back(decode_sign<FlipSign>);
  (*table)["ex2"].push_back(decode_approximate<Exp2>);
  (*table)["tanh"].push_back(decode_approximate<HyperbolicTangent>);
}

}  // namespace ptx_emulator
