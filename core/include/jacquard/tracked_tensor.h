// TrackedTensor: the value that users hold, and what operations take.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "jacquard/call_site.h"
#include "jacquard/tensor.h"

namespace jacquard {

namespace tape {
class Value;
struct PlannedScalar;
}  // namespace tape

// A cheap handle (one pointer) to a value that is materialised or pending,
// tracked (recorded on the tape) or constant. Copies share the value. Shape,
// dtype, device and whether it is tracked are fixed when the operation that
// makes it is called; when it is computed makes no difference to anything that
// can be observed.
//
// A handle may be copied and forced from any thread.
class JACQUARD_API TrackedTensor {
 public:
  // Undefined: reads as a structural zero in pullbacks, an Error elsewhere.
  TrackedTensor() noexcept = default;
  // A constant.
  TrackedTensor(Tensor tensor);  // NOLINT: implicit by intent
  TrackedTensor(const TrackedTensor& other) noexcept;
  TrackedTensor(TrackedTensor&& other) noexcept
      : value_(std::exchange(other.value_, nullptr)) {}
  TrackedTensor& operator=(const TrackedTensor& other) noexcept;
  TrackedTensor& operator=(TrackedTensor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~TrackedTensor();

  bool defined() const { return value_ != nullptr; }

  // Known without computing anything. GraphError if undefined.
  const Shape& shape() const;
  DType dtype() const;
  Device device() const;
  int rank() const { return shape().rank(); }
  std::int64_t numel() const { return shape().numel(); }
  // Whether a gradient can flow to it: a leaf, or recorded from one.
  bool is_tracked() const;
  // Made by param().
  bool is_leaf() const;
  // Not computed yet. For tests and for the curious: nothing depends on it.
  bool is_pending() const;
  // A gradient that no path leads to: reads as zeros.
  bool is_structural_zero() const;

  // The array; computes it if it is pending. Shares memory.
  Tensor data() const;
  // Waits, and copies to the host. ShapeError unless there is one element.
  template <class T>
  T item() const {
    return data().template item<T>();
  }
  template <class T>
  std::vector<T> to_host() const {
    return data().template to_host<T>();
  }

  // Leaves, and values that retain_grad() was called on: the gradient that
  // backward() left there, a constant; undefined if there is none.
  TrackedTensor grad() const;
  void clear_grad() const;
  void set_grad(TrackedTensor grad) const;  // checked like a cotangent

  // Calls f with the cotangent of this value, in its dtype, when a walk that
  // begins later reaches it; what f returns flows on instead (undefined:
  // unchanged; structural_zero, see control.h: none). On a constant: nothing.
  // It may come after the value was used: as long as a result's tape has not
  // been given up, its walks pass here.
  void hook(std::function<TrackedTensor(const TrackedTensor&)> f) const;
  // Keeps the gradient of a value that is not a leaf; when: as for hook.
  void retain_grad() const;

  // Replaces what a leaf holds: same shape, dtype and device (else an error).
  // Values computed before keep what they read. GraphError on non-leaves.
  void assign(const Tensor& tensor) const;

  // Internal.
  explicit TrackedTensor(tape::Value* adopted) noexcept : value_(adopted) {}
  tape::Value* value() const { return value_; }

 private:
  tape::Value* value_ = nullptr;
};

static_assert(sizeof(TrackedTensor) == sizeof(void*));

// An argument of an operation: a tensor or a host scalar, with the caller's
// line. Scalars are weak in promotion and have no device.
class Operand {
 public:
  Operand(TrackedTensor t, CallSite site = CallSite::current())  // NOLINT
      : tensor_(std::move(t)), site_(site) {}
  Operand(Tensor t, CallSite site = CallSite::current())  // NOLINT
      : tensor_(std::move(t)), site_(site) {}
  template <class T>
    requires std::is_arithmetic_v<T>
  Operand(T value, CallSite site = CallSite::current())  // NOLINT
      : is_scalar_(true), site_(site) {
    if constexpr (std::is_same_v<T, bool>) {
      kind_ = ScalarKind::boolean;
      integer_ = value;
    } else if constexpr (std::is_integral_v<T>) {
      kind_ = ScalarKind::integer;
      integer_ = static_cast<std::int64_t>(value);
    } else {
      floating_ = static_cast<double>(value);
    }
  }

  bool is_scalar() const { return is_scalar_; }
  const TrackedTensor& tensor() const& { return tensor_; }
  TrackedTensor&& tensor() && { return std::move(tensor_); }
  ScalarKind scalar_kind() const { return kind_; }
  double floating() const {
    if (origin_) [[unlikely]]
      read_by_host();
    return kind_ == ScalarKind::floating ? floating_
                                         : static_cast<double>(integer_);
  }
  std::int64_t integer() const {
    if (origin_) [[unlikely]]
      read_by_host();
    return kind_ == ScalarKind::floating ? static_cast<std::int64_t>(floating_)
                                         : integer_;
  }
  CallSite site() const { return site_; }
  // The same operand with another line.
  Operand at(CallSite site) && {
    site_ = site;
    return std::move(*this);
  }

 private:
  friend struct tape::PlannedScalar;
  void read_by_host() const;

  TrackedTensor tensor_;
  union {
    double floating_ = 0;
    std::int64_t integer_;
  };
  ScalarKind kind_ = ScalarKind::floating;
  bool is_scalar_ = false;
  // Of a scalar in a call that is planned: see tape::PlannedScalar.
  std::uint32_t origin_ = 0;
  CallSite site_;
};

// A leaf that gradients are asked for: identity, gradient and hooks are its
// own, even when it shares memory with others. DTypeError unless floating. A
// TrackedTensor argument gives a new leaf over its value: nothing flows back.
JACQUARD_API TrackedTensor param(Tensor tensor);
JACQUARD_API TrackedTensor param(const TrackedTensor& t);

// The same value as a constant: no gradient passes, and no rewrite sees
// through it. Free.
JACQUARD_API TrackedTensor stop_gradient(Operand x);

// Computes a pending value now; returns it.
JACQUARD_API TrackedTensor materialize(const TrackedTensor& x);
// Several at once: those over one shape are one launch.
JACQUARD_API void materialize(std::span<const TrackedTensor> values);

// While it lives, operations of this thread are not recorded / are recorded.
class JACQUARD_API NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool before_;
};
class JACQUARD_API EnableGrad {
 public:
  EnableGrad();
  ~EnableGrad();
  EnableGrad(const EnableGrad&) = delete;
  EnableGrad& operator=(const EnableGrad&) = delete;

 private:
  bool before_;
};
JACQUARD_API bool is_grad_enabled();

// Whether operations wait to be fused (default, or $JACQUARD_FUSION=on) or run
// at once. Either way every value has the same bits. Per process.
JACQUARD_API bool fusion_enabled();
JACQUARD_API void set_fusion(bool on);

// The array, as to_string(Tensor) prints it, marked "tracked" if it is.
JACQUARD_API std::string to_string(const TrackedTensor& t);

}  // namespace jacquard
