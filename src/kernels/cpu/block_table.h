// The table of block kernels: one loop per operation and compute dtype, over contiguous memory of that dtype.
#pragma once

#include "kernels/pointwise.h"

namespace tabula::kernels {

using BlockKernel = void (*)(int64_t n, char* const* out, const char* const* in, const double* params,
                             const int64_t* iparams);
struct BlockTable {
  BlockKernel at[kPointwiseOps][kDTypes];
};

}  // namespace tabula::kernels
