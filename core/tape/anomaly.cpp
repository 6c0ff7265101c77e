#include "core/tape/anomaly.h"

#include <algorithm>
#include <string>
#include <vector>

#include "core/tape/region.h"
#include "core/tape/region_builder.h"
#include "jacquard/error.h"

namespace jacquard::tape {
namespace {

std::string source_of(const Value& v) {
  if (const Node* node = v.node().get())
    return node->leaf ? "a param"
                      : std::string("the result of ") + node->name +
                            called_at(node->site);
  return v.id == 0 ? "a constant"
                   : std::string("the result of ") + v.name + called_at(v.site);
}

// `operands`: written.
[[noreturn]] void throw_bad_value(const char* name, CallSite site, DType dtype,
                                  const Shape& shape, NonFinite found,
                                  const std::vector<ValuePtr>& operands) {
  std::string message = std::string("anomaly: ") + name + called_at(site) +
                        " gave " + found.name() + " in its result, " +
                        described(dtype, shape);
  std::string shapes;
  for (std::size_t i = 0; i < operands.size(); ++i) {
    const Value& v = *operands[i];
    const std::string text = described(v.dtype, v.shape);
    if (const NonFinite bad = find_anomaly(v.tensor()))
      throw NumericError(message + ": " + bad.name() +
                         " came in with operand " + std::to_string(i) + ", " +
                         source_of(v) + ", " + text);
    shapes += (i ? ", " : " of ") + text;
  }
  throw NumericError(message + shapes);
}

std::vector<ValuePtr> operands_of(Value& v) {
  std::vector<ValuePtr> operands;
  const Expression* e = v.pin();
  if (!e) return operands;
  for (const Arg& a : e->args)
    if (a.value) operands.push_back(a.value);
  v.unpin();
  return operands;
}

// Pending values that `root` is computed from, operands first.
std::vector<ValuePtr> pending_below(Value& root) {
  std::vector<ValuePtr> found, stack = operands_of(root);
  PointerMap seen;
  while (!stack.empty()) {
    ValuePtr v = std::move(stack.back());
    stack.pop_back();
    if (v->written() || seen.find(v.get()) >= 0) continue;
    seen.insert(v.get(), 1);
    for (ValuePtr& operand : operands_of(*v))
      stack.push_back(std::move(operand));
    found.push_back(std::move(v));
  }
  std::ranges::sort(found, {}, [](const ValuePtr& v) { return v->id; });
  return found;
}

}  // namespace

NonFinite find_anomaly(const Tensor& t) {
  NonFinite found = find_non_finite(t);
  if (anomaly_mode() == Anomaly::nan) found.inf = false;
  return found;
}

void check_launched(std::span<Value* const> values,
                    std::span<const Tensor> tensors) {
  for (std::size_t i = 0; i < values.size(); ++i)
    if (const NonFinite found = find_anomaly(tensors[i]))
      throw AnomalousValue{ValuePtr(values[i]), found};
}

void blame(const AnomalousValue& bad) {
  Value& v = *bad.value;
  for (const ValuePtr& below : pending_below(v)) force(*below);
  throw_bad_value(v.name, v.site, v.dtype, v.shape, bad.found, operands_of(v));
}

void check_result(const char* name, CallSite site, const Tensor& result,
                  std::span<const TrackedTensor* const> operands) {
  const NonFinite found = find_anomaly(result);
  if (!found) return;
  std::vector<ValuePtr> values;
  for (const TrackedTensor* t : operands) {
    if (!t->defined()) continue;
    values.push_back(snapshot(*t, name));
    force(*values.back());
  }
  throw_bad_value(name, site, result.dtype(), result.shape(), found, values);
}

void throw_bad_gradient(const Node& node, NonFinite found,
                        const std::string& where) {
  throw NumericError(std::string("anomaly: the reverse of ") + node.name + " " +
                     described(node.dtype, node.shape) + called_at(node.site) +
                     " gave " + found.name() + " in " + where);
}

}  // namespace jacquard::tape
