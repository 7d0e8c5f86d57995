// Copies, casts and resizes below autograd, which other operations are built from; and the copying operations.
#pragma once

#include "ops/opdef.h"

namespace tabula {

// dst[...] = src[...] with broadcasting of src and conversion to dst's dtype. No version bump, no autograd.
void copy_into(const Tensor& dst, const Tensor& src);
void fill_into(const Tensor& dst, const Scalar& value);
// A contiguous tensor with the same values, or the tensor itself.
Tensor contiguous_raw(const Tensor& t);
// A dense copy of the given dtype (kept memory order).
Tensor cast_raw(const Tensor& t, DType dtype);
Tensor clone_raw(const Tensor& t);
// Values with the lazy conjugation and negation carried out.
Tensor resolved_copy(const Tensor& t);

// Throws "result type X can't be cast to the desired output type Y".
void check_cast_result(const Tensor& result, const Tensor& into);
void check_cast_result(DType result, DType into);
// Makes `t` of these sizes if it is not, as out= does (with PyTorch's warning when it had elements).
void resize_output(const Tensor& t, IntList sizes);
void resize_raw(const Tensor& t, IntList sizes);
// Throw PyTorch's errors for a target whose elements share memory, and for one that overlaps a source.
void check_writable(const Tensor& target);
void check_separate(const Tensor& target, const Tensor& source);

// Installed by the bindings: emits a Python UserWarning.
extern void (*warn_hook)(const std::string& message);
void warn(const std::string& message);

extern const Op copy_, clone, contiguous, detach, to_dtype, fill_, zero_;
extern const Op lift_fresh;  // the tensor itself: how modes learn of one made from data

}  // namespace tabula
