"""``torch.onnx.export``: trace, take apart what has no form, convert, write."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch.export import Dim, ExportedProgram
from torch.export.dynamic_shapes import _DerivedDim, combine_args, specifications
from torch.export.graph_signature import InputKind

from . import _forms, _optimize, _state
from ._convert import Refused, convert, has_form
from ._enums import TrainingMode
from ._package import onnx
from ._program import ONNXProgram
from .errors import ConversionError, OnnxExporterError, TorchExportError

__all__ = ["export_model", "model_mode"]

_OLDEST, _DEFAULT = 17, 20
_ATTEMPTS = 40


@contextlib.contextmanager
def model_mode(model: Any, mode: TrainingMode) -> Iterator[None]:
    """Inside, a module is in the mode in which it is exported."""
    wanted = {TrainingMode.EVAL: False, TrainingMode.TRAINING: True}.get(mode)
    if wanted is None or not isinstance(model, torch.nn.Module):
        yield
        return
    before = {m: m.training for m in model.modules()}
    model.train(wanted)
    try:
        yield
    finally:
        for module, training in before.items():
            module.training = training


def export_model(
    model: Any, args: Any, f: Any, *, kwargs: Any, verbose: Any, input_names: Any, output_names: Any,
    opset_version: int | None, dynamo: bool, external_data: bool, dynamic_shapes: Any, custom_translation_table: Any,
    report: bool, optimize: bool, verify: bool, artifacts_dir: Any, export_params: bool,
    keep_initializers_as_inputs: bool, dynamic_axes: Any, training: TrainingMode, custom_opsets: Any,
) -> ONNXProgram | None:  # fmt: skip
    """``torch.onnx.export`` with all its arguments."""
    opset = _checked_opset(opset_version)
    args, kwargs = _arguments(args, kwargs)
    _forms.load()
    _state.exporting += 1
    try:
        with model_mode(model, training) if not dynamo else contextlib.nullcontext():
            with _step(verbose, "Obtain model graph with `torch.export.export`"):
                traced, dims = _traced(model, args, kwargs, dynamic_shapes, dynamic_axes, input_names)
        with _step(verbose, "Translate the graph into ONNX"):
            program = _converted(traced, opset, dict(custom_translation_table or {}), dims)
    finally:
        _state.exporting -= 1
    builder = program._converted.builder
    _rename(program, input_names, output_names)
    _optimize.remove_unused(builder)
    if optimize:
        with _step(verbose, "Optimize the ONNX graph"):
            program.optimize()
    for domain, version in (custom_opsets or {}).items():
        builder.domains[domain] = version
    if f is not None:
        program.save(f, include_initializers=export_params, external_data=external_data and dynamo,
                     keep_initializers_as_inputs=keep_initializers_as_inputs)  # fmt: skip
    if report:
        _report(program, artifacts_dir)
    if verify:
        _verify(program, traced, args, kwargs)
    return program if dynamo or f is None else None


@contextlib.contextmanager
def _step(verbose: bool | None, text: str) -> Iterator[None]:
    """A step of the export, which is told of if the user wants that."""
    if not verbose:
        yield
        return
    print(f"[torch.onnx] {text}...")
    try:
        yield
    except BaseException:
        print(f"[torch.onnx] {text}... \N{CROSS MARK}")
        raise
    print(f"[torch.onnx] {text}... \N{WHITE HEAVY CHECK MARK}")


def _checked_opset(version: int | None) -> int:
    newest = int(onnx().defs.onnx_opset_version())
    if version is None:
        return min(_DEFAULT, newest)
    if version > newest:
        raise OnnxExporterError(f"opset_version {version}: the installed package onnx defines versions up to {newest}")
    if version < _OLDEST:
        warnings.warn(
            f"Setting ONNX exporter to use operator set version {_OLDEST} because the requested opset_version "
            f"{version} is a lower version than we have implementations for.",
            stacklevel=4,
        )
        return _OLDEST
    return int(version)


def _arguments(args: Any, kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments and keyword arguments; a last dictionary among the arguments is the latter."""
    if isinstance(args, torch.Tensor):
        args = (args,)
    if not isinstance(args, (tuple, list)):
        raise TypeError(f"args must be a tuple of example arguments, got {type(args)}")
    args = tuple(args)
    if args and isinstance(args[-1], dict) and kwargs is None and all(isinstance(k, str) for k in args[-1]):
        return args[:-1], dict(args[-1])
    return args, dict(kwargs or {})


# ---- tracing


def _traced(
    model: Any, args: Any, kwargs: Any, dynamic_shapes: Any, dynamic_axes: Any, input_names: Any
) -> tuple[ExportedProgram, dict[str, str]]:
    """The exported program, and names of its symbolic sizes."""
    if isinstance(model, ExportedProgram):
        return model, _dim_names(model, None, {})
    names: dict[tuple[int, int], str] = {}
    combined = combine_args(model, args, kwargs) if isinstance(model, torch.nn.Module) else {}
    if dynamic_shapes is None and dynamic_axes:
        dynamic_shapes = _from_axes(combined, dynamic_axes, list(input_names or []), names)
    elif dynamic_shapes is not None:
        dynamic_shapes = _without_texts(dynamic_shapes)
    try:
        wanted = specifications(list(combined), combined, dynamic_shapes) if isinstance(dynamic_shapes, (
            dict, tuple, list)) else None  # fmt: skip
        program = torch.export.export(model, args, kwargs, dynamic_shapes=dynamic_shapes, strict=False)
    except Exception as e:
        raise TorchExportError(
            "Failed to export the model with torch.export. This is step 1/3 of exporting the model to ONNX. Next "
            f"steps: modify the model code for `torch.export.export` to succeed.\n\n{type(e).__name__}: {e}"
        ) from e
    return program, _dim_names(program, wanted, names)


def _without_texts(shapes: Any) -> Any:
    """Dynamic shapes in which names stand as ``Dim``."""
    known: dict[str, Dim] = {}

    def one(value: Any) -> Any:
        if isinstance(value, str):
            return known.setdefault(value, Dim(value))
        if isinstance(value, dict):
            return {k: one(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(one(v) for v in value)
        return value

    return one(shapes)


def _from_axes(combined: dict[str, Any], axes: Any, inputs: list[str], names: Any) -> dict[str, Any]:
    """``dynamic_axes`` as dynamic shapes by argument; ``names`` gets what the user calls the sizes."""
    shapes: dict[str, Any] = {}
    for number, (name, value) in enumerate(combined.items()):
        shown = inputs[number] if number < len(inputs) else name
        wanted = axes.get(shown, axes.get(name))
        if wanted is None or not isinstance(value, torch.Tensor):
            shapes[name] = None
            continue
        by_dim = wanted if isinstance(wanted, dict) else dict.fromkeys(wanted)
        shapes[name] = {d % value.dim(): Dim.DYNAMIC if value.shape[d] > 1 else Dim.AUTO for d in by_dim}
        for d, text in by_dim.items():
            if text is not None:
                names[number, d % value.dim()] = text
    return shapes


def _dim_names(program: ExportedProgram, specs: Any, names: dict[tuple[int, int], str]) -> dict[str, str]:
    """What the user calls symbolic sizes, by symbol."""
    found: dict[str, str] = {}
    places = [n for n, s in zip(program.graph.nodes, program.graph_signature.input_specs, strict=False)
              if s.kind is InputKind.USER_INPUT]  # fmt: skip
    for number, node in enumerate(places):
        value = node.meta.get("val")
        if not isinstance(value, torch.Tensor):
            continue
        for dim, size in enumerate(value.shape):
            if isinstance(size, int) or len(size.node.expr.symbols) != 1:
                continue
            spec = (specs[number] or {}).get(dim) if specs is not None else None
            root = spec.root if isinstance(spec, _DerivedDim) else spec
            name = root.__name__ if isinstance(root, Dim) else names.get((number, dim))
            if name is not None:
                (symbol,) = size.node.expr.symbols
                found.setdefault(symbol.name, name)
    return found


# ---- conversion


def _converted(traced: ExportedProgram, opset: int, custom: dict[Any, Any], dims: dict[str, str]) -> ONNXProgram:
    """The model; operations whose form cannot do what is asked are taken apart, as those without a form are."""
    default = torch.export.default_decompositions()
    whole = {op for op in default if has_form(op, custom, opset)}
    for _ in range(_ATTEMPTS):
        table = {op: f for op, f in default.items() if op not in whole}
        program = traced.run_decompositions(table)
        try:
            return ONNXProgram(convert(program, opset, custom), program, dims)
        except Refused as e:
            if e.op not in whole:
                raise ConversionError(
                    "Failed to convert the exported program to an ONNX model. This is step 3/3 of exporting the model "
                    f"to ONNX.\n\n{e}"
                ) from e
            whole.discard(e.op)
    raise ConversionError("too many operations had to be taken apart")


def _rename(program: ONNXProgram, input_names: Any, output_names: Any) -> None:
    """Give inputs and outputs the user's names."""
    builder = program._converted.builder
    known = {v.name: v for n in builder.nodes for v in n.outputs} | {v.name: v for v in builder.inputs}
    for values, names in ((builder.inputs, input_names), (builder.outputs, output_names)):
        for value, name in zip(values, names or (), strict=False):
            other = known.get(name)
            if other is not None and other is not value:
                other.name = builder.name(f"{name}_inner")
            builder.used.add(name)
            value.name = name
            known[name] = value


def _report(program: ONNXProgram, folder: Any) -> None:
    """A text about the export: the traced program and the operations of the model."""
    os.makedirs(folder, exist_ok=True)
    builder = program._converted.builder
    counts: dict[str, int] = {}
    for node in builder.nodes:
        counts[node.kind] = counts.get(node.kind, 0) + 1
    lines = [f"| {kind} | {count} |" for kind, count in sorted(counts.items())]
    text = (
        f"# ONNX export\n\nopset {builder.opset}\n\n| operation | count |\n|---|---|\n" + "\n".join(lines)
        + f"\n\n## Exported program\n\n```\n{program.exported_program}\n```\n"
    )  # fmt: skip
    with open(os.path.join(folder, "onnx_export_report.md"), "w", encoding="utf-8") as file:
        file.write(text)


def _verify(program: ONNXProgram, traced: ExportedProgram, args: Any, kwargs: Any) -> None:
    """Run the model and the program and compare. OnnxExporterError where they differ."""
    expected = [v for v in torch.utils._pytree.tree_leaves(traced.module()(*args, **kwargs)) if v is not None]
    for number, (a, e) in enumerate(zip(program(*args, **kwargs), expected, strict=True)):
        want = e if isinstance(e, torch.Tensor) else torch.tensor(e)
        if not torch.allclose(a.to(want.dtype), want, rtol=1e-3, atol=1e-4, equal_nan=True):
            raise OnnxExporterError(f"the model's output {number} differs from the module's")
