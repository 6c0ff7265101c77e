#include "jacquard/jvp.h"

#include "core/tape/call.h"
#include "core/tape/modes.h"
#include "core/tape/pending.h"
#include "core/tape/region.h"
#include "core/transforms/linearization.h"
#include "jacquard/error.h"

namespace jacquard::detail {

using tape::NodePtr;
using tape::ValuePtr;

TrackedTensor zero_tangent(const Shape& shape, const TrackedTensor& like) {
  TrackedTensor z = tape::apply_fill("zero", shape, like.dtype(), like.device(),
                                     tape::Literal{.f = 0});
  z.value()->zero.store(true);
  return z;
}

tape::ForwardWalk walk_between(const std::vector<TrackedTensor>& results,
                               const std::vector<TrackedTensor>& aliases,
                               bool asked, const char* transform) {
  std::vector<NodePtr> last, first;
  for (const TrackedTensor& y : results)
    last.push_back(tape::snapshot(y, transform)->node());
  for (const TrackedTensor& x : aliases)
    first.push_back(tape::snapshot(x, transform)->node());
  const bool recording =
      asked || (tape::grad_enabled() && tape::level_depth() > 0);
  return tape::ForwardWalk(last, first, {recording, transform});
}

namespace {

std::vector<TrackedTensor> run_push(const std::vector<TrackedTensor>& results,
                                    const std::vector<TrackedTensor>& aliases,
                                    const std::vector<TrackedTensor>& tangents,
                                    bool asked, const char* transform,
                                    std::int64_t batch) {
  std::vector<TrackedTensor> out =
      walk_between(results, aliases, asked, transform).run(tangents, batch);
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (out[i].defined()) continue;
    Shape shape = results[i].shape();
    if (batch > 0) shape.insert(0, batch);
    out[i] = zero_tangent(shape, results[i]);
  }
  return out;
}

}  // namespace

Linearization::Linearization(GradientOptions options, CallSite site,
                             const char* transform)
    : state_(new State{
          transform, site, {std::move(options), site, transform}, {}}) {}
Linearization::~Linearization() = default;
Linearization::Linearization(Linearization&&) noexcept = default;
Linearization& Linearization::operator=(Linearization&&) noexcept = default;

Level& Linearization::level() const { return state_->level; }
const char* Linearization::transform() const { return state_->transform; }

void Linearization::close(std::vector<TrackedTensor> results) {
  state_->results = std::move(results);
  materialize(state_->results);
}

std::vector<TrackedTensor> Linearization::push(
    const std::vector<TrackedTensor>& tangents, std::int64_t batch) const {
  return tape::call(state_->transform, state_->site, run_push, state_->results,
                    state_->level.aliases(), tangents,
                    state_->level.recording(), state_->transform, batch);
}

namespace {
std::string where(const Path& path) {
  const std::string text = path.text();
  return std::string(path.operation()) + ": " +
         (text.empty() ? "" : "\"" + text + "\": ");
}
}  // namespace

void Tangents::add(const Path& path, const TrackedTensor& t) {
  const auto fail = [&](const std::string& what) {
    throw GraphError(where(path) + "the tangent has " + what);
  };
  const Level& level = trace_.level();
  if (!level.taken()[offered_++]) {
    if (t.defined() && is_floating(t.dtype()) && !t.is_structural_zero())
      throw GraphError(where(path) +
                       "a tangent of what is no parameter (not floating, or "
                       "not trainable); leave it undefined");
    return;
  }
  const TrackedTensor& x = level.aliases()[all_.size()];
  all_.push_back(t);
  if (!t.defined()) return;
  if (!(t.shape() == x.shape()))
    fail("shape " + to_string(t.shape()) + ", the value " +
         to_string(x.shape()));
  if (!(t.device() == x.device()))
    fail("device " + to_string(t.device()) + ", the value " +
         to_string(x.device()));
  if (!is_floating(t.dtype()))
    fail("dtype " + std::string(name_of(t.dtype())) + ", the value " +
         std::string(name_of(x.dtype())));
  all_.back() = tape::apply_cast(trace_.transform(), t, x.dtype());
}

TrackedTensor tangent_of_scalar(const Operand& t, const Linearization& trace) {
  if (!t.is_scalar()) return t.tensor();
  const TrackedTensor& x = trace.level().aliases().front();
  return scalar_argument(t.floating(), x.device());
}

}  // namespace jacquard::detail
