// Random zeros.
#pragma once

#include "ops/opdef.h"

namespace tabula {

extern const Op dropout;

}  // namespace tabula
