// Pooling over the last one to three dims of contiguous planes. Fewer than three dims: the leading ones have size 1,
// kernel 1, stride 1, padding 0, dilation 1.
#pragma once

#include <cstdint>

#include "core/device.h"
#include "core/dtype.h"

namespace tabula::kernels {

// Forward passes read `in` (planes, in_size) and write `out` (planes, out_size). Backward passes read the gradient of
// the output from `in`, of shape (planes, out_size), and write all of `out`, of shape (planes, in_size).
struct PoolCall {
  int64_t planes;
  int64_t in_size[3], out_size[3];
  int64_t kernel[3], stride[3], padding[3], dilation[3];  // not read by the adaptive kinds
  bool count_include_pad;                                 // average
  int64_t divisor;                                        // average: 0, or what to divide by
  DType dtype;
  const char* in;
  char* out;
  int64_t* indices;  // maxima: positions in the input plane (planes, out_size), may be null in the forward pass
};

extern Kernel<void(const PoolCall&)> max_pool;  // also int64; the last NaN of a window wins
extern Kernel<void(const PoolCall&)> max_pool_backward;  // by index: serves the adaptive kind and unpooling too
extern Kernel<void(const PoolCall&)> avg_pool;  // also int64, rounding towards zero
extern Kernel<void(const PoolCall&)> avg_pool_backward;
extern Kernel<void(const PoolCall&)> adaptive_max_pool;
extern Kernel<void(const PoolCall&)> adaptive_avg_pool;
extern Kernel<void(const PoolCall&)> adaptive_avg_pool_backward;

}  // namespace tabula::kernels
