#include "jacquard/params.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "core/tape/call.h"
#include "core/tape/value.h"
#include "core/tape/walk.h"
#include "jacquard/create.h"
#include "jacquard/error.h"
#include "jacquard/pointwise.h"
#include "jacquard/shape_ops.h"
#include "jacquard/update.h"

namespace jacquard {
namespace {

using Values = std::vector<TrackedTensor>;

std::string type_of(const TrackedTensor& t) {
  return std::string(name_of(t.dtype())) + to_string(t.shape());
}

std::string description(const TrackedTensor& t) {
  if (!t.defined()) return "an undefined tensor";
  if (t.is_leaf()) return "the leaf " + type_of(t);
  const std::string name = t.value()->name ? t.value()->name : "";
  return (t.is_tracked() ? "the computed value " + name + " "
                         : "the constant ") +
         type_of(t);
}

std::string list_of(const Params& params) {
  std::string text;
  std::size_t listed = 0;
  for (const TrackedTensor& p : params) {
    if (listed++ == 8) return text + ", …";
    text += (text.empty() ? "" : ", ") + type_of(p);
  }
  return text;
}

void check_leaf(const TrackedTensor& t, const char* op) {
  if (!t.is_leaf())
    throw GraphError(std::string(op) + ": " + description(t) +
                     " is not a leaf; implicit parameters are made by param()");
}

}  // namespace

Params::Params(std::initializer_list<TrackedTensor> leaves) {
  for (const TrackedTensor& p : leaves) push(p);
}

Params::Params(const std::vector<TrackedTensor>& leaves) {
  for (const TrackedTensor& p : leaves) push(p);
}

const TrackedTensor& Params::operator[](std::size_t i) const {
  if (i >= size())
    throw IndexError("Params: there is no parameter " + std::to_string(i) +
                     " of " + std::to_string(size()));
  return leaves_[i];
}

Params Params::slice(std::size_t first, std::size_t last) const {
  if (first > last || last > size())
    throw IndexError("Params: there are no parameters " +
                     std::to_string(first) + " to " + std::to_string(last) +
                     " of " + std::to_string(size()));
  Params part;
  for (std::size_t i = first; i < last; ++i) part.push(leaves_[i]);
  return part;
}

std::size_t Params::find(const TrackedTensor& p) const {
  const std::pair<const void*, std::size_t> key{p.value(), 0};
  const auto at = std::ranges::lower_bound(places_, key);
  return at != places_.end() && at->first == key.first ? at->second : kNone;
}

void Params::push(const TrackedTensor& p) {
  check_leaf(p, "Params");
  if (contains(p)) return;
  const std::pair<const void*, std::size_t> place{p.value(), size()};
  leaves_.push_back(p);
  places_.insert(std::ranges::lower_bound(places_, place), place);
}

void Params::push_if_tracked(const TrackedTensor& t) {
  if (t.defined() && t.is_tracked()) push(t);
}

void Params::index() {
  places_.clear();
  for (std::size_t i = 0; i < size(); ++i)
    places_.emplace_back(leaves_[i].value(), i);
  std::ranges::sort(places_);
}

bool Params::erase(const TrackedTensor& p) {
  const std::size_t at = find(p);
  if (at == kNone) return false;
  leaves_.erase(leaves_.begin() + static_cast<std::ptrdiff_t>(at));
  index();
  return true;
}

Params& Params::unite(const Params& other) {
  if (this == &other) return *this;
  for (const TrackedTensor& p : other) push(p);
  return *this;
}

Params& Params::intersect(const Params& other) {
  std::erase_if(leaves_,
                [&](const TrackedTensor& p) { return !other.contains(p); });
  index();
  return *this;
}

bool Params::same_order(const Params& other) const {
  return std::ranges::equal(leaves_, other.leaves_, {}, &TrackedTensor::value,
                            &TrackedTensor::value);
}

Params set_union(const Params& a, const Params& b) {
  return Params(a).unite(b);
}

Params set_intersection(const Params& a, const Params& b) {
  return Params(a).intersect(b);
}

bool set_equal(const Params& a, const Params& b) {
  return a.size() == b.size() &&
         std::ranges::all_of(
             a, [&](const TrackedTensor& p) { return b.contains(p); });
}

std::string to_string(const Params& params) {
  return "Params of " + std::to_string(params.size()) +
         (params.empty() ? "" : ": " + list_of(params));
}

namespace {

TrackedTensor joined(const Values& all, const char* op, CallSite site) {
  if (all.empty())
    throw ShapeError(std::string(op) + ".to_vector: there are no parameters");
  Values flat;
  for (const TrackedTensor& t : all)
    flat.push_back(reshape(Operand(t, site), {-1}));
  return cat(flat, 0, site);
}

// The parts of a vector, shaped like the parameters.
Values parts_of(const TrackedTensor& flat, const Params& params,
                const char* op) {
  std::int64_t total = 0;
  for (const TrackedTensor& p : params) total += p.numel();
  if (flat.rank() != 1 || flat.numel() != total)
    throw ShapeError(
        std::string(op) + ".assign_vector: " + to_string(flat.shape()) +
        " for parameters of " + std::to_string(total) + " elements (" +
        list_of(params) + "); it must be [" + std::to_string(total) + "]");
  Values parts;
  std::int64_t from = 0;
  for (const TrackedTensor& p : params) {
    const std::int64_t to = from + p.numel();
    parts.push_back(
        cast(reshape(slice(flat, 0, {.start = from, .stop = to}), p.shape()),
             p.dtype()));
    from = to;
  }
  return parts;
}

}  // namespace

TrackedTensor Params::to_vector(CallSite site) const {
  return joined(leaves_, "Params", site);
}

void Params::assign_vector(const TrackedTensor& flat) const {
  NoGrad constant;
  std::vector<Tensor> own;
  for (const TrackedTensor& part : parts_of(flat, *this, "Params"))
    own.push_back(part.data().clone());
  for (std::size_t i = 0; i < size(); ++i)
    if (own[i].device() != leaves_[i].device())
      throw DeviceError("Params.assign_vector: the vector is on " +
                        to_string(own[i].device()) + ", a parameter on " +
                        to_string(leaves_[i].device()));
  for (std::size_t i = 0; i < size(); ++i) leaves_[i].assign(own[i]);
}

namespace {

TrackedTensor checked(const TrackedTensor& p, TrackedTensor gradient) {
  if (!gradient.defined()) {
    TrackedTensor zero = zeros_like(p);
    zero.value()->zero.store(true);
    return zero;
  }
  if (gradient.is_structural_zero() && gradient.shape() == p.shape() &&
      gradient.dtype() == p.dtype() && gradient.device() == p.device())
    return gradient;
  const tape::Node& node = *p.value()->cell->node;
  const TrackedTensor passed =
      tape::checked_cotangent(gradient, node, "Grads", node.site);
  return gradient.dtype() == node.dtype ? gradient : cast(passed, node.dtype);
}

}  // namespace

Grads::Grads(Params params, std::vector<TrackedTensor> values)
    : params_(std::move(params)), values_(std::move(values)) {
  if (values_.size() != params_.size())
    throw GraphError("Grads: " + std::to_string(values_.size()) +
                     " gradients for " + std::to_string(params_.size()) +
                     " parameters");
  for (std::size_t i = 0; i < values_.size(); ++i)
    values_[i] = checked(params_[i], std::move(values_[i]));
}

const TrackedTensor& Grads::operator[](const TrackedTensor& p) const {
  const std::size_t at = params_.find(p);
  if (at == Params::kNone)
    throw GraphError("Grads: " + description(p) +
                     " is not one of the parameters (" + list_of(params_) +
                     ")" + (p.is_leaf() ? "" : "; only leaves (param) can be"));
  return values_[at];
}

void Grads::set(const TrackedTensor& p, TrackedTensor gradient) {
  check_leaf(p, "Grads");
  gradient = checked(p, std::move(gradient));
  const std::size_t at = params_.find(p);
  if (at != Params::kNone) {
    values_[at] = std::move(gradient);
    return;
  }
  params_.push(p);
  values_.push_back(std::move(gradient));
}

std::vector<std::pair<TrackedTensor, TrackedTensor>> Grads::pairs() const {
  std::vector<std::pair<TrackedTensor, TrackedTensor>> all;
  for (std::size_t i = 0; i < size(); ++i)
    all.emplace_back(params_[i], values_[i]);
  return all;
}

Grads& Grads::merge(const Grads& other) {
  if (this == &other) return *this;
  for (std::size_t i = 0; i < other.size(); ++i)
    set(other.params_[i], other.values_[i]);
  return *this;
}

TrackedTensor Grads::to_vector(CallSite site) const {
  return joined(values_, "Grads", site);
}

void Grads::assign_vector(const TrackedTensor& flat) {
  *this = Grads(params_, parts_of(flat, params_, "Grads"));
}

std::string to_string(const Grads& grads) {
  std::string text = "Grads of " + std::to_string(grads.size());
  for (std::size_t i = 0; i < grads.size(); ++i)
    text += (i ? ", " : ": ") + type_of(grads.values()[i]) +
            (grads.values()[i].is_structural_zero() ? " (zero)" : "");
  return text;
}

namespace detail {

std::vector<TrackedTensor> values_for(const Params& params,
                                      const Grads& grads) {
  if (params == grads.keys()) return grads.values();
  const auto require = [](const Params& in, const Params& all) {
    for (const TrackedTensor& p : all)
      if (!in.contains(p))
        throw GraphError("Grads: gradients over different parameters: the " +
                         type_of(p) + " of one (" + list_of(all) +
                         ") is not a parameter of the other (" + list_of(in) +
                         ")");
  };
  require(grads.keys(), params);
  require(params, grads.keys());
  Values values;
  for (const TrackedTensor& p : params) values.push_back(grads[p]);
  return values;
}

std::vector<TrackedTensor> jacobians(
    const TrackedTensor& y, const Params& params,
    const std::function<Grads(const TrackedTensor& seed)>& back) {
  const std::int64_t n = y.numel();
  const TrackedTensor basis = eye(n, {y.dtype(), y.device()});
  std::vector<Values> rows(params.size());
  for (std::int64_t i = 0; i < n; ++i) {
    const Grads g = back(reshape(select(basis, 0, i), y.shape()));
    for (std::size_t k = 0; k < rows.size(); ++k)
      rows[k].push_back(g.values()[k]);
  }
  Values all;
  for (std::size_t k = 0; k < rows.size(); ++k) {
    Shape shape = y.shape();
    for (const std::int64_t extent : params[k].shape()) shape.push_back(extent);
    all.push_back(n == 0 ? zeros(shape, {params[k].dtype(), y.device()})
                         : reshape(stack(rows[k]), shape));
  }
  return all;
}

Grads mapped(const Params& params, std::vector<TrackedTensor> values) {
  Grads grads(params, std::move(values));
  materialize(grads.values());
  return grads;
}

}  // namespace detail

}  // namespace jacquard
