// All of Jacquard's core.
#pragma once

#include "jacquard/checkpoint.h"
#include "jacquard/create.h"
#include "jacquard/dlpack.h"
#include "jacquard/gradcheck.h"
#include "jacquard/gradient.h"
#include "jacquard/index_ops.h"
#include "jacquard/launch_log.h"
#include "jacquard/linalg.h"
#include "jacquard/params.h"
#include "jacquard/pointwise.h"
#include "jacquard/reduce.h"
#include "jacquard/row_ops.h"
#include "jacquard/shape_ops.h"
#include "jacquard/structure.h"
#include "jacquard/tracked_tensor.h"
#include "jacquard/update.h"
