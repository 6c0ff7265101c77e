// Scalar functions with derivatives of the user's, inside fused programs.
//
//   const auto swish2 = primitive(
//       "swish2", [](auto x) { return x * sigmoid(2.0 * x); },
//       [](auto x) {
//         const auto s = sigmoid(2.0 * x);
//         return s + 2.0 * x * s * (1.0 - s);
//       });
//   TrackedTensor y = sum(swish2(a * b) + c);  // one launch
//
// The result waits to be fused like that of any elementwise operation. Its
// reverse multiplies the cotangent by the derivative that was given (as a
// strong zero: 0·∞ = 0), and a second derivative differentiates that.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "jacquard/tracked_tensor.h"

namespace jacquard {
namespace detail {

// Lives as long as the process.
JACQUARD_API const char* kept_name(const std::string& name);

// One call of a primitive.
class JACQUARD_API PrimitiveCall {
 public:
  PrimitiveCall(const char* name, std::span<Operand> operands);
  ~PrimitiveCall();
  PrimitiveCall(const PrimitiveCall&) = delete;
  PrimitiveCall& operator=(const PrimitiveCall&) = delete;

  // Scalars as tensors of the type that they have beside the others.
  const TrackedTensor& operator[](std::size_t k) const;
  // Whether a gradient flows to operand k.
  bool records(std::size_t k) const;
  void set_value(const TrackedTensor& value);
  // The value with the derivative by operand k.
  void attach(std::size_t k, Operand derivative);
  const TrackedTensor& result() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace detail

// What primitive() returns.
template <class Value, class... Derivative>
class Primitive {
 public:
  static constexpr std::size_t arity = sizeof...(Derivative);

  Primitive(const std::string& name, Value value, Derivative... derivatives)
      : name_(detail::kept_name(name)),
        value_(std::move(value)),
        derivatives_(std::move(derivatives)...) {}

  TrackedTensor operator()(Operand x) const
    requires(arity == 1)
  {
    return call({std::move(x)});
  }
  TrackedTensor operator()(Operand x, Operand y) const
    requires(arity == 2)
  {
    return call({std::move(x), std::move(y)});
  }
  TrackedTensor operator()(Operand x, Operand y, Operand z) const
    requires(arity == 3)
  {
    return call({std::move(x), std::move(y), std::move(z)});
  }

 private:
  TrackedTensor call(std::array<Operand, arity> operands) const {
    detail::PrimitiveCall c(name_, operands);
    return [&]<std::size_t... K>(std::index_sequence<K...>) {
      {
        const NoGrad unrecorded;
        c.set_value(value_(c[K]...));
      }
      const auto attach = [&](std::size_t k, const auto& derivative) {
        if (c.records(k)) c.attach(k, derivative(c[K]...));
      };
      (attach(K, std::get<K>(derivatives_)), ...);
      return c.result();
    }(std::make_index_sequence<arity>{});
  }

  const char* name_;
  Value value_;
  std::tuple<Derivative...> derivatives_;
};

// The elementwise function `value` of as many operands as there are
// derivatives, 1 to 3. All are callables on the operands, TrackedTensors, and
// built from elementwise operations alone; the k-th derivative is that of the
// value by operand k, of any shape that broadcasts to the value's, or a number.
// Operands broadcast, promote and may be host scalars as those of a sum.
//
// ShapeError if the value hasn't the shape that the operands broadcast to, or a
// derivative doesn't broadcast to it. A value that isn't floating has no
// gradient. No gradient flows to what the callables captured.
template <class Value, class... Derivative>
  requires(sizeof...(Derivative) >= 1 && sizeof...(Derivative) <= 3)
Primitive<Value, Derivative...> primitive(const std::string& name, Value value,
                                          Derivative... derivatives) {
  return {name, std::move(value), std::move(derivatives)...};
}

}  // namespace jacquard
