// softmax and its logarithm.
#pragma once

#include "ops/opdef.h"

namespace tabula {

extern const Op softmax, log_softmax;

}  // namespace tabula
