"""Functions that users give for operations: registered ones, and tables of translations."""

from __future__ import annotations

import re
from typing import Any

import torch

from ._builder import Builder, Value
from .errors import OnnxExporterError

__all__ = ["call_custom", "call_registered", "find", "register", "unregister"]

_REGISTERED: dict[str, dict[int, Any]] = {}


def register(name: str, function: Any, opset: int) -> None:
    """Note the function of an operation from a version on."""
    if not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_]*::[a-zA-Z_][a-zA-Z0-9_]*", name):
        raise OnnxExporterError(
            f"Failed to register operator {name}. The symbolic name must match the format domain::name, and should "
            "start with a letter and contain only alphanumeric characters"
        )
    if name.startswith(("onnx::", "prim::")):
        raise OnnxExporterError(f"Failed to register operator {name}. The domain {name.partition(':')[0]} is reserved")
    _REGISTERED.setdefault(name, {})[opset] = function


def unregister(name: str, opset: int) -> None:
    """Forget the function of an operation; nothing happens if there is none."""
    _REGISTERED.get(name, {}).pop(opset, None)


def find(op: Any, opset: int) -> Any:
    """The function that is registered for an operation, the newest that this version may use; or None."""
    if not _REGISTERED:
        return None
    known = _REGISTERED.get(f"{op.namespace}::{op._opname}", {})
    fitting = [version for version in known if version <= opset]
    return known[max(fitting)] if fitting else None


class GraphContext:
    """What a registered function makes operations with."""

    def __init__(self, builder: Builder) -> None:
        self.builder, self.opset = builder, builder.opset

    def op(self, kind: str, *inputs: Any, outputs: int = 1, **attributes: Any) -> Any:
        """An operation ``Name`` or ``Domain::Name``; attributes end in ``_i``, ``_f``, ``_s`` or ``_t``."""
        domain, _, name = kind.rpartition("::")
        plain = {}
        for key, value in attributes.items():
            base, _, end = key.rpartition("_")
            if end not in ("i", "f", "s", "t") or not base:
                raise OnnxExporterError(f"the attribute {key} of {kind} does not end in _i, _f, _s or _t")
            plain[base] = _converted(value, end)
        domain = "" if domain in ("", "onnx", "ai.onnx") else domain
        return self.builder.op(name, *inputs, outputs=outputs, domain=domain, **plain)


def _converted(value: Any, kind: str) -> Any:
    if kind == "t":
        return value if isinstance(value, torch.Tensor) else torch.tensor(value)
    make = {"i": int, "f": float, "s": str}[kind]
    return [make(v) for v in value] if isinstance(value, (list, tuple)) else make(value)


def call_registered(function: Any, b: Builder, op: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """What a registered function makes of an operation; its arguments come in the schema's order."""
    wanted = [a for a in op._schema.arguments if not a.is_out]
    given = list(args)
    for a in wanted[len(given) :]:
        given.append(kwargs.get(a.name, a.default_value))
    return _typed(b, function(GraphContext(b), *given))


def call_custom(function: Any, b: Builder, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """What a function of a table of translations makes of an operation.

    A function of ``onnxscript`` records operations of its own; any other function gets the builder's values, and may
    call ``torch.onnx.ops.symbolic``.
    """
    from . import ops

    with ops.recording(b):
        return _typed(b, function(*args, **kwargs))


def _typed(b: Builder, found: Any) -> Any:
    """The results with the dtypes and shapes that the traced operation gave."""
    results = found if isinstance(found, (tuple, list)) else (found,)
    traced = b.result if isinstance(b.result, (tuple, list)) else (b.result,)
    for value, like in zip(results, traced, strict=False):
        if not isinstance(value, Value):
            raise OnnxExporterError(f"the function for {b.label} returned {type(value)}, no value of the model")
        if isinstance(like, torch.Tensor):
            value.dtype, value.shape = like.dtype, tuple(like.shape)
    return found if isinstance(found, Value) else tuple(results)
