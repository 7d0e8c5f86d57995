"""Sparse tensors, which are not supported: every function says so."""

from __future__ import annotations

from torch._missing import missing_class, missing_function

_REASON = "sparse tensors are not supported; use dense ones"

for (
    _name
) in "addmm as_sparse_gradcheck log_softmax mm sampled_addmm softmax spdiags sum to_sparse_semi_structured".split():
    globals()[_name] = missing_function(f"torch.sparse.{_name}", _REASON)
for _name in (
    "SparseSemiStructuredTensor", "SparseSemiStructuredTensorCUSPARSELT", "SparseSemiStructuredTensorCUTLASS",
    "check_sparse_tensor_invariants",
):  # fmt: skip
    globals()[_name] = missing_class(f"torch.sparse.{_name}", _REASON)

__all__ = sorted(
    _n for _n in globals() if not _n.startswith("_") and _n not in ("annotations", "missing_class", "missing_function")
)
