// Padding.
#pragma once

#include "ops/opdef.h"

namespace tabula {

extern const Op constant_pad_nd, pad;

}  // namespace tabula
