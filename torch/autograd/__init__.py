"""Automatic differentiation."""

from __future__ import annotations

import sys

import torch

from . import forward_ad, grad_mode
from .anomaly_mode import detect_anomaly, set_detect_anomaly
from .function import Function, NestedIOFunction
from .grad_mode import (
    enable_grad,
    enforce_grad_layout_policy,
    inference_mode,
    is_multithreading_enabled,
    no_grad,
    set_grad_enabled,
    set_multithreading_enabled,
)
from .variable import Variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from . import functional, graph
    from .gradcheck import gradcheck, gradgradcheck

__all__ = [
    "Function",
    "NestedIOFunction",
    "Variable",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "enforce_grad_layout_policy",
    "forward_ad",
    "functional",
    "grad",
    "grad_mode",
    "gradcheck",
    "gradgradcheck",
    "graph",
    "inference_mode",
    "is_multithreading_enabled",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
    "set_multithreading_enabled",
    "variable",
]

# Import time matters: these modules load when they are first named.
_LAZY_MODULES = ("functional", "graph", "profiler", "profiler_legacy", "profiler_util")
# And so do these names.
_LAZY_NAMES = {
    **dict.fromkeys(("DeviceType", "ProfilerActivity", "ProfilerConfig", "ProfilerState", "kineto_available"),
                    "_profiler_kinds"),
    **dict.fromkeys(("handle_torch_function", "has_torch_function", "is_tensor_like"), "torch.overrides"),
    "is_view_replay_enabled": "grad_mode",
}  # fmt: skip
_MISSING = {
    "ProfilerEvent": "torch.autograd.profiler.profile().function_events has the events of the profiler",
    "SavedTensor": "a node's _saved_... attributes are the tensors themselves",
}


class _Package(type(torch)):
    """``gradcheck`` is a function and a submodule too: importing the latter must not hide the former."""

    @property
    def gradcheck(self) -> Any:
        from .gradcheck import gradcheck

        return gradcheck

    @gradcheck.setter
    def gradcheck(self, submodule: Any) -> None:
        pass


sys.modules[__name__].__class__ = _Package


def variable(*args: Any, **kwargs: Any) -> Any:  # noqa: F811 - as in PyTorch, a function hides the submodule
    """Raise RuntimeError: ``torch.tensor`` makes tensors."""
    raise RuntimeError("torch.autograd.variable(...) is deprecated, use torch.tensor(...) instead")


def __getattr__(name: str) -> Any:
    if name == "gradgradcheck":
        from .gradcheck import gradgradcheck

        return gradgradcheck
    if name in _LAZY_MODULES:
        import importlib

        try:
            return importlib.import_module(f"{__name__}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{__name__}.{name}":
                raise
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}: not part of Tabula yet") from None
    if name in _LAZY_NAMES:
        import importlib

        where = _LAZY_NAMES[name]
        value = getattr(importlib.import_module(where if "." in where else f"{__name__}.{where}"), name)
    elif name in _MISSING:
        from torch._missing import missing_class

        value = missing_class(f"torch.autograd.{name}", _MISSING[name])
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def _as_tuple(value: Any) -> tuple[Any, ...]:
    """One tensor or gradient edge, or a sequence of them, as a tuple."""
    if isinstance(value, torch.Tensor) or hasattr(value, "ownership_token"):
        return (value,)
    return tuple(value)


def _edge_metadata(output: Any) -> tuple[Any, Any, Any]:
    """Shape, dtype and device of an output. A gradient edge keeps them in its node."""
    if isinstance(output, torch.Tensor):
        return output.shape, output.dtype, output.device
    metadata = output.node._input_metadata[output.output_nr]
    return torch.Size(metadata.shape), metadata.dtype, metadata.device


def _check_grad(index: int, grad: Any, output: Any, batched: bool) -> None:
    shape, dtype, _ = _edge_metadata(output)
    grad_shape = grad.shape[1:] if batched else grad.shape
    if tuple(grad_shape) != tuple(shape):
        if batched:
            raise RuntimeError(
                f"If `is_grads_batched=True`, we interpret the first dimension of each grad_output as the batch "
                f"dimension. The sizes of the remaining dimensions are expected to match the shape of corresponding "
                f"output, but a mismatch was detected: grad_output[{index}] has a shape of {grad.shape} and "
                f"output[{index}] has a shape of {shape}. If you only want some tensors in `grad_output` to be "
                "considered batched, consider using vmap."
            )
        raise RuntimeError(
            f"Mismatch in shape: grad_output[{index}] has a shape of {grad.shape} and output[{index}] has a shape of "
            f"{shape}."
        )
    if dtype.is_complex != grad.dtype.is_complex:
        raise RuntimeError(
            "For complex Tensors, both grad_output and output are required to have the same dtype. Mismatch in dtype: "
            f"grad_output[{index}] has a dtype of {grad.dtype} and output[{index}] has a dtype of {dtype}."
        )


def _implicit_grad(output: Any) -> Any:
    requires_grad = output.requires_grad if isinstance(output, torch.Tensor) else True
    if not requires_grad:
        return None
    shape, dtype, device = _edge_metadata(output)
    if shape.numel() != 1:
        raise RuntimeError("grad can be implicitly created only for scalar outputs")
    if not dtype.is_floating_point:
        raise RuntimeError(f"grad can be implicitly created only for real scalar outputs but got {dtype}")
    if isinstance(output, torch.Tensor):
        return torch.ones_like(output, memory_format=torch.preserve_format)
    return torch.ones(shape, dtype=dtype, device=device)


def _make_grads(outputs: Sequence[Any], grads: Sequence[Any], batched: bool) -> tuple[Any, ...]:
    result = []
    for i, (output, grad) in enumerate(zip(outputs, grads, strict=False)):
        if isinstance(grad, torch.Tensor):
            _check_grad(i, grad, output, batched)
            result.append(grad)
        elif grad is None:
            result.append(_implicit_grad(output))
        else:
            raise TypeError("gradients can be either Tensors or None, but got " + type(grad).__name__)
    return tuple(result)


def _grads_tuple(grads: Any, count: int) -> tuple[Any, ...]:
    if grads is None:
        return (None,) * count
    return (grads,) if isinstance(grads, torch.Tensor) else tuple(grads)


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Any = None,
) -> None:
    """Add to the ``grad`` of the graph's leaves the gradients of ``tensors``, weighted by ``grad_tensors``.

    With ``inputs``, only these tensors receive gradients. ``create_graph`` makes the gradients differentiable.
    """
    if grad_variables is not None:
        import warnings

        warnings.warn("`grad_variables` is deprecated. Use `grad_tensors` instead.", FutureWarning, stacklevel=2)
        if grad_tensors is not None:
            raise RuntimeError(
                "`grad_tensors` and `grad_variables` (deprecated) arguments both passed to `backward()`. Please only "
                "use `grad_tensors`."
            )
        grad_tensors = grad_variables
    if inputs is None:
        targets: tuple[Any, ...] = ()
    else:
        targets = _as_tuple(inputs.values() if isinstance(inputs, dict) else inputs)
        if not targets:
            raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    outputs = _as_tuple(tensors)
    grads = _make_grads(outputs, _grads_tuple(grad_tensors, len(outputs)), False)
    retain = create_graph if retain_graph is None else retain_graph
    torch._C._engine_run_backward(outputs, grads, retain, create_graph, targets, True, True)


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> Any:
    """Return the gradients of ``outputs``, weighted by ``grad_outputs``, with respect to ``inputs``.

    The ``grad`` attributes stay as they are. ``is_grads_batched`` takes a batch of weights along a first dimension;
    ``materialize_grads`` returns zeros instead of ``None`` for inputs that were not used.
    """
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False."
        )
    unused = materialize_grads if allow_unused is None else allow_unused
    keys = list(inputs) if isinstance(inputs, dict) else None
    targets = _as_tuple(inputs.values() if isinstance(inputs, dict) else inputs)
    sources = _as_tuple(outputs)
    if torch._C._has_torch_function((*sources, *targets)):
        from torch.overrides import handle_torch_function

        return handle_torch_function(
            grad, (*sources, *targets), outputs, inputs, grad_outputs=grad_outputs, retain_graph=retain_graph,
            create_graph=create_graph, only_inputs=only_inputs, allow_unused=allow_unused,
            is_grads_batched=is_grads_batched, materialize_grads=materialize_grads,
        )  # fmt: skip
    if not only_inputs:
        import warnings

        warnings.warn(
            "only_inputs argument is deprecated and is ignored now (defaults to True). To accumulate gradient for "
            "other parts of the graph, please use torch.autograd.backward.",
            FutureWarning,
            stacklevel=2,
        )
    grads = _make_grads(sources, _grads_tuple(grad_outputs, len(sources)), is_grads_batched)
    retain = create_graph if retain_graph is None else retain_graph
    if is_grads_batched:
        result = _grad_batched(sources, grads, retain, create_graph, targets, unused)
    else:
        result = torch._C._engine_run_backward(sources, grads, retain, create_graph, targets, unused, False)
    if materialize_grads:
        result = tuple(
            torch.zeros_like(target, requires_grad=create_graph) if value is None else value
            for value, target in zip(result, targets, strict=True)
        )
    return result if keys is None else dict(zip(keys, result, strict=True))


def _grad_batched(
    sources: tuple[Any, ...], grads: tuple[Any, ...], retain: bool, create: bool, targets: tuple[Any, ...], unused: bool
) -> tuple[Any, ...]:
    """One backward pass for all entries of the batch."""
    used: list[bool] = []

    def pull(*row: Any) -> tuple[Any, ...]:
        found = torch._C._engine_run_backward(sources, row, retain, create, targets, unused, False)
        used[:] = [value is not None for value in found]
        return tuple(torch.zeros(()) if value is None else value for value in found)

    rows = torch.func.vmap(pull, in_dims=tuple(None if g is None else 0 for g in grads))(*grads)
    return tuple(row if found else None for row, found in zip(rows, used, strict=True))
