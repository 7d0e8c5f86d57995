// Gathers where each column of the block is a run of memory.
#pragma once

#include "kernels/cpu/block_move.h"

namespace tabula::kernels {

// r.row_stride is 1. For elements of four and of eight bytes.
using Transpose = void (*)(void* block, const void* columns, const Rectangle& r);
struct TransposeTable {
  Transpose four, eight;
};

}  // namespace tabula::kernels
