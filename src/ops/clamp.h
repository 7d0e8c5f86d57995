// Limiting values to a range.
#pragma once

#include "ops/opdef.h"

namespace tabula {

extern const Op clamp, clamp_min, clamp_max;

}  // namespace tabula
