// The table of block kernels: one loop per operation and compute dtype, over contiguous memory of that dtype.
#pragma once

#include "kernels/pointwise.h"

namespace tabula::kernels {

// Bit k of `repeated`: input k is one value, in every lane of a kRepeatedBytes long block.
using BlockKernel = void (*)(int64_t n, char* const* out, const char* const* in, const double* params,
                             const int64_t* iparams, uint32_t repeated);
inline constexpr int64_t kRepeatedBytes = 64;

struct BlockTable {
  BlockKernel at[kPointwiseOps][kDTypes];
  bool takes_repeated[kPointwiseOps][kDTypes];
  // Computes in float32 with every operand in bfloat16; null where blocks are converted instead. Takes repeated inputs.
  BlockKernel bfloat16[kPointwiseOps];
};

}  // namespace tabula::kernels
