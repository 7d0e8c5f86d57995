// Views: results that share memory with their argument.
#pragma once

#include "ops/opdef.h"

namespace tabula {

// A view of `base` for autograd's in-place rules, with this geometry.
Tensor make_view(const Tensor& base, Geometry geometry);
void mark_view(const Tensor& result, const Tensor& base);

extern const Op view, reshape, as_strided, expand, permute, transpose, t, unsqueeze, squeeze, squeeze_dims, select, slice, narrow, diagonal, unfold_dim, flatten,
    unbind, split, split_sizes, chunk, conj, view_as_real, view_as_complex, real, imag, alias_view, movedim, swapdims, detach;

Tensor numpy_T(const Tensor& t);    // .T
Tensor matrix_T(const Tensor& t);   // .mT
Tensor matrix_H(const Tensor& t);   // .H
Tensor adjoint(const Tensor& t);    // .mH
Tensor detached_data(const Tensor& t);                      // .data: own version counter
void set_tensor_data(const Tensor& t, const Tensor& data);  // t.data = data

// For derivatives of views and of writes to them, in terms of differentiable operations. Geometries are those of the
// base tensor and of a view of its memory.
Tensor as_strided_backward(const Tensor& grad, const Geometry& base, const Geometry& view);
Tensor as_strided_of(const Tensor& grad, const Geometry& base, const Geometry& view);
Tensor as_strided_replace(const Tensor& grad, const Geometry& base, const Geometry& view, const Tensor& part);

}  // namespace tabula
