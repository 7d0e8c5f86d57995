// Linear algebra beyond products: what the families call of each other.
#pragma once

#include "ops/opdef.h"

namespace tabula {

extern const Op linalg_solve_triangular, linalg_lu_solve, linalg_lu_factor_ex, lu_order, linalg_solve, linalg_solve_ex,
    linalg_inv_ex, linalg_det, linalg_eigh, linalg_eigh_raw, linalg_svd, linalg_svd_raw, linalg_svdvals, linalg_pinv,
    cholesky_solve_op;

// The derivative of the pseudo-inverse p of a: Golub and Pereyra, "The differentiation of pseudo-inverses" (1973).
Tensor pinv_backward(const Tensor& g, const Tensor& a, const Tensor& p);

}  // namespace tabula
