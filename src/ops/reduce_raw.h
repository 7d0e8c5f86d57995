// What all reductions share: which dims, the result's shape, and the call of the kernel.
#pragma once

#include "kernels/reduce.h"
#include "ops/opdef.h"

namespace tabula {

// The dims to reduce as flags; none given means all.
struct ReducedDims {
  ReducedDims(const Tensor& t, OptionalInts dims, bool empty_means_all = true);
  SmallVec<uint8_t, 8> reduced;
  Dims kept_sizes(IntList sizes, bool keepdim) const;
  bool all = true;
};

// Runs `kind` over `dims` into a new tensor (and `second`, when given, of dtype `second_dtype`).
Tensor reduce_raw(kernels::Reduce kind, const Tensor& t, const ReducedDims& dims, bool keepdim, DType result, double p0 = 0, Tensor* second = nullptr, DType second_dtype = DType::Int64);

// A gradient of the reduced shape, as a view broadcast over the input's shape.
Tensor expand_reduced(const Tensor& g, IntList sizes, OptionalInts dims, bool keepdim);
// The same without broadcasting: dims of size one are put back.
Tensor unsqueeze_reduced(const Tensor& g, IntList sizes, OptionalInts dims, bool keepdim);

}  // namespace tabula
