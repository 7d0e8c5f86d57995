// The windows of a pooling: checks of the arguments and the sizes that follow from them.
#pragma once

#include "kernels/pool.h"
#include "ops/backward.h"

namespace tabula {

// Which kernel's rules and error texts hold.
enum class PoolKind { Max, MaxWithIndices, Average };

// A call of a pooling kernel over the last `n` dims of `input`, and the result's sizes. Missing leading dims have size 1.
struct PoolShape {
  PoolShape(PoolKind kind, int n, const Tensor& input, IntList kernel_size, IntList stride, IntList padding, IntList dilation, bool ceil_mode);
  kernels::PoolCall call{};
  Dims out_sizes;
};

// A call over the last `n` dims with these sizes there, and nothing else filled in.
kernels::PoolCall pool_call(int n, IntList in_sizes, IntList out_sizes, DType dtype);

extern const Op max_pool_backward;  // (grad, input sizes, indices, n)
// Of rows that save the input's sizes and return (maxima, indices).
template <int n>
void max_pool_vjp(Backward& b) {
  b.set(0, max_pool_backward(b.g(), b.sizes(0), b.out(1), int64_t(n)));
}

}  // namespace tabula
