"""Networks as ONNX models: ``torch.onnx.export`` traces a module with ``torch.export`` and writes what it does.

Each operation of the traced program has one form in ONNX, in the tables of ``torch/onnx/_forms``; what has none is
taken apart first. The file is written by the package ``onnx``, which is loaded at first use.
"""

from __future__ import annotations

from . import errors
from ._enums import JitScalarType, OperatorExportTypes, TensorProtoDataType, TrainingMode
from .errors import OnnxExporterError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection, Mapping, Sequence
    from typing import Any

    import torch

    from ._program import ONNXProgram

__all__ = [
    "ExportableModule",
    "InputObserver",
    "JitScalarType",
    "ONNXProgram",
    "OnnxExporterError",
    "OperatorExportTypes",
    "TensorProtoDataType",
    "TrainingMode",
    "errors",
    "export",
    "is_in_onnx_export",
    "ops",
    "producer_name",
    "producer_version",
    "register_custom_op_symbolic",
    "select_model_mode_for_export",
    "unregister_custom_op_symbolic",
]

producer_name = "pytorch"
producer_version = "2.13.0"
_CLASSES = {"ExportableModule": "_exportable_module", "InputObserver": "_observer", "ONNXProgram": "_program"}


def export(
    model: torch.nn.Module | torch.export.ExportedProgram | torch.jit.ScriptModule | torch.jit.ScriptFunction,
    args: tuple[Any, ...] = (),
    f: str | os.PathLike | None = None,
    *,
    kwargs: dict[str, Any] | None = None,
    verbose: bool | None = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    opset_version: int | None = None,
    dynamo: bool = True,
    external_data: bool = True,
    dynamic_shapes: dict[str, Any] | tuple[Any, ...] | list[Any] | None = None,
    custom_translation_table: dict[Callable, Callable] | None = None,
    report: bool = False,
    optimize: bool = True,
    verify: bool = False,
    profile: bool = False,
    dump_exported_program: bool = False,
    artifacts_dir: str | os.PathLike = ".",
    export_params: bool = True,
    keep_initializers_as_inputs: bool = False,
    dynamic_axes: Mapping[str, Mapping[int, str]] | Mapping[str, Sequence[int]] | None = None,
    training: TrainingMode = TrainingMode.EVAL,
    operator_export_type: OperatorExportTypes = OperatorExportTypes.ONNX,
    do_constant_folding: bool = True,
    custom_opsets: Mapping[str, int] | None = None,
    export_modules_as_functions: bool | Collection[type[torch.nn.Module]] = False,
    autograd_inlining: bool = True,
) -> ONNXProgram | None:
    """Write a module as an ONNX model.

    Args:
        model: a module, or a program that ``torch.export.export`` made.
        args, kwargs: example arguments; a last dictionary in ``args`` holds keyword arguments.
        f: the file to write; None only returns the program.
        verbose: say which step is being done.
        input_names, output_names: names for the first inputs and outputs, in order.
        opset_version: 17 up to the newest of the package ``onnx``; 20 if None.
        dynamic_shapes: which sizes stay open, as ``torch.export.export`` takes them; names may be plain strings.
        dynamic_axes: the same by names of inputs: ``{"x": {0: "batch"}}``.
        dynamo: with False the program is returned only as a file, as PyTorch's older exporter did.
        export_params: with False the file has no weights; they become inputs.
        keep_initializers_as_inputs: weights are inputs that have a default.
        external_data: weights go to a second file ``f + ".data"``; always where they need more than 2 GB.
        custom_translation_table: functions for operations, in place of the forms here.
        optimize: leave out operations that compute nothing, and compute those whose inputs are known.
        report, profile, dump_exported_program: write a text about the export into ``artifacts_dir``.
        verify: run the model with onnxruntime and compare with the module.

    Raises:
        torch.onnx.OnnxExporterError: the module could not be traced, or an operation has no form in ONNX.
        ModuleNotFoundError: the package ``onnx`` is not installed.
    """
    from ._export import export_model

    return export_model(
        model, args, f, kwargs=kwargs, verbose=verbose, input_names=input_names, output_names=output_names,
        opset_version=opset_version, dynamo=dynamo, external_data=external_data, dynamic_shapes=dynamic_shapes,
        custom_translation_table=custom_translation_table, report=report or profile or dump_exported_program,
        optimize=optimize, verify=verify, artifacts_dir=artifacts_dir, export_params=export_params,
        keep_initializers_as_inputs=keep_initializers_as_inputs, dynamic_axes=dynamic_axes, training=training,
        custom_opsets=custom_opsets,
    )  # fmt: skip


def is_in_onnx_export() -> bool:
    """Whether a module is being exported to ONNX.

    >>> torch.onnx.is_in_onnx_export()
    False
    """
    from . import _state

    return _state.exporting > 0


def register_custom_op_symbolic(symbolic_name: str, symbolic_fn: Callable, opset_version: int) -> None:
    """Write an operation ``namespace::name`` by a function of the graph and the operation's arguments.

    The function calls ``g.op("Domain::Name", *inputs, attribute_i=1)``; the ends of the attributes' names are their
    types: ``_i`` integers, ``_f`` floats, ``_s`` strings, ``_t`` tensors.

    Raises:
        OnnxExporterError: the name is not ``namespace::name``.
    """
    from ._symbolic import register

    register(symbolic_name, symbolic_fn, opset_version)


def unregister_custom_op_symbolic(symbolic_name: str, opset_version: int) -> None:
    """Forget what ``register_custom_op_symbolic`` was told."""
    from ._symbolic import unregister

    unregister(symbolic_name, opset_version)


def select_model_mode_for_export(model: Any, mode: TrainingMode) -> Any:
    """A context in which a module is in the mode in which it is exported."""
    from ._export import model_mode

    return model_mode(model, mode)


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "ops":
        return import_module(f"{__name__}.ops")
    if name in _CLASSES:
        return getattr(import_module(f"{__name__}.{_CLASSES[name]}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
