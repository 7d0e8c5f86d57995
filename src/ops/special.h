// Special functions.
#pragma once

#include "ops/opdef.h"

namespace tabula {

extern const Op sinc, logit, erfinv, erfcx, ndtri, i0, i0e, i1, i1e, zeta, xlog1py, igamma, igammac;

}  // namespace tabula
