// Pointwise operations on a GPU, for contiguous floats.
#pragma once

#include "kernels/gpu/runtime.h"

namespace tabula::kernels::gpu {

// out[i] = op(in[0][i], in[1][i], ..., params), for an operation that is_rendered. Does not wait for the device.
void pointwise(Runtime& runtime, Pointwise op, size_t n, const Memory& out, std::span<const Memory> in,
               std::span<const float> params);

}  // namespace tabula::kernels::gpu
