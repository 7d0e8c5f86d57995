// exp, log, trigonometry and their kin.
#pragma once

#include "ops/opdef.h"

namespace tabula {

extern const Op exp, exp2, expm1, log, log2, log10, log1p, sin, cos, tan, asin, acos, atan, sinh, cosh, tanh, asinh, acosh, atanh, erf, erfc, sigmoid,
    digamma, lgamma, polygamma, floor, ceil, trunc, round;

}  // namespace tabula
