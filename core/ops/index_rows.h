// Rows by an index tensor, for operations that are made of them.
#pragma once

#include "jacquard/call_site.h"
#include "jacquard/tracked_tensor.h"

namespace jacquard::ops {

// index_select under another name.
TrackedTensor read_rows(const char* name, CallSite site, const TrackedTensor& x,
                        int axis, const TrackedTensor& index);
// index_put, or index_add, under another name.
TrackedTensor write_rows(const char* name, CallSite site,
                         const TrackedTensor& x, int axis,
                         const TrackedTensor& index, const TrackedTensor& v,
                         bool add);

}  // namespace jacquard::ops
