"""Programs without Python: a module, run once, becomes a graph of aten operations that can be saved and run again.

>>> program = torch.export.export(torch.nn.ReLU(), (torch.ones(2),))
>>> print(program.graph)
graph():
    %input : [num_users=1] = placeholder[target=input]
    %relu : [num_users=1] = call_function[target=torch.ops.aten.relu.default](args = (%input,), kwargs = {})
    return (relu,)
"""

from __future__ import annotations

import torch
from torch.fx.passes.infra.pass_base import PassResult
from torch.utils import _pytree as pytree

from . import custom_ops, decomp_utils, dynamic_shapes
from .decomp_utils import CustomDecompTable
from .dynamic_shapes import AdditionalInputs, Constraint, Dim, ShapesCollection, dims
from .exported_program import ExportedProgram, ModuleCallEntry, ModuleCallSignature, default_decompositions
from .graph_signature import ExportBackwardSignature, ExportGraphSignature
from .unflatten import FlatArgsAdapter, UnflattenedModule, unflatten

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from typing import IO, Any

__all__ = [
    "AdditionalInputs",
    "Constraint",
    "CustomDecompTable",
    "Dim",
    "ExportBackwardSignature",
    "ExportGraphSignature",
    "ExportedProgram",
    "FlatArgsAdapter",
    "ModuleCallEntry",
    "ModuleCallSignature",
    "PassResult",
    "ShapesCollection",
    "UnflattenedModule",
    "custom_ops",
    "decomp_utils",
    "default_decompositions",
    "dims",
    "draft_export",
    "dynamic_shapes",
    "export",
    "load",
    "pytree",
    "register_dataclass",
    "save",
    "unflatten",
]

DEFAULT_PICKLE_PROTOCOL = 2


def export(
    mod: torch.nn.Module,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any] | None = None,
    *,
    dynamic_shapes: dict[str, Any] | tuple[Any, ...] | list[Any] | None = None,
    strict: bool = False,
    preserve_module_call_signature: tuple[str, ...] = (),
    prefer_deferred_runtime_asserts_over_guards: bool = False,
) -> ExportedProgram:
    """Run a module on example inputs, with fake tensors, and return what it did as a program of aten operations.

    Args:
        mod: the module.
        args, kwargs: example arguments. Numbers and strings among them become part of the program.
        dynamic_shapes: which sizes stay open: by argument, for each tensor a dictionary from dimension to ``Dim``.
        strict: accepted; the module runs as Python in either case.

    Raises:
        ValueError: ``mod`` is no module.
        torch.export._errors.UserError: the arguments do not fit, or the program relies on a size declared open.
        torch.fx.experimental.symbolic_shapes.GuardOnDataDependentSymNode: it decides by the elements of a tensor.

    >>> class Scale(torch.nn.Module):
    ...     def forward(self, x):
    ...         return x * x.shape[0]
    >>> batch = torch.export.Dim("batch")
    >>> program = torch.export.export(Scale(), (torch.ones(2, 1),), dynamic_shapes=({0: batch},))
    >>> program.module()(torch.ones(3, 1)).flatten()
    tensor([3., 3., 3.])
    """
    from ._trace import export_module

    if not isinstance(mod, torch.nn.Module):
        raise ValueError(f"Expected `mod` to be an instance of `torch.nn.Module`, got {type(mod)}.")
    return export_module(mod, args, None if kwargs is None else dict(kwargs), dynamic_shapes)


def draft_export(
    mod: torch.nn.Module,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any] | None = None,
    *,
    dynamic_shapes: dict[str, Any] | tuple[Any, ...] | list[Any] | None = None,
    preserve_module_call_signature: tuple[str, ...] = (),
    strict: bool = False,
    prefer_deferred_runtime_asserts_over_guards: bool = False,
) -> ExportedProgram:
    """``export``, with sizes that the program turns out to rely on kept as they are instead of an error."""
    from ._errors import UserError
    from .dynamic_shapes import refine_dynamic_shapes_from_suggested_fixes

    for _ in range(4):
        try:
            return export(mod, args, kwargs, dynamic_shapes=dynamic_shapes, strict=strict)
        except UserError as e:
            if dynamic_shapes is None or "Suggested fixes:" not in str(e):
                raise
            dynamic_shapes = refine_dynamic_shapes_from_suggested_fixes(str(e), dynamic_shapes)
    return export(mod, args, kwargs, dynamic_shapes=dynamic_shapes, strict=strict)


def save(
    ep: ExportedProgram,
    f: str | os.PathLike[str] | IO[bytes],
    *,
    extra_files: dict[str, Any] | None = None,
    opset_version: dict[str, int] | None = None,
    pickle_protocol: int = DEFAULT_PICKLE_PROTOCOL,
) -> None:
    """Write a program to a file: a zip archive with the graph as JSON and the tensors.

    Args:
        extra_files: further texts to store, by name.

    Raises:
        TypeError: ``ep`` is no exported program.
    """
    from ._pt2 import write

    if not isinstance(ep, ExportedProgram):
        raise TypeError(
            f"The 'ep' parameter must be an instance of 'ExportedProgram', got '{type(ep).__name__}' instead."
        )
    write(ep, f, extra_files or {})


def load(
    f: str | os.PathLike[str] | IO[bytes],
    *,
    extra_files: dict[str, Any] | None = None,
    expected_opset_version: dict[str, int] | None = None,
) -> ExportedProgram:
    """Read a program that ``save`` wrote. Nothing in the file is executed.

    Args:
        extra_files: a dictionary whose keys name texts to read; they become its values.

    Raises:
        RuntimeError: the file is not such an archive.
    """
    from ._pt2 import read

    return read(f, extra_files)


def register_dataclass(cls: type[Any], *, serialized_type_name: str | None = None) -> None:
    """Let a dataclass be an argument or a result of an exported program.

    Raises:
        AssertionError: it is no dataclass.
    """
    from dataclasses import fields, is_dataclass

    if not is_dataclass(cls):
        raise AssertionError(f"Only dataclasses can be registered with this function: {cls}")
    pytree.register_dataclass(cls, field_names=[f.name for f in fields(cls)])


def __getattr__(name: str) -> Any:
    if name in ("exported_program", "graph_signature", "passes"):
        from importlib import import_module

        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
