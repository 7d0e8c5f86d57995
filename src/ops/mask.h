// Boolean masks, and the positions of nonzero elements.
#pragma once

#include "ops/opdef.h"

namespace tabula {

extern const Op masked_fill, masked_fill_tensor, masked_select, masked_scatter, nonzero;

// The positions of nonzero elements, [count, rank], stored column by column.
Tensor nonzero_raw(const Tensor& t);

}  // namespace tabula
