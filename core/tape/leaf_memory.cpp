#include "core/tape/leaf_memory.h"

#include <utility>

#include "core/tensor/storage.h"

namespace jacquard::tape {

Tensor make_leaf_writable(Value& cell) {
  const ValuePtr current = snapshot_of(cell).value;
  TensorImpl* impl = TensorImpl::of(current->tensor());
  // Two references: the leaf's own and `current`.
  const bool sole = current->use_count() == 2 && impl->use_count() == 1 &&
                    impl->storage->use_count() == 1;
  const Tensor& t = current->tensor();
  if (sole && impl->contiguous) return t;
  if (!impl->contiguous) {
    set_current(cell, t.contiguous());
  } else {
    auto storage = impl->storage->make_writable(current_stream(t.device()), 0);
    set_current(cell, TensorImpl::make(std::move(storage), t.shape(),
                                       t.strides(), impl->offset, t.dtype()));
  }
  return snapshot_of(cell).value->tensor();
}

}  // namespace jacquard::tape
