// Products along a dimension.
#pragma once

#include "ops/opdef.h"

namespace tabula {

extern const Op prod_dim;

}  // namespace tabula
