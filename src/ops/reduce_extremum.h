// Greatest and least elements, and where they are.
#pragma once

#include "ops/opdef.h"

namespace tabula {

extern const Op amax, amin, argmax, argmin, max_dim, min_dim;

}  // namespace tabula
