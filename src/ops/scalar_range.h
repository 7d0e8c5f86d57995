// Does a number fit into a dtype?
#pragma once

#include "core/dtype.h"
#include "core/scalar.h"

namespace tabula {

// Throws "value cannot be converted to type uint8_t without overflow". Negative numbers may wrap into unsigned types.
void check_fits(const Scalar& value, DType dtype);

}  // namespace tabula
