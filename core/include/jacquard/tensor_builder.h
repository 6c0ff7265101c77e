// TensorBuilder: a tensor that is written part by part, and then frozen.
#pragma once

#include <memory>
#include <vector>

#include "jacquard/create.h"
#include "jacquard/index_ops.h"
#include "jacquard/tracked_tensor.h"

namespace jacquard {

// Writing changes no tensor: a builder notes what goes where, and freeze()
// makes one tensor of it, through which gradients flow to the values that are
// still there; what was overwritten has gradient 0. So loops that fill an array
// may be differentiated:
//
//   TensorBuilder b({n, m});
//   b.write({0}, h);
//   for (int i = 1; i < n; ++i) b.write({i}, f(b.read({i - 1})));
//   TrackedTensor all = b.freeze();
//
// Cost: a write by integers and slices, and a push, take time in the size of
// what is written, at freeze(); only the last write to a place is carried out
// where one covers another. A read of what one earlier write wrote, or none,
// gives that value, or a view. Everything else (reading across writes, writing
// by index tensors or masks, erase) makes the whole array first: time in its
// size. The pieces are one node on the tape, however many there are.
//
// A builder is for one thread. GraphError for what changes it after freeze().
class JACQUARD_API TensorBuilder {
 public:
  // Of zeros.
  explicit TensorBuilder(const Shape& shape, TensorOptions options = {});
  // Of x's values, which get a gradient where they are not overwritten.
  explicit TensorBuilder(const TrackedTensor& x);
  TensorBuilder(TensorBuilder&&) noexcept;
  TensorBuilder& operator=(TensorBuilder&&) noexcept;
  ~TensorBuilder();

  const Shape& shape() const;
  DType dtype() const;
  Device device() const;
  bool is_frozen() const;

  // Replaces what index(x, indices) would read by v, broadcast to it. Errors as
  // for index_put. Whether v is recorded is decided now.
  void write(const std::vector<Index>& indices, Operand v);
  // Adds v, of the shape of a row (broadcast to it), behind the last row of the
  // first axis. ShapeError for rank 0.
  void push(Operand v);
  // Removes row i (negative from the end) of the first axis.
  void erase(std::int64_t i, CallSite site = CallSite::current());
  // What index() would read now; all of it unless indices are given.
  TrackedTensor read(const std::vector<Index>& indices = {},
                     CallSite site = CallSite::current());
  // The tensor. From now on the builder can only be read, and asked for the
  // same tensor again.
  TrackedTensor freeze(CallSite site = CallSite::current());

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace jacquard
