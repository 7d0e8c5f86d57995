// Work along one dimension: a contiguous tensor seen as (outer, dim, inner), and moves of elements along a dimension.
#pragma once

#include "ops/opdef.h"

namespace tabula {

// The lines of a contiguous tensor along dimension d (wrapped); a 0-d tensor is one line of one element.
struct Lines {
  Lines(IntList sizes, int64_t d) {
    for (int64_t i = 0; i < int64_t(sizes.size()); i++) (i < d ? outer : i == d ? length : inner) *= sizes[size_t(i)];
  }
  int64_t outer = 1, length = 1, inner = 1;
};

// x added into zeros of these sizes at the positions that `index` gives along `dim`: the transpose of gather.
Tensor place_along(const Tensor& x, int64_t dim, const Tensor& index, IntList sizes);

// The order along a dimension turned round.
Tensor reverse_along(const Tensor& x, int64_t dim);

}  // namespace tabula
