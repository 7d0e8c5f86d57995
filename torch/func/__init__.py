"""Functions of functions: gradients, Jacobians, products with them, and mapping over a batch."""

from __future__ import annotations

from torch._missing import missing_function

from .derivatives import grad, grad_and_value, hessian, jacfwd, jacrev, jvp, linearize, vjp
from .mapping import debug_unwrap, vmap
from .modules import functional_call, replace_all_batch_norm_modules_, stack_module_state

_REASON = "functions are run as they are, without tracing"
functionalize = missing_function("torch.func.functionalize", _REASON)
rearrange = missing_function("torch.func.rearrange", "use permute and reshape")

__all__ = [
    "debug_unwrap",
    "functional_call",
    "functionalize",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "rearrange",
    "replace_all_batch_norm_modules_",
    "stack_module_state",
    "vjp",
    "vmap",
]
