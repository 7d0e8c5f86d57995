// softmax and log_softmax along the middle dim of a contiguous (outer, dim, inner) view.
#pragma once

#include <cstdint>

#include "core/device.h"
#include "core/dtype.h"

namespace tabula::kernels {

// Forward: out = softmax(in) or log(softmax(in)); in is cast to out's dtype on read.
// Backward: in is the gradient of the output, `result` the forward's output in the dtype result_dtype, out the gradient
// of the input.
struct SoftmaxCall {
  bool log;
  int64_t outer, dim, inner;
  const char* in;
  DType in_dtype;
  char* out;
  DType out_dtype;
  const char* result;
  DType result_dtype;
};

extern Kernel<void(const SoftmaxCall&)> softmax;
extern Kernel<void(const SoftmaxCall&)> softmax_backward;

}  // namespace tabula::kernels
