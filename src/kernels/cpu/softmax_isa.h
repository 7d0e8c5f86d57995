// The softmax kernels that are compiled per instruction set.
#pragma once

#include "kernels/cpu/reduce_dispatch.h"
#include "kernels/softmax.h"

namespace tabula::kernels {
TABULA_PER_ISA(void, softmax_forward, const SoftmaxCall& call)
TABULA_PER_ISA(void, softmax_gradient, const SoftmaxCall& call)
}  // namespace tabula::kernels
