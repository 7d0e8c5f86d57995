// Inner products of floats, compiled per instruction set.
#pragma once

#include <cstdint>

#include "kernels/cpu/reduce_dispatch.h"

namespace tabula::kernels {
TABULA_PER_ISA(float, dot_line, const float* a, const float* b, int64_t n)
}  // namespace tabula::kernels
