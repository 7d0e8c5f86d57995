// Convolutions and their transposes.
#pragma once

#include "ops/opdef.h"

namespace tabula {

extern const Op convolution;

}  // namespace tabula
