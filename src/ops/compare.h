// Comparisons and predicates.
#pragma once

#include "ops/opdef.h"

namespace tabula {

extern const Op eq, ne, lt, le, gt, ge, logical_not, logical_and, logical_or, logical_xor, isnan, isinf, isfinite;

bool has_nan(const Tensor& t);

}  // namespace tabula
