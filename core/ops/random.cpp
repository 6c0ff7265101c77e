#include <atomic>
#include <string>
#include <utility>

#include "core/ops/as_tensor.h"
#include "core/ops/checks.h"
#include "core/tape/call.h"
#include "core/tape/pending.h"
#include "jacquard/create.h"
#include "jacquard/error.h"
#include "jacquard/pointwise.h"

namespace jacquard {

using tape::Op;

namespace {

// Threads start with seeds of their own, 0, 1, … in the order of their first
// draw: what two of them draw is not the same by default.
std::atomic<std::uint64_t> next_seed{0};

GeneratorState& generator() {
  thread_local GeneratorState state{next_seed.fetch_add(1), 0};
  return state;
}

tape::Draw next_draw() {
  GeneratorState& state = generator();
  tape::Draw draw{};
  draw.seed.i = static_cast<std::int64_t>(state.seed);
  draw.offset.i = static_cast<std::int64_t>(state.offset++);
  return draw;
}

TrackedTensor draw(const char* name, Op op, const Shape& shape, DType dtype,
                   Device device) {
  ops::check_extents(name, shape);
  if (!is_floating(dtype))
    throw DTypeError(std::string(name) + ": the dtype must be floating, not " +
                     std::string(name_of(dtype)));
  return tape::apply_leaf(name, op, shape, dtype, device, next_draw());
}

}  // namespace

void manual_seed(std::uint64_t seed) { generator() = {seed, 0}; }
GeneratorState generator_state() { return generator(); }
void set_generator_state(GeneratorState state) { generator() = state; }

TrackedTensor rand(const Shape& shape, TensorOptions o) {
  return draw("rand", Op::uniform, shape, o.dtype, o.device);
}

TrackedTensor randn(const Shape& shape, TensorOptions o) {
  return draw("randn", Op::normal, shape, o.dtype, o.device);
}

// ⌊u·span⌋ of a 53-bit u < 1 is less than the span, rounding included.
TrackedTensor randint(std::int64_t low, std::int64_t high, const Shape& shape,
                      Device device) {
  const auto range = [&] {
    return "randint: [" + std::to_string(low) + ", " + std::to_string(high) +
           ")";
  };
  if (low >= high) throw Error(range() + " is empty");
  const std::uint64_t span =
      static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
  if (span > std::uint64_t{1} << 53)
    throw Error(range() + " has more than 2^53 integers");
  const TrackedTensor u =
      draw("randint", Op::uniform, shape, DType::float64, device);
  return cast(u * static_cast<double>(span), DType::int64) + low;
}

static TrackedTensor run_without_dropout(Operand&& x) {
  return ops::as_tensor("dropout", x);
}

// p = 1 keeps nothing, the scale then never matters.
static TrackedTensor run_dropout(Operand&& operand, double p,
                                 const tape::Draw& draw) {
  const CallSite site = operand.site();
  TrackedTensor x = ops::as_tensor("dropout", operand);
  const DType uniform =
      x.dtype() == DType::float64 ? DType::float64 : DType::float32;
  const TrackedTensor u = tape::apply_leaf("dropout", Op::uniform, x.shape(),
                                           uniform, x.device(), draw);
  const double scale = p < 1 ? 1 / (1 - p) : 1;
  TrackedTensor kept = tape::apply("dropout", Op::ge, Operand(u, site), p);
  return tape::apply(
      "dropout", Op::where, Operand(std::move(kept), site),
      tape::apply("dropout", Op::mul, Operand(std::move(x), site), scale), 0.0);
}

TrackedTensor dropout(Operand x, double p, bool training) {
  if (!(p >= 0 && p <= 1))
    throw Error("dropout: the probability is " + std::to_string(p) +
                ", but must be in [0, 1]");
  if (!training || p == 0)
    return tape::call("dropout", x.site(), run_without_dropout, std::move(x));
  return tape::call("dropout", x.site(), run_dropout, std::move(x), p,
                    next_draw());
}

}  // namespace jacquard
