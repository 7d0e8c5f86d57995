// Indexing by tensors: x[i, :, j].
#pragma once

#include "ops/opdef.h"

namespace tabula {

// Indices are one per dimension, undefined where the dimension is kept; masks stand for the indices of their true elements.
extern const Op index, index_put_, index_put;

}  // namespace tabula
