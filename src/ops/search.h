// Searching in sorted values, counting, and distinct values.
#pragma once

#include "ops/opdef.h"

namespace tabula {

extern const Op unique;

}  // namespace tabula
