// Weighted sums of a few elements along one dimension: interpolation, one axis at a time.
#pragma once

#include <cstdint>

#include "core/device.h"
#include "core/dtype.h"

namespace tabula::kernels {

// from [outer, in, inner] to [outer, out, inner], both contiguous: element i of the middle dimension is the sum of
// weight[t] * from[index[t]] over the taps t in [start[i], start[i + 1]).
struct ResampleCall {
  int64_t outer = 0, in = 0, out = 0, inner = 0;
  const int64_t* start = nullptr;
  const int64_t* index = nullptr;
  const double* weight = nullptr;  // null: one tap each, which is copied whatever the dtype
  DType dtype = DType::Float32;    // uint8: weights are rounded to 16 bits, as image libraries do
  const char* from = nullptr;
  char* to = nullptr;
};

extern Kernel<void(const ResampleCall&)> resample;

}  // namespace tabula::kernels
