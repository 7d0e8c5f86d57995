// Matrix products.
#pragma once

#include "ops/opdef.h"

namespace tabula {

extern const Op mm, bmm, mv, dot, matmul, addmm, baddbmm, linear, outer;

}  // namespace tabula
