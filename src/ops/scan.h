// Cumulative sums, products and extrema.
#pragma once

#include "ops/opdef.h"

namespace tabula {

extern const Op cumsum, cumprod, cummax, cummin, logcumsumexp;

// Sums of each element and all behind it.
Tensor reverse_cumsum(const Tensor& x, int64_t dim);
// Ones of x's shape but for size one along `dim`.
Tensor ones_along(const Tensor& x, int64_t dim);

}  // namespace tabula
