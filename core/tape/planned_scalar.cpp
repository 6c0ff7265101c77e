#include "core/tape/planned_scalar.h"

#include <utility>

namespace jacquard {
namespace tape {
namespace {

constinit thread_local std::vector<std::uint32_t>* watched = nullptr;

}  // namespace

pointwise::Literal PlannedScalar::slot(const Operand& scalar, DType dtype) {
  pointwise::Literal l{};
  const bool from_floating = scalar.kind_ == ScalarKind::floating;
  if (is_floating(dtype)) {
    l.f =
        from_floating ? scalar.floating_ : static_cast<double>(scalar.integer_);
    if (scalar.origin_) l.origin = scalar.origin_ + (from_floating ? 0 : 1);
  } else if (from_floating) {
    l.i = scalar.integer();
  } else {
    l.i = scalar.integer_;
    l.origin = scalar.origin_;
  }
  return l;
}

pointwise::Literal PlannedScalar::value(const Operand& scalar) {
  pointwise::Literal l{};
  if (scalar.kind_ == ScalarKind::floating)
    l.f = scalar.floating_;
  else
    l.i = scalar.integer_;
  l.origin = scalar.origin_;
  return l;
}

Operand PlannedScalar::with_value(const Operand& scalar,
                                  pointwise::Literal value) {
  Operand result = scalar;
  if (scalar.kind_ == ScalarKind::floating)
    result.floating_ = value.f;
  else
    result.integer_ = value.i;
  result.origin_ = value.origin;
  return result;
}

PlannedScalar::Watch::Watch(std::vector<std::uint32_t>& seen)
    : before_(std::exchange(watched, &seen)) {}
PlannedScalar::Watch::~Watch() { watched = before_; }

}  // namespace tape

void Operand::read_by_host() const {
  if (tape::watched) tape::watched->push_back(origin_);
}

}  // namespace jacquard
