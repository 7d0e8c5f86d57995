// Cumulative reductions along the middle dim of a contiguous (outer, dim, inner) view.
#pragma once

#include <cstdint>

#include "core/device.h"
#include "core/dtype.h"

namespace tabula::kernels {

enum class Scan : uint8_t { cumsum, cumprod, logcumsumexp, cummax, cummin };

struct ScanCall {
  Scan op;
  int64_t outer, dim, inner;
  const char* in;
  DType in_dtype;
  char* out;
  DType out_dtype;   // elements are cast to it on read
  int64_t* indices;  // cummax, cummin: position along dim of the last of equal extrema, or of the last NaN
};

extern Kernel<void(const ScanCall&)> scan;

}  // namespace tabula::kernels
