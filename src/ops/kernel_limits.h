// What PyTorch's pointwise kernels refuse although the arithmetic would go through, and the names under which they do:
// programs that probe for support see the same answer.
#pragma once

#include "kernels/pointwise.h"

namespace tabula {

struct KernelLimits {
  const char* name = nullptr;  // in "..." not implemented for 'Bool'; null: the kernel's own name and "_cpu"
  uint32_t refused = 0;        // bit per dtype
  bool exact_out = false;      // an out= tensor must have the result's very dtype
};

const KernelLimits& limits_of(kernels::Pointwise kernel);

inline bool refuses(kernels::Pointwise kernel, DType dtype) { return limits_of(kernel).refused >> int(dtype) & 1; }

}  // namespace tabula
