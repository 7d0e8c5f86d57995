// One step of an optimizer over one parameter: a single pass over memory.
#pragma once

#include <cstdint>

#include "core/device.h"
#include "core/dtype.h"

namespace tabula::kernels {

// All arrays have `n` elements in the same order. Numbers are rounded to the arrays' dtype where PyTorch's operations
// would; float16 and bfloat16 are computed in float32 and rounded once, when stored.
struct SgdCall {
  int64_t n = 0;
  DType dtype = DType::Float32;
  char* param = nullptr;
  const char* grad = nullptr;
  char* buffer = nullptr;  // the momentum's, or null
  double lr = 0, momentum = 0, dampening = 0, weight_decay = 0;
  bool nesterov = false, maximize = false;
  bool fresh = false;  // the buffer is new: it becomes the gradient
};

struct AdamCall {
  int64_t n = 0;
  DType dtype = DType::Float32;
  char* param = nullptr;
  const char* grad = nullptr;
  char *mean = nullptr, *square = nullptr;
  char* peak = nullptr;  // the largest squares so far (Reddi et al., 2018), or null
  double lr = 0, beta1 = 0, beta2 = 0, eps = 0, weight_decay = 0;
  double correction1 = 1, correction2_root = 1;  // 1 - beta1^t, sqrt(1 - beta2^t)
  bool maximize = false, decoupled = false;
};

extern Kernel<void(const SgdCall&)> sgd_step;
extern Kernel<void(const AdamCall&)> adam_step;

}  // namespace tabula::kernels
