// Writing at positions given by index tensors along one dimension.
#pragma once

#include "ops/opdef.h"

namespace tabula {

extern const Op scatter, scatter_value, scatter_add, scatter_reduce, index_add, index_copy, index_fill, index_reduce;

}  // namespace tabula
