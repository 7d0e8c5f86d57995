// Derivatives of basic indexing, and joining: the transposes of the view operations.
#pragma once

#include "ops/opdef.h"

namespace tabula {

extern const Op select_backward, slice_backward, diagonal_backward, unfold_backward, cat, stack;

// Linear maps between the elements of a base and of a view of the same memory, both given as dense tensors.
Tensor index_geometry(const Tensor& of_base, const Geometry& base, const Geometry& view);     // base -> view
Tensor scatter_geometry(const Tensor& of_view, const Geometry& base, const Geometry& view);   // view -> base, adding
Tensor replace_geometry(const Tensor& of_base, const Geometry& base, const Geometry& view, const Tensor& part);

}  // namespace tabula
