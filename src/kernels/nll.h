// The negative log likelihood of class indices.
#pragma once

#include <cstdint>

#include "core/device.h"
#include "core/dtype.h"

namespace tabula::kernels {

enum class Reduction : int8_t { None, Mean, Sum };

// input [batch, classes, inner], target [batch, inner], weight [classes] or null; all contiguous, of one dtype but for the
// target. A target outside [0, classes) that is not ignore_index raises IndexError.
struct NllCall {
  int64_t batch = 0, classes = 0, inner = 1;
  DType dtype = DType::Float32;
  const char* input = nullptr;
  const int64_t* target = nullptr;
  const char* weight = nullptr;
  int64_t ignore_index = -100;
  Reduction reduction = Reduction::Mean;
  char* out = nullptr;           // [batch, inner] or a single element
  char* total_weight = nullptr;  // a single element: the sum of the weights of all targets that count
  const char* grad = nullptr;    // of out; backward only
  char* grad_input = nullptr;    // like input; written in full
};

extern Kernel<void(const NllCall&)> nll;
extern Kernel<void(const NllCall&)> nll_backward;  // reads grad, target, weight, total_weight

}  // namespace tabula::kernels
