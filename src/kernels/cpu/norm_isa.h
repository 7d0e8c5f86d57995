// The normalisation kernels that are compiled per instruction set.
#pragma once

#include "kernels/cpu/reduce_dispatch.h"
#include "kernels/norm.h"

namespace tabula::kernels {
TABULA_PER_ISA(void, row_norm_forward, const RowNormCall& call)
TABULA_PER_ISA(void, row_norm_gradient, const RowNormCall& call)
TABULA_PER_ISA(void, group_norm_forward, const GroupNormCall& call)
TABULA_PER_ISA(void, group_norm_gradient, const GroupNormCall& call)
TABULA_PER_ISA(void, batch_norm_stats, const BatchNormCall& call)
TABULA_PER_ISA(void, batch_norm_forward, const BatchNormCall& call)
TABULA_PER_ISA(void, batch_norm_gradient, const BatchNormCall& call)
}  // namespace tabula::kernels
