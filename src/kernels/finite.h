// Is every floating point number of a run of memory finite? It is read once, as integers.
#pragma once

#include <cstdint>

#include "core/dtype.h"

namespace tabula::kernels {

// `count` numbers that follow each other, of a floating or complex dtype.
bool all_finite(const char* data, int64_t count, DType dtype);

}  // namespace tabula::kernels
