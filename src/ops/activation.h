// Activation functions that other operations are built from.
#pragma once

#include "ops/opdef.h"

namespace tabula {

extern const Op relu, gelu, silu, softplus, logsigmoid, threshold;

}  // namespace tabula
