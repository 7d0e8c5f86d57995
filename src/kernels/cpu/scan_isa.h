// The scans that are compiled per instruction set.
#pragma once

#include <cstdint>

#include "kernels/cpu/reduce_dispatch.h"

namespace tabula::kernels {
// out[i] = in[0] + ... + in[i] of one line, accumulated in double.
TABULA_PER_ISA(void, cumsum_line, const float* in, float* out, int64_t n)
}  // namespace tabula::kernels
