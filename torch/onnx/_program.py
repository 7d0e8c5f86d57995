"""What ``torch.onnx.export`` returns: a model that can be saved and run."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import torch
from torch.utils import _pytree as pytree

from . import _optimize, _proto
from ._convert import Converted
from ._package import runtime

__all__ = ["ONNXProgram"]

# Protocol buffers hold less than this many bytes.
_LIMIT = 2**31 - 2**20
# Smaller tensors stay in the model's own file.
_OUTSIDE_FROM = 256
_ALIGNMENT = 64


class ONNXProgram:
    """A model in ONNX, and the exported program that it was made from.

    Calling it runs the model with onnxruntime.
    """

    def __init__(self, converted: Converted, exported_program: Any = None, dims: dict[str, str] | None = None) -> None:
        self._converted, self.exported_program = converted, exported_program
        self._dims = dims or {}
        self._session: Any = None
        self._folder: Any = None

    # ---- the model

    def _dim(self, size: Any) -> str | None:
        """The name of a symbolic size; None where it is not known."""
        if size is None:
            return None
        text = str(size)
        for symbol, name in sorted(self._dims.items(), key=lambda d: -len(d[0])):
            text = text.replace(symbol, name)
        return text

    @property
    def model_proto(self) -> Any:
        """The model as the package ``onnx`` holds it."""
        return _proto.model_proto(self._converted.builder, self._dim)

    @property
    def _size(self) -> int:
        weights = self._converted.builder.weights.values()
        return sum(w.constant.numel() * w.constant.element_size() for w in weights if w.constant is not None)

    def optimize(self) -> None:
        """Leave out what computes nothing, and compute what is known."""
        _optimize.optimize(self._converted.builder)
        self._session = None

    def apply_weights(self, state_dict: dict[str, torch.Tensor]) -> None:
        """Store other tensors as the weights of these names.

        Raises:
            ValueError: a shape is another one.
        """
        import warnings

        weights = self._converted.builder.weights
        for name, tensor in state_dict.items():
            known = weights.get(name)
            if known is None:
                warnings.warn(f"Initializer '{name}' not found in the model. Skipped.", stacklevel=2)
                continue
            if known.shape != tuple(tensor.shape):
                raise ValueError(f"the weight '{name}' has shape {known.shape}, not {tuple(tensor.shape)}")
            known.constant, known.dtype = tensor.detach(), tensor.dtype
        self._session = None

    def rename_axes(self, rename_mapping: dict[Any, str]) -> None:
        """Call symbolic sizes by other names.

        Raises:
            ValueError: there is no size of this name.
        """
        known = {self._dim(s): str(s) for v in self._converted.builder.inputs for s in v.shape or ()
                 if not isinstance(s, int)}  # fmt: skip
        for old, new in rename_mapping.items():
            if str(old) not in known:
                raise ValueError(f"no size is named {str(old)!r}; there are {sorted(map(str, known))}")
            self._dims[known[str(old)]] = new

    # ---- files

    def save(
        self,
        destination: str | os.PathLike,
        *,
        include_initializers: bool = True,
        keep_initializers_as_inputs: bool = False,
        external_data: bool | None = None,
    ) -> None:
        """Write the model to a file, large weights to a second one beside it if ``external_data``.

        Weights of more than 2 GB always go to the second file.
        """
        path = os.fspath(destination)
        outside = external_data or (include_initializers and self._size > _LIMIT)
        if not outside:
            self._write(path, include_initializers, keep_initializers_as_inputs, None)
            return
        name = f"{os.path.basename(path)}.data"
        if not any(w.constant is not None and w.constant.numel() * w.constant.element_size() > _OUTSIDE_FROM
                   for w in self._converted.builder.weights.values()):  # fmt: skip
            self._write(path, include_initializers, keep_initializers_as_inputs, None)
            return
        with open(os.path.join(os.path.dirname(path), name), "wb") as data:

            def put(content: memoryview) -> dict[str, Any] | None:
                if len(content) <= _OUTSIDE_FROM:
                    return None
                data.write(b"\0" * (-data.tell() % _ALIGNMENT))
                place = {"location": name, "offset": data.tell(), "length": len(content)}
                data.write(content)
                return place

            self._write(path, include_initializers, keep_initializers_as_inputs, put)

    def _write(self, path: str, initializers: bool, as_inputs: bool, outside: Any) -> None:
        made = _proto.model_proto(
            self._converted.builder, self._dim, initializers=initializers, as_inputs=as_inputs, outside=outside
        )
        with open(path, "wb") as file:
            file.write(made.SerializeToString())

    # ---- running

    def initialize_inference_session(self, initializer: Any = None) -> None:
        """Make the session that calls use; ``initializer`` gets the model's bytes or path."""
        if initializer is None:

            def initializer(model: Any) -> Any:
                return runtime().InferenceSession(model, providers=["CPUExecutionProvider"])

        if self._size > _LIMIT:
            self._folder = tempfile.TemporaryDirectory()
            path = os.path.join(self._folder.name, "model.onnx")
            self.save(path, external_data=True)
            self._session = initializer(path)
        else:
            self._session = initializer(self.model_proto.SerializeToString())

    def release(self) -> None:
        """Let go of the session."""
        self._session = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the model with onnxruntime; the results, as a tuple of tensors."""
        if self._session is None:
            self.initialize_inference_session()
        names = [v.name for v in self._converted.builder.outputs]
        found = self._session.run(names, self._feed(args, kwargs))
        return tuple(torch.from_numpy(v) if v.shape else torch.tensor(v) for v in found)

    def _feed(self, args: Any, kwargs: Any) -> dict[str, Any]:
        leaves = [leaf for leaf in self._ordered(args, kwargs)]
        taken = self._converted.taken
        if len(leaves) != len(taken):
            raise ValueError(f"the model was exported with {len(taken)} arguments, got {len(leaves)}")
        values = [leaf for leaf, wanted in zip(leaves, taken, strict=True) if wanted]
        used = {v.name for v in self._converted.builder.inputs}
        feed = {}
        for place, value in zip(self._converted.users, values, strict=True):
            if place.name in used:
                tensor = value if isinstance(value, torch.Tensor) else torch.tensor(value)
                feed[place.name] = tensor.detach().numpy()
        return feed

    def _ordered(self, args: Any, kwargs: Any) -> list[Any]:
        """The leaves of the arguments, keyword arguments in the order of the program's."""
        if self.exported_program is not None:
            spec = self.exported_program.call_spec.in_spec
            wanted = spec.children_specs[1].context if spec is not None else []
            kwargs = {k: kwargs[k] for k in wanted if k in kwargs} | {
                k: v for k, v in kwargs.items() if k not in wanted
            }
        return pytree.tree_leaves((args, kwargs))

    def call_reference(self, *args: Any, **kwargs: Any) -> Any:
        """Run the model with the evaluator of the package ``onnx``."""
        from onnx.reference import ReferenceEvaluator

        names = [v.name for v in self._converted.builder.outputs]
        found = ReferenceEvaluator(self.model_proto).run(names, self._feed(args, kwargs))
        return tuple(torch.tensor(v) for v in found)

    def __repr__(self) -> str:
        from onnx import printer

        return f"ONNXProgram(\n{printer.to_text(_proto.model_proto(self._converted.builder, self._dim))}\n)"
