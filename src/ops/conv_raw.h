// The convolution kernels over tensors, and the checks of a convolution's arguments.
#pragma once

#include "ops/opdef.h"

namespace tabula {

// Everything about a convolution but its tensors; one entry per spatial dimension.
struct ConvShape {
  Dims stride, padding, dilation, output_padding;
  bool transposed = false;
  int64_t groups = 1;
};

// Expands single numbers to all spatial dimensions of the weight and checks what depends on no input.
ConvShape conv_shape(const Tensor& weight, IntList stride, IntList padding, IntList dilation, bool transposed, IntList output_padding, int64_t groups);
// Checks the operands; the sizes of the result.
Dims conv_result_sizes(const Tensor& input, const Tensor& weight, const Tensor& bias, const ConvShape& shape);

// input [N, C, ...], weight [O, C / groups, ...] (transposed: [C, O / groups, ...]), contiguous copies are made as needed.
Tensor conv_raw(const Tensor& input, const Tensor& weight, const Tensor& bias, const ConvShape& shape);
// The gradient of a plain convolution's weight of `weight_sizes`.
Tensor conv_weight_grad_raw(const Tensor& grad_output, const Tensor& input, IntList weight_sizes, const ConvShape& shape);

}  // namespace tabula
