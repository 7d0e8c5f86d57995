"""Linear algebra. Matrix products and norms are native; decompositions use LAPACK, through NumPy, at first use."""

from __future__ import annotations

from torch import _C
from torch._overridable import make_overridable
from torch.ops_py import matrix_functions as _functions
from torch.ops_py import triangular as _triangular
from torch.ops_py._common import numpy_names as _numpy_names
from torch.ops_py.comparison import linalg_cross as cross
from torch.ops_py.equations import det, inv, inv_ex, lstsq, pinv, solve, solve_ex
from torch.ops_py.equations import linalg_slogdet as slogdet
from torch.ops_py.factorizations import (
    cholesky,
    cholesky_ex,
    eig,
    eigh,
    eigvals,
    eigvalsh,
    qr,
    svd,
    svdvals,
)
from torch.ops_py.matrix_functions import matrix_power, multi_dot, tensorinv, tensorsolve, vecdot
from torch.ops_py.norms import cond, matrix_norm, matrix_rank, norm
from torch.ops_py.orthogonal import householder_product, ldl_factor, ldl_factor_ex, ldl_solve
from torch.ops_py.triangular import lu_factor, lu_factor_ex, solve_triangular

LinAlgError = _C._LinAlgError
matmul, matrix_exp, vander = _functions.linalg_matmul, _functions.linalg_matrix_exp, _functions.linalg_vander
lu, lu_solve = _triangular.linalg_lu, _triangular.linalg_lu_solve
diagonal, vector_norm = _C._linalg.diagonal, _C._linalg.vector_norm

__all__ = [
    "LinAlgError",
    "cholesky",
    "cholesky_ex",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "householder_product",
    "inv",
    "inv_ex",
    "ldl_factor",
    "ldl_factor_ex",
    "ldl_solve",
    "lstsq",
    "lu",
    "lu_factor",
    "lu_factor_ex",
    "lu_solve",
    "matmul",
    "matrix_exp",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_ex",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensorinv",
    "tensorsolve",
    "vander",
    "vecdot",
    "vector_norm",
]

globals().update({name: _numpy_names(globals()[name]) for name in __all__})
make_overridable(globals(), __all__)
