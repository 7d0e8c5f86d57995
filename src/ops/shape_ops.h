// Rearranging: copies of the elements in another order.
#pragma once

#include "ops/opdef.h"

namespace tabula {

extern const Op tril, triu, flip, roll, repeat;

}  // namespace tabula
