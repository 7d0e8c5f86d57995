// Reductions of a strided view to a smaller one.
//
// Every reduction runs on one of five compute types (float, double, int64, complex64, complex128): other dtypes are
// staged through blocks that fit the L1 cache, so that a mix of dtypes or strides costs one extra pass over L1. Partial
// results of pieces of fixed size are combined in a fixed order, hence results do not depend on the thread count.
#pragma once

#include <cstdint>

#include "core/device.h"
#include "core/dtype.h"

namespace tabula::kernels {

enum class Reduce : uint8_t {
  sum,            // integers in int64; dtype= is out_dtype: elements are cast on read
  nansum,
  prod,
  mean,
  amax,           // NaN wins
  amin,
  all,
  any,
  argmax,         // out: int64 index into the reduced dims, row-major; the first of equals, the first NaN
  argmin,
  max,            // out: value, out2: int64 index
  min,
  norm_p,         // params[0]: p, any real number, 0 and the infinities included
  norm2,
  var,            // params[0]: correction
  std,
  var_mean,       // out: variance, out2: mean
  std_mean,
  count_nonzero,  // out: int64
  logsumexp,
  aminmax,        // out: minimum, out2: maximum
};

struct ReduceCall {
  Reduce op;
  int ndim;
  const int64_t* sizes;
  const int64_t* in_strides;   // in elements
  const int64_t* out_strides;  // in elements; 0 on reduced dims; shared by out and out2
  const bool* reduced;
  const char* in;
  DType in_dtype;
  char* out;
  DType out_dtype;
  char* out2;
  DType out2_dtype;
  double params[4];
};

// A reduction over no elements writes its identity (mean, var: NaN); max, min and their kin have none, which the caller
// has to refuse. A gradient is reduced to the shape that was broadcast by Reduce::sum with the broadcast dims reduced.
extern Kernel<void(const ReduceCall&)> reduce;

}  // namespace tabula::kernels
