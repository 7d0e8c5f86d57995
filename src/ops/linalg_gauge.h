// Vectors that are defined up to a complex factor of modulus one.
#pragma once

#include "ops/opdef.h"

namespace tabula {

// Throws if a loss depends on that factor: `along`, the gradient's components along the vectors, must be real.
void check_gauge(const Tensor& along, const char* function, const char* vectors, const char* blame);

}  // namespace tabula
