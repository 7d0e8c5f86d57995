// Orders of elements along a dimension.
#pragma once

#include "ops/opdef.h"

namespace tabula {

extern const Op sort, sort_stable, argsort, topk, kthvalue, median, median_dim, mode;

}  // namespace tabula
