// Convolutions over raw memory: 1 to 3 dimensions, batch and channels first, every array contiguous.
#pragma once

#include <cstdint>

#include "core/device.h"
#include "core/dtype.h"

namespace tabula::kernels {

// input [batch, in_channels, input...], weight [out_channels, in_channels / groups, kernel...],
// output and grad_output [batch, out_channels, output...]. `output` is given: for the gradients (and so for a
// transposed convolution, which is conv_grad_input with its roles swapped) several input sizes share one output size.
// Padding may differ from side to side only through `output` and `input`: `padding` is the one before the first
// element.
struct ConvCall {
  int nd = 2;
  int64_t batch = 0, in_channels = 0, out_channels = 0, groups = 1;
  int64_t input[3] = {1, 1, 1}, kernel[3] = {1, 1, 1}, output[3] = {1, 1, 1};
  int64_t stride[3] = {1, 1, 1}, padding[3] = {0, 0, 0}, dilation[3] = {1, 1, 1};
  DType dtype = DType::Float32;
  const char* input_data = nullptr;
  const char* weight = nullptr;
  const char* bias = nullptr;  // one value per channel of `out`, or null; conv_grad_weight takes none
  const char* grad_output = nullptr;
  char* out = nullptr;
};

// float16 and bfloat16 accumulate in float32 and round once; integers wrap around; complex products are plain (nothing
// is conjugated). Every dtype that has matrix products.
extern Kernel<void(const ConvCall&)> conv_forward;      // input_data, weight, bias -> output
extern Kernel<void(const ConvCall&)> conv_grad_input;   // grad_output, weight, bias -> input
extern Kernel<void(const ConvCall&)> conv_grad_weight;  // grad_output, input_data -> weight

}  // namespace tabula::kernels
