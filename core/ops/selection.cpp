#include "core/ops/selection.h"

#include <string>

#include "jacquard/error.h"

namespace jacquard::ops {
namespace {

[[noreturn]] void throw_misfit(const char* op, const TrackedTensor& index,
                               const Shape& x, int axis,
                               const std::string& rule) {
  throw ShapeError(std::string(op) + ": a " +
                   std::string(name_of(index.dtype())) + " index of " +
                   to_string(index.shape()) + " from axis " +
                   std::to_string(axis) + " of " + to_string(x) + ": " + rule);
}

int axes_of(const char* op, const Index& i, const Shape& x, Device device,
            int axis) {
  if (i.kind() != Index::Kind::tensor) return 1;
  const TrackedTensor& t = i.tensor();
  if (!t.defined())
    throw GraphError(std::string(op) + ": an index is an undefined tensor");
  if (t.device() != device)
    throw DeviceError(std::string(op) + ": an index on " +
                      to_string(t.device()) + " of an array on " +
                      to_string(device) + "; move it with to_device");
  if (is_integer(t.dtype())) return 1;
  if (t.dtype() != DType::bool_)
    throw DTypeError(std::string(op) +
                     ": an index is int64, int32 or bool, "
                     "not " +
                     std::string(name_of(t.dtype())));
  if (t.rank() == 0) throw_misfit(op, t, x, axis, "a mask must have an axis");
  for (int k = 0; k < t.rank(); ++k)
    if (axis + k >= x.rank() || t.shape()[k] != x[axis + k])
      throw_misfit(op, t, x, axis,
                   "a mask must have the extents of the axes it stands for");
  return t.rank();
}

}  // namespace

Selection select(const char* op, const Shape& x, Device device,
                 const std::vector<Index>& indices) {
  Selection s{SliceRegion::whole(x), {}};
  int axis = 0, dropped = 0;
  for (const Index& i : indices) {
    if (axis >= x.rank())
      throw ShapeError(std::string(op) + ": " + to_string(x) +
                       " has fewer axes than the indices stand for");
    const int axes = axes_of(op, i, x, device, axis);
    if (i.kind() == Index::Kind::slice) {
      s.region.restrict_to(axis, i.slice(), op);
    } else if (i.kind() == Index::Kind::tensor) {
      s.lookups.push_back({axis - dropped, i.tensor()});
    } else {
      const std::int64_t n = x[axis];
      if (i.place() < -n || i.place() >= n)
        throw IndexError(std::string(op) + ": index " +
                         std::to_string(i.place()) +
                         " is out of range for axis " + std::to_string(axis) +
                         " of " + to_string(x));
      s.region.pick(axis, i.place() < 0 ? i.place() + n : i.place());
      ++dropped;
    }
    axis += axes;
  }
  return s;
}

}  // namespace jacquard::ops
