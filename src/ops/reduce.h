// Reductions.
#pragma once

#include "ops/opdef.h"

namespace tabula {

extern const Op sum, sum_dim, mean, mean_dim, prod, amax, amin, any, all, logsumexp, var_mean;

// Sums away what broadcasting added: the result has these sizes.
Tensor sum_to(const Tensor& t, IntList sizes);

}  // namespace tabula
