#include "jacquard/structure.h"

#include "jacquard/error.h"
#include "jacquard/pointwise.h"
#include "jacquard/shape_ops.h"

namespace jacquard::detail {

void throw_differ(const Path& path, const std::string& how) {
  const std::string text = path.text();
  throw ShapeError(std::string(path.operation()) + ": " +
                   (text.empty() ? "the structure" : "\"" + text + "\"") + " " +
                   how);
}

void throw_no_such_path(std::string_view operation, std::string_view path,
                        const std::vector<std::string>& there) {
  std::string message = std::string(operation) + ": no tensor \"" +
                        std::string(path) + "\"; there ";
  message += there.empty() ? "are none" : "are ";
  for (std::size_t i = 0; i < there.size(); ++i)
    message += (i ? ", \"" : "\"") + there[i] + "\"";
  throw IndexError(message);
}

namespace {

bool counts(const TrackedTensor& t) {
  return t.defined() && is_floating(t.dtype());
}

}  // namespace

TrackedTensor join(const std::vector<TrackedTensor>& tensors, CallSite site) {
  std::vector<TrackedTensor> pieces;
  for (const TrackedTensor& t : tensors)
    if (counts(t)) pieces.push_back(reshape(Operand(t, site), {t.numel()}));
  if (pieces.empty())
    throw GraphError("flatten: the structure has no floating tensor");
  return pieces.size() == 1 ? pieces[0] : cat(pieces, 0, site);
}

Parts::Parts(TrackedTensor vector, CallSite site)
    : vector_(std::move(vector)), site_(site) {
  if (!vector_.defined() || vector_.rank() != 1)
    throw ShapeError("unflatten: " +
                     (vector_.defined() ? to_string(vector_.shape())
                                        : std::string("undefined")) +
                     " is not a vector");
}

TrackedTensor Parts::next(const TrackedTensor& like) {
  if (!counts(like)) return like;
  const std::int64_t from = std::exchange(taken_, taken_ + like.numel());
  if (taken_ > vector_.numel()) return like;
  const Slice part{from, taken_};
  const TrackedTensor piece = slice(Operand(vector_, site_), 0, part);
  return cast(Operand(reshape(Operand(piece, site_), like.shape()), site_),
              like.dtype());
}

void Parts::finish() const {
  if (taken_ != vector_.numel())
    throw ShapeError("unflatten: a vector of " +
                     std::to_string(vector_.numel()) +
                     " elements for a structure of " + std::to_string(taken_));
}

}  // namespace jacquard::detail
