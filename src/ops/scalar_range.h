// Numbers and dtypes as error messages speak of them.
#pragma once

#include "core/dtype.h"
#include "core/scalar.h"

namespace tabula {

// Throws "value cannot be converted to type uint8_t without overflow". Negative numbers may wrap into unsigned types.
void check_fits(const Scalar& value, DType dtype);

// The same for fills, which let the half types overflow to infinity.
void check_fill(const Scalar& value, DType dtype);

// The name of the C++ type behind a dtype, which some messages use: "unsigned char", "c10::Half".
const char* c_type_name(DType dtype);

}  // namespace tabula
